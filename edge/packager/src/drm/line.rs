//! EXT-X-KEY and EXT-X-SESSION-KEY (RFC 8216bis, 4.4.4.4 and 4.4.6.5).

use crate::config::{Iv, Scheme};
use crate::error::{Error, Result};
use crate::limits;

/// How a media playlist says where a key is.
pub const KEY: &str = "#EXT-X-KEY:";
/// How a multivariant playlist does.
pub const SESSION_KEY: &str = "#EXT-X-SESSION-KEY:";
/// What ends all keys before it.
pub const NO_KEY: &str = "#EXT-X-KEY:METHOD=NONE";

/// The METHOD of a scheme.
pub fn method(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Cenc => "SAMPLE-AES-CTR",
        Scheme::Cbcs | Scheme::SampleAes => "SAMPLE-AES",
        Scheme::Aes128 => "AES-128",
    }
}

/// What a line says: an attribute list without its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// METHOD, URI, KEYFORMAT and so on, in order. Values without quotes.
    attributes: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    name: String,
    value: String,
    quoted: bool,
}

impl Line {
    /// A line for a scheme with a URI that holds no quote and no control character.
    pub fn new(scheme: Scheme, uri: &str) -> Self {
        let line = Self { attributes: Vec::new() };
        line.with("METHOD", method(scheme), false).with("URI", uri, true)
    }

    /// With a format of keys, version 1.
    pub fn in_format(self, format: &str) -> Self {
        self.with("KEYFORMAT", format, true).with("KEYFORMATVERSIONS", "1", true)
    }

    /// With a number in hexadecimal digits: IV or KEYID.
    pub fn with_number(self, name: &str, value: &[u8; 16]) -> Self {
        self.with(name, &format!("0x{}", hex::encode(value)), false)
    }

    /// With one more attribute.
    fn with(mut self, name: &str, value: &str, quoted: bool) -> Self {
        self.attributes.push(Attribute { name: name.to_owned(), value: value.to_owned(), quoted });
        self
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.name == name).map(|a| a.value.as_str())
    }

    /// KEYFORMAT, or what its absence means.
    pub fn format(&self) -> &str {
        self.get("KEYFORMAT").unwrap_or("identity")
    }

    /// IV.
    ///
    /// # Errors
    /// `BadSource` when it is not a number of 128 bits in hexadecimal digits.
    pub fn iv(&self) -> Result<Option<Iv>> {
        let Some(text) = self.get("IV") else { return Ok(None) };
        let digits =
            text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).filter(|d| (1..=32).contains(&d.len()));
        let value = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let value = value.ok_or_else(|| Error::bad_source(format!("IV {text:?} is not a number of 128 bits")))?;
        Ok(Some(Iv(value.to_be_bytes())))
    }

    /// The whole line after its tag, [`KEY`] or [`SESSION_KEY`].
    pub fn write(&self, tag: &str) -> String {
        let one = |a: &Attribute| {
            let quote = if a.quoted { "\"" } else { "" };
            format!("{}={quote}{}{quote}", a.name, a.value)
        };
        tag.to_owned() + &self.attributes.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// Reads a line of a key server. White space around it, and after commas, is left out.
    ///
    /// # Errors
    /// `BadSource` when it is not one line with this tag and a list of attributes, each once, METHOD and URI among them;
    /// `Limit` when it is too long.
    pub fn read(tag: &str, text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > limits::MAX_SIGNALLING_BYTES {
            return Err(Error::limit(format!("{tag} {} bytes", text.len())));
        }
        Self::list(tag, text).map_err(|e| e.context(tag.trim_end_matches(':')))
    }

    fn list(tag: &str, text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::bad_source(what.to_owned());
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')) {
            return Err(wrong("more than one line, or control characters"));
        }
        let mut rest = text.strip_prefix(tag).ok_or_else(|| wrong("another tag"))?;
        let mut line = Self { attributes: Vec::new() };
        loop {
            let (name, value) = rest.split_once('=').ok_or_else(|| wrong("an attribute without a value"))?;
            let name = name.trim_start();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
                return Err(Error::bad_source(format!("{name:?} is not the name of an attribute")));
            }
            if line.get(name).is_some() {
                return Err(Error::bad_source(format!("{name} twice")));
            }
            let (value, quoted, after) = match value.strip_prefix('"') {
                Some(value) => {
                    let (inside, after) = value.split_once('"').ok_or_else(|| wrong("a quote that is not closed"))?;
                    (inside, true, after)
                }
                None => {
                    let end = value.find(',').unwrap_or(value.len());
                    let (inside, after) = value.split_at(end);
                    (inside, false, after)
                }
            };
            let plain = |c: char| !c.is_whitespace() && c != '"';
            if !quoted && (value.is_empty() || !value.chars().all(plain)) {
                return Err(Error::bad_source(format!("{name} has the value {value:?}")));
            }
            line = line.with(name, value, quoted);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix(',').ok_or_else(|| wrong("something after a quote"))?;
        }
        let is_quoted = |a: &Attribute| matches!(a.name.as_str(), "URI" | "KEYFORMAT" | "KEYFORMATVERSIONS");
        if let Some(bad) =
            line.attributes.iter().find(|a| is_quoted(a) != a.quoted && (is_quoted(a) || a.name == "METHOD"))
        {
            return Err(Error::bad_source(format!("{} is quoted wrongly", bad.name)));
        }
        match (line.get("METHOD"), line.get("URI")) {
            (Some(_), Some(uri)) if !uri.is_empty() => Ok(line),
            _ => Err(wrong("METHOD and URI have to be there")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_a_round_trip() {
        let line = Line::new(Scheme::Cbcs, "skd://a,b=c").in_format("com.example").with_number("KEYID", &[0xab; 16]);
        let text = line.write(KEY);
        let expected = "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://a,b=c\",KEYFORMAT=\"com.example\",\
                        KEYFORMATVERSIONS=\"1\",KEYID=0xabababababababababababababababab";
        assert_eq!(text, expected);
        assert_eq!(Line::read(KEY, &format!(" {text}\n")).unwrap(), line);
        let spaced = Line::read(SESSION_KEY, "#EXT-X-SESSION-KEY:METHOD=AES-128, URI=\"k\", IV=0X1").unwrap();
        assert_eq!((spaced.format(), spaced.iv().unwrap().unwrap().0[15]), ("identity", 1));
    }

    #[test]
    fn what_is_not_one_good_line_is_refused() {
        for bad in [
            "",
            "#EXT-X-KEY:",
            "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"",
            "EXT-X-KEY:METHOD=AES-128,URI=\"k\"",
            "#EXT-X-KEY:METHOD=AES-128",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"\"",
            "#EXT-X-KEY:METHOD=AES-128,URI=k",
            "#EXT-X-KEY:METHOD=\"AES-128\",URI=\"k\"",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"x",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0x\"1\"",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",URI=\"l\"",
            "#EXT-X-KEY:METHOD=AES-128,uri=\"k\"",
            "#EXT-X-KEY:METHOD=AES 128,URI=\"k\"",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-ENDLIST",
            "#EXT-X-KEY:METHOD=AES-128,URI=\"k\u{2028}\"",
        ] {
            assert!(Line::read(KEY, bad).is_err(), "{bad:?}");
        }
        for iv in ["1", "0x", "0x+1", "0x00112233445566778899aabbccddeeff0", "0xg"] {
            assert!(Line::read(KEY, &format!("#EXT-X-KEY:METHOD=A,URI=\"k\",IV={iv}")).unwrap().iv().is_err(), "{iv}");
        }
    }
}
