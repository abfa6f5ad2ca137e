//! Small pieces of XML from outside, read strictly: elements, attributes and text with namespaces; no document type, no
//! entities but the five of XML itself, nothing unbalanced.

use core::ops::Range;

use quick_xml::NsReader;
use quick_xml::escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

use crate::error::{Error, Result};
use crate::limits;

/// What is read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An element begins.
    Start(Element),
    /// Character data between tags.
    Text(String),
    /// The last element that began ends.
    End,
}

/// The start tag of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Its namespace; `None` for an element that has none.
    pub namespace: Option<String>,
    /// Its name without a prefix.
    pub name: String,
    /// Attributes without declarations of namespaces; names as they stand.
    pub attributes: Vec<(String, String)>,
}

/// A reader of [`Token`]s.
pub(super) struct Tokens<'a> {
    reader: NsReader<&'a [u8]>,
    depth: usize,
    /// The bytes of the token that was read last.
    pub span: Range<usize>,
}

fn wrong(what: impl core::fmt::Display) -> Error {
    Error::bad_source(what.to_string())
}

impl<'a> Tokens<'a> {
    /// Begins to read.
    ///
    /// # Errors
    /// `BadSource` for characters that XML does not have.
    pub fn new(text: &'a str) -> Result<Self> {
        let allowed =
            |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\t' | '\r' | '\n');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(wrong(format!("the character {:?}", other)));
        }
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Ok(Self { reader, depth: 0, span: 0..0 })
    }

    /// The next token; `None` at the end of a text that is balanced.
    ///
    /// # Errors
    /// `BadSource` for what is not well-formed or not allowed, `Limit` for elements that are too deep in each other.
    pub fn next(&mut self) -> Result<Option<Token>> {
        loop {
            let start = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
            let event = self.reader.read_event().map_err(wrong)?;
            let end = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
            self.span = start..end;
            let token = match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > limits::MAX_FRAGMENT_DEPTH {
                        return Err(Error::limit(format!("more than {} elements deep", limits::MAX_FRAGMENT_DEPTH)));
                    }
                    Token::Start(self.element(&tag)?)
                }
                Event::End(_) => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(|| wrong("an end without a start"))?;
                    Token::End
                }
                Event::Text(text) => {
                    let text = text.into_inner();
                    if text.contains("]]>") {
                        return Err(wrong("\"]]>\" in text"));
                    }
                    Token::Text(text.into_owned())
                }
                Event::GeneralRef(reference) => {
                    let written = format!("&{};", reference.into_inner());
                    Token::Text(escape::unescape(&written).map_err(wrong)?.into_owned())
                }
                // What stands at the start of a document that was made to be one.
                Event::Decl(_) if start == 0 => continue,
                Event::Decl(_) => return Err(wrong("an XML declaration inside")),
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(wrong(format!("{} elements are not closed", self.depth))),
                Event::Empty(_) => return Err(Error::internal("an empty element that was not expanded")),
                Event::CData(_) => return Err(wrong("a CDATA section")),
                Event::Comment(_) => return Err(wrong("a comment")),
                Event::PI(_) => return Err(wrong("a processing instruction")),
                Event::DocType(_) => return Err(wrong("a document type")),
            };
            return Ok(Some(token));
        }
    }

    fn element(&self, tag: &BytesStart<'_>) -> Result<Element> {
        let qualified: &str = tag.name().into_inner();
        let name = local(qualified)?.to_owned();
        let namespace = match self.reader.resolver().resolve_element(tag.name()).0 {
            ResolveResult::Bound(namespace) => Some(namespace.into_inner().to_owned()),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => return Err(wrong(format!("the prefix {prefix:?} is not declared"))),
        };
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(wrong)?;
            let qualified: &str = attribute.key.into_inner();
            local(qualified)?;
            if attribute.value.contains('<') {
                return Err(wrong(format!("a \"<\" in the attribute {qualified}")));
            }
            let value = escape::unescape(&attribute.value).map_err(wrong)?.into_owned();
            if qualified == "xmlns" || qualified.starts_with("xmlns:") {
                continue;
            }
            if let ResolveResult::Unknown(prefix) = self.reader.resolver().resolve_attribute(attribute.key).0 {
                return Err(wrong(format!("the prefix {prefix:?} is not declared")));
            }
            attributes.push((qualified.to_owned(), value));
        }
        Ok(Element { namespace, name, attributes })
    }
}

/// The part of a name after its prefix, if the name is one.
fn local(qualified: &str) -> Result<&str> {
    let is_name = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    let (prefix, name) = match qualified.split_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, qualified),
    };
    if is_name(name) && prefix.is_none_or(is_name) {
        Ok(name)
    } else {
        Err(wrong(format!("{qualified:?} is not a name")))
    }
}
