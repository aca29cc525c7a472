//! Kernels with one thing wrong: the comparisons of these tests see every one of them.

use crate::{lanes, shim, stages};
use runtime::backend::cuda::{Around, Cuda, Device, Error, Function, Products, Source, Tuning};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A device that changes the text of kernels.
struct Changed {
    inner: Arc<dyn Device>,
    from: &'static str,
    to: &'static str,
    changes: AtomicUsize,
}

impl Around for Changed {
    fn inner(&self) -> &dyn Device {
        &*self.inner
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.changes.fetch_add(source.text.matches(self.from).count(), Ordering::Relaxed);
        self.inner.compile(&Source { text: source.text.replace(self.from, self.to), kernels: source.kernels.clone() })
    }
}

/// A back end with one text changed.
pub fn changed(from: &'static str, to: &'static str, tuning: Tuning) -> Result<Cuda, String> {
    let device = Changed { inner: shim().unwrap(), from, to, changes: AtomicUsize::new(0) };
    Cuda::tuned(Arc::new(device), tuning).map_err(|error| error.to_string())
}

fn seen(from: &'static str, to: &'static str, agrees: impl Fn(&Cuda) -> bool, products: Products) {
    seen_with(from, to, agrees, Tuning { products, steps_max: 64, ..Tuning::default() });
}

fn seen_with(from: &'static str, to: &'static str, agrees: impl Fn(&Cuda) -> bool, tuning: Tuning) {
    let Some(inner) = shim() else { return };
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

/// What a later part of a kernel needs is kept, lane by lane.
#[test]
fn changed_parts_are_seen() {
    let agrees = |cuda: &Cuda| stages::resharing_agrees(cuda, 40, 200);
    let tuning = Tuning { shared_bytes: 0, ..Tuning::default() };
    assert!(shim().is_none_or(|device| agrees(&Cuda::tuned(device, tuning).unwrap())));
    seen_with("kept[0 * groups + lane", "kept[0 * groups + first", agrees, tuning);
    seen_with("leaving[0 + threadIdx.x] = r", "leaving[0 + threadIdx.x] = 1 | r", agrees, tuning);
}

#[test]
fn changed_products_are_seen() {
    let agrees = |cuda: &Cuda| lanes::matrices_agree(cuda, [17, 70, 66]);
    for products in [Products::Integer, Products::Limbs, Products::Residues] {
        let tuning = Tuning { products, steps_max: 64, ..Tuning::default() };
        assert!(shim().is_none_or(|device| agrees(&Cuda::tuned(device, tuning).unwrap())));
    }
    seen("x_next[k][row + SIDE * i]", "x_own[k][row + SIDE * i]", agrees, Products::Integer);
    seen("multiply_bytes<u8>(sums[i + j]", "multiply_bytes<u8>(sums[i]", agrees, Products::Limbs);
    seen("a[1] = from[8 * row]", "a[1] = from[0]", agrees, Products::Limbs);
    seen("b[1] = from[4]", "b[1] = from[0]", agrees, Products::Limbs);
    seen("rint(quotients[place])", "floor(quotients[place])", agrees, Products::Residues);
    seen("own * (u32)modulus.inverse", "own", agrees, Products::Residues);
    seen("(u32)modulus.multiple", "0u", agrees, Products::Residues);
}

/// How tiles come into shared memory, to tensor cores, and out of registers.
#[test]
fn changed_tiles_are_seen() {
    // Two blocks across, of which the second has one warp with outputs; several steps.
    let agrees = |cuda: &Cuda| lanes::matrices_agree(cuda, [17, 100, 270]);
    let tuning = Tuning { products: Products::Residues, steps_max: 64, ..Tuning::default() };
    assert!(shim().is_none_or(|device| agrees(&Cuda::tuned(device, tuning).unwrap())));
    let changes = [
        ("        copies_arrived();\n        // All", "        // All"),
        ("        __syncthreads();\n        if (k + RESIDUE_STEP", "        if (k + RESIDUE_STEP"),
        ("now = 1 - now", "now = now"),
        ("bring<RESIDUE_COLUMNS>(right[1 - now]", "bring<RESIDUE_COLUMNS>(right[now]"),
        ("row + 16 * i + lane % 16, 2 * component", "row + 16 * i + lane % 16, 0"),
        ("lane / 16 * 8 + lane % 8, 2 * component + lane / 8 % 2", "lane % 16, 2 * component + lane / 16"),
        ("y_lines + start) * pitch", "y_lines) * pitch"),
        ("tiles.word(batch, top + row, start + column)", "tiles.word(batch, top + row, column)"),
        ("fragment / 8 * 16 + lane / 4", "fragment / 8 * 8 + lane / 4"),
        ("c = column + place % 2", "c = column + place / 2"),
    ];
    for (from, to) in changes {
        seen(from, to, agrees, Products::Residues);
    }
}
