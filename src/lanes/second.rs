//! The second checker: a program in another language, written from `proofs/FORMAT.md` alone, given the texts as published.
//!
//! It lies in `verify/second_checker` of a checkout and needs `python3`; where either is missing the lane says that it
//! could not run.

use super::Finding;
use crate::interrupt::TemporaryFolder;
use catalogs::Published;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// Of a checkout, from its root.
const PROGRAM: &str = "verify/second_checker";

/// Gives both texts to the second checker.
pub fn examine(name: &str, published: &Published) -> Finding {
    if !Path::new(PROGRAM).is_dir() {
        return Finding::not_run(format!("there is no {PROGRAM} here; start this in the root of a checkout"));
    }
    match run(name, published) {
        Ok((true, said)) => Finding::new("accepted".into(), None, json!({ "said": said })),
        Ok((false, said)) => {
            Finding::new(String::new(), Some(format!("the second checker rejects it: {said}")), json!({ "said": said }))
        }
        Err(reason) => Finding::not_run(reason),
    }
}

/// Whether it accepts, and the line that it prints of the entry.
fn run(name: &str, published: &Published) -> Result<(bool, String), String> {
    let folder = TemporaryFolder::new().map_err(|_| "no temporary folder can be made".to_owned())?;
    let files = [("catalogs", "entry", &published.entry), ("proofs", "certificate", &published.certificate)];
    for (place, extension, text) in files {
        let file = folder.path().join(place).join(format!("{name}.{extension}"));
        let parent = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        parent.and_then(|()| std::fs::write(&file, text)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let mut command = Command::new("python3");
    // Nothing is written into the checkout.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(PROGRAM).arg(name);
    command.arg("--catalog").arg(folder.path().join("catalogs")).arg("--proofs").arg(folder.path().join("proofs"));
    let output = command.output().map_err(|error| format!("python3: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with(name));
    let Some(line) = line else {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("it says nothing of {name}: {}", errors.lines().last().unwrap_or("no message")));
    };
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    match words[..] {
        ["accepted", bound, _seconds, ref more @ ..] if output.status.success() => {
            Ok((true, format!("bound {bound}; {}", more.join(" "))))
        }
        [_, _, _, ref reason @ ..] => Ok((false, reason.join(" "))),
        _ => Err(format!("it says of {name}: {line}")),
    }
}
