//! Where results go: checked before the work starts, written whole or not at all.

use crate::failure::Failure;
use crate::interrupt::undivided;
use std::io::Write;
use std::path::Path;

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

/// That a file can be put at `path`, so that nobody waits for a result that cannot be kept.
pub fn check_file_place(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Failure::Input(format!("{}: is a folder; name a file for the output", path.display())));
    }
    check_writable(folder_of(path), path)
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
mod tests {
    use super::visible;

    #[test]
    fn what_a_terminal_obeys_is_spelled() {
        let plain = "µ ≤ 2⁻¹⁰, \t'é'\n";
        assert_eq!(visible(plain), plain);
        assert_eq!(visible("REJECTED\r\u{1b}[2Kok\u{9b}A"), "REJECTED\\u{d}\\u{1b}[2Kok\\u{9b}A");
        assert_eq!(visible("\u{202e}ko\u{feff}"), "\\u{202e}ko\\u{feff}");
    }
}
