//! The page of a catalog, and the page of one that cannot be read.

use super::dossier::Dossier;
use super::front::{self, Offer};
use super::markup::{Element, element};
use super::numbers::{grouped, scientific, significant};
use super::page::{badge, command, document, fact, footer, paragraph, rejection, section};
use super::parts;
use super::tables::{Cell, table};
use crate::lanes::Findings;
use catalogs::Digest;
use runtime::trust::{Attachment, Beside, Reason, Subject};

/// The page; every dossier's own is at `NAME.html`. `chosen` says whether entries were named rather than all.
pub fn page(dossiers: &[Dossier], root: Digest, beside: &Beside, chosen: bool) -> String {
    let refuted: Vec<&Dossier> = dossiers.iter().filter(|dossier| !dossier.holds()).collect();
    let title = if chosen { "Entries of a catalog" } else { "The catalog" };
    let first = refuted.first().map(|dossier| format!("{}: {}", dossier.name, dossier.reason().unwrap_or_default()));
    let seconds: f64 = dossiers.iter().map(|dossier| dossier.seconds).sum();
    let tightness = dossiers.iter().filter_map(Dossier::tightness).fold(0.0, f64::max);
    let main = element("main")
        .with(
            element("header")
                .with(element("p").class("kicker").text("Chebyshare, audited"))
                .with(element("h1").text(format!("{title} ")).with(badge(refuted.is_empty()))),
        )
        .maybe(first.map(|reason| rejection(&reason)))
        .with(element("p").class("claim").text(format!(
            "{} of {} entries hold.",
            dossiers.len() - refuted.len(),
            dossiers.len()
        )))
        .with(element("p").class("lead").text(
            "Each is a program of integer operations and a proof that its error stays below a bound, on a whole window of \
             inputs and for every rounding that the protocol may choose.",
        ))
        .with(element("dl").class("facts").all([
            fact("entries", dossiers.len().to_string()),
            fact("rejected", refuted.len().to_string()),
            fact("largest bound ÷ witness", significant(tightness, 5)),
            fact("checker, seconds", format!("{seconds:.2}")),
        ]))
        .with(section("Entries", [entries(dossiers)]))
        .with(section("Evidence", evidence(dossiers)))
        .with(section("Accuracy and cost", fronts(dossiers)))
        .with(signatures(root, beside))
        .maybe(revocations(beside))
        .with(section(
            "Check it yourself",
            [
                paragraph("The root is the BLAKE3 digest of the index, which names the digest of every entry and certificate."),
                element("dl").class("digests").with(element("dt").text("root")).with(
                    element("dd").with(element("code").text(root)),
                ),
                command("chebyshare verify --all\nchebyshare verify --all --with exhaustive,smt,conformance,second\npython3 verify/second_checker"),
            ],
        ))
        .with(footer());
    document("The catalog, audited", main)
}

fn link(dossier: &Dossier) -> Cell {
    Cell::link(&format!("{}.html", dossier.name), dossier.name)
}

/// Claims and costs.
fn entries(dossiers: &[Dossier]) -> Element {
    let rows = dossiers.iter().map(|dossier| {
        let or_dash = |value: Option<String>| Cell::number(value.unwrap_or_else(|| "–".to_owned()));
        vec![
            link(dossier),
            Cell::badge(if dossier.holds() { "holds" } else { "REJECTED" }, dossier.holds()),
            or_dash(dossier.entry.as_ref().map(|entry| scientific(&entry.claim.bound.to_string()))),
            or_dash(dossier.certificate.as_ref().map(|certificate| scientific(&certificate.witness.error.to_string()))),
            or_dash(dossier.tightness().map(|tightness| format!("{tightness:.4}"))),
            or_dash(dossier.cost().map(|cost| cost.rounds.to_string())),
            or_dash(dossier.cost().map(|cost| grouped(cost.bytes().into()))),
            or_dash(parts::counted(dossier)),
            Cell::number(format!("{:.0}", dossier.seconds * 1e3)),
        ]
    });
    let header = ["entry", "verdict", ">bound", ">witness", ">ratio", ">rounds", ">bytes", ">pieces", ">ms"];
    table(&header, rows)
}

/// What stands behind each, the checker first.
fn evidence(dossiers: &[Dossier]) -> Vec<Element> {
    let rows = dossiers.iter().map(|dossier| {
        let accepted = dossier.verdict.is_ok();
        let checker = Cell::badge(if accepted { "holds" } else { "REJECTED" }, accepted);
        let lanes = dossier.findings.cells().map(|cell| match cell.as_str() {
            "not run" => Cell::soft("not run"),
            "VIOLATED" | "FAILED" => Cell::badge(&cell, false),
            _ => Cell::text(cell),
        });
        [link(dossier), checker].into_iter().chain(lanes).collect()
    });
    let mut header = vec!["entry", "checker"];
    header.extend(Findings::COLUMNS);
    vec![
        paragraph(
            "The checker alone is trusted. Exhaustive and conformance show the largest error that was found, and over how many \
             inputs; what was not run is said to be so.",
        ),
        table(&header, rows),
    ]
}

/// A chart for every function and norm of entries that hold.
fn fronts(dossiers: &[Dossier]) -> Vec<Element> {
    let mut content = vec![paragraph(
        "Entries that hold, by function. Green, blue, orange: few, more, most rounds of the chart; hollow: another entry serves \
         the same window and formats with no more error, bytes and rounds. The line is the least error for so many bytes, \
         whatever the window.",
    )];
    let mut done: Vec<&str> = Vec::new();
    for dossier in dossiers {
        let function = dossier.name.split('/').next().unwrap_or_default();
        if done.contains(&function) {
            continue;
        }
        done.push(function);
        let same = dossiers.iter().filter(|other| other.name.split('/').next() == Some(function) && other.holds());
        let offers: Vec<Offer> =
            same.filter_map(|dossier| Some(Offer::new(dossier.name, dossier.entry.as_ref()?))).collect();
        // One program alone has nothing to be compared with.
        let charts = front::compared(&offers);
        if !charts.is_empty() {
            content.push(element("h3").text(function));
        }
        content.extend(
            charts.into_iter().map(|(chart, _)| element("figure").with(element("div").class("scroll").with(chart))),
        );
    }
    content
}

/// The signatures beside the catalog, each verified.
fn signatures(root: Digest, beside: &Beside) -> Element {
    let names = match beside.names(Attachment::Signature) {
        Ok(names) => names,
        Err(error) => return section("Signatures", [paragraph(error)]),
    };
    if names.is_empty() {
        return section("Signatures", [paragraph("No signature lies beside this catalog.")]);
    }
    let rows = names.iter().map(|name| match beside.signature_named(name) {
        Ok(signature) => {
            let valid = signature.root == root;
            let verdict = if valid { "valid" } else { "of another root" };
            let date = signature.date.map_or("no date".to_owned(), |date| date.to_string());
            vec![Cell::element(element("code").text(signature.signer)), Cell::name(date), Cell::badge(verdict, valid)]
        }
        Err(error) => vec![Cell::text(error.to_string()), Cell::name("–".into()), Cell::badge("INVALID", false)],
    });
    let introduction = "Who answers for the root. Whether to accept a signer is the reader’s policy.";
    section("Signatures", [paragraph(introduction), table(&["signer", "signed on", "signature"], rows)])
}

/// What the lists beside the catalog revoke, each list verified.
fn revocations(beside: &Beside) -> Option<Element> {
    let names = beside.names(Attachment::Revocations).ok().filter(|names| !names.is_empty())?;
    let rows = names.iter().flat_map(|name| match beside.revocations_named(name) {
        Ok(list) => {
            let by = format!("{}…, serial {}", list.by.short(), list.serial);
            let row = |(subject, reason): (&Subject, &Reason)| {
                let subject = element("code").text(subject);
                vec![Cell::element(subject), Cell::text(reason.to_string()), Cell::name(by.clone())]
            };
            list.revoked.iter().map(row).collect::<Vec<_>>()
        }
        Err(error) => vec![vec![Cell::text(error.to_string()), Cell::badge("INVALID", false), Cell::name("–".into())]],
    });
    let introduction = "What signers have taken back. It counts for whoever accepts the signer.";
    Some(section("Revocations", [paragraph(introduction), table(&["what", "why", "by"], rows)]))
}

/// The page of a catalog that is damaged: nothing in it is looked at further.
pub fn damaged(reason: &str) -> String {
    let main = element("main")
        .with(
            element("header")
                .with(element("p").class("kicker").text("Chebyshare, audited"))
                .with(element("h1").text("A damaged catalog ").with(badge(false))),
        )
        .with(rejection(reason))
        .with(paragraph(
            "A file differs from what the catalog’s index says, is missing, or is too much. No entry of a damaged catalog was \
             checked, and none may be used.",
        ))
        .with(footer());
    document("A damaged catalog", main)
}
