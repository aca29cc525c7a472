//! Agreement with the CPU, and figures beside what the device does at most: what `main.rs` runs on a GPU and a test runs
//! on the host shim, at tiny sizes.

mod agreement;
pub mod models;
pub mod products;
pub mod report;
pub mod roofline;
pub mod session;
pub mod softmax;
pub mod stages;

use runtime::backend::cuda::rates::Amount;
use runtime::backend::cuda::{Cuda, Device, Doing, Measurable, Metered, Share, Stream, Tuning, busy};
use std::sync::Arc;
use std::time::Instant;

pub use agreement::agrees;

/// How much is computed.
#[derive(Clone)]
pub struct Sizes {
    /// Products that are compared with the CPU's.
    pub agreeing: Vec<[usize; 3]>,
    /// How many times its least size is whatever else is compared, but for lanes of stages.
    pub stretched: usize,
    pub agreeing_lanes: Vec<usize>,
    pub products: Vec<[usize; 3]>,
    /// Lanes of functions, resharing, sign tests; elements of softmax.
    pub lanes: Vec<usize>,
    pub functions: Vec<&'static str>,
    pub models: Vec<models::Model>,
    pub copied: Amount,
    pub chains: Amount,
    pub runs: usize,
    /// Runs of a model or a softmax.
    pub sessions: usize,
}

impl Sizes {
    /// What is asked of a GPU.
    pub fn full() -> Sizes {
        Sizes {
            agreeing: vec![[1, 300, 5], [65, 130, 70], [200, 500, 129], [3, 4097, 66], [2, 65_537, 3], [300, 100, 600]],
            stretched: 13,
            agreeing_lanes: vec![1000, 100_003],
            products: vec![[4096; 3], [128, 768, 3072], [1, 4096, 4096]],
            lanes: vec![100_000, 10_000_000],
            functions: vec!["relu/", "gelu/", "exp/"],
            models: models::ALL.to_vec(),
            copied: Amount { lanes: 1 << 26, steps: 0 },
            chains: Amount { lanes: 1 << 20, steps: 4096 },
            runs: 7,
            sessions: 3,
        }
    }

    /// What a processor does in seconds, and a GPU under a tool that watches every access.
    pub fn tiny() -> Sizes {
        Sizes {
            agreeing: vec![[3, 70, 5]],
            stretched: 1,
            agreeing_lanes: vec![130],
            products: vec![[5, 9, 3]],
            lanes: vec![130],
            functions: vec!["relu/"],
            models: models::ALL[..1].to_vec(),
            copied: Amount { lanes: 1000, steps: 0 },
            chains: Amount { lanes: 130, steps: 5 },
            runs: 2,
            sessions: 1,
        }
    }
}

/// Opens the device once more, for another party.
pub type Open<'a> = dyn Fn() -> Result<Arc<dyn Measurable>, String> + Sync + 'a;

/// A back end on a device whose work is noted.
pub struct Party {
    pub cuda: Cuda,
    pub metered: Arc<Metered>,
}

/// A party's back end on its own opening of the device, which is shared by so many parties.
pub fn party(open: &Open<'_>, tuning: Tuning, parties: u32) -> Result<Party, String> {
    let metered = Arc::new(Metered::new(open()?));
    let mut device: Arc<dyn Device> = Arc::<Metered>::clone(&metered);
    if parties > 1 {
        device = Arc::new(Share::of(device, parties).map_err(explain)?);
    }
    Ok(Party { cuda: Cuda::tuned(device, tuning).map_err(explain)?, metered })
}

/// Seconds of some work, the median of several runs.
pub struct Taken {
    /// By this process's clock, until all is done.
    pub wall: f64,
    /// In which a kernel ran.
    pub kernels: f64,
    /// In which the device did anything.
    pub busy: f64,
}

impl Party {
    /// Runs some work several times by this process's clock, then as often by the device's.
    pub fn timed(&self, runs: usize, mut work: impl FnMut() -> Result<(), String>) -> Result<Taken, String> {
        let (mut wall, mut kernels, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            self.cuda.settle().map_err(explain)?;
            let began = Instant::now();
            work()?;
            self.cuda.settle().map_err(explain)?;
            wall.push(began.elapsed().as_secs_f64());
        }
        for _ in 0..runs {
            let origin = self.metered.stamp(Stream::Compute).map_err(explain)?;
            self.metered.note(true);
            let done = work();
            self.metered.note(false);
            let spans = self.metered.spans(origin).map_err(explain);
            self.metered.forget(origin);
            done?;
            let mut spans = spans?;
            all.push(busy(&spans));
            spans.retain(|span| span.doing == Doing::Kernel);
            kernels.push(busy(&spans));
        }
        Ok(Taken { wall: median(wall), kernels: median(kernels), busy: median(all) })
    }
}

pub fn explain(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Words that use all bits, the same for the same seed.
pub fn words(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state ^ (state >> 29)
    };
    (0..count).map(next).collect()
}

/// NaN of nothing, which tables show as such.
pub fn median(seconds: Vec<f64>) -> f64 {
    runtime::cost::median(seconds).unwrap_or(f64::NAN)
}
