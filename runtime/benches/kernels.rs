//! What the CPU's kernels take, beside what the processor allows: products, convolutions, masks, and the local parts of
//! compiled operations, and how their time grows with the batch.
//!
//! Every figure is taken after a check of the result against the definition. A bound is the rate of the same
//! instructions on registers alone, measured in turns with the figure and the best of its turns, as the clock changes
//! with the load of the machine; the counts of micro-operations behind it are in `matrix/tile.rs` and `random/wide.rs`.

use catalogs::protocol::rss3::Rss3;
use catalogs::protocol::{Role, cost};
use catalogs::{Failure, Lemma, LemmaId, Op, Product, Program, Ring, Rounding, Scale, Sum, Term, ValueId};
use runtime::backend::cpu::matrix::{Instructions, Packed, Patches, multiply, multiply_add_by, product};
use runtime::backend::cpu::{Frames, Prepared, Slots};
use runtime::kernel::CheckedParty;
use runtime::protocol::conformance::conform;
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3::{compile, compile_reshare, compile_truncate};
use std::hint::black_box;

const LANES: usize = 1 << 14;

/// Seconds that this thread has run: a loaded machine does not disturb them much. The scheduler's own record of them
/// moves by whole ticks, too coarse to divide by; the thread's clock is exact.
fn seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The slowest of the three roles, in nanoseconds a lane, masks included. Every stage is repeated on its own until the
/// clock's steps do not matter; what it leaves in the slots is then wrong, and takes as long to compute.
fn nanoseconds(parties: &[CheckedParty], lanes: usize) -> f64 {
    let keys = LocalKeys::from_seed(1);
    let repeats = (1usize << 20).div_ceil(lanes);
    let mut states: Vec<Slots> = parties.iter().map(|party| Slots::new(party.slots(), lanes)).collect();
    let mut mail: Vec<Frames> = vec![vec![Vec::new(); 3]; 3];
    let mut spent = [0.0; 3];
    for stage in 0..parties[0].stages().len() {
        let mut next: Vec<Frames> = vec![vec![Vec::new(); 3]; 3];
        for role in 0..3 {
            let prepared = Prepared::new(&parties[role].stages()[stage]);
            let streams = keys.streams(0, 0);
            let mut sent = Frames::new();
            let start = seconds();
            for _ in 0..repeats {
                sent.iter_mut().for_each(Vec::clear);
                prepared.run(0, &mut states[role], &mail[role], &mut sent, &streams).expect("runs");
            }
            spent[role] += (seconds() - start) / repeats as f64;
            for (to, bytes) in sent.into_iter().enumerate() {
                next[to][role] = bytes;
            }
        }
        mail = next;
    }
    spent.into_iter().fold(0.0, f64::max) * 1e9 / lanes as f64
}

fn lemmas() -> [Lemma; 3] {
    let ring = Ring::Z64;
    let rounding = Rounding::FLOOR_OR_NEXT;
    let truncation =
        Lemma::Truncation { ring, target: ring, shift: 16, window: Some(62), rounding, failure: Failure::Never };
    [truncation, Lemma::Sign { width: 20, dropped: 0, operands: 1 }, Lemma::Injection { ring }]
}

fn sum(products: &[(u16, u16)], linear: &[(i128, u16)], constant: i128, truncated: bool) -> Op {
    let products = products.iter().map(|&(a, b)| Product { coefficient: 3, left: ValueId(a), right: ValueId(b) });
    let linear = linear.iter().map(|&(coefficient, value)| Term { coefficient, value: ValueId(value) });
    Op::Sum(Sum {
        ring: Ring::Z64,
        products: products.collect(),
        linear: linear.collect(),
        constant,
        truncation: truncated.then_some(LemmaId(0)),
        scale: Scale::new(16).expect("a scale"),
    })
}

/// Two signs of 20 bits, two injections, five truncated products.
fn gelu_like() -> Program {
    let sign = |operand: u16| Op::Sign { operand: ValueId(operand), lemma: LemmaId(1) };
    let inject = |bit: u16| Op::Inject { bit: ValueId(bit), lemma: LemmaId(2) };
    let ops = vec![
        Op::Input,
        sum(&[], &[(1, 0)], 226_099, false),
        sum(&[], &[(1, 0)], -226_099, false),
        sign(1),
        sign(2),
        inject(3),
        inject(4),
        sum(&[(0, 0)], &[], 0, true),
        sum(&[(7, 7)], &[], 0, true),
        sum(&[(7, 8)], &[(9, 8), (17, 0)], 99, true),
        sum(&[(9, 8), (7, 0)], &[(11, 0)], 5, true),
        sum(&[], &[(1, 6), (-1, 5)], 0, false),
        sum(&[], &[(-1, 6)], 1, false),
        sum(&[(11, 10), (12, 0)], &[], 0, true),
    ];
    Program::new(Ring::Z64, Scale::new(16).expect("a scale"), lemmas().to_vec(), ops).expect("a program")
}

fn sign_only() -> Program {
    let [_, sign, injection] = lemmas();
    let ops = vec![
        Op::Input,
        Op::Sign { operand: ValueId(0), lemma: LemmaId(0) },
        Op::Inject { bit: ValueId(1), lemma: LemmaId(1) },
    ];
    Program::new(Ring::Z64, Scale::new(16).expect("a scale"), vec![sign, injection], ops).expect("a program")
}

fn kernels() {
    let (gelu, sign) = (gelu_like(), sign_only());
    let points: Vec<i128> = (-1000..1000).map(|index| index * 300).collect();
    let report = conform(&gelu, &points, 5).expect("the program conforms").report;
    conform(&sign, &points, 5).expect("the program conforms");
    let narrow = Ring::Z32;
    let row = |name: &str, parties: Vec<CheckedParty>| {
        let [small, time] = [1 << 11, LANES].map(|lanes| nanoseconds(&parties, lanes));
        let slots = parties.iter().map(CheckedParty::slots).max().unwrap_or(0);
        let steps: usize =
            parties.iter().map(|p| p.stages().iter().map(|s| s.instructions().len()).sum()).max().unwrap_or(0);
        let sent = |party: &CheckedParty| -> usize {
            let bytes = |stage: &runtime::kernel::CheckedKernel| -> usize {
                (0..3).map(|to| stage.sent_bytes(Role(to), LANES)).sum()
            };
            party.stages().iter().map(bytes).sum()
        };
        let bytes = parties.iter().map(sent).sum::<usize>() as f64 / LANES as f64;
        println!(
            "{name:34} {small:7.1} {time:7.1} ns/lane  {slots:2} slots  {steps:4} instructions  {bytes:6.2} B of all"
        );
    };
    println!("slowest role, tiles of 2048 and of {LANES} lanes, ChaCha12 masks included");
    row("reshare, ring 64", compile_reshare(Ring::Z64).expect("compiles"));
    row("truncate 16, ring 64", compile_truncate(Ring::Z64, Ring::Z64, 16).expect("compiles"));
    row("truncate 16 into ring 32", compile_truncate(Ring::Z64, narrow, 16).expect("compiles"));
    row("sign 20 bits and injection", compile(&sign).expect("compiles"));
    row("GELU-like: 2 signs, 2 injections, 5", compile(&gelu).expect("compiles"));
    for name in ["relu/k64-f16-w9", "gelu/k64-f16-w9-1e-3", "exp/k64-f16-w10-1e-4"] {
        row(name, compile(shipped(name).program()).expect("compiles"));
    }
    let predicted = cost(&gelu, &Rss3);
    println!("  predicted {} B, {} rounds; counted {} rounds", predicted.bytes(), predicted.rounds, report.rounds);
}

/// A published entry.
fn shipped(name: &str) -> verify::Certified {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = catalogs::Catalog::open(&root.join("catalogs"), &root.join("proofs")).expect("the catalog opens");
    let (_, published) = catalog.iter().find(|(own, _)| *own == name).expect("it is published");
    verify::check_texts(&published.entry, &published.certificate).expect("it is proved")
}

/// The best rate of `work`, of whose units a call does `units`, in units a second.
fn rate(units: f64, mut work: impl FnMut()) -> f64 {
    // Calls of some milliseconds, so that a change of threads in one of them is a small part of it.
    let mut repeats = 1;
    loop {
        let start = seconds();
        (0..repeats).for_each(|_| work());
        if seconds() - start > 8e-3 || repeats > 1 << 24 {
            break;
        }
        repeats *= 2;
    }
    let mut best = 0.0f64;
    for _ in 0..7 {
        let start = seconds();
        (0..repeats).for_each(|_| work());
        best = best.max(units * f64::from(repeats) / (seconds() - start).max(1e-9));
    }
    best
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod registers {
    //! The inner loop of a product without its memory: what the ports allow.

    use runtime::backend::cpu::matrix::Instructions;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Multiply-adds of one call of [`pairs`].
    pub const STEPS: usize = 1 << 16;

    #[target_feature(enable = "avx512f,avx512dq")]
    fn avx512() {
        let mut totals = [_mm512_set1_epi64(black_box(3)); 16];
        let (a, b) = (_mm512_set1_epi64(black_box(5)), _mm512_set1_epi64(black_box(7)));
        for _ in 0..STEPS / 256 {
            for total in &mut totals {
                let product = _mm512_mullo_epi64(_mm512_add_epi64(*total, a), _mm512_add_epi64(*total, b));
                *total = _mm512_add_epi64(*total, product);
            }
        }
        black_box(totals);
    }

    #[target_feature(enable = "avx2")]
    fn avx2() {
        let mut totals = [[_mm256_set1_epi64x(black_box(3)); 2]; 6];
        let (a, b) = (_mm256_set1_epi64x(black_box(5)), _mm256_set1_epi64x(black_box(7)));
        for _ in 0..STEPS / 48 {
            for [low, cross] in &mut totals {
                let (x, y) = (_mm256_add_epi64(*low, a), _mm256_add_epi64(*low, b));
                let crossed = _mm256_mullo_epi32(x, _mm256_shuffle_epi32::<0b10_11_00_01>(y));
                *low = _mm256_add_epi64(*low, _mm256_mul_epu32(x, y));
                *cross = _mm256_add_epi32(*cross, crossed);
            }
        }
        black_box(totals);
    }

    /// [`STEPS`] multiply-adds; `None` where the compiler decides about instructions.
    pub fn pairs(instructions: Instructions) -> Option<fn()> {
        // SAFETY: only instructions that the processor has are asked for.
        match instructions {
            Instructions::Avx512 => Some(|| unsafe { avx512() }),
            Instructions::Avx2 => Some(|| unsafe { avx2() }),
            Instructions::Portable => None,
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod registers {
    //! Nothing is known of this processor.
    pub const STEPS: usize = 1;

    pub fn pairs(_: runtime::backend::cpu::matrix::Instructions) -> Option<fn()> {
        None
    }
}

/// Multiply-adds a second that the instructions allow, where that is known.
fn ceiling(instructions: Instructions) -> Option<f64> {
    registers::pairs(instructions).map(|pairs| rate(registers::STEPS as f64, pairs))
}

fn words(count: usize, factor: u64) -> Vec<u64> {
    (0..count as u64).map(|index| index.wrapping_mul(factor)).collect()
}

fn of(bound: Option<f64>, figure: f64) -> String {
    bound.map_or_else(
        || "no bound known".into(),
        |bound| format!("{:3.0} % of {:5.2}", 100.0 * figure / bound, bound / 1e9),
    )
}

fn products() {
    println!("products of words of 64 bits, 10^9 multiply-adds a second on one core");
    for instructions in Instructions::available() {
        let mut square = 0.0;
        for (m, k, n) in
            [(1024, 1024, 1024), (32, 1024, 1024), (32, 384, 384), (32, 384, 1536), (128, 64, 128), (1, 384, 384)]
        {
            let (left, right) = (words(m * k, 0x9e37_79b9_7f4a_7c15), words(k * n, 0xbf58_476d_1ce4_e5b9));
            let packed = Packed::new(&right, k, n).expect("sizes agree");
            let mut out = vec![0u64; m * n];
            multiply_add_by(instructions, &left, &packed, &mut out).expect("sizes agree");
            let entry = |i: usize| left[(m - 1) * k + i].wrapping_mul(right[i * n + n - 1]);
            assert_eq!(out[m * n - 1], (0..k).fold(0u64, |sum, i| sum.wrapping_add(entry(i))), "the product is wrong");
            let before = ceiling(instructions);
            let figure = rate((m * k * n) as f64, || {
                multiply_add_by(instructions, black_box(&left), &packed, &mut out).expect("sizes agree");
            });
            let bound = before.zip(ceiling(instructions)).map(|(a, b)| a.max(b));
            if m == 1024 {
                square = figure;
            }
            println!(
                "  {instructions:?} {m:4} × {k:4} × {n:4}  {:6.2}  {}, {:3.0} % of the first",
                figure / 1e9,
                of(bound, figure),
                100.0 * figure / square
            );
        }
    }
}

/// Shapes of ResNet and VGG: channels, height and width, kernel, stride, outputs.
const CONVOLUTIONS: [(usize, usize, usize, usize, usize); 7] = [
    (3, 224, 7, 2, 64),
    (64, 56, 3, 1, 64),
    (64, 56, 1, 1, 256),
    (128, 28, 3, 1, 128),
    (256, 14, 3, 1, 256),
    (512, 7, 3, 1, 512),
    (64, 112, 3, 1, 128),
];

fn convolutions() {
    println!("convolutions, 10^9 multiply-adds a second on one core: windows read in place, and stored as a matrix");
    let best = Instructions::available()[0];
    for (channels, extent, kernel, stride, outputs) in CONVOLUTIONS {
        let padding = kernel / 2;
        let output = (extent + 2 * padding - kernel) / stride + 1;
        let (depth, positions) = (channels * kernel * kernel, output * output);
        let image = words(channels * extent * extent, 0x9e37_79b9_7f4a_7c15);
        let weight = words(outputs * depth, 0xbf58_476d_1ce4_e5b9);
        let patches = Patches {
            image: &image,
            input: [extent; 2],
            kernel: [kernel; 2],
            output: [output; 2],
            strides: [stride; 2],
            dilations: [1; 2],
            padding: [padding; 2],
        };
        let packed = Packed::transposed(&weight, depth, outputs).expect("sizes agree");
        let mut in_place = vec![0u64; outputs * positions];
        let run = |out: &mut Vec<u64>| {
            out.fill(0);
            product(&patches, &packed, 0..packed.panels(), |part| {
                for column in 0..part.width {
                    let goal = &mut out[(part.column + column) * positions + part.row..][..part.words.len()];
                    goal.iter_mut().zip(part.words).for_each(|(goal, row)| *goal = goal.wrapping_add(row[column]));
                }
            });
        };
        let stored = || {
            let mut columns = vec![0u64; depth * positions];
            for (row, goal) in columns.chunks_exact_mut(positions).enumerate() {
                let (channel, tap) = (row / (kernel * kernel), row % (kernel * kernel));
                for (at, goal) in goal.iter_mut().enumerate() {
                    let y = (at / output * stride + tap / kernel).checked_sub(padding).filter(|y| *y < extent);
                    let x = (at % output * stride + tap % kernel).checked_sub(padding).filter(|x| *x < extent);
                    if let (Some(y), Some(x)) = (y, x) {
                        *goal = image[(channel * extent + y) * extent + x];
                    }
                }
            }
            multiply(&weight, &columns, outputs, depth, positions).expect("sizes agree")
        };
        run(&mut in_place);
        assert_eq!(in_place, stored(), "the convolution is wrong");
        let units = (outputs * depth * positions) as f64;
        let (bound, figure) = (ceiling(best), rate(units, || run(&mut in_place)));
        let other = rate(units, || {
            black_box(stored());
        });
        println!(
            "  {channels:3} × {extent:3}² by {kernel}²/{stride} to {outputs:3}  {:6.2} and {:6.2}  {}; {:.1} MB not stored",
            figure / 1e9,
            other / 1e9,
            of(bound, figure),
            (8 * depth * positions) as f64 / 1e6
        );
    }
}

fn masks() {
    println!(
        "ChaCha12, 10^9 bytes of key stream a second on one core, by the width of a word; blocks of 256 and 4096 lanes"
    );
    let keys = LocalKeys::from_seed(2);
    for bits in [8u8, 16, 32, 64] {
        let draw = runtime::kernel::Draw {
            pair: runtime::kernel::Pair::new(Role(0), Role(1)).expect("two roles"),
            operation: 0,
            step: 0,
            name: runtime::kernel::DrawName::Zero,
            bits,
        };
        let figures = [256usize, 4096].map(|lanes| {
            let mut words = vec![0u64; lanes];
            let (streams, mut first) = (keys.streams(9, u32::from(bits)), 0u64);
            rate((lanes * usize::from(bits) / 8) as f64, || {
                first = (first + lanes as u64) % (1 << 24);
                runtime::backend::DrawSource::fill(&streams, &draw, first, &mut words).expect("draws");
                black_box(&words);
            })
        });
        println!("  {bits:2} bits  {:6.2} {:6.2}", figures[0] / 1e9, figures[1] / 1e9);
    }
}

/// Time is linear in lanes and rows: the unit's time, over four magnitudes.
fn curves() {
    println!("growth: nanoseconds a lane of the slowest role, by lanes");
    let programs = [("sign 20 bits", sign_only()), ("GELU-like", gelu_like())];
    for (name, program) in programs {
        let parties = compile(&program).expect("compiles");
        let times = [1usize << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18];
        let times = times.map(|lanes| format!("2^{} {:.1}", lanes.ilog2(), nanoseconds(&parties, lanes)));
        println!("  {name:14} {}", times.join("  "));
    }
    println!("growth: picoseconds a multiply-add, rows × 384 × 384, by rows");
    let (k, n) = (384, 384);
    let packed = Packed::new(&words(k * n, 0xbf58_476d_1ce4_e5b9), k, n).expect("sizes agree");
    let times = [8usize, 32, 128, 512, 2048].map(|m| {
        let (left, mut out) = (words(m * k, 0x9e37_79b9_7f4a_7c15), vec![0u64; m * n]);
        let best = Instructions::available()[0];
        let figure = rate((m * k * n) as f64, || multiply_add_by(best, &left, &packed, &mut out).expect("sizes agree"));
        format!("{m} {:.1}", 1e12 / figure)
    });
    println!("  {}", times.join("  "));
}

fn main() {
    let parts: [(&str, fn()); 5] = [
        ("products", products),
        ("convolutions", convolutions),
        ("masks", masks),
        ("kernels", kernels),
        ("curves", curves),
    ];
    // All parts, or those named after `--`.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, part) in parts {
        if named.is_empty() || named.iter().any(|given| given == name) {
            part();
        }
    }
}
