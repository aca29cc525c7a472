//! Where results go: checked before the work starts, written whole or not at all.

use crate::failure::Failure;
use crate::interrupt::undivided;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Text with whatever a terminal would obey written out: words of untrusted files are quoted in messages and tables, and a
/// verdict must not be overwritten by what it is about.
pub fn visible(text: &str) -> String {
    let spell = |character: char| match character {
        '\n' | '\t' => character.to_string(),
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
            character.escape_unicode().to_string()
        }
        control if control.is_control() => control.escape_unicode().to_string(),
        plain => plain.to_string(),
    };
    text.chars().map(spell).collect()
}

/// That a file can be put at every place that a command writes, so that nobody waits for a result that cannot be kept, or
/// that is kept in place of something else: a place is a regular file or nothing yet, none is named twice, and none is a
/// file that the command `reads`, by whatever name.
pub fn check_file_places<'a>(
    reads: impl IntoIterator<Item = &'a Path>,
    writes: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Failure> {
    let inputs: Vec<(&Path, Identity)> = reads.into_iter().map(|path| (path, Identity::of(path))).collect();
    let mut outputs: Vec<(&Path, Identity)> = Vec::new();
    for path in writes {
        check_file_place(path)?;
        let own = Identity::of(path);
        let clash = |others: &[(&Path, Identity)], what: &str| match others.iter().find(|(_, other)| own.is(other)) {
            Some((other, _)) => {
                let (path, other) = (path.display(), other.display());
                Err(Failure::Input(format!("{path}: {what} {other}; choose another output path")))
            }
            None => Ok(()),
        };
        clash(&inputs, "would replace what this command reads,")?;
        clash(&outputs, "two results would be put in one file, the other as")?;
        outputs.push((path, own));
    }
    Ok(())
}

/// What tells whether two paths lead to one file: the path without detours and, of a file that exists, its number on its
/// device, which other names of the file share.
struct Identity {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Identity {
    fn of(path: &Path) -> Identity {
        let new = || Some(folder_of(path).canonicalize().ok()?.join(path.file_name()?));
        let plain = path.canonicalize().ok().or_else(new).unwrap_or_else(|| path.to_owned());
        Identity { path: plain, file: number(path) }
    }

    fn is(&self, other: &Identity) -> bool {
        self.path == other.path || self.file.is_some() && self.file == other.file
    }
}

#[cfg(unix)]
fn number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn number(_path: &Path) -> Option<(u64, u64)> {
    None
}

fn check_file_place(path: &Path) -> Result<(), Failure> {
    let refused = |reason: &str| Err(Failure::Input(format!("{}: {reason}", path.display())));
    // A link is followed once: what it leads to must be a file.
    let found = path.symlink_metadata().map(|own| if own.is_symlink() { path.metadata().ok() } else { Some(own) });
    match found {
        Ok(Some(found)) if found.is_dir() => refused("is a folder; name a file for the output"),
        Ok(Some(found)) if found.is_file() => check_writable(folder_of(path), path),
        Ok(Some(_)) => {
            refused("is a device, a pipe or a socket, which a result would replace; choose another output path")
        }
        Ok(None) => refused("is a link that leads nowhere; choose another output path"),
        Err(_) => check_writable(folder_of(path), path),
    }
}

/// The file that describes a network, unless it is one that has a name.
pub fn network_file(network: Option<&str>) -> Option<&Path> {
    network.filter(|name| !["lan", "wan"].contains(name)).map(Path::new)
}

/// That a folder can be made at `path`, or written to if it exists.
pub fn check_folder_place(path: &Path) -> Result<(), Failure> {
    let existing = path.ancestors().find(|ancestor| ancestor.as_os_str().is_empty() || ancestor.exists());
    let existing = existing.filter(|ancestor| !ancestor.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_writable(existing, path)
}

fn check_writable(folder: &Path, wanted: &Path) -> Result<(), Failure> {
    undivided(|| tempfile::tempfile_in(folder)).map(drop).map_err(|error| {
        Failure::Input(format!(
            "{}: nothing can be written in {}: {error}; choose another output path",
            wanted.display(),
            folder.display()
        ))
    })
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Temporary files that others may read once they are renamed, as far as the user's mask allows: results are handed on.
fn readable() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// Writes files, each by renaming a finished temporary one; an interrupt finds all of them or none.
pub fn write_texts(files: &[(&Path, &str)]) -> Result<(), Failure> {
    undivided(|| {
        for (path, text) in files {
            let failed = |error: std::io::Error| Failure::Input(format!("{}: {error}", path.display()));
            let mut file = readable().tempfile_in(folder_of(path)).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
            file.persist(path).map_err(|error| failed(error.error))?;
        }
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refusal(reads: &[&Path], writes: &[&Path]) -> String {
        match check_file_places(reads.iter().copied(), writes.iter().copied()) {
            Ok(()) => String::new(),
            Err(Failure::Input(reason)) => reason,
            Err(other) => panic!("another exit code: {other:?}"),
        }
    }

    #[test]
    fn results_do_not_replace_what_is_read_or_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let (model, plan, new) = (place("model.onnx"), place("plan.toml"), place("new.svg"));
        std::fs::write(&model, "model").unwrap();
        std::fs::write(&plan, "plan").unwrap();
        assert_eq!(refusal(&[&model], &[&plan, &new]), "", "a result may be written again");
        assert!(refusal(&[&model], &[&new, &model]).contains("would replace what this command reads"));
        assert!(refusal(&[&model], &[&new, &plan, &new]).contains("two results would be put in one file"));
        // By other names: through a folder and back, and of a file that is not there yet.
        std::fs::create_dir(place("folder")).unwrap();
        let detour = |name: &str| folder.path().join("folder").join("..").join(name);
        assert!(refusal(&[&model], &[&detour("model.onnx")]).contains("would replace"));
        assert!(refusal(&[], &[&new, &detour("new.svg")]).contains("two results"));
        assert!(refusal(&[], &[&place("folder")]).contains("is a folder"));
        assert!(refusal(&[], &[&place("none/new.svg")]).contains("nothing can be written"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&model, place("link")).unwrap();
            std::os::unix::fs::symlink(place("nothing"), place("lost")).unwrap();
            std::fs::hard_link(&model, place("second")).unwrap();
            assert!(refusal(&[&model], &[&place("link")]).contains("would replace"));
            assert!(refusal(&[&model], &[&place("second")]).contains("would replace"));
            assert_eq!(refusal(&[&plan], &[&place("link")]), "");
            assert!(refusal(&[], &[&place("lost")]).contains("leads nowhere"));
            assert!(refusal(&[], &[Path::new("/dev/null")]).contains("is a device"));
            let _socket = std::os::unix::net::UnixListener::bind(place("socket")).unwrap();
            assert!(refusal(&[], &[&place("socket")]).contains("is a device, a pipe or a socket"));
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_spelled() {
        let plain = "µ ≤ 2⁻¹⁰, \t'é'\n";
        assert_eq!(visible(plain), plain);
        assert_eq!(visible("REJECTED\r\u{1b}[2Kok\u{9b}A"), "REJECTED\\u{d}\\u{1b}[2Kok\\u{9b}A");
        assert_eq!(visible("\u{202e}ko\u{feff}"), "\\u{202e}ko\\u{feff}");
    }
}
