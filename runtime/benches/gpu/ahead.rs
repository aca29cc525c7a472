//! Compiles the kernels of everything that is measured for a GPU that is not there.

use crate::measure::models::{Files, Model};
use crate::measure::{Sizes, explain, softmax, stages};
use catalogs::{Catalog, Ring};
use runtime::backend::Backend;
use runtime::backend::cuda::{Ahead, Cache, Cuda, Device, fixed_sources};
use runtime::circuit::{Circuit, Party};
use runtime::kernel::CheckedParty;
use runtime::protocol::rss3;
use runtime::session::Runner;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Into a cache: fixed kernels, element-wise operations, softmax, and all models whose plans are there.
pub fn compile(
    architecture: &str,
    cache: &Cache,
    catalog: &Catalog,
    sizes: &Sizes,
    files: &dyn Fn(&Model) -> Result<Files, String>,
) -> Result<(), String> {
    let device = device(architecture, cache);
    for source in fixed_sources() {
        device.compile(&source).map_err(explain)?;
    }
    println!("fixed kernels: {} kernels", device.kernels());
    for (name, parties) in stages::operations(catalog, sizes)? {
        prepared(&device, &parties)?;
        println!("{name}: {} kernels so far", device.kernels());
    }
    circuit(&device, "softmax", &softmax::circuit(&softmax::entries(catalog)?, 1)?)?;
    for model in &sizes.models {
        let lowered = files(model).and_then(|files| {
            let structure = files.structure()?;
            let checked = files.plan()?.check(&structure, catalog).map_err(explain)?;
            Ok(checked.lowered().circuit.clone())
        });
        match lowered {
            Ok(lowered) => circuit(&device, model.name, &lowered)?,
            Err(reason) => println!("NOT COMPILED: {}: {reason}", model.name),
        }
    }
    println!("{} kernels for {architecture}, those that were there included", device.kernels());
    Ok(())
}

/// A compiler for an architecture.
pub fn device(architecture: &str, cache: &Cache) -> Arc<Ahead> {
    Arc::new(Ahead::new(architecture, cache.clone()))
}

fn cuda(device: &Arc<Ahead>) -> Result<Cuda, String> {
    let device: Arc<dyn Device> = Arc::<Ahead>::clone(device);
    Cuda::new(device).map_err(explain)
}

fn prepared(device: &Arc<Ahead>, parties: &[CheckedParty]) -> Result<(), String> {
    let kernels: Vec<_> = parties.iter().flat_map(CheckedParty::stages).collect();
    cuda(device)?.prepare(&kernels).map(drop).map_err(explain)
}

/// What every party compiles of a circuit, its weights' sharing included.
pub fn circuit(device: &Arc<Ahead>, name: &str, circuit: &Circuit) -> Result<(), String> {
    let rings: BTreeSet<Ring> = circuit.weights().iter().map(|slot| slot.format.ring).collect();
    for ring in rings {
        prepared(device, &rss3::share(ring).map_err(explain)?)?;
    }
    for me in 0..3 {
        Runner::on(cuda(device)?, circuit.clone(), Party(me)).map_err(explain)?;
    }
    println!("{name}: {} kernels so far", device.kernels());
    Ok(())
}
