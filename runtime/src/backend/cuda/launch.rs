//! Launches: the kernels whose text is fixed, and how arguments reach them.

use super::device::{Address, Argument, Device, Error, Function, Source, Style};
use super::{Cuda, PRELUDE};
use std::sync::OnceLock;

/// Threads of a block of kernels that serve a lane or an output each.
pub const THREADS: u32 = 128;

impl From<u64> for Argument<'_> {
    fn from(word: u64) -> Self {
        Argument::Word(word)
    }
}

impl From<usize> for Argument<'_> {
    fn from(word: usize) -> Self {
        Argument::Word(word as u64)
    }
}

impl From<Address> for Argument<'_> {
    fn from(address: Address) -> Self {
        Argument::Word(address.0)
    }
}

/// The arguments of a launch, each an address or a number.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { &[$($crate::backend::cuda::device::Argument::from($argument)),*] };
}
pub(super) use arguments;

/// Kernels of the files under `kernels/`. Those of tensor cores, which small products do not use, are compiled when
/// they are first needed.
pub struct Fixed {
    pub linear: Function,
    pub place: Function,
    pub gather: Function,
    pub sum_axis: Function,
    pub replace: Function,
    pub reduce: Function,
    pub hadamard: Function,
    /// Tiled, and a thread per output.
    pub matrices: [Function; 2],
    pub windows: [Function; 2],
    limbs: OnceLock<Vec<Function>>,
    residues: OnceLock<Vec<Function>>,
}

/// Text with its kernels.
type File = (&'static str, &'static [(&'static str, Style)]);

const LANES: File = (
    include_str!("kernels/lanes.cu"),
    &[
        ("linear", Style::Phased),
        ("place", Style::Phased),
        ("gather", Style::Phased),
        ("sum_axis", Style::Phased),
        ("replace", Style::Phased),
        ("reduce", Style::Phased),
        ("hadamard", Style::Phased),
    ],
);
const INTEGER: File = (
    concat!(include_str!("kernels/operands.cu"), include_str!("kernels/integer.cu")),
    &[
        ("matrices_tiled", Style::Threads),
        ("matrices_direct", Style::Phased),
        ("windows_tiled", Style::Threads),
        ("windows_direct", Style::Phased),
    ],
);
/// Limbs of the kernels, the least first.
pub const LIMBS: [u8; 3] = [4, 6, 8];
const BY_LIMBS: File = (
    concat!(include_str!("kernels/operands.cu"), include_str!("kernels/tensor.cu"), include_str!("kernels/limbs.cu")),
    &[
        ("matrices_limbs_4", Style::Threads),
        ("matrices_limbs_6", Style::Threads),
        ("matrices_limbs_8", Style::Threads),
        ("windows_limbs_4", Style::Threads),
        ("windows_limbs_6", Style::Threads),
        ("windows_limbs_8", Style::Threads),
    ],
);
const BY_RESIDUES: File = (
    concat!(
        include_str!("kernels/operands.cu"),
        include_str!("kernels/tensor.cu"),
        include_str!("kernels/shared.cu"),
        include_str!("kernels/residues.cu")
    ),
    &[
        ("pack_left_matrices", Style::Phased),
        ("pack_right_matrices", Style::Phased),
        ("pack_left_windows", Style::Phased),
        ("pack_right_windows", Style::Phased),
        ("residue_digits", Style::Threads),
        ("combined", Style::Phased),
    ],
);

/// Everything that a compiler must accept.
pub const FILES: [File; 4] = [LANES, INTEGER, BY_LIMBS, BY_RESIDUES];

/// A file as a compiler gets it.
pub fn source((text, kernels): File) -> Source {
    let kernels = kernels.iter().map(|&(name, style)| (name.to_owned(), style)).collect();
    Source { text: format!("{PRELUDE}\n{text}"), kernels }
}

impl Fixed {
    pub fn new(device: &dyn Device) -> Result<Fixed, Error> {
        let size = |_| Error::Failed { device: device.name(), what: "compiling", reason: "a kernel is missing".into() };
        let lanes = device.compile(&source(LANES))?.try_into().map_err(size)?;
        let [linear, place, gather, sum_axis, replace, reduce, hadamard] = lanes;
        let integer = device.compile(&source(INTEGER))?.try_into().map_err(size)?;
        let [matrices_tiled, matrices_direct, windows_tiled, windows_direct] = integer;
        Ok(Fixed {
            linear,
            place,
            gather,
            sum_axis,
            replace,
            reduce,
            hadamard,
            matrices: [matrices_tiled, matrices_direct],
            windows: [windows_tiled, windows_direct],
            limbs: OnceLock::new(),
            residues: OnceLock::new(),
        })
    }

    /// Of matrices by [`LIMBS`], then of windows.
    pub fn limbs(&self, device: &dyn Device) -> Result<&[Function], Error> {
        needed(&self.limbs, device, BY_LIMBS)
    }

    /// Residues of factors (left and right matrices, windows and their kernels), digits, words of digits.
    pub fn residues(&self, device: &dyn Device) -> Result<&[Function], Error> {
        needed(&self.residues, device, BY_RESIDUES)
    }
}

/// Kernels that are compiled when they are first needed; where that finds no memory, the next one who needs them tries
/// again.
fn needed<'a>(
    functions: &'a OnceLock<Vec<Function>>,
    device: &dyn Device,
    file: File,
) -> Result<&'a [Function], Error> {
    match functions.get() {
        Some(functions) => Ok(functions),
        None => {
            let compiled = device.compile(&source(file))?;
            Ok(functions.get_or_init(|| compiled))
        }
    }
}

impl Cuda {
    /// Launches a kernel of this back end over blocks.
    ///
    /// Every caller gives what its kernel's parameters are, with buffers of the sizes that the kernel's bounds follow
    /// from: shapes of a checked circuit, and fields of a checked kernel.
    pub(super) fn launch(
        &self,
        function: Function,
        blocks: u64,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        let blocks = u32::try_from(blocks).ok().filter(|&blocks| blocks < 1 << 31).ok_or_else(|| Error::Failed {
            device: self.device.name(),
            what: "a launch",
            reason: format!("{blocks} blocks are too many; use a smaller batch"),
        })?;
        // SAFETY: the kernels are this module's, their parameters are words and structures, in the order given, and
        // the buffers live at least until this call has put the work in the device's order, in which they are freed.
        #[allow(unsafe_code)]
        unsafe {
            self.device.launch(function, blocks, threads, arguments)
        }
    }

    /// Launches a kernel with a thread per lane.
    pub(super) fn per_lane(&self, function: Function, lanes: usize, arguments: &[Argument<'_>]) -> Result<(), Error> {
        self.launch(function, (lanes as u64).div_ceil(u64::from(THREADS)), THREADS, arguments)
    }
}
