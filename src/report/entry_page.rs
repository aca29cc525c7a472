//! The page of one entry.

use super::curve::{Curve, Mark, Meter, legend};
use super::dossier::Dossier;
use super::listing;
use super::markup::{Element, element};
use super::numbers::{grouped, scientific, significant, superscript};
use super::page::{badge, command, document, fact, footer, paragraph, rejection, section};
use super::{parts, verdicts};
use catalogs::text::dyadic_to_decimal;
use catalogs::{Digest, Entry, Function};

/// The page; `index` is where the catalog's page is, if there is one.
pub fn page(dossier: &Dossier, root: Digest, index: Option<&str>) -> String {
    let mut main =
        element("main").with(header(dossier, index)).maybe(dossier.reason().map(|reason| rejection(&reason)));
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
    let (absolute, relative) = (claim.norm.absolute, claim.norm.relative);
    let name = function_name(&claim.function);
    let weight = match (absolute.to_string().as_str(), relative.to_string().as_str()) {
        ("1", "0") => String::new(),
        ("0", "1") => format!(" · |{name}|"),
        (a, "0") => format!(" · {}", scientific(a)),
        ("0", r) => format!(" · {} |{name}|", scientific(r)),
        (a, "1") => format!(" · ({} + |{name}|)", scientific(a)),
        (a, r) => format!(" · ({} + {} |{name}|)", scientific(a), scientific(r)),
    };
    let bound = element("span").class("bound").text(format!("{}{weight}", scientific(&claim.bound.to_string())));
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
    element("dl").class("facts").all([
        fact(if dossier.verdict.is_ok() { "certified bound" } else { "claimed bound" }, or_dash(bound)),
        fact("witness", or_dash(witness)),
        fact("bound ÷ witness", or_dash(dossier.tightness().map(|tightness| format!("{tightness:.4}")))),
        fact("pieces", or_dash(parts::counted(dossier))),
        fact("rounds, rss3", or_dash(dossier.cost().map(|cost| cost.rounds.to_string()))),
        fact("bytes per element", or_dash(dossier.cost().map(|cost| grouped(cost.bytes().into())))),
        fact("headroom, bits", or_dash(dossier.headroom().map(|bits| format!("{bits:.1}")))),
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
    let norm = match (claim.norm.absolute.to_string().as_str(), claim.norm.relative.to_string().as_str()) {
        ("1", "0") => "The error is absolute.".to_owned(),
        ("0", "1") => "The error is relative to |f(x)|.".to_owned(),
        (a, r) => format!("The error is measured in units of {} + {} · |f(x)|.", scientific(a), scientific(r)),
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
             threshold), the error is at most {}. The program was fitted on [{}, {}]; beyond, the same claim holds by the \
             function’s tails.",
            scientific(&claim.bound.to_string()),
            significant(fitted.low as f64 / 2f64.powi(i32::from(input_scale.bits())), 8),
            significant(fitted.high as f64 / 2f64.powi(i32::from(input_scale.bits())), 8),
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
