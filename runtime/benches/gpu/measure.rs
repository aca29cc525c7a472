//! Agreement with the CPU, and seconds: the part of the program that a test runs on the host shim.

use catalogs::{Catalog, Entry, Ring};
use runtime::backend::cuda::{Cuda, Products, Tuning};
use runtime::backend::{Backend, Cpu, Frames, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{ProductKind, Shape};
use runtime::kernel::{CheckedKernel, CheckedParty, Instruction};
use runtime::protocol::local::LocalKeys;
use runtime::protocol::rss3;
use std::path::Path;
use std::time::Instant;

/// Multiply-adds of 64-bit words a second that an H100 or H200 can do at most by integer units, limbs and residues, in
/// 10^12: what its data sheet says of its units, divided by what a product takes of them.
const ROOFLINES: [(Products, f64); 3] = [(Products::Integer, 3.7), (Products::Limbs, 27.0), (Products::Residues, 55.0)];

/// How much is computed.
pub struct Sizes {
    agreeing: Vec<[usize; 3]>,
    products: Vec<[usize; 3]>,
    lanes: Vec<usize>,
    functions: Vec<&'static str>,
    runs: usize,
}

impl Sizes {
    /// What is asked of a GPU.
    pub fn full() -> Sizes {
        Sizes {
            agreeing: vec![[1, 300, 5], [65, 130, 70], [200, 500, 129], [3, 4097, 66], [2, 65_537, 3]],
            products: vec![[4096; 3], [128, 768, 3072], [1, 4096, 4096]],
            lanes: vec![100_000, 10_000_000],
            functions: vec!["relu/", "gelu/", "exp/"],
            runs: 7,
        }
    }

    /// What a processor does in seconds.
    pub fn tiny() -> Sizes {
        let (agreeing, products) = (vec![[3, 70, 5]], vec![[5, 9, 3]]);
        Sizes { agreeing, products, lanes: vec![130], functions: vec!["relu/"], runs: 2 }
    }
}

type Make<'a> = dyn Fn(Tuning) -> Result<Cuda, String> + 'a;

fn explain(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Words that use all bits, the same for the same seed.
fn words(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state ^ (state >> 29)
    };
    (0..count).map(next).collect()
}

/// A product's operands on a back end.
struct Factors<W> {
    shapes: [Shape; 3],
    x: Shares<W>,
    y: Shares<W>,
}

impl<W: Clone> Factors<W> {
    fn new<B: Backend<Words = W>>(backend: &B, [m, k, n]: [usize; 3]) -> Result<Factors<W>, String> {
        let shape = |extents: [usize; 2]| Shape::new(extents);
        let shapes = [shape([m, k])?, shape([k, n])?, shape([m, n])?];
        let component = |shape: &Shape, seed| backend.upload(words(shape.lanes(), seed)).map_err(explain);
        let x = Shares { own: component(&shapes[0], 1)?, next: component(&shapes[0], 2)? };
        let y = Shares { own: component(&shapes[1], 3)?, next: component(&shapes[1], 4)? };
        Ok(Factors { shapes, x, y })
    }

    fn multiplied<B: Backend<Words = W>>(&self, backend: &B, factor: &B::Factor) -> Result<W, String> {
        let products = vec![ProductTerm {
            coefficient: 1,
            kind: &ProductKind::MatMul,
            left: &self.x,
            left_shape: &self.shapes[0],
            right: RightFactor::Prepared(factor),
        }];
        let (shape, ring) = (&self.shapes[2], Ring::Z64);
        let sum = LocalSum { shape, ring, constant: None, linear: Vec::new(), products };
        backend.sum(&sum).map_err(explain)
    }

    fn factor<B: Backend<Words = W>>(&self, backend: &B) -> Result<B::Factor, String> {
        let extents = self.shapes[1].extents();
        backend.factor(&self.y, extents[0], extents[1]).map_err(explain)
    }
}

fn product<B: Backend>(backend: &B, extents: [usize; 3]) -> Result<Vec<u64>, String> {
    let factors = Factors::new(backend, extents)?;
    let product = factors.multiplied(backend, &factors.factor(backend)?)?;
    backend.download(&product).map_err(explain)
}

/// Whether products in every way, and resharing, are the CPU's bit for bit.
pub fn agrees(cuda: &Make<'_>, sizes: &Sizes) -> Result<bool, String> {
    let mut all = true;
    for &extents in &sizes.agreeing {
        let expected = product(&Cpu, extents)?;
        for (products, _) in ROOFLINES {
            let same = product(&cuda(Tuning { products, ..Tuning::default() })?, extents)? == expected;
            println!("{extents:?} by {products:?}: {}", if same { "as on the CPU" } else { "OTHER WORDS" });
            all &= same;
        }
    }
    let parties = rss3::compile_reshare(Ring::Z64).map_err(explain)?;
    let of = |lanes| -> Result<bool, String> {
        let (expected, _) = staged(&Cpu, &parties, lanes, 1, &|| Ok(()))?;
        let device = cuda(Tuning::default())?;
        Ok(staged(&device, &parties, lanes, 1, &|| device.settle().map_err(explain))?.0 == expected)
    };
    for &lanes in &sizes.lanes {
        let same = of(lanes)?;
        println!("resharing of {lanes} lanes: {}", if same { "as on the CPU" } else { "OTHER FRAMES" });
        all &= same;
    }
    Ok(all)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Products of every way beside what the device can do at most.
pub fn products(cuda: &Make<'_>, sizes: &Sizes) -> Result<(), String> {
    println!("local part of a product of shares, 2·m·k·n multiply-adds of 64-bit words, median of {}:", sizes.runs);
    for &[m, k, n] in &sizes.products {
        for (products, roofline) in ROOFLINES {
            let cuda = cuda(Tuning { products, ..Tuning::default() })?;
            let factors = Factors::new(&cuda, [m, k, n])?;
            let factor = factors.factor(&cuda)?;
            // Makes kernels ready, and residues of the weight.
            factors.multiplied(&cuda, &factor)?;
            let mut seconds = Vec::with_capacity(sizes.runs);
            for _ in 0..sizes.runs {
                cuda.settle().map_err(explain)?;
                let began = Instant::now();
                factors.multiplied(&cuda, &factor)?;
                cuda.settle().map_err(explain)?;
                seconds.push(began.elapsed().as_secs_f64());
            }
            let seconds = median(seconds);
            let rate = 2.0 * (m * k * n) as f64 / seconds / 1e12;
            println!(
                "{m}×{k}×{n} by {products:?}: {seconds:.3e} s, {rate:.4}·10^12 a second, {:.2} % of {roofline}·10^12",
                100.0 * rate / roofline
            );
        }
    }
    Ok(())
}

/// Every frame of all roles, by round, sender and receiver.
type Said = Vec<Vec<u8>>;

/// All roles on one back end, `runs` times: what the last run said, and the seconds of every run, in which frames pass
/// through this process.
fn staged<B: Backend>(
    backend: &B,
    parties: &[CheckedParty],
    lanes: usize,
    runs: usize,
    settle: &dyn Fn() -> Result<(), String>,
) -> Result<(Said, Vec<f64>), String> {
    let kernels: Vec<&CheckedKernel> = parties.iter().flat_map(CheckedParty::stages).collect();
    let code = backend.prepare(&kernels).map_err(explain)?;
    let keys = LocalKeys::from_seed(11);
    let streams = keys.streams(5, 6);
    let (mut said, mut seconds) = (Vec::new(), Vec::with_capacity(runs));
    for _ in 0..runs {
        said.clear();
        let (mut states, mut first) = (Vec::new(), 0);
        for (role, party) in parties.iter().enumerate() {
            let mut state = backend.state(party.slots(), lanes).map_err(explain)?;
            for (index, &slot) in party.inputs().iter().enumerate() {
                let argument = backend.upload(words(lanes, (10 * role + index) as u64)).map_err(explain)?;
                backend.load(&mut state, slot, &argument).map_err(explain)?;
            }
            states.push((first, state));
            first += party.stages().len();
        }
        settle()?;
        let began = Instant::now();
        let mut mail = vec![vec![Vec::new(); 3]; 3];
        for stage in 0..parties[0].stages().len() {
            let mut next: Vec<Frames> = vec![vec![Vec::new(); 3]; 3];
            for (from, (first, state)) in states.iter_mut().enumerate() {
                let mut sent: Frames = vec![Vec::new(); 3];
                let received: Vec<&[u8]> = mail[from].iter().map(Vec::as_slice).collect();
                let staged = backend.stage(&code[*first + stage], state, &received, &mut sent, &streams);
                backend.collect(staged.map_err(explain)?, &mut sent).map_err(explain)?;
                sent.into_iter().enumerate().for_each(|(to, bytes)| next[to][from] = bytes);
            }
            said.extend(next.iter().flatten().cloned());
            mail = next;
        }
        settle()?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok((said, seconds))
}

/// Bytes that the kernels of a party read and write in the device's memory, per lane: slots and fields.
fn bytes_of_lane(party: &CheckedParty) -> f64 {
    let kernel = |kernel: &CheckedKernel| {
        let slots = kernel.instructions().iter().filter(|i| matches!(i, Instruction::Load(_) | Instruction::Store(..)));
        let fields = kernel.receives().iter().chain(kernel.sends()).map(|field| f64::from(field.bits) / 8.0);
        8.0 * slots.count() as f64 + fields.sum::<f64>()
    };
    party.stages().iter().map(kernel).sum()
}

/// Functions of the catalog, the first entry of each, element by element.
pub fn functions(cuda: &Cuda, sizes: &Sizes, root: &Path) -> Result<(), String> {
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).map_err(explain)?;
    println!(
        "functions, seconds of one of three parties, with messages through this process, median of {}:",
        sizes.runs
    );
    for function in &sizes.functions {
        let programs = catalog.iter().filter(|(name, _)| name.starts_with(function)).filter_map(|(name, published)| {
            let program = Entry::parse(&published.entry).ok()?.program;
            (program.widest_ring().bits() <= 64).then_some((name, program))
        });
        let Some((name, program)) = programs.into_iter().next() else {
            return Err(format!("the catalog has no entry of {function}"));
        };
        let parties = rss3::compile(&program).map_err(explain)?;
        let bytes = parties.iter().map(bytes_of_lane).sum::<f64>() / parties.len() as f64;
        for &lanes in &sizes.lanes {
            let (_, seconds) = staged(cuda, &parties, lanes, sizes.runs, &|| cuda.settle().map_err(explain))?;
            let seconds = median(seconds) / parties.len() as f64;
            println!(
                "{name}, {lanes} lanes: {seconds:.3e} s, {:.3e} lanes a second, {:.3} GB/s of slots and fields",
                lanes as f64 / seconds,
                bytes * lanes as f64 / seconds / 1e9
            );
        }
    }
    Ok(())
}
