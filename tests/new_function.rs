//! `docs/new-function.md` is true: its files are written, its commands are run in their order in an empty folder, and each
//! prints what the page says it prints.
//!
//! A block ```` ```toml ```` whose first line is `# NAME` is the file NAME. In a block ```` ```console ```` lines that begin
//! with `$ ` are commands, and what follows is all that they print. `…` stands for any text within a line (times, keys),
//! and alone on a line for any lines. Runs of spaces count as one, for the widths of columns depend on times. Blocks
//! ```` ```text ```` are not run; the page says so where it has one.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/new-function.md")).unwrap()
}

/// The page in order.
enum Part<'a> {
    /// As it stands.
    Text(&'a str),
    File {
        name: &'a str,
        contents: String,
    },
    Command {
        command: &'a str,
        printed: Vec<&'a str>,
    },
}

fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        parts.push(Part::Text(line));
        let mut block = Vec::new();
        if line.starts_with("```") {
            block.extend(lines.by_ref().take_while(|line| *line != "```"));
        }
        match line {
            "```toml" => {
                let name = block[0].strip_prefix("# ").expect("a block of toml begins with the file's name");
                let contents = block.iter().map(|line| format!("{line}\n")).collect();
                parts.push(Part::File { name, contents });
            }
            "```console" => {
                for line in block {
                    match (line.strip_prefix("$ "), parts.last_mut()) {
                        (Some(command), _) => parts.push(Part::Command { command, printed: Vec::new() }),
                        (None, Some(Part::Command { printed, .. })) => printed.push(line),
                        (None, _) => panic!("a block of console begins with a command: {line}"),
                    }
                }
            }
            // Not run.
            "```text" => block.into_iter().for_each(|line| parts.push(Part::Text(line))),
            other if other.starts_with("```") => panic!("a block of another kind: {other}"),
            _ => continue,
        }
        parts.push(Part::Text("```"));
    }
    parts
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line of the page stands for a printed one.
fn stands_for(page: &str, printed: &str) -> bool {
    let (page, printed) = (words(page), words(printed));
    let pieces: Vec<&str> = page.split('…').collect();
    let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
    if pieces.len() == 1 {
        return page == printed;
    }
    let Some(rest) = printed.strip_prefix(first) else { return false };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    pieces[1..pieces.len() - 1].iter().all(|piece| match rest.find(piece) {
        Some(place) => {
            rest = &rest[place + piece.len()..];
            true
        }
        None => false,
    })
}

/// The page's lines with those that are untrue replaced by what was printed; `None` if all are true.
fn corrected(page: &[&str], printed: &[&str]) -> Option<Vec<String>> {
    let (mut lines, mut rest, mut is_true) = (Vec::new(), printed, true);
    for (index, line) in page.iter().enumerate() {
        if *line == "…" {
            lines.push("…".to_owned());
            // Up to a line that the page's next one stands for, or to the end.
            let next = page.get(index + 1);
            let skipped = rest.iter().position(|printed| next.is_some_and(|next| stands_for(next, printed)));
            rest = &rest[skipped.unwrap_or(rest.len())..];
            continue;
        }
        match rest.split_first() {
            Some((first, others)) => {
                let same = stands_for(line, first);
                is_true &= same;
                lines.push(if same { (*line).to_owned() } else { (*first).to_owned() });
                rest = others;
            }
            None => is_true = false,
        }
    }
    is_true &= rest.is_empty();
    lines.extend(rest.iter().map(|line| (*line).to_owned()));
    (!is_true).then_some(lines)
}

/// What the command prints, errors among it, in `folder`.
fn execute(command: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_chebyshare"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [program.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec 2>&1; {command}")).current_dir(folder).stdin(Stdio::null());
    let output = shell.env("PATH", std::env::join_paths(folders).unwrap()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command}: {text}");
    text
}

#[test]
fn the_walk_is_as_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let (text, mut page, mut wrong, mut commands) = (page(), String::new(), Vec::new(), 0);
    for part in parts(&text) {
        match part {
            Part::Text(line) => page += &format!("{line}\n"),
            Part::File { name, contents } => {
                std::fs::write(folder.path().join(name), &contents).unwrap();
                page += &contents;
            }
            Part::Command { command, printed } => {
                commands += 1;
                let text = execute(command, folder.path());
                let actual: Vec<&str> = text.lines().collect();
                let lines = match corrected(&printed, &actual) {
                    Some(lines) => {
                        wrong.push(format!("$ {command}\n{text}"));
                        lines
                    }
                    None => printed.iter().map(|line| (*line).to_owned()).collect(),
                };
                page += &format!("$ {command}\n");
                lines.iter().for_each(|line| page += &format!("{line}\n"));
            }
        }
    }
    assert!(commands >= 10, "the page has {commands} commands");
    if !wrong.is_empty() {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-function.md");
        std::fs::write(&place, page).unwrap();
        panic!("docs/new-function.md is not true; a true one is {}:\n{}", place.display(), wrong.join("\n"));
    }
}

/// The comparison notices what it has to notice.
#[test]
fn an_untrue_page_is_noticed() {
    assert!(stands_for("8 of 8 entries hold, … s; …", "8 of 8  entries hold, 0.2 s; a check takes 21 ms"));
    assert!(!stands_for("8 of 8 entries hold, … s; …", "7 of 8 entries hold, 0.2 s; a check takes 21 ms"));
    assert!(!stands_for("error 1e-3", "error 2e-3"));
    assert!(!stands_for("a…b…c", "acb"));
    assert_eq!(corrected(&["a", "…", "z"], &["a", "b", "c", "z"]), None);
    assert_eq!(corrected(&["a", "z"], &["a", "b", "z"]).unwrap(), ["a", "b", "z"]);
    assert!(corrected(&["a", "b"], &["a"]).is_some());
    assert!(corrected(&["…", "z"], &["a", "b"]).is_some());
    assert!(corrected(&[], &["a"]).is_some());
}
