//! The shell of a page: one file, without scripts, without anything from elsewhere.

use super::markup::{Element, element};
use super::style;

/// A whole document.
pub fn document(title: &str, body: Element) -> String {
    let head = element("head")
        .with(element("meta").set("charset", "utf-8"))
        .with(element("meta").set("name", "viewport").set("content", "width=device-width, initial-scale=1"))
        .with(element("meta").set("name", "color-scheme").set("content", "light dark"))
        // Nothing is fetched, whatever a page might be made to contain.
        .with(
            element("meta")
                .set("http-equiv", "Content-Security-Policy")
                .set("content", "default-src 'none'; style-src 'unsafe-inline'"),
        )
        .with(element("title").text(title))
        .with(element("style").text(format!("{}{}", style::PAGE, style::CHART)));
    let html = element("html").set("lang", "en").with(head).with(element("body").with(body));
    format!("<!DOCTYPE html>\n{}\n", html.render())
}

/// A labelled fact.
pub fn fact(name: &str, value: String) -> Element {
    element("div").with(element("dt").text(name)).with(element("dd").text(value))
}

/// A heading with what follows.
pub fn section(heading: &str, content: impl IntoIterator<Item = Element>) -> Element {
    element("section").with(element("h2").text(heading)).all(content)
}

/// A paragraph.
pub fn paragraph(text: impl ToString) -> Element {
    element("p").text(text)
}

/// A command that the reader can type.
pub fn command(text: &str) -> Element {
    element("pre").class("command").text(text)
}

/// HOLDS or REJECTED.
pub fn badge(holds: bool) -> Element {
    let class = if holds { "badge good" } else { "badge bad" };
    element("span").class(class).text(if holds { "HOLDS" } else { "REJECTED" })
}

/// Why something is rejected.
pub fn rejection(reason: &str) -> Element {
    let reason = paragraph("").with(element("strong").class("bad").text("REJECTED. ")).text(reason);
    element("div")
        .class("rejection")
        .with(reason)
        .with(paragraph("What follows is as published, and nothing of it is proved."))
}

/// That a signer has taken something back; the claim may hold all the same.
pub fn revocation(notice: &str) -> Element {
    let text = paragraph("").with(element("strong").class("bad").text("REVOKED ")).text(notice);
    element("div").class("rejection").with(text).with(paragraph("This counts for whoever accepts the signer."))
}

/// Who made the page.
pub fn footer() -> Element {
    element("footer").with(paragraph(format!(
        "Made by chebyshare {} from the published texts. This page is a report, not a proof: the proof is the certificate, \
         and whoever checks it.",
        env!("CARGO_PKG_VERSION")
    )))
}
