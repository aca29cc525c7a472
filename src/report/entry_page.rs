//! The page of one entry.

use super::curve::{Curve, Mark, Meter, legend};
use super::dossier::Dossier;
use super::listing;
use super::markup::{Element, element};
use super::numbers::{grouped, scientific, significant, superscript};
use super::page::{badge, command, document, fact, footer, paragraph, rejection, revocation, section};
use super::{front, parts, verdicts};
use catalogs::text::dyadic_to_decimal;
use catalogs::{Digest, Entry, Function};

/// The page; `index` is where the catalog's page is, if there is one.
pub fn page(dossier: &Dossier, root: Digest, index: Option<&str>) -> String {
    let mut main =
        element("main").with(header(dossier, index)).maybe(dossier.reason().map(|reason| rejection(&reason)));
    main = main.all(dossier.revoked.iter().map(|notice| revocation(notice)));
    if let Some(entry) = &dossier.entry {
        main = main.with(headline(dossier, entry)).with(facts(dossier));
    }
    // What the evidence says comes first: the rest is how.
    main = main.with(section("Evidence", [verdicts::section(dossier)]));
    if let Some(entry) = &dossier.entry {
        main = main.with(section("What is claimed", claim(entry)));
        main = main.with(measured(dossier, entry));
        if let Some(certificate) = &dossier.certificate {
            let meter = Meter::new(entry);
            let introduction = "On every piece of the window the checker bounds three parts: how far the program’s exact \
                                polynomial is from the function, what all roundings can add to first order, and everything else.";
            main = main.with(section(
                "Where the bound comes from",
                [paragraph(introduction), parts::section(entry, certificate, &meter)],
            ));
        }
        main = main.with(program(dossier, entry));
    }
    let main = main.with(files(dossier, root)).with(footer());
    document(&format!("{}, audited", dossier.name), main)
}

fn header(dossier: &Dossier, index: Option<&str>) -> Element {
    let kicker = element("p").class("kicker");
    let kicker = match index {
        Some(path) => kicker.with(element("a").set("href", path).text("Catalog")).text(" · entry"),
        None => kicker.text("Chebyshare catalog · entry"),
    };
    element("header").with(kicker).with(element("h1").text(format!("{} ", dossier.name)).with(badge(dossier.holds())))
}

/// The claim in one line.
fn headline(dossier: &Dossier, entry: &Entry) -> Element {
    let claim = &entry.claim;
    let name = function_name(&claim.function);
    let norm = match front::weight(&claim.norm, &name) {
        one if one == "1" => String::new(),
        sum if sum.contains(" + ") => format!(" · ({sum})"),
        single => format!(" · {single}"),
    };
    let bound = element("span").class("bound").text(format!("{}{norm}", scientific(&claim.bound.to_string())));
    let [low, high] = window(entry).map(|end| significant(end, 8));
    let proved = if dossier.verdict.is_ok() { "Proved for" } else { "Claimed, not proved, for" };
    element("div")
        .with(element("p").class("claim").text(format!("|program(x) − {name}| ≤ ")).with(bound))
        .with(element("p").class("lead").text(format!(
        "{proved} every x in [{low}, {high}] that the input format can hold, and every rounding that the lemmas allow."
    )))
}

fn function_name(function: &Function) -> String {
    match function {
        Function::Expression(_) => "f(x)".to_owned(),
        named => format!("{}(x)", named.name()),
    }
}

fn window(entry: &Entry) -> [f64; 2] {
    let scale = 2f64.powi(i32::from(entry.program.input().1.bits()));
    [entry.claim.window.low, entry.claim.window.high].map(|end| end as f64 / scale)
}

fn facts(dossier: &Dossier) -> Element {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let bound = dossier.entry.as_ref().map(|entry| scientific(&entry.claim.bound.to_string()));
    let witness = dossier.certificate.as_ref().map(|c| scientific(&c.witness.error.to_string()));
    let failure = dossier.verdict.as_ref().ok().map(|certified| {
        let probability = certified.failure().to_f64().value();
        if probability == 0.0 { "never".to_owned() } else { significant(probability, 3) }
    });
    // What a rejected certificate states is worth no figure of its own.
    let proved = dossier.verdict.is_ok();
    element("dl").class("facts").all([
        fact(if proved { "certified bound" } else { "claimed bound" }, or_dash(bound)),
        fact(if proved { "witness" } else { "stated witness" }, or_dash(witness)),
        fact(
            "bound ÷ witness",
            or_dash(dossier.tightness().filter(|_| proved).map(|tightness| format!("{tightness:.4}"))),
        ),
        fact("pieces", or_dash(parts::counted(dossier))),
        fact("rounds, rss3", or_dash(dossier.cost().map(|cost| cost.rounds.to_string()))),
        fact("bytes per element", or_dash(dossier.cost().map(|cost| grouped(cost.bytes().into())))),
        fact("headroom, bits", or_dash(dossier.headroom().filter(|_| proved).map(|bits| format!("{bits:.2}")))),
        fact("fails", or_dash(failure)),
    ])
}

/// The claim in words.
fn claim(entry: &Entry) -> Vec<Element> {
    let (claim, program) = (&entry.claim, &entry.program);
    let ((input_ring, input_scale), (output_ring, output_scale)) = (program.input(), program.output());
    let decimal = |value: i64| dyadic_to_decimal(i128::from(value), input_scale.bits()).replace('-', "−");
    let (window, fitted) = (claim.window, claim.fitted);
    let two = |power: u8| format!("2{}", superscript(&power.to_string()));
    let definition = format!("f(x) = {}", claim.function.definition());
    let norm = match front::weight(&claim.norm, "f(x)").as_str() {
        "1" => "The error is absolute.".to_owned(),
        "|f(x)|" => "The error is relative to |f(x)|.".to_owned(),
        weight => format!("The error is measured in units of {weight}."),
    };
    let real = |input: i64| significant(input as f64 / 2f64.powi(i32::from(input_scale.bits())), 8);
    let fit = if fitted == window {
        "The program was fitted on the whole window.".to_owned()
    } else {
        let (low, high) = (real(fitted.low), real(fitted.high));
        format!("The program was fitted on [{low}, {high}]; the claim covers the rest of the window too.")
    };
    vec![
        paragraph(format!(
            "The program below takes an integer v from {} to {} in a ring of {input_ring} bits, which stands for \
             x = v / {}, so for x from {} to {}. It gives an integer w in a ring of {output_ring} bits, which stands for w / {5}. \
             The claim is about w / {5} as an approximation of",
            grouped(window.low.into()),
            grouped(window.high.into()),
            two(input_scale.bits()),
            decimal(window.low),
            decimal(window.high),
            two(output_scale.bits()),
        )),
        element("p").with(element("code").text(definition)),
        paragraph(format!(
            "{norm} Whatever the protocol decides within its lemmas (the last unit of every truncation, a bit just above a \
             threshold), the error is at most {}. {fit}",
            scientific(&claim.bound.to_string()),
        )),
        element("p").class("soft").text(
            "Not part of the claim: a real input is first rounded to the nearest v, which adds up to half a unit of the input \
             times the slope of f. The bound is the worst case over all that the lemmas allow; typical errors are smaller. A \
             witness may use roundings that its protocol meets with probability zero.",
        ),
    ]
}

/// The error curves: of the fitted interval, and of the whole window if that is much wider.
fn measured(dossier: &Dossier, entry: &Entry) -> Element {
    let meter = Meter::new(entry);
    let certificate = dossier.certificate.as_ref();
    let mark = certificate.and_then(|certificate| meter.witness(certificate));
    let (fitted, window) = (entry.claim.fitted, entry.claim.window);
    let unit = if entry.claim.norm.relative.to_string() == "0" && entry.claim.norm.absolute.to_string() == "1" {
        ""
    } else {
        "of the claim’s norm "
    };
    let mut content = vec![paragraph(
        "The signed error of the program, measured. A witness outside of a chart’s range is not marked in it.",
    )];
    if window.size() > fitted.size() + fitted.size() / 4 {
        content.push(element("h3").text("Fitted interval"));
        content.push(figure(&meter.curve(fitted.low, fitted.high, certificate), dossier, entry, mark, unit));
        content.push(element("h3").text("Whole window"));
    }
    content.push(figure(&meter.curve(window.low, window.high, certificate), dossier, entry, mark, unit));
    section("The error, measured", content)
}

fn figure(curve: &Curve, dossier: &Dossier, entry: &Entry, mark: Option<Mark>, unit: &str) -> Element {
    let bound = entry.claim.bound;
    let chart = curve.chart(&format!("error of {}", dossier.name), bound.to_f64_lossy(), &bound.to_string(), mark);
    let scale = 2f64.powi(i32::from(entry.program.input().1.bits()));
    element("figure")
        .with(element("div").class("scroll").with(chart))
        .with(legend())
        .with(curve.caption(|input| input as f64 / scale, unit))
}

fn program(dossier: &Dossier, entry: &Entry) -> Element {
    section(
        "The program",
        [
            paragraph(
                "Straight-line integer code. A value at scale s stands for its integer divided by 2 to the power s; δ is the \
                 rounding that the protocol chooses. Rounds count from the start of the program; local operations cost none.",
            ),
            listing::program(dossier, entry),
            element("h3").text("Lemmas"),
            paragraph(
                "What the proof takes from the protocol, and nothing else. A protocol serves this entry if what it offers \
                 implies each of these.",
            ),
            listing::lemmas(entry),
            element("h3").text("Ranges and headroom"),
            paragraph(
                "Integer ranges of live values, proved over the whole window; bits of the largest magnitude (of a truncation: \
                 of its operand), of those that the lemma’s window or the ring allows. The red mark is a limit that is proved.",
            ),
            listing::ranges(dossier, entry),
        ],
    )
}

/// Digests, commands, and the texts themselves.
fn files(dossier: &Dossier, root: Digest) -> Element {
    let name = dossier.name;
    let digest =
        |label: &str, digest: Digest| [element("dt").text(label), element("dd").with(element("code").text(digest))];
    let digests = element("dl")
        .class("digests")
        .all(digest("entry", dossier.entry_digest()))
        .all(digest("certificate", dossier.certificate_digest()))
        .all(digest("catalog’s root", root));
    section(
        "Check it yourself",
        [
            paragraph(
                "Digests are BLAKE3 in derive-key mode; proofs/FORMAT.md has the contexts, and all it takes to write a checker.",
            ),
            digests,
            command(&format!(
                "chebyshare verify {name}\nchebyshare verify {name} --with exhaustive,smt,conformance,second\n\
                 python3 verify/second_checker {name}"
            )),
            element("h3").text(format!("catalogs/{name}.entry")),
            element("pre").text(&dossier.published.entry),
            element("h3").text(format!("proofs/{name}.certificate")),
            element("pre").text(&dossier.published.certificate),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_folder::STANDARD;
    use crate::report::markup::well_formed;
    use catalogs::Published;
    use catalogs::digest::Tag;
    use verify::Certificate;

    fn published(name: &str) -> Published {
        let (_, entry, certificate) = STANDARD.iter().find(|(known, ..)| *known == name).unwrap();
        Published { entry: (*entry).to_owned(), certificate: (*certificate).to_owned() }
    }

    fn page_of(name: &str, published: &Published) -> String {
        let page = page(&Dossier::new(name, published), Digest::of(Tag::Catalog, b""), None);
        well_formed(&page).unwrap();
        // Nothing is fetched: no scripts, no images, no fonts, no sheets, no links out.
        let outside =
            ["<script", "src=", "url(", "@import", "@font-face", "<link", "<img", "<iframe", "http://", "https://"];
        let inside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.iter().any(|part| inside.contains(part)), "{name}");
        page
    }

    /// One entry of every function, and every norm.
    #[test]
    fn shipped_entries_have_whole_pages() {
        let mut done = std::collections::BTreeSet::new();
        for (name, ..) in STANDARD {
            let kind = (name.split('/').next(), name.contains("mixed"), name.contains("split"));
            if !done.insert(kind) {
                continue;
            }
            let published = published(name);
            let page = page_of(name, &published);
            let entry = Entry::parse(&published.entry).unwrap();
            let bound = scientific(&entry.claim.bound.to_string());
            let digest = Digest::of(Tag::Entry, published.entry.as_bytes()).to_string();
            for part in [name, "HOLDS", &bound, &digest, "What is claimed", "Where the bound comes from", "Lemmas"] {
                assert!(page.contains(part), "{name}: {part}");
            }
            // Four lanes, none of which was asked for; an operation per row.
            assert_eq!(page.matches("not run").count(), 4, "{name}");
            assert!(!page.contains("REJECTED") && !page.contains("NaN") && !page.contains("inf"), "{name}");
            assert!(page.contains(&format!("v{}", entry.program.ops().len() - 1)), "{name}");
            for piece in Certificate::parse(&published.certificate).unwrap().pieces {
                assert!(page.contains(&scientific(&piece.rounding.to_string())), "{name}");
            }
        }
        assert!(done.len() >= 10, "{done:?}");
    }

    #[test]
    fn rejected_entries_say_so_and_why() {
        let name = "sigmoid/k64-f16-w9-1e-3";
        let mut tampered = published(name);
        tampered.entry = tampered.entry.replace("bound 9.98467e-4", "bound 9.98466e-4");
        assert_ne!(tampered, published(name));
        let named = page_of(name, &tampered);
        assert!(
            named.contains("REJECTED") && named.contains("the certificate is for entry") && !named.contains("HOLDS")
        );
        let digest = Digest::of(Tag::Entry, tampered.entry.as_bytes()).to_string();
        let lines = tampered.certificate.lines().map(|line| match line.starts_with("entry ") {
            true => format!("entry {digest}\n"),
            false => format!("{line}\n"),
        });
        tampered.certificate = lines.collect();
        let page = page_of(name, &tampered);
        for part in
            ["REJECTED", "the error may reach", "nothing of it is proved", "Claimed, not proved", "stated witness"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("HOLDS") && !page.contains("certified bound</dt>"));
    }

    #[test]
    fn hostile_texts_are_shown_and_nothing_more() {
        let hostile = "</pre><script>alert(1)</script><img src=x onerror=y> \u{202e}\u{0} & \" '";
        for (entry, certificate) in [(hostile, hostile), (&published("relu/k40-f13-w9").entry, hostile)] {
            let published = Published { entry: entry.to_owned(), certificate: certificate.to_owned() };
            let page = page(&Dossier::new("a/b", &published), Digest::of(Tag::Catalog, b""), Some("../index.html"));
            well_formed(&page).unwrap();
            assert!(page.contains("REJECTED") && page.contains("&lt;script&gt;"));
            assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
        }
    }

    #[test]
    fn what_a_lane_refutes_is_rejected_and_what_could_not_run_is_not() {
        use crate::lanes::{Finding, Findings};
        let name = "relu/k40-f13-w9";
        let published = published(name);
        let finding = |summary: &str, reason: &str| Finding {
            ok: false,
            summary: summary.into(),
            reason: Some(reason.into()),
            seconds: 0.0,
            figures: serde_json::Map::new(),
        };
        let with = |finding: Finding| {
            let findings = Findings { conformance: Some(finding), ..Findings::default() };
            let dossier = Dossier { findings, ..Dossier::new(name, &published) };
            page(&dossier, Digest::of(Tag::Catalog, b""), None)
        };
        let refuted = with(finding("VIOLATED", "input 7: it is wrong"));
        assert!(
            refuted.contains("REJECTED. ") && refuted.contains("REFUTED") && refuted.contains("input 7: it is wrong")
        );
        let unable = with(finding("FAILED", "no python3"));
        assert!(unable.contains("HOLDS") && unable.contains("COULD NOT RUN") && unable.contains("no python3"));
    }
}
