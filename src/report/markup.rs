//! Elements of a page, HTML and SVG alike.
//!
//! Establishes: what is printed is well-formed (every element closed, in HTML and in XML) and every text and attribute is
//! escaped, whoever it came from. There is no way to insert markup as text.

/// Elements that HTML knows to be empty.
const EMPTY: [&str; 3] = ["meta", "br", "link"];

/// An element with its attributes and children.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
enum Child {
    Element(Element),
    Text(String),
}

/// An element without attributes and children.
pub fn element(name: &'static str) -> Element {
    Element { name, attributes: Vec::new(), children: Vec::new() }
}

impl Element {
    /// Sets an attribute.
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Element {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// Sets the class.
    pub fn class(self, class: impl ToString) -> Element {
        self.set("class", class)
    }

    /// Appends text.
    pub fn text(mut self, text: impl ToString) -> Element {
        self.children.push(Child::Text(text.to_string()));
        self
    }

    /// Appends an element.
    pub fn with(mut self, child: Element) -> Element {
        self.children.push(Child::Element(child));
        self
    }

    /// Appends elements.
    pub fn all(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.children.extend(children.into_iter().map(Child::Element));
        self
    }

    /// Appends an element if there is one.
    pub fn maybe(self, child: Option<Element>) -> Element {
        self.all(child)
    }

    /// The markup.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        if EMPTY.contains(&self.name) {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Child::Element(element) => element.write(out),
                Child::Text(text) => escape(text, out),
            }
        }
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
    }
}

/// Characters that neither HTML nor XML may hold are replaced, so that a page is one whatever a file contained.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            control if control.is_control() => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
}

/// Whether every element of `page` is closed in order, and every `<` and `&` belongs to markup. For tests: a second
/// reading of what [`Element::render`] wrote, sharing no code with it.
#[cfg(test)]
pub fn well_formed(page: &str) -> Result<(), String> {
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").unwrap_or(page);
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
        let bare = entities.iter().fold(text.to_owned(), |text, entity| text.replace(entity, ""));
        if bare.contains(['&', '>']) {
            return Err(format!("unescaped text: {text}"));
        }
        let end = rest[start..].find('>').ok_or("a tag without end")? + start;
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(format!("</{name}> closes nothing"));
            }
        } else if !tag.ends_with('/') {
            let name = tag.split(' ').next().unwrap_or_default();
            if !tag.matches('"').count().is_multiple_of(2) || name.is_empty() {
                return Err(format!("<{tag}>"));
            }
            open.push(name.to_owned());
        }
        rest = &rest[end + 1..];
    }
    match open.pop() {
        Some(name) => Err(format!("<{name}> is not closed")),
        None if rest.trim().is_empty() => Ok(()),
        None => Err(format!("text after the end: {rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_texts() {
        let hostile = "</p><script>alert(\"1\")</script>&amp;<!-- \u{0}\u{202e}";
        let page = element("p").set("title", hostile).class("a\" onload=\"x").text(hostile).render();
        well_formed(&page).unwrap();
        assert!(!page.contains("<script") && !page.contains('\u{202e}') && !page.contains('\u{0}'));
        assert_eq!(page.matches("onload=&quot;").count(), 1);
    }

    #[test]
    fn the_second_reading_notices_what_is_wrong() {
        for bad in ["<p>", "<p></b>", "</p>", "<p>a & b</p>", "<p>a > b</p>", "<p></p>x", "<p><b></p></b>", "<p", "< >"]
        {
            assert!(well_formed(bad).is_err(), "{bad}");
        }
        well_formed("<p>a<br/>b &lt; c</p>").unwrap();
    }
}
