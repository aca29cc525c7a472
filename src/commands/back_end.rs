//! `--backend`: where a party computes.

use crate::failure::Failure;
use runtime::backend::cuda::driver::Driver;
use runtime::backend::cuda::shim::Shim;
use runtime::backend::cuda::{Cache, Cuda, Device, Error};
use std::str::FromStr;
use std::sync::Arc;

/// What the user asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackEnd {
    /// This processor.
    #[default]
    Cpu,
    /// The GPU with this number, or a failure.
    Cuda(usize),
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
            "cuda" => Ok(BackEnd::Cuda(0)),
            "auto" => Ok(BackEnd::Auto),
            "cuda-shim" => Ok(BackEnd::Shim),
            _ => match text.strip_prefix("cuda:").and_then(|number| number.parse().ok()) {
                Some(number) => Ok(BackEnd::Cuda(number)),
                None => Err("use cpu, cuda, cuda:NUMBER or auto".into()),
            },
        }
    }
}

impl BackEnd {
    /// As an argument of this program.
    pub fn argument(self) -> String {
        match self {
            BackEnd::Cpu => "cpu".into(),
            BackEnd::Cuda(number) => format!("cuda:{number}"),
            BackEnd::Auto => "auto".into(),
            BackEnd::Shim => "cuda-shim".into(),
        }
    }

    /// Opens it; `auto` falls back to this processor and says why on standard error.
    pub fn open(self) -> Result<Chosen, Failure> {
        let gpu = |number| Driver::new(number, Cache::of_user()?).and_then(ready);
        let opened = match self {
            BackEnd::Cpu => return Ok(Chosen::Cpu),
            BackEnd::Cuda(number) => gpu(number),
            BackEnd::Shim => Cache::of_user().and_then(Shim::new).and_then(ready),
            BackEnd::Auto => match gpu(0) {
                Err(reason) => {
                    eprintln!("no GPU, computing on the CPU: {reason}");
                    return Ok(Chosen::Cpu);
                }
                opened => opened,
            },
        };
        opened.map(Box::new).map(Chosen::Cuda).map_err(Failure::input)
    }

    /// What `auto` is on this machine: decided once, so that all parties of a local run compute alike.
    pub fn decided(self) -> Result<BackEnd, Failure> {
        Ok(match (self, self.open()?) {
            (BackEnd::Auto, Chosen::Cpu) => BackEnd::Cpu,
            (BackEnd::Auto, Chosen::Cuda(_)) => BackEnd::Cuda(0),
            (other, _) => other,
        })
    }
}

fn ready(device: impl Device + 'static) -> Result<Cuda, Error> {
    Cuda::new(Arc::new(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for name in ["cpu", "auto", "cuda-shim", "cuda:0", "cuda:7"] {
            assert_eq!(name.parse::<BackEnd>().map(BackEnd::argument).as_deref(), Ok(name));
        }
        assert_eq!("cuda".parse(), Ok(BackEnd::Cuda(0)));
        for name in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            assert!(name.parse::<BackEnd>().is_err(), "{name}");
        }
    }
}
