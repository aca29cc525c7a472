//! `examples/gpu.sh`, with which a GPU is measured: what it packs, and how it takes one part after the other. No GPU is
//! needed: in the place of the measuring program is a script that notes what it is asked for and does as a test says;
//! the program itself is asked where a build has left it.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Outcome, Running, Workshop, model};
use tempfile::TempDir;

/// Everything that the script reads of its environment, which is the tests' own.
const VARIABLES: [&str; 15] = [
    "ARCHITECTURE",
    "CARGO",
    "CARRY",
    "CHEBYSHARE",
    "CHEBYSHARE_COMMIT",
    "CHEBYSHARE_CUDA_TOOLS",
    "CUDA_HOME",
    "CUDA_PATH",
    "LIMIT",
    "MINILM",
    "OUT",
    "PROGRAM",
    "PYTHON",
    "SHAPES",
    "TIME",
];

/// In the place of the measuring program: `do/PART.first` is what it does before it knows that the device agrees with
/// the CPU, `do/PART` after it has written a row.
const DOUBLE: &str = r#"#!/usr/bin/env bash
echo "$$ $*" >> asked
while [ $# -gt 0 ]; do
    case $1 in --only) part=$2 ;; --out) out=$2 ;; esac
    shift
done
if [ -f "do/$part.first" ]; then . "do/$part.first"; fi
grep -q '^| agreement | ' "$out" || echo '| agreement | yes |' >> "$out"
printf '\n### %s of %s\n' "$part" "$CHEBYSHARE_COMMIT" >> "$out"
if [ -f "do/$part" ]; then . "do/$part"; fi
echo "$$ done" >> asked
"#;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The script, as a user at `place` starts it.
fn script(file: &Path, place: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new("bash");
    command.arg(file).args(arguments).current_dir(place);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.envs(environment.iter().copied());
    Running::of(command).outcome()
}

fn write_program(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    assert!(Command::new("chmod").arg("+x").arg(file).status().unwrap().success());
}

/// A folder that was packed with the double, by its name from where the user is.
struct Packed {
    place: TempDir,
}

impl Packed {
    fn new() -> Packed {
        let packed = Packed { place: tempfile::tempdir().unwrap() };
        write_program(&packed.place.path().join("double"), DOUBLE);
        packed.pack(&[("SHAPES", "")]).succeeded();
        std::fs::create_dir(packed.path("do")).unwrap();
        packed
    }

    /// Once more.
    fn pack(&self, environment: &[(&str, &str)]) -> Outcome {
        let environment = [&[("PROGRAM", "double")], environment].concat();
        script(&repository().join("examples/gpu.sh"), self.place.path(), &["pack", "packed"], &environment)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("packed").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn measure(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let arguments = [&["measure"], arguments].concat();
        script(&self.path("gpu.sh"), self.place.path(), &arguments, environment)
    }

    /// The parts that the double was asked for so far, in order, each begun once the one before it was done; all by
    /// processes of their own.
    fn parts(&self) -> Vec<String> {
        let (mut parts, mut processes, mut running) = (Vec::new(), Vec::new(), None);
        for line in self.read("asked").lines() {
            let (process, asked) = line.split_once(' ').unwrap();
            if asked == "done" {
                assert_eq!(running.take().as_deref(), Some(process));
                continue;
            }
            assert!(!processes.contains(&process.to_owned()), "{line}");
            processes.push(process.to_owned());
            running = Some(process.to_owned());
            parts.push(asked.split(" --only ").nth(1).unwrap().split(' ').next().unwrap().to_owned());
        }
        parts
    }
}

fn said(outcome: &Outcome, parts: &[&str]) {
    for part in parts {
        assert!(outcome.stdout.contains(part), "'{part}' is missing in: {}{}", outcome.stdout, outcome.stderr);
    }
}

/// The folder has what measuring needs, and by the program itself a plan; another pack renews what is the repository's
/// and leaves what was made, for which it needs neither chebyshare nor python then.
#[test]
fn a_folder_is_packed_and_what_was_made_is_kept() {
    let packed = Packed::new();
    let first = packed.pack(&[("SHAPES", "")]);
    said(&first, &["the measuring program: ", "to carry: "]);
    assert!(first.stderr.contains("without MiniLM") && first.stderr.contains("without compiled kernels"));
    assert_eq!(packed.read("gpu"), DOUBLE);
    for file in [
        "gpu.sh",
        "catalogs/INDEX",
        "examples/models/digits_cnn.onnx",
        "examples/models/digits_test.npz",
        "examples/plans/digits_vit.plan.toml",
        "examples/plans/digits_vit.plan.structure.json",
        "shapes/make.py",
        "COMMIT",
    ] {
        assert!(std::fs::metadata(packed.path(file)).unwrap().len() > 0, "{file}");
    }
    for folder in ["catalogs", "proofs"] {
        let same = Command::new("diff").arg("-r").arg(repository().join(folder)).arg(packed.path(folder)).status();
        assert!(same.unwrap().success(), "{folder}");
    }
    assert!(std::fs::metadata(packed.place.path().join("packed.tar.gz")).unwrap().len() > 100_000);
    // A model of four inputs in the place of those whose plans take minutes.
    let shop = Workshop::new();
    let inputs: Vec<f64> = (0..2 * model::INPUTS).map(|index| index as f64 / 8.0).collect();
    shop.write_array("small.npz", "x", &[2, model::INPUTS], &inputs);
    for (from, to) in [("model.onnx", "models/small.onnx"), ("small.npz", "models/small.npz")] {
        std::fs::copy(shop.path(from), packed.path(to)).unwrap();
    }
    packed.write("catalogs/old", "what the repository no longer has");
    let small = [("SHAPES", "small"), ("CARRY", "1")];
    let tuned = packed.pack(&[&small[..], &[("CHEBYSHARE", env!("CARGO_BIN_EXE_chebyshare"))]].concat());
    tuned.succeeded();
    said(&tuned, &["a plan for small"]);
    assert!(!packed.has("catalogs/old") && packed.has("models/small.onnx"));
    assert!(packed.has("models/small.plan.structure.json"));
    let plan = packed.read("models/small.plan.toml");
    packed.write("kernels/some.cubin", "machine code");
    let without = [("CHEBYSHARE", "/none"), ("PYTHON", "/none"), ("SHAPES", "small")];
    packed.pack(&without).succeeded();
    assert_eq!(packed.read("models/small.plan.toml"), plan);
    assert_eq!(packed.read("kernels/some.cubin"), "machine code");
    assert!(!packed.has("models/small.onnx") && !packed.has("models/small.npz"), "not carried");
    // What is missing then is said, by pack and by measure; a part without its model is asked for all the same.
    packed.pack(&[&without[..], &[("CARRY", "1")]].concat()).failed(2, &["small was not made", "PYTHON"]);
    std::fs::remove_file(packed.path("models/small.plan.toml")).unwrap();
    std::fs::copy(shop.path("small.npz"), packed.path("models/small.npz")).unwrap();
    packed.pack(&without).failed(2, &["small wants a plan", "CHEBYSHARE"]);
    std::fs::remove_file(packed.path("models/small.npz")).unwrap();
    packed.write("models/small.plan.toml", &plan);
    let measured = packed.measure(&["small"], &without);
    measured.succeeded();
    said(&measured, &["NOT MADE: small", "python3 with onnx and numpy"]);
    assert_eq!(packed.parts(), ["small"]);
}

/// A folder of somebody else's loses nothing, and what cannot be begun says so before anything is done.
#[test]
fn what_cannot_be_begun_is_refused() {
    let packed = Packed::new();
    let (place, repositorys) = (packed.place.path(), repository().join("examples/gpu.sh"));
    let refuses = |file: &Path, arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]| {
        script(file, place, arguments, environment).failed(2, parts);
    };
    std::fs::create_dir_all(place.join("other/catalogs")).unwrap();
    std::fs::write(place.join("other/catalogs/precious"), "mine").unwrap();
    let double = [("PROGRAM", "double"), ("SHAPES", "")];
    refuses(&repositorys, &["pack"], &double, &["pack wants a folder"]);
    refuses(&repositorys, &["pack", "other"], &double, &["other holds something else"]);
    refuses(&repositorys, &["pack", "double"], &double, &["double holds something else"]);
    assert_eq!(std::fs::read_to_string(place.join("other/catalogs/precious")).unwrap(), "mine");
    refuses(&repositorys, &["pack", "new"], &[("PROGRAM", "none")], &["PROGRAM: ", "none is no program"]);
    let minilm = [&double[..], &[("MINILM", "other")]].concat();
    refuses(&repositorys, &["pack", "new"], &minilm, &["MINILM: ", "other has no minilm.onnx"]);
    refuses(&packed.path("gpu.sh"), &["pack", "new"], &double, &["packed; only the repository's"]);
    assert!(!place.join("new").exists());
    refuses(&repositorys, &["measure"], &[], &["was not packed: bash examples/gpu.sh pack FOLDER"]);
    let own = packed.path("gpu.sh");
    refuses(&own, &["measure", "what", "nothing"], &[], &["'nothing' is no part", "what products element softmax"]);
    refuses(&own, &["measure", "what"], &[("LIMIT", "5m")], &["LIMIT='5m' is no number of seconds"]);
    refuses(&own, &["measure", "what"], &[("TIME", "-1")], &["TIME='-1' is no number of seconds"]);
    refuses(&own, &["measure", "what"], &[("OUT", "double/out")], &["double/out cannot be made"]);
    assert!(!packed.has("asked") && !packed.has("gpu.md") && !packed.has("gpu.txt"));
    let usage = script(&own, place, &["help"], &[]);
    assert_eq!(usage.code, Some(2));
    assert!(usage.stderr.contains("bash FOLDER/gpu.sh measure PART...") && !usage.stderr.contains("pipefail"));
}

/// The loader's compiler is taken where it has one, however much ldconfig says after that; else one of Python's packages
/// before one of a toolkit.
#[test]
fn the_compiler_is_found() {
    let packed = Packed::new();
    let place = packed.place.path();
    for folder in ["bin", "wheels/lib", "toolkit/lib64"] {
        std::fs::create_dir_all(place.join(folder)).unwrap();
    }
    for file in ["wheels/lib/libnvrtc.so.13", "toolkit/lib64/libnvrtc.so.13"] {
        std::fs::write(place.join(file), "a compiler").unwrap();
    }
    write_program(&place.join("python"), "#!/usr/bin/env bash\necho \"$(dirname \"$0\")/wheels\"\n");
    packed.write("do/what", "echo \"${CHEBYSHARE_CUDA_TOOLS:-of the loader}\" >> compilers");
    let path = format!("{}:{}", place.join("bin").display(), std::env::var("PATH").unwrap());
    let [python, toolkit] = ["python", "toolkit"].map(|name| place.join(name).to_str().unwrap().to_owned());
    let known = "echo 'libnvrtc.so.13 (libc6,x86-64) => /lib/libnvrtc.so.13'";
    for (said, python) in [(known, &python[..]), ("", &python), ("", "/none")] {
        write_program(&place.join("bin/ldconfig"), &format!("#!/usr/bin/env bash\n{said}\nseq 100000\n"));
        packed.measure(&["what"], &[("PATH", &path), ("CUDA_HOME", &toolkit), ("PYTHON", python)]).succeeded();
    }
    let wheels = place.join("wheels");
    assert_eq!(packed.read("compilers"), format!("of the loader\n{}/lib\n{toolkit}/lib64\n", wheels.display()));
}

/// All parts, each once and in order, in one report; the next report takes another file, also in another folder.
#[test]
fn parts_are_processes_and_reports_are_kept() {
    let packed = Packed::new();
    packed.measure(&[], &[("SHAPES", "resnet50")]).succeeded();
    let all = ["what", "products", "element", "softmax", "digits_cnn", "digits_vit", "minilm", "resnet50"];
    assert_eq!(packed.parts(), all);
    let (first, commit) = (packed.read("gpu.md"), packed.read("COMMIT"));
    let row = |part: &str| format!("\n### {part} of {}\n", commit.trim());
    assert_eq!(first, format!("| agreement | yes |\n{}", all.map(row).concat()));
    assert!(packed.read("gpu.txt").contains("resnet50: "));
    let asked = packed.read("asked");
    let options = "--models models --kernels kernels --only what --out ";
    assert!(asked.lines().next().unwrap().contains(options) && asked.contains("gpu.md --append\n"), "{asked}");
    packed.measure(&["products", "--shim", "--device", "1"], &[]).succeeded();
    assert_eq!(packed.read("gpu-2.md"), format!("| agreement | yes |\n{}", row("products")));
    assert!(packed.read("asked").contains("gpu-2.md --append --shim --device 1\n"));
    packed.measure(&["softmax", "what"], &[("OUT", "elsewhere/deep")]).succeeded();
    let elsewhere = std::fs::read_to_string(packed.place.path().join("elsewhere/deep/gpu.md")).unwrap();
    assert_eq!(elsewhere, format!("| agreement | yes |\n{}{}", row("softmax"), row("what")));
    // Of a run that left nothing but what it printed, that stays too.
    std::fs::remove_file(packed.path("gpu-2.md")).unwrap();
    let printed = packed.read("gpu-2.txt");
    packed.measure(&["what"], &[]).succeeded();
    assert_eq!((packed.read("gpu.md"), packed.read("gpu-2.txt")), (first, printed));
    assert!(packed.has("gpu-3.md") && !packed.has("gpu-2.md"));
}

/// A part that takes too long is cut off, also one that does not end when it is asked to; what it had stays, and the
/// parts after it are measured.
#[test]
fn a_part_has_its_limit() {
    let packed = Packed::new();
    packed.write("do/products", "sleep 100");
    // Before the first part knows that the device agrees with the CPU, another can find out.
    packed.write("do/what.first", "trap '' TERM; sleep 100");
    let cut = packed.measure(&["what", "products", "softmax"], &[("LIMIT", "2")]);
    assert_eq!(cut.code, Some(137), "{}{}", cut.stdout, cut.stderr);
    assert_eq!(packed.read("asked").matches("--only").count(), 3);
    let report = packed.read("gpu.md");
    let order =
        ["the rest of what: exit code 137", "### products", "the rest of products: exit code 124", "### softmax"];
    let places: Vec<usize> = order.iter().map(|text| report.find(text).unwrap_or_else(|| panic!("{report}"))).collect();
    assert!(places.is_sorted(), "{report}");
    assert!(report.contains(" of 2 seconds") && !report.contains("### what"), "{report}");
    said(&cut, &["NOT RUN: the rest of what", "NOT RUN: the rest of products"]);
}

/// All parts have a time together: what is left of it is the last one's limit, and what was not begun is said.
#[test]
fn all_parts_have_a_time() {
    let packed = Packed::new();
    packed.write("do/what", "sleep 100");
    let cut = packed.measure(&["what", "products", "softmax"], &[("TIME", "10"), ("LIMIT", "0100")]);
    assert_eq!(cut.code, Some(124), "{}{}", cut.stdout, cut.stderr);
    let report = packed.read("gpu.md");
    assert!(report.contains("### what") && report.contains("the rest of what: exit code 124"), "{report}");
    assert!(
        report.ends_with("\nNOT RUN: products: no time was left\n\nNOT RUN: softmax: no time was left\n"),
        "{report}"
    );
    assert_eq!(packed.read("asked").matches("--only").count(), 1);
    assert!(cut.seconds < 60.0);
}

/// The first part that fails says how the whole ends; without a GPU, or with one that computes something else, no part
/// is tried after it.
#[test]
fn a_part_that_fails_is_told() {
    let packed = Packed::new();
    packed.write("do/products", "exit 3");
    packed.write("do/softmax", "exit 2");
    let failed = packed.measure(&["what", "products", "softmax", "element"], &[]);
    assert_eq!(failed.code, Some(3), "{}{}", failed.stdout, failed.stderr);
    let report = packed.read("gpu.md");
    for text in ["the rest of products: exit code 3", "the rest of softmax: exit code 2", "### element", "### softmax"]
    {
        assert!(report.contains(text), "'{text}' is missing in {report}");
    }
    assert!(!report.contains("rest of what") && !report.contains("rest of element"), "{report}");
    for code in [1, 2] {
        packed.write("do/what.first", &format!("exit {code}"));
        let failed = packed.measure(&["what", "products"], &[]);
        assert_eq!(failed.code, Some(code));
        let report = packed.read(&format!("gpu-{}.md", code + 1));
        assert!(
            report.contains(&format!("what: exit code {code}")) && report.contains("NOT RUN: what comes after what")
        );
        assert!(!report.contains("###"), "{report}");
    }
    // A program that is not one for this machine.
    packed.write("do/what.first", "exit 126");
    assert_eq!(packed.measure(&["what", "element"], &[]).code, Some(126));
    assert!(packed.read("gpu-4.md").contains("### element"));
}

/// The measuring program itself, where `cargo bench -p runtime --bench gpu --no-run` has left it: without a GPU it ends
/// with exit code 2, and the report says so.
#[test]
fn the_program_itself_says_that_there_is_no_gpu() {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let built = std::fs::read_dir(deps).unwrap().map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix("gpu-").is_some_and(|digest| digest.chars().all(|c| c.is_ascii_hexdigit()))
    });
    let newest = built.max_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let Some(program) = newest else {
        let _ =
            writeln!(std::io::stderr(), "NOT RUN: the measuring program was not asked: cargo bench did not build it");
        return;
    };
    let packed = Packed::new();
    packed.pack(&[("SHAPES", ""), ("PROGRAM", program.to_str().unwrap())]).succeeded();
    // No GPU for CUDA's driver, where it is there.
    let measured = packed.measure(&["what", "products"], &[("CUDA_VISIBLE_DEVICES", "")]);
    assert_eq!(measured.code, Some(2), "{}{}", measured.stdout, measured.stderr);
    let report = packed.read("gpu.md");
    assert!(report.contains("| NOT RUN | no figure of a GPU was measured: "), "{report}");
    assert!(report.contains("NOT RUN: what comes after what"), "{report}");
}
