//! Kernels with one thing wrong: the comparisons of these tests see every one of them.

use crate::{lanes, shim, stages};
use runtime::backend::cuda::{Address, Cuda, Device, Error, Function, Memory, Products, Source, Tuning};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A device that changes the text of kernels.
struct Changed {
    inner: Arc<dyn Device>,
    from: &'static str,
    to: &'static str,
    changes: AtomicUsize,
}

impl Device for Changed {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn memory(&self) -> Result<Memory, Error> {
        self.inner.memory()
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.changes.fetch_add(source.text.matches(self.from).count(), Ordering::Relaxed);
        self.inner.compile(&Source { text: source.text.replace(self.from, self.to), kernels: source.kernels.clone() })
    }

    fn allocate(&self, bytes: u64) -> Result<Address, Error> {
        self.inner.allocate(bytes)
    }

    fn free(&self, address: Address) {
        self.inner.free(address);
    }

    fn write(&self, to: Address, bytes: &[u8]) -> Result<(), Error> {
        self.inner.write(to, bytes)
    }

    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<(), Error> {
        self.inner.read(from, bytes)
    }

    fn zero(&self, at: Address, bytes: u64) -> Result<(), Error> {
        self.inner.zero(at, bytes)
    }

    #[allow(unsafe_code)]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        // SAFETY: what the caller vouches for is what the inner device asks for.
        unsafe { self.inner.launch(function, blocks, threads, arguments) }
    }
}

fn seen(from: &'static str, to: &'static str, agrees: impl Fn(&Cuda) -> bool, products: Products) {
    let Some(inner) = shim() else { return };
    let tuning = Tuning { products, steps_max: 64 };
    let changed = Arc::new(Changed { inner, from, to, changes: AtomicUsize::new(0) });
    let cuda = Cuda::tuned(changed.clone(), tuning).unwrap();
    assert!(!agrees(&cuda), "'{to}' instead of '{from}' is not seen");
    assert!(changed.changes.load(Ordering::Relaxed) > 0, "no kernel has '{from}'");
}

#[test]
fn changed_stages_are_seen() {
    let agrees = |cuda: &Cuda| stages::resharing_agrees(cuda, 40, 200);
    assert!(shim().is_none_or(|device| agrees(&Cuda::new(device).unwrap())));
    seen("d = (d << 8) | (d >> 24)", "d = (d << 9) | (d >> 23)", agrees, Products::ByShape);
    seen("value << offset : value >> -offset", "value << offset : 0", agrees, Products::ByShape);
    seen("field[bit / 64 + 1] << (64 - offset)", "0", agrees, Products::ByShape);
    seen("first * draws[draw].word_bytes / 64", "first / 64", agrees, Products::ByShape);
}

#[test]
fn changed_products_are_seen() {
    let agrees = |cuda: &Cuda| lanes::matrices_agree(cuda, [17, 70, 66]);
    for products in [Products::Integer, Products::Limbs, Products::Residues] {
        let tuning = Tuning { products, steps_max: 64 };
        assert!(shim().is_none_or(|device| agrees(&Cuda::tuned(device, tuning).unwrap())));
    }
    seen("x_next[k][row + SIDE * i]", "x_own[k][row + SIDE * i]", agrees, Products::Integer);
    seen("multiply_bytes(sums[i + j]", "multiply_bytes(sums[i]", agrees, Products::Limbs);
    seen("rint(quotients[part][i])", "floor(quotients[part][i])", agrees, Products::Residues);
}
