//! XML within limits, as a tree of elements.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use zeroize::Zeroizing;

use super::error::{Error, ErrorKind, Result};
use crate::limits;

/// An element. Its text may be a key, so there is no `Debug`.
pub struct Element {
    /// Namespace; empty for none.
    pub namespace: String,
    /// Name without prefix.
    pub name: String,
    /// Attributes without a namespace, in the order of the document. Others are left out.
    pub attributes: Vec<(String, String)>,
    /// Child elements.
    pub children: Vec<Element>,
    /// Text directly within, without the text of children.
    pub text: Zeroizing<String>,
    /// Where the start tag ends, in bytes from the start of the document.
    pub at: u64,
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

impl Element {
    /// Reads a document: its root.
    ///
    /// # Errors
    /// When it is not well-formed UTF-8, has a DTD or an entity, or passes a limit.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > limits::MAX_DOCUMENT_BYTES {
            return Err(of_document(0, ErrorKind::Limit("1 MiB")));
        }
        let text = core::str::from_utf8(bytes).map_err(|error| {
            of_document(error.valid_up_to() as u64, ErrorKind::Malformed("the encoding is not UTF-8"))
        })?;
        Tree::default().read(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is the element `name` of `namespace`.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace == namespace
    }

    /// Children of a name.
    pub fn all<'a>(&'a self, namespace: &'a str, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.is(namespace, name))
    }

    /// The only child of a name.
    ///
    /// # Errors
    /// When there are two.
    pub fn optional(&self, namespace: &str, name: &'static str) -> Result<Option<&Element>> {
        let mut found = self.children.iter().filter(|child| child.is(namespace, name));
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(second) => Err(second.error(ErrorKind::Repeated(name))),
        }
    }

    /// The only child of a name, which has to be there.
    ///
    /// # Errors
    /// When there is none, or two.
    pub fn required(&self, namespace: &str, name: &'static str) -> Result<&Element> {
        self.optional(namespace, name)?.ok_or_else(|| self.error(ErrorKind::Missing(name)))
    }

    /// An error in this element.
    pub fn error(&self, kind: ErrorKind) -> Error {
        Error { place: shown(&self.name), at: self.at, kind }
    }

    /// An error in an attribute.
    pub fn attribute_error(&self, attribute: &str, kind: ErrorKind) -> Error {
        Error { place: format!("{}@{}", shown(&self.name), shown(attribute)), at: self.at, kind }
    }
}

/// A name from a document, for an error: names are as hostile as everything else.
fn shown(name: &str) -> String {
    let name: String = name.chars().take(limits::MAX_SHOWN_NAME_CHARACTERS).collect();
    name.escape_debug().collect()
}

fn of_document(at: u64, kind: ErrorKind) -> Error {
    Error { place: "document".into(), at, kind }
}

/// The tree while it is read.
#[derive(Default)]
struct Tree {
    /// Elements that are open, the root first.
    open: Vec<Element>,
    root: Option<Element>,
    /// Prefixes and their namespaces that are in scope, the newest last.
    bindings: Vec<(String, String)>,
    /// How many bindings were there before each open element.
    marks: Vec<usize>,
    elements: usize,
}

impl Tree {
    fn read(mut self, text: &str) -> Result<Element> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        loop {
            let event = reader.read_event();
            let at = reader.buffer_position();
            let place = |kind| of_document(at, kind);
            match event.map_err(|_| place(ErrorKind::Malformed("a tag, comment or instruction")))? {
                Event::Start(start) => self.start(&start, at)?,
                Event::End(_) => self.end(at)?,
                Event::Text(text) => self.text(&text, at)?,
                Event::CData(text) => self.text(&text, at)?,
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|_| place(ErrorKind::Entity))?;
                    let named = resolve_predefined_entity(&reference);
                    match (character, named) {
                        (Some(character), _) => self.text(character.encode_utf8(&mut [0; 4]), at)?,
                        (None, Some(text)) => self.text(text, at)?,
                        (None, None) => return Err(place(ErrorKind::Entity)),
                    }
                }
                Event::Decl(declaration) => {
                    let encoding = declaration.encoding().transpose();
                    let encoding = encoding.map_err(|_| place(ErrorKind::Malformed("the XML declaration")))?;
                    if encoding.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
                        return Err(place(ErrorKind::Malformed("the encoding is not UTF-8")));
                    }
                }
                Event::DocType(_) => return Err(place(ErrorKind::Dtd)),
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
                Event::Empty(_) => return Err(place(ErrorKind::Malformed("a tag"))),
            }
        }
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(of_document(reader.buffer_position(), ErrorKind::Malformed("it ends too early"))),
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, at: u64) -> Result<()> {
        let place = |kind| of_document(at, kind);
        self.elements += 1;
        if self.elements > limits::MAX_ELEMENTS {
            return Err(place(ErrorKind::Limit("100000 elements")));
        }
        if self.open.len() >= limits::MAX_DEPTH {
            return Err(place(ErrorKind::Limit("32 elements within each other")));
        }
        if self.root.is_some() {
            return Err(place(ErrorKind::Malformed("there is a second root")));
        }
        self.marks.push(self.bindings.len());
        let attributes = self.attributes(start, at)?;
        let mut element = Element {
            namespace: String::new(),
            name: String::new(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: Zeroizing::new(String::new()),
            at,
        };
        let name = start.name();
        let (prefix, local) = parts(name.as_ref()).ok_or_else(|| place(ErrorKind::Malformed("a name")))?;
        element.namespace = self.namespace(prefix).ok_or_else(|| place(ErrorKind::Prefix))?.to_owned();
        element.name = local.to_owned();
        for (name, value) in attributes {
            let (prefix, local) = parts(&name).ok_or_else(|| place(ErrorKind::Malformed("a name")))?;
            if prefix.is_empty() {
                element.attributes.push((local.to_owned(), value));
            } else if self.namespace(prefix).is_none() {
                return Err(place(ErrorKind::Prefix));
            }
        }
        self.open.push(element);
        Ok(())
    }

    /// Takes the namespaces of a start tag; its other attributes.
    fn attributes(&mut self, start: &BytesStart<'_>, at: u64) -> Result<Vec<(String, String)>> {
        let place = |kind| of_document(at, kind);
        let mut attributes = Vec::new();
        for (count, attribute) in start.attributes().enumerate() {
            if count >= limits::MAX_ATTRIBUTES {
                return Err(place(ErrorKind::Limit("32 attributes of one element")));
            }
            let attribute = attribute.map_err(|_| place(ErrorKind::Malformed("an attribute")))?;
            let name = attribute.key.as_ref().to_owned();
            let value = &attribute.value;
            if value.contains('<') {
                return Err(place(ErrorKind::Malformed("an attribute")));
            }
            let value = quick_xml::escape::unescape(value).map_err(|_| place(ErrorKind::Entity))?;
            if !value.chars().all(is_character) {
                return Err(place(ErrorKind::Malformed("a character")));
            }
            let prefix = match name.as_str() {
                "xmlns" => "",
                name => match name.strip_prefix("xmlns:") {
                    Some(prefix) => prefix,
                    None => {
                        attributes.push((name.to_owned(), value.into_owned()));
                        continue;
                    }
                },
            };
            let empty = value.is_empty() && !prefix.is_empty();
            if empty || matches!(prefix, "xml" | "xmlns") || matches!(value.as_ref(), XML | XMLNS) {
                return Err(place(ErrorKind::Prefix));
            }
            if self.bindings.len() >= limits::MAX_NAMESPACES {
                return Err(place(ErrorKind::Limit("64 namespaces")));
            }
            self.bindings.push((prefix.to_owned(), value.into_owned()));
        }
        Ok(attributes)
    }

    fn namespace(&self, prefix: &str) -> Option<&str> {
        let bound = self.bindings.iter().rev().find(|(own, _)| own == prefix).map(|(_, namespace)| namespace.as_str());
        match prefix {
            "" => bound.or(Some("")),
            "xml" => Some(XML),
            _ => bound,
        }
    }

    fn end(&mut self, at: u64) -> Result<()> {
        let (Some(element), Some(mark)) = (self.open.pop(), self.marks.pop()) else {
            return Err(of_document(at, ErrorKind::Malformed("an end tag without a start tag")));
        };
        self.bindings.truncate(mark);
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, at: u64) -> Result<()> {
        if !text.chars().all(is_character) {
            return Err(of_document(at, ErrorKind::Malformed("a character")));
        }
        match self.open.last_mut() {
            Some(element) => {
                // Grown by hand: a string that grows by itself would leave parts of a key behind.
                let length = element.text.len() + text.len();
                if length > element.text.capacity() {
                    let mut longer = Zeroizing::new(String::with_capacity(length * 2));
                    longer.push_str(&element.text);
                    element.text = longer;
                }
                element.text.push_str(text);
                Ok(())
            }
            None if text.chars().all(|c| c.is_ascii_whitespace()) => Ok(()),
            None => Err(of_document(at, ErrorKind::Malformed("text outside of the root"))),
        }
    }
}

/// Prefix and local part of a name.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    let whole = !name.starts_with(':') && !local.is_empty() && !local.contains(':');
    let named = |part: &str| {
        let mut characters = part.chars();
        let first = characters.next().is_none_or(|c| c.is_alphabetic() || c == '_');
        first && characters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}'))
    };
    (whole && named(prefix) && named(local)).then_some((prefix, local))
}

/// `Char` of XML 1.0.
fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
