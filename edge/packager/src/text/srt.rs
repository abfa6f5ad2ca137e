//! SubRip files: there is no specification; this reads what tools write and players accept.
//!
//! A cue is a line of times with the lines after it up to a blank one; the number above it is dropped. Of the markup,
//! `<i>`, `<b>` and `<u>` stay; fonts and override blocks (`{\an8}`) go, but text that is placed at the top or in the
//! middle stays there.

use super::cue::{Cue, Document, Warnings};
use super::encoding::{self, Lines, Text, shown};
use super::{markup, time};
use crate::error::{Error, Result};
use crate::limits;

/// Reads a SubRip file, in UTF-8 or UTF-16.
///
/// # Errors
/// `BadSource` when it is in another encoding or has no line of times at all; `Limit` when the file or a cue is too large
/// or there are too many.
pub fn parse(data: &[u8]) -> Result<Document> {
    parse_text(encoding::decode(data)?)
}

/// Whether some line has the times of a cue.
pub(super) fn has_times(text: &str) -> bool {
    Lines::new(text).any(|line| times(line).is_some())
}

pub(super) fn parse_text(text: Text<'_>) -> Result<Document> {
    if let Some(at) = text.invalid_at {
        // Which of the many old encodings it is cannot be told from the bytes, and a wrong guess shows wrong letters.
        return Err(Error::bad_source(format!(
            "byte {at} of the SubRip file is not valid UTF-8 or UTF-16; save the file as UTF-8"
        )));
    }
    let mut document = Document::default();
    let mut warnings = Warnings::default();
    let mut lines = Lines::new(&text.text);
    let mut found = false;
    while let Some(line) = lines.next() {
        let number = lines.number();
        if line.trim().is_empty() {
            continue;
        }
        let is_number = line.trim().chars().all(|c| c.is_ascii_digit());
        let Some((start, end, mut settings)) = times(line) else {
            // The number before a cue; anything else belongs to nothing.
            if !is_number || lines.clone().next().and_then(times).is_none() {
                warnings.push(|| format!("line {number}: neither a cue's number nor its times: {}", shown(line)));
                skip_to_blank(&mut lines);
            }
            continue;
        };
        found = true;
        let mut payload = String::new();
        loop {
            let before = lines.clone();
            let Some(line) = lines.next() else { break };
            // Files without blank lines between cues: a number and times begin the next.
            let next_is_cue = || lines.clone().next().and_then(times).is_some();
            let number_of_next = line.trim().chars().all(|c| c.is_ascii_digit()) && next_is_cue();
            if line.trim().is_empty() {
                break;
            }
            if number_of_next || times(line).is_some() {
                lines = before;
                break;
            }
            if payload.len() <= limits::MAX_CUE_BYTES {
                if !payload.is_empty() {
                    payload.push('\n');
                }
                let line = cue_text(line, &mut payload);
                settings = settings.or(line);
            }
        }
        if end <= start {
            warnings.push(|| format!("line {number}: a cue that ends at {end} ms, not after its start at {start} ms"));
        } else if !payload.trim().is_empty() {
            let settings = settings.unwrap_or_default().to_owned();
            let cue = Cue { start, end, identifier: String::new(), settings, payload: payload.trim_end().to_owned() };
            document.push(cue, || format!("line {number}"))?;
        }
    }
    if !found {
        return Err(Error::bad_source("not SubRip: no line has the times of a cue"));
    }
    document.warnings = warnings.finish();
    Ok(document)
}

fn skip_to_blank(lines: &mut Lines<'_>) {
    loop {
        let before = lines.clone();
        match lines.next() {
            Some(line) if times(line).is_some() => {
                *lines = before;
                return;
            }
            Some(line) if !line.trim().is_empty() => {}
            _ => return,
        }
    }
}

/// Start, end and no settings yet; coordinates after the times are ignored as players do.
fn times(line: &str) -> Option<(u64, u64, Option<&'static str>)> {
    let (start, rest) = time::subrip(line)?;
    let rest = rest.trim_start().strip_prefix("-->")?;
    let (end, rest) = time::subrip(rest)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((start, end, None))
}

/// Writes a line as cue text and gives the settings that an override block asks for.
fn cue_text(line: &str, out: &mut String) -> Option<&'static str> {
    let mut settings = None;
    let mut rest = line.trim_end();
    while let Some(at) = rest.find(['<', '{', '&', '>']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let token = Token::read(from);
        match token.kind {
            TokenKind::Keep => out.push_str(&token.text.to_ascii_lowercase()),
            TokenKind::LineBreak => out.push('\n'),
            TokenKind::Override => settings = settings.or_else(|| placement(token.text)),
            TokenKind::Drop => {}
            TokenKind::Entity => out.push_str(token.text),
            TokenKind::Text => markup::escape(token.text, out),
        }
        rest = token.rest;
    }
    out.push_str(rest);
    settings
}

enum TokenKind {
    /// A tag that WebVTT has too.
    Keep,
    /// A tag that WebVTT does not have.
    Drop,
    LineBreak,
    /// `{\...}`
    Override,
    /// A character reference that WebVTT knows.
    Entity,
    Text,
}

/// Bytes of a tag, an override block or a character reference.
const LONGEST_TOKEN: usize = 512;

struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    rest: &'a str,
}

impl<'a> Token<'a> {
    /// Reads what begins with one of `<`, `{`, `&`, `>`.
    fn read(from: &'a str) -> Self {
        let token = |kind, end: usize| {
            let (text, rest) = from.split_at_checked(end).unwrap_or((from, ""));
            Self { kind, text, rest }
        };
        // A longer stretch is text, and is not searched again and again.
        let near = (0..=LONGEST_TOKEN.min(from.len())).rev().find_map(|end| from.get(..end)).unwrap_or_default();
        let closed = |closing: char| near.find(closing).map(|at| at.saturating_add(1));
        match from.as_bytes().first() {
            Some(b'<') => match closed('>') {
                Some(end) => match tag(from.get(..end).unwrap_or_default()) {
                    Some(kind) => token(kind, end),
                    None => token(TokenKind::Text, 1),
                },
                None => token(TokenKind::Text, 1),
            },
            Some(b'{') if from.starts_with("{\\") => match closed('}') {
                Some(end) => token(TokenKind::Override, end),
                None => token(TokenKind::Text, 1),
            },
            Some(b'&') => match closed(';').filter(|end| from.get(..*end).is_some_and(is_entity)) {
                Some(end) => token(TokenKind::Entity, end),
                None => token(TokenKind::Text, 1),
            },
            _ => token(TokenKind::Text, 1),
        }
    }
}

/// What a tag with its brackets is; `None` for text in brackets.
fn tag(text: &str) -> Option<TokenKind> {
    let inside = text.trim_start_matches('<').trim_end_matches('>').to_ascii_lowercase();
    let inside = inside.trim();
    let name = inside.trim_start_matches('/').split([' ', '=', '/', '\t']).next().unwrap_or_default();
    match name {
        "i" | "b" | "u" if inside.trim_start_matches('/') == name => Some(TokenKind::Keep),
        "br" => Some(TokenKind::LineBreak),
        "i" | "b" | "u" | "font" | "s" | "strike" | "span" | "p" | "div" | "em" | "strong" | "c" => {
            Some(TokenKind::Drop)
        }
        _ => None,
    }
}

fn is_entity(text: &str) -> bool {
    let name = text.trim_start_matches('&').trim_end_matches(';');
    let numeric = name.strip_prefix('#').map(|n| match n.strip_prefix(['x', 'X']) {
        Some(hex) => !hex.is_empty() && hex.len() <= 6 && hex.chars().all(|c| c.is_ascii_hexdigit()),
        None => !n.is_empty() && n.len() <= 7 && n.chars().all(|c| c.is_ascii_digit()),
    });
    numeric.unwrap_or(matches!(name, "amp" | "lt" | "gt" | "nbsp" | "lrm" | "rlm" | "quot" | "apos"))
}

/// Where `{\anN}` puts the text: keys of a numeric pad.
fn placement(text: &str) -> Option<&'static str> {
    let (_, after) = text.split_once("\\an")?;
    match after.as_bytes().first()? {
        b'7'..=b'9' => Some("line:0"),
        b'4'..=b'6' => Some("line:50%"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Document {
        parse(text.as_bytes()).unwrap()
    }

    fn payloads(text: &str) -> Vec<String> {
        read(text).cues.into_iter().map(|cue| cue.payload).collect()
    }

    fn line(text: &str) -> String {
        payloads(&format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n")).concat()
    }

    #[test]
    fn cues_are_read_from_windows_files() {
        let document = parse("\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\na\r\nb\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000  X1:10 X2:20\r\nc\r\n".as_bytes());
        let cue = |start, end, payload: &str| Cue { start, end, payload: payload.into(), ..Cue::default() };
        let wanted = Document { cues: vec![cue(1000, 2500, "a\nb"), cue(3000, 4000, "c")], ..Document::default() };
        assert_eq!(document.unwrap(), wanted);
    }

    #[test]
    fn markup_becomes_that_of_webvtt() {
        assert_eq!(line("<i>a</i> <B>b</B> <u>c</u>"), "<i>a</i> <b>b</b> <u>c</u>");
        assert_eq!(line("<font color=\"#ff0000\">red</font> {\\an1\\i1}x{y}"), "red x{y}");
        assert_eq!(line("1 < 2 & 3 > 2 <3 &amp; &nbsp; &foo;"), "1 &lt; 2 &amp; 3 &gt; 2 &lt;3 &amp; &nbsp; &amp;foo;");
        assert_eq!(line("a<br>b<br/>c"), "a\nb\nc");
        assert_eq!(line("a --> b"), "a --&gt; b");
        assert_eq!(line("{\\an8} <unknown> <"), " &lt;unknown&gt; &lt;");
    }

    #[test]
    fn placement_at_the_top_stays() {
        let settings = |text: &str| {
            read(&format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n"))
                .cues
                .into_iter()
                .map(|c| c.settings)
                .collect::<String>()
        };
        assert_eq!(settings("{\\an8}x"), "line:0");
        assert_eq!(settings("{\\an5}x"), "line:50%");
        assert_eq!(settings("{\\an2}x"), "");
    }

    #[test]
    fn what_is_no_cue_is_told() {
        let document = read(
            "1\n00:00:01,000 --> 00:00:02,000\na\n\n2\nno times\nstill\n\n3\n00:00:03,000 --> 00:00:02,000\nb\n\n00:00:05,000 --> 00:00:06,000\nc\n",
        );
        assert_eq!(document.cues.iter().map(|c| c.payload.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(
            document.warnings,
            [
                "line 5: neither a cue's number nor its times: \"2\"",
                "line 10: a cue that ends at 2000 ms, not after its start at 3000 ms"
            ]
        );
        assert_eq!(parse(b"hello\n\nworld").unwrap_err().kind(), crate::ErrorKind::BadSource);
    }

    #[test]
    fn blank_lines_between_cues_may_be_missing() {
        let text = "1\n00:00:01,000 --> 00:00:02,000\na\n2\n00:00:03,000 --> 00:00:04,000\nb\n00:00:05,000 --> 00:00:06,000\n12\nc";
        assert_eq!(payloads(text), ["a", "b", "12\nc"]);
    }

    #[test]
    fn another_encoding_is_refused_with_its_place() {
        let error = parse(b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n").unwrap_err();
        assert_eq!(error.message(), "byte 35 of the SubRip file is not valid UTF-8 or UTF-16; save the file as UTF-8");
    }
}
