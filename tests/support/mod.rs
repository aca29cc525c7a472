//! Drives the program as a user does: in a folder of its own, with a limit on time, and with an eye on what it
//! prints and leaves behind.

#![allow(dead_code, clippy::unwrap_used)] // Every test file uses a part of it.

pub mod model;

use catalogs::{Catalog, Published};
use runtime::arrays::{Elements, Output, write_npz};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing that is tested here may take longer: several times what it takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(150);

/// What a command did.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub seconds: f64,
}

impl Outcome {
    /// That it succeeded.
    pub fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
    }

    /// That it failed with this exit code and one message that has all these parts.
    pub fn failed(&self, code: i32, parts: &[&str]) {
        println!("exit {:?} after {:.2} s: {}", self.code, self.seconds, self.stderr.trim());
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains("error: "), "no message: {}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "'{part}' is missing in: {}", self.stderr);
        }
    }
}

/// A started command.
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    started: Instant,
}

impl Running {
    /// Starts a command that nobody types to.
    pub fn of(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (drain(child.stdout.take().unwrap()), drain(child.stderr.take().unwrap()));
        Running { child, stdout: Some(stdout), stderr: Some(stderr), started: Instant::now() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as the system would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the end; one that does not end in time is killed, and the test fails.
    pub fn outcome(mut self) -> Outcome {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() > LIMIT {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        let status = status.unwrap_or_else(|| panic!("still running after {seconds:.1} s: {stdout}{stderr}"));
        for text in [&stdout, &stderr] {
            assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "a panic: {text}");
            assert!(!text.contains("PRIVATE KEY"), "a private key: {text}");
        }
        Outcome { code: status.code(), stdout, stderr, seconds }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The entries of a workshop's catalog.
pub const RELU: &str = "relu/k64-f16-w9";
pub const SIGMOID: &str = "sigmoid/k64-f16-w9-1e-3";

/// A folder to work in, with the small model, its inputs, a small catalog and a temporary folder of its own.
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub fn new() -> Workshop {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let shop = Workshop { folder };
        std::fs::write(shop.path("model.onnx"), model::small("Relu")).unwrap();
        shop.write_inputs("calibration.npz", 8);
        shop.write_inputs("input.npz", 10);
        shop.publish(&[RELU, SIGMOID]);
        shop
    }

    /// With a plan for the small model.
    pub fn with_plan() -> Workshop {
        let shop = Workshop::new();
        shop.tune("model.onnx", "plan.toml").succeeded();
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), contents).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces a part of a file that must be there exactly once or more.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no '{from}'");
        self.write(name, text.replacen(from, to, 1));
    }

    /// An array `x` of `count` examples of the small model.
    pub fn write_inputs(&self, name: &str, count: usize) {
        let data: Vec<f64> = (0..count * model::INPUTS).map(model::input).collect();
        self.write_array(name, "x", &[count, model::INPUTS], &data);
    }

    pub fn write_array(&self, name: &str, array: &str, shape: &[usize], data: &[f64]) {
        write_npz(&self.path(name), &[Output { name: array, shape, elements: Elements::Double(data) }]).unwrap();
    }

    /// `chebyshare tune` for small runs.
    pub fn tune(&self, model: &str, plan: &str) -> Outcome {
        let mut arguments: [&str; 9] = TUNE;
        (arguments[1], arguments[8]) = (model, plan);
        self.run(&arguments)
    }

    /// `chebyshare run --local` of the small model.
    pub fn infer(&self) -> Outcome {
        self.run(&INFER)
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.watch(self.start(arguments))
    }

    /// Waits for a command and looks for secrets in what it said.
    pub fn watch(&self, running: Running) -> Outcome {
        let outcome = running.outcome();
        let keys = self.private_key_lines();
        for text in [&outcome.stdout, &outcome.stderr] {
            let number = model::told(text);
            assert!(number.is_none(), "the secret {number:?} is in: {text}");
            for key in &keys {
                assert!(!text.contains(key.as_str()), "the secret {key} is in: {text}");
            }
        }
        outcome
    }

    /// Starts a command in this folder.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chebyshare"));
        command.args(arguments).current_dir(self.folder.path()).env("TMPDIR", self.path("tmp"));
        Running::of(command)
    }

    /// Every file and folder below this folder.
    pub fn listing(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path.strip_prefix(self.folder.path()).unwrap().to_owned());
            }
        }
        found
    }

    /// Runs `arguments`, which must fail with `code` and these parts in the message, and leave nothing behind.
    pub fn refuses(&self, arguments: &[&str], code: i32, parts: &[&str]) -> Outcome {
        let before = self.listing();
        let outcome = self.run(arguments);
        outcome.failed(code, parts);
        assert_eq!(self.listing(), before, "a failed command left files");
        outcome
    }

    /// Puts entries of the shipped catalog into `catalogs/` and `proofs/` of this folder.
    pub fn publish(&self, names: &[&str]) {
        let shipped = shipped();
        let mut catalog = Catalog::new();
        for name in names {
            catalog.insert(name, shipped.find(name).unwrap().1.clone()).unwrap();
        }
        self.write_catalog(&catalog);
    }

    /// Changes the texts of one entry, and publishes the whole catalog with digests that are right.
    pub fn republish(&self, name: &str, change: impl FnOnce(&mut Published)) {
        let mut catalog = Catalog::open(&self.path("catalogs"), &self.path("proofs")).unwrap();
        let mut published = catalog.find(name).unwrap().1.clone();
        change(&mut published);
        catalog.insert(name, published).unwrap();
        self.write_catalog(&catalog);
    }

    fn write_catalog(&self, catalog: &Catalog) {
        catalog.write(&self.path("catalogs"), &self.path("proofs")).unwrap();
    }

    fn private_key_lines(&self) -> Vec<String> {
        let keys = self.listing().into_iter().filter(|path| path.to_string_lossy().ends_with("private-key.pem"));
        let lines = keys.map(|path| std::fs::read_to_string(self.folder.path().join(path)).unwrap_or_default());
        lines
            .flat_map(|text| text.lines().filter(|l| !l.starts_with('-')).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

/// The arguments of a small tuning: the model's file is the second, the plan's the last.
pub const TUNE: [&str; 9] = [
    "tune",
    "model.onnx",
    "--calibration",
    "calibration.npz",
    "--batch",
    "4",
    "--input-range=-1,1",
    "--out",
    "new.toml",
];

/// The arguments of a private run of the small model.
pub const INFER: [&str; 9] =
    ["run", "model.onnx", "--plan", "plan.toml", "--input", "input.npz", "--output", "scores.npz", "--local"];

/// The catalog of this repository.
pub fn shipped() -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap()
}

/// The certificate made to name the entry as it is now.
pub fn rename_entry_in_certificate(published: &mut Published) {
    let digest = catalogs::Digest::of(catalogs::digest::Tag::Entry, published.entry.as_bytes());
    let lines = published.certificate.lines().map(|line| match line.starts_with("entry ") {
        true => format!("entry {digest}\n"),
        false => format!("{line}\n"),
    });
    published.certificate = lines.collect();
}

fn drain(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}
