//! Arrays of NumPy in `.npy` and `.npz` files: the inputs and outputs of a run.
//!
//! Establishes: what [`Arrays::reals`] returns is finite and as long as its shape says; a written file appears whole
//! or not at all. Assumes nothing about a file: headers are checked before the parser sees them, and no more memory
//! is taken than the file's contents fill.

mod write;

use std::io::{Cursor, Read};
use std::path::Path;

use npyz::npz::{NpzArchive, array_name_from_file_name};
use npyz::{DType, NpyFile, Order, TypeChar};

use crate::graph::tensor::{Tensor, element_count, strides, walk};
pub use write::{Elements, Output, write_npy, write_npz};

/// The longest header that is believed; NumPy writes 128 bytes for plain arrays.
const HEADER_BYTES_MAX: usize = 4096;
/// The largest unpacked array, so that a small archive cannot fill the memory.
const ARRAY_BYTES_MAX: u64 = 4 << 30;

/// Why an array could not be read or written. Messages name the file and the array, never a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened, read, or put in place.
    #[error("{file}: {source}")]
    File {
        /// Path as given.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no array file.
    #[error("{file}: not a readable .npy or .npz file: {reason}")]
    Malformed {
        /// Path as given.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No array of that name.
    #[error("{file} has no array '{name}'; it has {names}")]
    Missing {
        /// Path as given.
        file: String,
        /// Name asked for.
        name: String,
        /// Names that exist.
        names: String,
    },
    /// The array is damaged or of a type that is not read.
    #[error("array '{name}': {reason}")]
    Array {
        /// Name of the array.
        name: String,
        /// What is wrong, and what is supported.
        reason: String,
    },
}

/// Integers with their shape (labels, for example).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integers {
    /// Extent of each axis.
    pub shape: Vec<usize>,
    /// Elements, last axis fastest.
    pub data: Vec<i64>,
}

/// The arrays of one file, read into memory; decoded on request.
pub struct Arrays {
    file: String,
    entries: Vec<(String, Vec<u8>)>,
}

impl Arrays {
    /// Reads a `.npz` archive, or a `.npy` file whose only array is then named after the file's stem.
    pub fn read(path: &Path) -> Result<Arrays, Error> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| Error::File { file: file.clone(), source })?;
        let stem = path.file_stem().map_or_else(|| "array".into(), |stem| stem.to_string_lossy().into_owned());
        Arrays::parse(file, &stem, bytes)
    }

    fn parse(file: String, stem: &str, bytes: Vec<u8>) -> Result<Arrays, Error> {
        if bytes.starts_with(b"\x93NUMPY") {
            return Ok(Arrays { file, entries: vec![(stem.into(), bytes)] });
        }
        let malformed = |reason: String| Error::Malformed { file: file.clone(), reason };
        let mut archive = NpzArchive::new(Cursor::new(bytes)).map_err(|error| malformed(error.to_string()))?;
        let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
        for index in 0..archive.zip_archive().len() {
            let entry = archive.zip_archive().by_index(index).map_err(|error| malformed(error.to_string()))?;
            let Some(name) = array_name_from_file_name(entry.name()).map(str::to_string) else {
                continue;
            };
            if entries.iter().any(|(other, _)| *other == name) {
                return Err(malformed(format!("array '{name}' occurs twice")));
            }
            let mut contents = Vec::new();
            let damaged = |reason: String| Error::Array { name: name.clone(), reason };
            entry.take(ARRAY_BYTES_MAX + 1).read_to_end(&mut contents).map_err(|error| damaged(error.to_string()))?;
            if contents.len() as u64 > ARRAY_BYTES_MAX {
                return Err(damaged(format!("it is larger than {ARRAY_BYTES_MAX} bytes")));
            }
            entries.push((name, contents));
        }
        Ok(Arrays { file, entries })
    }

    /// Names of the arrays, in the order of the file.
    pub fn names(&self) -> Vec<&str> {
        self.entries.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Extent of each axis of an array.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, Error> {
        let (header, reason) = (self.open(name)?, |reason| Error::Array { name: name.into(), reason });
        extents(header.shape()).map_err(reason)
    }

    /// An array of real or integer type as finite `f64`.
    pub fn reals(&self, name: &str) -> Result<Tensor, Error> {
        let damaged = |reason: String| Error::Array { name: name.into(), reason };
        let array = self.open(name)?;
        let (shape, order) = (extents(array.shape()).map_err(damaged)?, array.order());
        let data: Vec<f64> = match plain_type(&array.dtype()) {
            Some((TypeChar::Float, 4)) => elements::<f32, _>(array, f64::from),
            Some((TypeChar::Float, 8)) => elements::<f64, _>(array, |value| value),
            _ => return Ok(real_integers(&self.integers(name)?)),
        }
        .map_err(damaged)?;
        if let Some(position) = data.iter().position(|value| !value.is_finite()) {
            return Err(damaged(format!("element {position} is NaN or infinite; every input must be finite")));
        }
        Tensor::new(shape.clone(), in_rows(data, &shape, order)).map_err(damaged)
    }

    /// An array of integer or boolean type.
    pub fn integers(&self, name: &str) -> Result<Integers, Error> {
        let damaged = |reason: String| Error::Array { name: name.into(), reason };
        let array = self.open(name)?;
        let (shape, order) = (extents(array.shape()).map_err(damaged)?, array.order());
        let data = match plain_type(&array.dtype()) {
            Some((TypeChar::Bool, 1)) => elements::<bool, _>(array, i64::from),
            Some((TypeChar::Int, 1)) => elements::<i8, _>(array, i64::from),
            Some((TypeChar::Int, 2)) => elements::<i16, _>(array, i64::from),
            Some((TypeChar::Int, 4)) => elements::<i32, _>(array, i64::from),
            Some((TypeChar::Int, 8)) => elements::<i64, _>(array, |value| value),
            Some((TypeChar::Uint, 1)) => elements::<u8, _>(array, i64::from),
            Some((TypeChar::Uint, 2)) => elements::<u16, _>(array, i64::from),
            Some((TypeChar::Uint, 4)) => elements::<u32, _>(array, i64::from),
            Some((TypeChar::Uint, 8)) => match elements::<u64, _>(array, i64::try_from) {
                Ok(values) => values.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string()),
                Err(reason) => Err(reason),
            },
            _ => {
                let given = array.dtype().descr();
                Err(format!("its type is {given}; float32, float64, integers and booleans are supported here"))
            }
        }
        .map_err(damaged)?;
        Ok(Integers { data: in_rows(data, &shape, order), shape })
    }

    /// The array's header, checked, with its data behind it.
    fn open(&self, name: &str) -> Result<NpyFile<Cursor<&[u8]>>, Error> {
        let Some((_, bytes)) = self.entries.iter().find(|(other, _)| other == name) else {
            let names = if self.entries.is_empty() { "none".into() } else { self.names().join(", ") };
            return Err(Error::Missing { file: self.file.clone(), name: name.into(), names });
        };
        let damaged = |reason: String| Error::Array { name: name.into(), reason };
        check_header(bytes).map_err(damaged)?;
        let array = NpyFile::new(Cursor::new(bytes.as_slice())).map_err(|error| damaged(error.to_string()))?;
        let count = element_count(&extents(array.shape()).map_err(damaged)?).map_err(damaged)?;
        let size = array.dtype().num_bytes().unwrap_or(usize::MAX);
        let (needed, given) = (count.saturating_mul(size), bytes.len() - data_offset(bytes).map_err(damaged)?);
        if needed != given {
            return Err(damaged(format!("its header announces {needed} bytes of data, it has {given}")));
        }
        Ok(array)
    }
}

fn real_integers(integers: &Integers) -> Tensor {
    Tensor { shape: integers.shape.clone(), data: integers.data.iter().map(|&value| value as f64).collect() }
}

fn plain_type(dtype: &DType) -> Option<(TypeChar, u64)> {
    match dtype {
        DType::Plain(plain) => Some((plain.type_char(), plain.size_field())),
        _ => None,
    }
}

fn extents(shape: &[u64]) -> Result<Vec<usize>, String> {
    shape.iter().map(|&extent| usize::try_from(extent).map_err(|error| error.to_string())).collect()
}

fn elements<T: npyz::Deserialize, U>(
    array: NpyFile<Cursor<&[u8]>>,
    convert: impl Fn(T) -> U,
) -> Result<Vec<U>, String> {
    let values = array.into_vec::<T>().map_err(|error| error.to_string())?;
    Ok(values.into_iter().map(convert).collect())
}

/// Row-major order, whatever the order of the file.
fn in_rows<T: Copy>(data: Vec<T>, shape: &[usize], order: Order) -> Vec<T> {
    if order == Order::C {
        return data;
    }
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let steps: Vec<isize> = strides(&reversed).into_iter().rev().map(|stride| stride as isize).collect();
    walk(shape, &steps, 0).into_iter().map(|offset| data[offset]).collect()
}

/// Where the data of a `.npy` file begin.
fn data_offset(bytes: &[u8]) -> Result<usize, String> {
    let (prefix, length) = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => return Err("it does not begin like a .npy file of version 1, 2 or 3".into()),
    };
    if length > HEADER_BYTES_MAX {
        return Err(format!("its header has {length} bytes, at most {HEADER_BYTES_MAX} are read"));
    }
    if prefix + length > bytes.len() {
        return Err("it ends within its header".into());
    }
    Ok(prefix + length)
}

/// Refuses headers that the parser multiplies or recurses through without a limit: nested literals, structured types,
/// and shapes whose size overflows.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    let end = data_offset(bytes)?;
    let text = std::str::from_utf8(&bytes[10..end]).map_err(|_| "its header is no text".to_string())?;
    if text.matches(['(', '[', '{']).count() > 2 {
        return Err("its header describes more than a plain array".into());
    }
    let after_shape = text.split_once("shape").map_or("", |(_, rest)| rest);
    let list = after_shape.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let (list, _) = list.ok_or_else(|| "its header has no shape".to_string())?;
    let mut shape = Vec::new();
    for extent in list.split(',').map(str::trim).filter(|extent| !extent.is_empty()) {
        shape.push(extent.parse::<usize>().map_err(|_| format!("its shape is ({list})"))?);
    }
    element_count(&shape).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn parse(bytes: Vec<u8>) -> Arrays {
        Arrays::parse("test".into(), "x", bytes).unwrap()
    }

    fn refusal(header: &str, data: &[u8]) -> String {
        let message = parse(npy(header, data)).reals("x").unwrap_err().to_string();
        assert!(message.contains("array 'x'"), "{message}");
        message
    }

    #[test]
    fn damaged_arrays_are_refused_with_their_name() {
        let nan = refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", &f32::NAN.to_le_bytes());
        assert!(nan.contains("element 0 is NaN"));
        assert!(refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[0; 4]).contains("8 bytes"));
        assert!(refusal("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", &[0; 8]).contains("<c8"));
        let huge = "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 9), }";
        assert!(refusal(huge, &[]).contains("elements"));
        let wide = "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }";
        assert!(refusal(wide, &[]).contains("elements"));
        refusal(&"(".repeat(4000), &[]);
        refusal("{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 8]);
        let missing = parse(npy("", &[])).reals("y").unwrap_err().to_string();
        assert!(missing.contains("no array 'y'; it has x"), "{missing}");
    }

    #[test]
    fn truncated_and_altered_files_never_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let data = [1.0_f32, 2.0, 3.0];
        write_npz(&path, &[Output { name: "a", shape: &[3], elements: Elements::Single(&data) }]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let attempt = |bytes: &[u8]| {
            if let Ok(arrays) = Arrays::parse("a".into(), "a", bytes.to_vec()) {
                for name in arrays.names() {
                    let _ = (arrays.reals(name), arrays.integers(name), arrays.shape(name));
                }
            }
        };
        for length in 0..whole.len() {
            attempt(&whole[..length]);
        }
        for position in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut altered = whole.clone();
                altered[position] ^= flip;
                attempt(&altered);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npz");
        let (single, double, integer) = ([1.5_f32, -2.0], [0.1, 0.2, 0.3, 0.4], [-7_i64]);
        let outputs = [
            Output { name: "single", shape: &[2], elements: Elements::Single(&single) },
            Output { name: "double", shape: &[2, 2], elements: Elements::Double(&double) },
            Output { name: "integer", shape: &[], elements: Elements::Integer(&integer) },
        ];
        write_npz(&path, &outputs).unwrap();
        let arrays = Arrays::read(&path).unwrap();
        assert_eq!(arrays.names(), ["single", "double", "integer"]);
        assert_eq!(arrays.reals("single").unwrap(), Tensor::new(vec![2], vec![1.5, -2.0]).unwrap());
        assert_eq!(arrays.reals("double").unwrap(), Tensor::new(vec![2, 2], double.to_vec()).unwrap());
        assert_eq!(arrays.integers("integer").unwrap(), Integers { shape: vec![], data: vec![-7] });
        assert_eq!(arrays.reals("integer").unwrap(), Tensor::scalar(-7.0));
        assert!(arrays.integers("double").unwrap_err().to_string().contains("<f8"));
        let path = folder.path().join("one.npy");
        write_npy(&path, &outputs[1]).unwrap();
        assert_eq!(Arrays::read(&path).unwrap().reals("one").unwrap().shape, [2, 2]);
    }

    #[test]
    fn column_order_becomes_row_order() {
        let header = "{'descr': '<i8', 'fortran_order': True, 'shape': (2, 3), }";
        let data: Vec<u8> = [1_i64, 4, 2, 5, 3, 6].iter().flat_map(|value| value.to_le_bytes()).collect();
        let integers = parse(npy(header, &data)).integers("x").unwrap();
        assert_eq!(integers.data, [1, 2, 3, 4, 5, 6]);
    }
}
