//! `--backend`: where a party computes.

use crate::failure::Failure;
use runtime::backend::cuda::driver::Driver;
use runtime::backend::cuda::shim::Shim;
use runtime::backend::cuda::{Cache, Cuda, Device, Error, Share};
use std::str::FromStr;
use std::sync::Arc;

/// A GPU, and how many parties share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpu {
    number: usize,
    parties: u32,
}

/// Parties of a local run.
const LOCAL: u32 = 3;

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackEnd {
    /// This processor.
    #[default]
    Cpu,
    /// The GPU with this number, or a failure.
    Cuda(Gpu),
    /// The first GPU, or this processor, which is said.
    Auto,
    /// The GPU's kernels on this processor: for experiments, and slow.
    Shim,
}

/// What computes.
pub enum Chosen {
    /// This processor.
    Cpu,
    /// A device.
    Cuda(Box<Cuda>),
}

impl FromStr for BackEnd {
    type Err = String;

    fn from_str(text: &str) -> Result<BackEnd, String> {
        match text {
            "cpu" => Ok(BackEnd::Cpu),
            "cuda" => Ok(BackEnd::Cuda(Gpu { number: 0, parties: 1 })),
            "auto" => Ok(BackEnd::Auto),
            "cuda-shim" => Ok(BackEnd::Shim),
            _ => match text.strip_prefix("cuda:").and_then(Gpu::parse) {
                Some(gpu) => Ok(BackEnd::Cuda(gpu)),
                None => Err("use cpu, cuda, cuda:NUMBER, cuda:NUMBER/PARTIES where parties share it, or auto".into()),
            },
        }
    }
}

impl Gpu {
    /// NUMBER, or NUMBER/PARTIES.
    fn parse(text: &str) -> Option<Gpu> {
        let (number, parties) = text.split_once('/').unwrap_or((text, "1"));
        let parties = parties.parse().ok().filter(|&parties| parties > 0)?;
        Some(Gpu { number: number.parse().ok()?, parties })
    }

    fn open(self) -> Result<Cuda, Error> {
        let driver = Arc::new(Driver::new(self.number, Cache::of_user()?)?);
        if self.parties == 1 {
            return Cuda::new(driver);
        }
        let share = Share::of(Arc::<Driver>::clone(&driver), self.parties)?;
        // The other parties are processes of their own, which cannot have what this one's pool keeps.
        driver.keep_at_most(share.memory()?.total)?;
        Cuda::new(Arc::new(share))
    }
}

impl BackEnd {
    /// As an argument of this program.
    pub fn argument(self) -> String {
        match self {
            BackEnd::Cpu => "cpu".into(),
            BackEnd::Cuda(Gpu { number, parties: 1 }) => format!("cuda:{number}"),
            BackEnd::Cuda(Gpu { number, parties }) => format!("cuda:{number}/{parties}"),
            BackEnd::Auto => "auto".into(),
            BackEnd::Shim => "cuda-shim".into(),
        }
    }

    /// Opens it; `auto` falls back to this processor and says why on standard error.
    pub fn open(self) -> Result<Chosen, Failure> {
        let opened = match self {
            BackEnd::Cpu => return Ok(Chosen::Cpu),
            BackEnd::Cuda(gpu) => gpu.open(),
            BackEnd::Shim => Cache::of_user().and_then(Shim::new).and_then(|shim| Cuda::new(Arc::new(shim))),
            BackEnd::Auto => match (Gpu { number: 0, parties: 1 }).open() {
                Err(reason) => {
                    eprintln!("no GPU, computing on the CPU: {reason}");
                    return Ok(Chosen::Cpu);
                }
                opened => opened,
            },
        };
        opened.map(Box::new).map(Chosen::Cuda).map_err(Failure::input)
    }

    /// What `auto` is for a party that is alone on its machine, decided once.
    pub fn of_one_party(self) -> Result<BackEnd, Failure> {
        match self {
            BackEnd::Auto => Ok(match self.open()? {
                Chosen::Cpu => BackEnd::Cpu,
                Chosen::Cuda(_) => BackEnd::Cuda(Gpu { number: 0, parties: 1 }),
            }),
            other => Ok(other),
        }
    }

    /// What each party of a local run is told: what `auto` is on this machine, decided once, so that all compute alike;
    /// and that they share a GPU.
    pub fn decided(self) -> Result<BackEnd, Failure> {
        let on_gpu = matches!(self.open()?, Chosen::Cuda(_));
        Ok(self.told(on_gpu))
    }

    /// The same, once it is known whether there is a GPU to compute on.
    fn told(self, on_gpu: bool) -> BackEnd {
        match self {
            BackEnd::Auto if on_gpu => BackEnd::Cuda(Gpu { number: 0, parties: LOCAL }),
            BackEnd::Auto => BackEnd::Cpu,
            BackEnd::Cuda(Gpu { number, parties: 1 }) => BackEnd::Cuda(Gpu { number, parties: LOCAL }),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for name in ["cpu", "auto", "cuda-shim", "cuda:0", "cuda:7", "cuda:1/3"] {
            assert_eq!(name.parse::<BackEnd>().map(BackEnd::argument).as_deref(), Ok(name));
        }
        assert_eq!("cuda".parse(), Ok(BackEnd::Cuda(Gpu { number: 0, parties: 1 })));
        for name in ["", "gpu", "cuda:", "cuda:-1", "CPU", "cuda:1/0", "cuda:/3", "cuda:1/"] {
            assert!(name.parse::<BackEnd>().is_err(), "{name}");
        }
    }

    #[test]
    fn parties_of_a_local_run_are_told_one_back_end_and_that_they_share_it() {
        let told = |name: &str, on_gpu| name.parse::<BackEnd>().unwrap().told(on_gpu).argument();
        assert_eq!([told("auto", false), told("auto", true)], ["cpu", "cuda:0/3"]);
        assert_eq!([told("cuda", true), told("cuda:1", true)], ["cuda:0/3", "cuda:1/3"]);
        // Who says how many share a GPU knows better, and others have none.
        assert_eq!([told("cuda:1/2", true), told("cpu", false)], ["cuda:1/2", "cpu"]);
        assert_eq!(told("cuda-shim", false), "cuda-shim");
    }
}
