//! Tables on pages.

use super::markup::{Element, element};

/// A cell with its class.
pub struct Cell(Element);

impl Cell {
    /// Running text.
    pub fn text(text: String) -> Cell {
        Cell(element("td").text(text))
    }

    /// A short name that is not broken.
    pub fn name(text: String) -> Cell {
        Cell(element("td").class("name").text(text))
    }

    /// A number, to the right.
    pub fn number(text: String) -> Cell {
        Cell(element("td").class("number").text(text))
    }

    /// A formula with a note below.
    pub fn formula(text: String, note: Option<String>) -> Cell {
        let note = note.map(|note| element("span").class("note").text(note));
        Cell(element("td").class("formula code").text(text).maybe(note))
    }

    /// A name with what it means below.
    pub fn explained(name: &str, meaning: &str) -> Cell {
        Cell(element("td").text(name).with(element("span").class("note").text(meaning)))
    }

    /// A verdict.
    pub fn badge(text: &str, good: bool) -> Cell {
        let class = if good { "good" } else { "bad" };
        Cell(element("td").class("name").with(element("strong").class(class).text(text)))
    }

    /// Something that says nothing.
    pub fn soft(text: &str) -> Cell {
        Cell(element("td").class("name soft").text(text))
    }

    /// A name that leads elsewhere.
    pub fn link(target: &str, text: &str) -> Cell {
        Cell(element("td").class("name").with(element("a").set("href", target).text(text)))
    }

    /// Any element.
    pub fn element(inner: Element) -> Cell {
        Cell(element("td").with(inner))
    }
}

/// A table that scrolls sideways where it must; columns whose header starts with '>' are numbers.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> Element {
    let head = header.iter().map(|name| match name.strip_prefix('>') {
        Some(name) => element("th").class("number").text(name),
        None => element("th").text(name),
    });
    let rows = rows.into_iter().map(|cells| element("tr").all(cells.into_iter().map(|cell| cell.0)));
    element("div")
        .class("scroll")
        .with(element("table").with(element("thead").with(element("tr").all(head))).with(element("tbody").all(rows)))
}
