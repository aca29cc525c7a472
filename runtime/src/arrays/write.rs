//! Writing arrays: a file appears whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use npyz::npz::NpzWriter;
use npyz::{AutoSerialize, WriterBuilder};

use super::Error;
use crate::graph::tensor::element_count;

/// Elements to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Elements<'a> {
    /// 32-bit floating point.
    Single(&'a [f32]),
    /// 64-bit floating point.
    Double(&'a [f64]),
    /// 64-bit integers.
    Integer(&'a [i64]),
}

/// An array to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output<'a> {
    /// Its name in the archive.
    pub name: &'a str,
    /// Extent of each axis.
    pub shape: &'a [usize],
    /// Elements, last axis fastest.
    pub elements: Elements<'a>,
}

/// Writes arrays to a `.npz` archive. The file is complete or absent: it is written beside its place and renamed.
/// Shapes must match the numbers of elements.
pub fn write_npz(path: &Path, arrays: &[Output<'_>]) -> Result<(), Error> {
    for array in arrays {
        check_output(array)?;
    }
    write_atomically(path, |writer| {
        let mut archive = NpzWriter::new(writer);
        for array in arrays {
            match array.elements {
                Elements::Single(data) => write_entry(&mut archive, array, data)?,
                Elements::Double(data) => write_entry(&mut archive, array, data)?,
                Elements::Integer(data) => write_entry(&mut archive, array, data)?,
            }
        }
        archive.zip_writer().finish().map(|_| ()).map_err(std::io::Error::other)
    })
}

/// Writes one array to a `.npy` file, as atomically as [`write_npz`].
pub fn write_npy(path: &Path, array: &Output<'_>) -> Result<(), Error> {
    check_output(array)?;
    write_atomically(path, |writer| match array.elements {
        Elements::Single(data) => write_plain(writer, array, data),
        Elements::Double(data) => write_plain(writer, array, data),
        Elements::Integer(data) => write_plain(writer, array, data),
    })
}

fn check_output(array: &Output<'_>) -> Result<(), Error> {
    let given = match array.elements {
        Elements::Single(data) => data.len(),
        Elements::Double(data) => data.len(),
        Elements::Integer(data) => data.len(),
    };
    let damaged = |reason| Error::Array { name: array.name.into(), reason };
    match element_count(array.shape).map_err(damaged)? {
        expected if expected == given => Ok(()),
        expected => Err(damaged(format!("shape {:?} needs {expected} elements, {given} are given", array.shape))),
    }
}

fn file_shape(array: &Output<'_>) -> Vec<u64> {
    array.shape.iter().map(|&extent| extent as u64).collect()
}

fn write_plain<T: AutoSerialize + Copy>(writer: impl Write, array: &Output<'_>, data: &[T]) -> std::io::Result<()> {
    let options = npyz::WriteOptions::new().default_dtype().shape(&file_shape(array));
    let mut entry = options.writer(writer).begin_nd()?;
    entry.extend(data.iter().copied())?;
    entry.finish()
}

fn write_entry<T: AutoSerialize + Copy>(
    archive: &mut NpzWriter<impl Write + std::io::Seek>,
    array: &Output<'_>,
    data: &[T],
) -> std::io::Result<()> {
    // Stored, not compressed, and without a date: the same arrays give the same bytes.
    let options = npyz::zip::write::FileOptions::default().compression_method(npyz::zip::CompressionMethod::Stored);
    let options = options.last_modified_time(npyz::zip::DateTime::default()).large_file(data.len() > 1 << 28);
    let mut entry = archive.array(array.name, options)?.default_dtype().shape(&file_shape(array)).begin_nd()?;
    entry.extend(data.iter().copied())?;
    entry.finish()
}

fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<(), Error> {
    let failed = |source| Error::File { file: path.display().to_string(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let mut writer = BufWriter::new(temporary.as_file_mut());
    write(&mut writer).and_then(|()| writer.flush()).map_err(failed)?;
    drop(writer);
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.npz");
        std::fs::write(&path, b"old").unwrap();
        let wrong = Output { name: "a", shape: &[3], elements: Elements::Double(&[1.0]) };
        assert!(write_npz(&path, &[wrong]).unwrap_err().to_string().contains("needs 3 elements"));
        let failed = write_atomically(&path, |writer| {
            writer.write_all(b"half")?;
            Err(std::io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
