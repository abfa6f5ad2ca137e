//! Character encodings of text files, and their lines.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::limits;

/// A decoded file.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// Without byte order mark; NUL is U+FFFD.
    pub text: Cow<'a, str>,
    /// The first byte that was in no valid sequence, when one was replaced by U+FFFD.
    pub invalid_at: Option<usize>,
}

/// Decodes UTF-8, and UTF-16 with a byte order mark or with the zero bytes of Latin letters.
///
/// # Errors
/// `Limit` when the file is too large.
pub(super) fn decode(data: &[u8]) -> Result<Text<'_>> {
    if data.len() > limits::MAX_TEXT_FILE_BYTES {
        return Err(Error::limit(format!(
            "the file has {} bytes, more than {} of a text file",
            data.len(),
            limits::MAX_TEXT_FILE_BYTES
        )));
    }
    let mut decoded = match data {
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0, letter, 0, ..] if *letter != 0 => utf16(data, u16::from_be_bytes),
        [letter, 0, next, 0, ..] if *letter != 0 && *next != 0 => utf16(data, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, 3),
        _ => utf8(data, 0),
    };
    if decoded.text.contains('\0') {
        decoded.text = Cow::Owned(decoded.text.replace('\0', "\u{fffd}"));
    }
    Ok(decoded)
}

fn utf8(data: &[u8], base: usize) -> Text<'_> {
    let invalid_at = core::str::from_utf8(data).err().map(|e| e.valid_up_to().saturating_add(base));
    Text { text: String::from_utf8_lossy(data), invalid_at }
}

fn utf16(data: &[u8], unit: fn([u8; 2]) -> u16) -> Text<'static> {
    let (pairs, _) = data.as_chunks::<2>();
    let mut at = 2usize;
    let mut invalid_at = None;
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|decoded| match decoded {
            Ok(c) => {
                at = at.saturating_add(2 * c.len_utf16());
                c
            }
            Err(_) => {
                invalid_at.get_or_insert(at);
                at = at.saturating_add(2);
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect::<String>();
    Text { text: Cow::Owned(text), invalid_at }
}

/// The start of a text, quoted for a message.
pub(super) fn shown(text: &str) -> String {
    const SHOWN: usize = 60;
    format!("{:?}", text.chars().take(SHOWN).collect::<String>())
}

/// The lines of a text, ended by CR LF, LF or CR. A clone is a place to come back to.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text, number: 0 }
    }

    /// Number of the line that was read last, from 1.
    pub fn number(&self) -> usize {
        self.number
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let Some((line, rest)) = self.rest.split_once(['\n', '\r']) else {
            return Some(core::mem::take(&mut self.rest));
        };
        let carriage_return = self.rest.as_bytes().get(line.len()) == Some(&b'\r');
        self.rest = rest.strip_prefix('\n').filter(|_| carriage_return).unwrap_or(rest);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &[u8]) -> String {
        decode(data).unwrap().text.into_owned()
    }

    #[test]
    fn encodings_are_told_by_their_first_bytes() {
        assert_eq!(text("\u{feff}é1".as_bytes()), "é1");
        assert_eq!(text(b"\xfe\xff\x00A\x26\x6a"), "A♪");
        assert_eq!(text(b"\xff\xfeA\x00\x6a\x26"), "A♪");
        assert_eq!(text(b"\x001\x00\n"), "1\n");
        assert_eq!(text(b"1\x00\n\x00"), "1\n");
        assert_eq!(text(b"a\0b"), "a\u{fffd}b");
        let broken = decode(b"\xef\xbb\xbfab\xff").unwrap();
        assert_eq!((broken.text.as_ref(), broken.invalid_at), ("ab\u{fffd}", Some(5)));
        let broken = decode(b"\xfe\xff\x00A\xd8\x00\x00B").unwrap();
        assert_eq!((broken.text.as_ref(), broken.invalid_at), ("A\u{fffd}B", Some(4)));
    }

    #[test]
    fn lines_end_in_three_ways() {
        let lines = |text: &str| Lines::new(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines("a\r\nb\rc\nd"), ["a", "b", "c", "d"]);
        assert_eq!(lines("a\n\r\n\rb\n"), ["a", "", "", "b"]);
        assert_eq!(lines(""), Vec::<String>::new());
    }

    #[test]
    fn a_file_has_a_largest_size() {
        let large = vec![b'a'; limits::MAX_TEXT_FILE_BYTES + 1];
        assert_eq!(decode(&large).unwrap_err().kind(), crate::ErrorKind::Limit);
    }
}
