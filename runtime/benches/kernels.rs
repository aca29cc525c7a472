//! Nanoseconds per lane and role of compiled operations, and rates of products, beside what the hardware allows.
//!
//! Every figure is taken after a check of the result against the definition.

use catalogs::protocol::rss3::Rss3;
use catalogs::protocol::{Role, cost};
use catalogs::{Failure, Lemma, LemmaId, Op, Product, Program, Ring, Rounding, Scale, Sum, Term, ValueId};
use runtime::backend::cpu::matrix::{Packed, multiply_add};
use runtime::backend::cpu::{Frames, Prepared, Slots};
use runtime::kernel::CheckedParty;
use runtime::protocol::conformance::conform;
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3::{compile, compile_reshare, compile_truncate};
use std::hint::black_box;
use std::time::Instant;

const LANES: usize = 1 << 14;

/// Seconds that this thread has run, where the system tells; a loaded machine does not disturb them much.
fn seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|text| text.split(' ').next().and_then(|word| word.parse::<u64>().ok()));
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    told.map_or_else(
        || START.get_or_init(Instant::now).elapsed().as_secs_f64(),
        |nanoseconds| nanoseconds as f64 * 1e-9,
    )
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
    let predicted = cost(&gelu, &Rss3);
    println!("  predicted {} B, {} rounds; counted {} rounds", predicted.bytes(), predicted.rounds, report.rounds);
    let mut words = vec![0u64; LANES];
    let draw = runtime::kernel::Draw {
        pair: runtime::kernel::Pair::new(Role(0), Role(1)).expect("two roles"),
        operation: 0,
        step: 0,
        name: runtime::kernel::DrawName::Zero,
        bits: 64,
    };
    let keys = LocalKeys::from_seed(2);
    let start = seconds();
    for tile in 0..512 {
        let streams = keys.streams(9, tile);
        for (block, words) in words.chunks_mut(256).enumerate() {
            runtime::backend::DrawSource::fill(&streams, &draw, block as u64 * 256, words).expect("draws");
        }
        black_box(&words);
    }
    let rate = (512 * LANES * 8) as f64 / (seconds() - start) / 1e9;
    println!("bound: masks of 64 bits in blocks of 256 lanes at {rate:.2} GB/s");
}

/// Cycles per second, from a chain of dependent additions, one cycle each.
fn clock() -> f64 {
    let start = seconds();
    let mut value = 1u64;
    let steps = 200_000_000u64;
    for step in 0..steps / 8 {
        for _ in 0..8 {
            value = black_box_chain(value, step);
        }
    }
    black_box(value);
    steps as f64 / (seconds() - start)
}

#[inline(always)]
fn black_box_chain(value: u64, step: u64) -> u64 {
    // A rotation by one cannot be combined with its neighbours once the step is mixed in.
    (value ^ step).rotate_left(1)
}

fn products() {
    let cycles = clock() * 2.0;
    println!("clock about {:.2} GHz (two dependent operations a step)", cycles / 1e9);
    println!(
        "bound: vpmullq is 3 and vpaddq 1 micro-operations on 2 ports: 4 multiply-adds a cycle, {:.1} GMAC/s",
        4.0 * cycles / 1e9
    );
    for (m, k, n) in [(512, 512, 512), (256, 256, 256), (32, 384, 384), (32, 384, 1536), (128, 64, 128), (1, 384, 384)]
    {
        let left: Vec<u64> = (0..(m * k) as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let right: Vec<u64> = (0..(k * n) as u64).map(|i| i.wrapping_mul(0xbf58_476d_1ce4_e5b9)).collect();
        let packed = Packed::new(&right, k, n).expect("sizes agree");
        let mut out = vec![0u64; m * n];
        multiply_add(&left, &packed, &mut out).expect("sizes agree");
        let last =
            (0..k).fold(0u64, |sum, i| sum.wrapping_add(left[(m - 1) * k + i].wrapping_mul(right[i * n + n - 1])));
        assert_eq!(out[m * n - 1], last, "the product is wrong");
        let repeats = (200_000_000 / (m * k * n)).max(3);
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = seconds();
            for _ in 0..repeats {
                multiply_add(black_box(&left), &packed, &mut out).expect("sizes agree");
            }
            best = best.min((seconds() - start) / repeats as f64);
        }
        println!("{m:4} × {k:4} × {n:4}  {:6.2} GMAC/s", (m * k * n) as f64 / best / 1e9);
    }
}

fn main() {
    kernels();
    products();
}
