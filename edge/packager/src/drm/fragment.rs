//! What a key server wants inside of a `ContentProtection` element of a DASH manifest.

use super::xml::{Token, Tokens};
use crate::error::{Error, Result};
use crate::limits;

/// Namespace of `pssh` and `default_KID` (ISO/IEC 23001-7, 11.2).
pub const CENC: &str = "urn:mpeg:cenc:2013";
/// Namespace of `pro` (DASH content protection using Microsoft PlayReady, 2.2).
pub const PLAYREADY: &str = "urn:microsoft:playready";

/// Elements next to each other, each with the namespaces that it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// The text of `cenc:pssh`, which manifests write themselves; more than one is refused.
    pub pssh: Option<String>,
    /// The text of `mspr:pro`.
    pub pro: Option<String>,
    /// All elements but `cenc:pssh`, as they stand; they can be put into any document.
    pub rest: String,
}

impl Fragment {
    /// Reads a fragment.
    ///
    /// # Errors
    /// `BadSource` for what is not well-formed, is not in a namespace of its own, or has a document type, entities,
    /// comments or processing instructions; `Limit` for more than [`limits::MAX_SIGNALLING_BYTES`] or elements that are
    /// too deep in each other.
    pub fn read(text: &str) -> Result<Self> {
        let fragment = if text.len() > limits::MAX_SIGNALLING_BYTES {
            Err(Error::limit(format!("{} bytes", text.len())))
        } else {
            Self::elements(text.trim())
        };
        fragment.map_err(|e| e.context("DASH content protection"))
    }

    fn elements(text: &str) -> Result<Self> {
        let mut tokens = Tokens::new(text)?;
        let mut fragment = Self::default();
        // The first byte and the name of the element that is open at the top, and the text in it.
        let mut top: Option<(usize, Option<&mut Option<String>>, bool)> = None;
        let (mut depth, mut inside) = (0, String::new());
        let Self { pssh, pro, rest } = &mut fragment;
        while let Some(token) = tokens.next()? {
            match token {
                Token::Start(element) => {
                    let Some(namespace) = element.namespace.as_deref() else {
                        return Err(Error::bad_source(format!("the element {} has no namespace", element.name)));
                    };
                    if depth == 0 {
                        inside.clear();
                        let known = match (namespace, element.name.as_str()) {
                            (CENC, "pssh") => Some(&mut *pssh),
                            (PLAYREADY, "pro") => Some(&mut *pro),
                            _ => None,
                        };
                        top = Some((tokens.span.start, known, (namespace, element.name.as_str()) == (CENC, "pssh")));
                    }
                    depth += 1;
                }
                Token::Text(text) if depth == 0 && !text.trim().is_empty() => {
                    return Err(Error::bad_source("text outside of elements"));
                }
                Token::Text(text) => inside.push_str(&text),
                Token::End => {
                    depth -= 1;
                    let Some((start, known, own)) = top.take_if(|_| depth == 0) else { continue };
                    if let Some(known) = known
                        && known.replace(core::mem::take(&mut inside)).is_some()
                    {
                        return Err(Error::bad_source("the same element twice"));
                    }
                    if !own {
                        rest.push_str(text.get(start..tokens.span.end).unwrap_or_default());
                    }
                }
            }
        }
        Ok(fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pssh_is_taken_out_and_the_rest_stays_as_it_is() {
        let text = r#"<?xml version="1.0"?>
            <pssh xmlns="urn:mpeg:cenc:2013">AAAA</pssh>
            <m:pro xmlns:m="urn:microsoft:playready">AB&amp;&#x43;</m:pro><x xmlns="urn:a" b="c&lt;"><y/></x>"#;
        let fragment = Fragment::read(text).unwrap();
        assert_eq!((fragment.pssh.as_deref(), fragment.pro.as_deref()), (Some("AAAA"), Some("AB&C")));
        let rest =
            r#"<m:pro xmlns:m="urn:microsoft:playready">AB&amp;&#x43;</m:pro><x xmlns="urn:a" b="c&lt;"><y/></x>"#;
        assert_eq!(fragment.rest, rest);
        assert_eq!(Fragment::read("").unwrap(), Fragment::default());
    }

    #[test]
    fn what_is_not_a_fragment_of_its_own_is_refused() {
        let deep = format!("{}{}", "<a xmlns='u'>".repeat(9), "</a>".repeat(9));
        let long = format!("<a xmlns='u'>{}</a>", "x".repeat(limits::MAX_SIGNALLING_BYTES));
        for bad in [
            "text",
            "<a/>",
            "<c:pssh>AAAA</c:pssh>",
            "<a xmlns='u'>",
            "<a xmlns='u'></b>",
            "</a>",
            "<a xmlns='u'/></a>",
            "<a xmlns='u' b='1' b='2'/>",
            "<a xmlns='u' b=1/>",
            "<a xmlns='u' b/>",
            "<a xmlns='u' b='<'/>",
            "<a xmlns='u' x:b='1'/>",
            "<a xmlns='u'>&bomb;</a>",
            "<a xmlns='u' b='&bomb;'/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a xmlns='u'>&b;</a>",
            "<a xmlns='u'><!-- --></a>",
            "<a xmlns='u'><?php ?></a>",
            "<a xmlns='u'><![CDATA[x]]></a>",
            "<a xmlns='u'>]]></a>",
            "<a xmlns='u'>\0</a>",
            "<a xmlns='u'>&#0;</a>",
            "<a$ xmlns='u'/>",
            "<a xmlns='u'/><?xml version='1.0'?>",
            "<a xmlns='u'><b xmlns=''/></a>",
            "<pssh xmlns='urn:mpeg:cenc:2013'>A</pssh><pssh xmlns='urn:mpeg:cenc:2013'>A</pssh>",
            "</ContentProtection><ContentProtection>",
            deep.as_str(),
            long.as_str(),
        ] {
            assert!(Fragment::read(bad).is_err(), "{bad:.100}");
        }
    }
}
