//! Values of attributes and texts.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::error::{ErrorKind, Result};
use super::xml::Element;
use crate::kid::Kid;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a base64 text, which may hold white space. They may be a key.
pub fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    compact.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    // Room for everything at once, so that no parts are left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(compact.len()));
    BASE64.decode_vec(compact.as_slice(), &mut bytes).ok()?;
    Some(bytes)
}

impl Element {
    /// The text as base64, not empty.
    pub(super) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        base64(&self.text)
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| self.error(ErrorKind::Value("base64 of one or more bytes")))
    }

    /// The text as base64 of a text without control characters but line ends and tabs.
    pub(super) fn encoded_text(&self) -> Result<String> {
        let text = String::from_utf8(self.bytes()?.to_vec()).ok();
        text.filter(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')))
            .ok_or_else(|| self.error(ErrorKind::Value("base64 of UTF-8 text")))
    }

    /// Whether there is nothing in it: a request.
    pub(super) fn is_blank(&self) -> bool {
        self.children.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_whitespace())
    }

    /// An attribute that has to be there.
    pub(super) fn required_attribute(&self, name: &'static str) -> Result<&str> {
        self.attribute(name).ok_or_else(|| self.error(ErrorKind::Missing(name)))
    }

    /// A UUID in an attribute.
    pub(super) fn uuid(&self, name: &'static str) -> Result<Kid> {
        let text = self.required_attribute(name)?.trim_ascii();
        text.parse().map_err(|_| self.attribute_error(name, ErrorKind::Value("a UUID")))
    }

    /// A whole number in an attribute.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>> {
        let Some(text) = self.attribute(name) else { return Ok(None) };
        let text = text.trim_ascii();
        let text = text.strip_prefix('+').unwrap_or(text);
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        number.map(Some).ok_or_else(|| self.attribute_error(name, ErrorKind::Value("a whole number of 64 bits")))
    }

    /// A boolean in an attribute.
    pub(super) fn boolean(&self, name: &'static str) -> Result<Option<bool>> {
        match self.attribute(name).map(str::trim_ascii) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(self.attribute_error(name, ErrorKind::Value("true or false"))),
        }
    }

    /// An `xs:duration` of days, hours, minutes and seconds in an attribute, in milliseconds. Months and years have no length.
    pub(super) fn duration(&self, name: &'static str) -> Result<Option<u64>> {
        let Some(text) = self.attribute(name) else { return Ok(None) };
        let error = || self.attribute_error(name, ErrorKind::Value("a duration of days, hours, minutes and seconds"));
        milliseconds(text.trim_ascii()).map(Some).ok_or_else(error)
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (text, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = part(&mut { days }, 'D', 86_400_000)?;
    if !days.is_empty() && !days.ends_with('D') {
        return None;
    }
    let mut rest = time;
    for (unit, length) in [('H', 3_600_000), ('M', 60_000)] {
        total = total.checked_add(part(&mut rest, unit, length)?)?;
    }
    if rest.is_empty() {
        return Some(total);
    }
    let seconds = rest.strip_suffix('S')?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if seconds.ends_with('.') || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    total.checked_add(digits(whole)?.checked_mul(1000)?)?.checked_add(thousandths)
}

/// The number before `unit` at the start of `rest`, times `length`; 0 when it is not there.
fn part(rest: &mut &str, unit: char, length: u64) -> Option<u64> {
    let Some((number, after)) = rest.split_once(unit) else { return Some(0) };
    *rest = after;
    digits(number)?.checked_mul(length)
}

fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [
            ("PT0S", 0),
            ("PT10S", 10_000),
            ("PT1.5S", 1_500),
            ("PT0.0015S", 1),
            ("PT1H2M3S", 3_723_000),
            ("P1D", 86_400_000),
            ("P1DT1M", 86_460_000),
            ("PT90M", 5_400_000),
        ];
        for (text, value) in good {
            assert_eq!(milliseconds(text), Some(value), "{text}");
        }
        let bad =
            ["", "P", "PT", "P1Y", "P1M", "PT-1S", "-PT1S", "PT1", "PT1S2", "PT.S", "PT1.S", "P1D2", "PT1M1H", "1S"];
        for text in bad {
            assert_eq!(milliseconds(text), None, "{text}");
        }
        assert_eq!(milliseconds("PT99999999999999999999S"), None);
        assert_eq!(milliseconds("P999999999999999999D"), None);
    }

    #[test]
    fn base64_with_white_space() {
        assert_eq!(base64(" aWRl\r\n bnRp dHk=\t").as_deref().map(Vec::as_slice), Some(b"identity".as_slice()));
        assert_eq!(base64("aWRlbnRpdHk").as_deref().map(Vec::as_slice), Some(b"identity".as_slice()));
        assert!(base64("aWRl*").is_none());
    }
}
