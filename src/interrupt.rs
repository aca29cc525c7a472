//! Ctrl-C, and the end of the program that started this one: what is being written is finished, temporary folders
//! (with the keys in them) are removed, and only then the program ends.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// The exit code after Ctrl-C, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Temporary folders that exist. Held while something is written that must not be cut in two.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn folders() -> MutexGuard<'static, Vec<PathBuf>> {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on Ctrl-C (and a request to terminate) ends the program by [`stop`].
pub fn install() -> Result<(), Failure> {
    ctrlc::set_handler(|| stop(INTERRUPTED)).map_err(|error| Failure::Peer(format!("cannot watch for Ctrl-C: {error}")))
}

/// Ends the program in order. Whoever wants to write after this waits for ever, that is until the process is gone.
pub fn stop(code: i32) -> ! {
    let folders = folders();
    for folder in folders.iter() {
        // The program ends anyway; a folder that cannot be removed has nobody left to hear of it.
        let _ = std::fs::remove_dir_all(folder);
    }
    std::process::exit(code)
}

/// Ends the program with `code` when standard input ends: for a process whose parent holds the other end.
pub fn stop_with_input(code: i32) -> Result<(), Failure> {
    let watch = move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop(code)
    };
    let thread = std::thread::Builder::new().name("parent".into()).spawn(watch);
    thread.map(drop).map_err(|error| Failure::Peer(format!("cannot start a thread: {error}")))
}

/// Runs `write`, which an interrupt lets finish. Only for short work that leaves files behind; it may not be nested.
pub fn undivided<T>(write: impl FnOnce() -> T) -> T {
    let _held = folders();
    write()
}

/// A temporary folder that is removed when it is dropped, and on an interrupt.
pub struct TemporaryFolder(Option<TempDir>);

impl TemporaryFolder {
    /// Makes one.
    pub fn new() -> Result<TemporaryFolder, Failure> {
        let mut folders = folders();
        let folder = tempfile::Builder::new().prefix("chebyshare-").tempdir();
        let folder = folder.map_err(|error| Failure::Input(format!("cannot make a temporary folder: {error}")))?;
        folders.push(folder.path().to_owned());
        Ok(TemporaryFolder(Some(folder)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let mut folders = folders();
        if let Some(folder) = self.0.take() {
            folders.retain(|other| other != folder.path());
            drop(folder);
        }
    }
}
