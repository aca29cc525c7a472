//! Refusals first, then a tiny campaign: whole, in two parts merged, and continued after an interruption.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TINY: &str = r#"
[[function]]
function = "relu"
domain = ["-8", "8"]
open = true
formats = ["64,16", "40,13", "129,40"]
errors = ["0"]
keep = "cheapest"
label = "w3"

[[function]]
function = "x*x/4 + 1/3"
folder = "line"
domain = ["-2", "2"]
formats = ["64,16", "32,12"]
errors = ["1e-3", "1e-9"]

[[function]]
function = "reciprocal"
domain = ["1", "2"]
formats = ["64,8"]
norm = ["0", "1"]
errors = ["1e-7"]
"#;

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("chebyshare-campaign-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(folder: &Path, shard: Shard) -> Store {
    let store = Store::open(folder, TINY, false).unwrap();
    for (index, job) in store.campaign().jobs.iter().enumerate().filter(|(index, _)| shard.has(*index)) {
        assert!(!store.has(job).unwrap(), "job {index} is new");
        store.keep(job, &job.run(&mut |_| {})).unwrap();
    }
    store.publish().unwrap();
    store
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for file in fs::read_dir(next).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_is_no_campaign_is_refused() {
    let line = "[[function]]\nfunction = \"relu\"\nformats = [\"64,16\"]\nerrors = [\"0\"]\n";
    for (text, part) in [
        (String::new(), "no function is asked for"),
        ("[[function]]".into(), "missing field"),
        (format!("{line}domain = [\"-8\", \"8\"]\ncolour = 1"), "colour"),
        (format!("{line}domain = [\"8\", \"-8\"]"), "empty"),
        (format!("{line}domain = [\"a\", \"8\"]"), "'a' is not a number"),
        (format!("{line}domain = [\"1\", \"8\"]\n").replace("relu", "rleu"), "did you mean relu"),
        (format!("{line}domain = [\"1\", \"8\"]\n").replace("relu", "x*x"), "folder"),
        (format!("{line}domain = [\"1\", \"8\"]\n").replace("64,16", "64"), "'64' is no format"),
        (format!("{line}domain = [\"1\", \"8\"]\n{line}domain = [\"2\", \"8\"]"), "two jobs are called relu/k64-f16"),
        (format!("{line}domain = [\"1\", \"8\"]\nfamily = \"midle\""), "did you mean middle"),
        (format!("{line}domain = [\"1\", \"8\"]\ndesign = \"degree 3\""), "a design needs a family"),
        (format!("{line}domain = [\"1\", \"8\"]\nentry = \"chebyshare\""), "the entry is none"),
        (format!("{line}domain = [\"1\", \"8\"]\nentry = \"\"\nfamily = \"rectifier\""), "without family and design"),
    ] {
        let error = Campaign::parse(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    for text in ["0/2", "3/2", "1", "a/b", "1/0", "/"] {
        assert_eq!(Shard::parse(text), None, "{text}");
    }
}

#[test]
fn rings_that_do_not_exist_are_named_and_left_out() {
    let campaign = Campaign::parse(TINY).unwrap();
    assert_eq!(campaign.jobs.len(), 5);
    assert_eq!(campaign.refused.len(), 1);
    assert!(campaign.refused[0].reason.contains("129 bits"), "{:?}", campaign.refused);
}

#[test]
fn parts_merge_to_the_whole_byte_for_byte() {
    let names = ["whole", "first", "second", "merged"];
    let [whole, first, second, merged] = names.map(Folder::new);
    let store = run(&whole.0, Shard::WHOLE);
    let summary = store.publish().unwrap();
    assert_eq!((summary.done, summary.jobs), (5, 5));
    // A relative error of 1e-7 is out of reach at 8 fraction bits, and said to be.
    assert_eq!(summary.unreached.len(), 1, "{:?}", summary.unreached);
    assert!(summary.entries >= 4);
    let one = run(&first.0, Shard::parse("1/2").unwrap());
    let other = run(&second.0, Shard::parse("2/2").unwrap());
    assert_ne!(files(&first.0), files(&whole.0), "a part is not the whole");
    let all = Store::open(&merged.0, TINY, false).unwrap();
    all.absorb(&other).unwrap();
    all.absorb(&one).unwrap();
    all.publish().unwrap();
    assert_eq!(files(&merged.0), files(&whole.0));
    // Every entry is proved again from its files.
    let catalog = catalogs::Catalog::open(&merged.0.join("catalogs"), &merged.0.join("proofs")).unwrap();
    for (name, published) in catalog.iter() {
        assert!(verify::check_texts(&published.entry, &published.certificate).is_ok(), "{name}");
    }
    // A folder with results is not overwritten, a result of another search is not merged.
    assert!(matches!(Store::open(&whole.0, TINY, false), Err(StoreError::Occupied(_))));
    assert!(matches!(Store::open(&whole.0, &TINY.replace("w3", "w4"), true), Err(StoreError::Other(_))));
    let job = &one.campaign().jobs[0];
    let forged = JobResult { description: job.description(), outcome: Outcome::Unreached("forged".into()) };
    one.keep(job, &forged).unwrap();
    assert!(matches!(all.absorb(&one), Err(StoreError::Differ { .. })));
}

/// A job with a design gives just the program that a search found, and one that nobody makes is said to be none.
#[test]
fn designs_are_made_again() {
    let campaign = Campaign::parse(TINY).unwrap();
    let job = campaign.jobs.iter().find(|job| job.folder == "line").unwrap();
    let Outcome::Published(found) = job.run(&mut |_| {}).outcome else { panic!("nothing found") };
    let pinned = |family: &str, design: &str| {
        let line = "[[function]]\nfunction = \"x*x/4 + 1/3\"\nfolder = \"line\"\ndomain = [\"-2\", \"2\"]\n";
        let goal = "formats = [\"64,16\"]\nerrors = [\"1e-3\"]\nkeep = \"cheapest\"\n";
        let text = format!("{line}{goal}family = \"{family}\"\ndesign = \"{design}\"\n");
        Campaign::parse(&text).unwrap().jobs[0].run(&mut |_| {}).outcome
    };
    for made in &found {
        let Outcome::Published(again) = pinned(&made.family, &made.design) else { panic!("{} is lost", made.name) };
        assert_eq!(again[0].published.entry, made.published.entry, "{}", made.design);
    }
    // An entry's text gives its program, whatever it claims; one that claims something else is refused.
    let line = "[[function]]\nfunction = \"x*x/4 + 1/3\"\nfolder = \"line\"\ndomain = [\"-2\", \"2\"]\n";
    let goal = "formats = [\"64,16\"]\nerrors = [\"1e-3\"]\nkeep = \"cheapest\"\n";
    let entry = &found[0].published.entry;
    let bound = entry.lines().find(|line| line.starts_with("bound ")).unwrap();
    let text = format!("{line}{goal}entry = '''\n{}'''\n", entry.replace(bound, "bound 1"));
    let Outcome::Published(again) = Campaign::parse(&text).unwrap().jobs[0].run(&mut |_| {}).outcome else {
        panic!("not made")
    };
    assert_eq!(again[0].published, found[0].published);
    let error = Campaign::parse(&text.replace("\"-2\"", "\"-1\"")).unwrap_err().to_string();
    assert!(error.contains("another window"), "{error}");

    let Outcome::Unreached(reason) = pinned("middle", "degree 77") else { panic!("made of nothing") };
    assert!(reason.contains("no family makes"), "{reason}");
}

#[test]
fn results_read_back_and_damage_is_noticed() {
    let published = catalogs::Published { entry: "a\n".into(), certificate: "bc\n".into() };
    let made = |name: &str| Made {
        name: name.to_owned(),
        family: "middle".into(),
        design: "degree 3".into(),
        published: published.clone(),
    };
    let entries = vec![made("f/a"), made("f/b")];
    for outcome in [Outcome::Published(entries), Outcome::Published(vec![]), Outcome::Unreached("no".into())] {
        let result = JobResult { description: "a job".into(), outcome };
        let text = result.to_text();
        assert_eq!(JobResult::parse(&text), Ok(result));
        for cut in 0..text.len() {
            assert!(JobResult::parse(&text[..cut]).is_err(), "cut at {cut}");
        }
        assert!(JobResult::parse(&(text + "more\n")).is_err());
    }
}
