//! WebVTT files (W3C WebVTT, clause 6: "WebVTT parser algorithm"), with the header of HLS segments.
//!
//! As tolerant as that algorithm: whatever is wrong ends with its block. What it drops silently is told in warnings here.
//! NOTE blocks do not survive; STYLE and REGION blocks become the header.

use super::cue::{Cue, Document, Warnings};
use super::encoding::{self, Lines, Text, shown};
use super::map::TimestampMap;
use super::time;
use crate::error::{Error, Result};
use crate::limits;

const SIGNATURE: &str = "WEBVTT";
const TIMESTAMP_MAP: &str = "X-TIMESTAMP-MAP=";
const ARROW: &str = "-->";

/// Reads a WebVTT file, in UTF-8 or UTF-16.
///
/// # Errors
/// `BadSource` without the signature, naming the first line; `Limit` when the file, a cue or the header is too large or
/// there are too many cues.
pub fn parse(data: &[u8]) -> Result<Document> {
    parse_text(encoding::decode(data)?)
}

/// Whether the text begins as a WebVTT file has to.
pub(super) fn has_signature(text: &str) -> bool {
    text.strip_prefix(SIGNATURE).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

pub(super) fn parse_text(text: Text<'_>) -> Result<Document> {
    let lines = Lines::new(&text.text);
    if !has_signature(&text.text) {
        let first = shown(lines.clone().next().unwrap_or_default());
        return Err(Error::bad_source(format!("not WebVTT: line 1 is {first} and not WEBVTT")));
    }
    let mut parser = Parser { lines, document: Document::default(), warnings: Warnings::default(), seen_cue: false };
    if let Some(at) = text.invalid_at {
        parser
            .warnings
            .push(|| format!("byte {at} begins no character of the file's encoding; such bytes were replaced"));
    }
    parser.header();
    while parser.block()? {}
    let Parser { mut document, warnings, .. } = parser;
    document.warnings = warnings.finish();
    Ok(document)
}

/// The blocks of `vttC` in a track of an MP4 file: a file without cues.
///
/// # Errors
/// As [`parse`].
pub(super) fn header_of(config: &str) -> Result<Document> {
    parse_text(Text { text: config.into(), invalid_at: None })
}

struct Parser<'a> {
    lines: Lines<'a>,
    document: Document,
    warnings: Warnings,
    seen_cue: bool,
}

/// What a block turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Style,
    Region,
}

impl Parser<'_> {
    /// The signature line and what follows it directly.
    fn header(&mut self) {
        self.lines.next();
        loop {
            let before = self.lines.clone();
            let Some(line) = self.lines.next() else { return };
            if line.contains(ARROW) {
                self.lines = before;
                return;
            }
            if line.is_empty() {
                return;
            }
            self.timestamp_map(line);
        }
    }

    fn timestamp_map(&mut self, line: &str) -> bool {
        let Some(value) = line.strip_prefix(TIMESTAMP_MAP) else { return false };
        let number = self.lines.number();
        match TimestampMap::parse(value) {
            Some(map) => self.document.timestamp_map = Some(map),
            None => self
                .warnings
                .push(|| format!("line {number}: X-TIMESTAMP-MAP has no valid MPEGTS and LOCAL: {}", shown(value))),
        }
        true
    }

    /// One block (the steps "collect a WebVTT block"); whether there may be more.
    fn block(&mut self) -> Result<bool> {
        let mut text = String::new();
        let mut kind = Kind::Unknown;
        let mut cue: Option<Cue> = None;
        let mut seen_arrow = false;
        let mut count = 0usize;
        let mut first = self.lines.number() + 1;
        let more = loop {
            let before = self.lines.clone();
            let Some(line) = self.lines.next() else { break false };
            let number = self.lines.number();
            if line.is_empty() {
                if count == 0 {
                    first = number + 1;
                    continue;
                }
                break true;
            }
            count += 1;
            if line.contains(ARROW) {
                if count > 2 || seen_arrow {
                    self.lines = before;
                    break true;
                }
                seen_arrow = true;
                match times(line) {
                    Some(times) => {
                        self.seen_cue = true;
                        let identifier = core::mem::take(&mut text);
                        cue = Some(Cue { identifier, ..times });
                    }
                    None => self.warnings.push(|| format!("line {number}: not the times of a cue: {}", shown(line))),
                }
                continue;
            }
            if count == 2 && !self.seen_cue {
                kind = match text.trim_ascii_end() {
                    "STYLE" => Kind::Style,
                    "REGION" => Kind::Region,
                    _ => Kind::Unknown,
                };
                if kind != Kind::Unknown {
                    text.clear();
                }
            }
            // What is neither cue nor header is dropped anyway.
            if text.len() <= limits::MAX_CUE_BYTES {
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(line);
            }
        };
        if count > 0 {
            self.finish(Block { text, kind, cue, seen_arrow, first })?;
        }
        Ok(more)
    }

    fn finish(&mut self, block: Block) -> Result<()> {
        let Block { text, kind, cue, seen_arrow, first } = block;
        let place = || format!("line {first}");
        match (cue, kind) {
            (Some(cue), _) if cue.end <= cue.start => {
                self.warnings.push(|| {
                    format!("line {first}: a cue that ends at {} ms, not after its start at {} ms", cue.end, cue.start)
                });
            }
            (Some(cue), _) => self.document.push(Cue { payload: text, ..cue }, place)?,
            (None, Kind::Style) => self.document.push_header(&format!("STYLE\n{text}"), place)?,
            (None, Kind::Region) => self.document.push_header(&format!("REGION\n{text}"), place)?,
            (None, Kind::Unknown) => {
                let note = text.strip_prefix("NOTE").is_some_and(|r| r.is_empty() || r.starts_with([' ', '\t', '\n']));
                let map = !self.seen_cue && text.lines().any(|line| self.timestamp_map(line));
                if !note && !map && !seen_arrow {
                    self.warnings.push(|| format!("line {first}: text that belongs to no cue: {}", shown(&text)));
                }
            }
        }
        Ok(())
    }
}

struct Block {
    text: String,
    kind: Kind,
    cue: Option<Cue>,
    seen_arrow: bool,
    /// Number of its first line.
    first: usize,
}

/// The line with times and settings (the steps "collect WebVTT cue timings and settings").
fn times(line: &str) -> Option<Cue> {
    let (start, rest) = time::webvtt(line.trim_ascii_start())?;
    let rest = rest.trim_ascii_start().strip_prefix(ARROW)?;
    let (end, settings) = time::webvtt(rest.trim_ascii_start())?;
    Some(Cue { start, end, settings: settings.to_owned(), ..Cue::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn read(text: &str) -> Document {
        parse(text.as_bytes()).unwrap()
    }

    /// start, end, identifier, settings, payload
    fn cues(text: &str) -> Vec<(u64, u64, String, String, String)> {
        let cues = read(text).cues.into_iter();
        cues.map(|c| (c.start, c.end, c.identifier, c.settings, c.payload)).collect()
    }

    fn one(text: &str) -> (u64, u64, String, String, String) {
        let cues = cues(text);
        assert_eq!(cues.len(), 1, "{text:?}: {cues:?}");
        cues.into_iter().next().unwrap()
    }

    #[test]
    fn a_cue_has_identifier_times_settings_and_lines() {
        let cue =
            one("WEBVTT - title\n\nintro 1\n00:01.000 --> 01:00:02.500  line:0 \t align:start\n<b>one</b>\ntwo\n\n\n");
        assert_eq!(cue, (1000, 3_602_500, "intro 1".into(), "line:0 align:start".into(), "<b>one</b>\ntwo".into()));
    }

    #[test]
    fn every_line_end_and_encoding_reads_alike() {
        let text = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\nid\n00:01.000 --> 00:02.000\né\nb\n\n";
        let plain = read(text);
        assert_eq!(plain.cues.len(), 1);
        assert_eq!(plain.timestamp_map, Some(TimestampMap { mpegts: 900_000, local_ms: 0 }));
        assert_eq!(read(&text.replace('\n', "\r\n")), plain);
        assert_eq!(read(&text.replace('\n', "\r")), plain);
        assert_eq!(read(&format!("\u{feff}{text}")), plain);
        let units = |bytes: fn(u16) -> [u8; 2]| {
            let marked = format!("\u{feff}{text}");
            marked.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        assert_eq!(parse(&units(u16::to_be_bytes)).unwrap(), plain);
        assert_eq!(parse(&units(u16::to_le_bytes)).unwrap(), plain);
    }

    #[test]
    fn the_signature_is_a_word() {
        for good in ["WEBVTT", "WEBVTT\n", "WEBVTT\ttitle", "WEBVTT title\r\n"] {
            assert_eq!(read(good), Document::default(), "{good:?}");
        }
        for bad in ["", "WEBVTTX", "webvtt\n", "\nWEBVTT", "1\n00:01.000 --> 00:02.000\nx"] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadSource);
        }
        assert_eq!(parse(b"HELLO\nx").unwrap_err().message(), "not WebVTT: line 1 is \"HELLO\" and not WEBVTT");
    }

    #[test]
    fn a_cue_may_follow_the_signature_directly() {
        assert_eq!(one("WEBVTT\n00:00.000 --> 00:01.000\nx").4, "x");
        assert_eq!(one("WEBVTT\nKind: captions\n00:00.000 --> 00:01.000\nx").4, "x");
        // on the signature line itself it is part of that line
        assert_eq!(cues("WEBVTT 00:00.000 --> 00:01.000\nx"), []);
    }

    #[test]
    fn an_arrow_ends_the_text_of_a_cue() {
        let cues = cues("WEBVTT\n\n00:00.000 --> 00:01.000\na\n00:01.000 --> 00:02.000\nb\n-->\nc");
        assert_eq!(cues.iter().map(|c| c.4.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        // the second line of times after an identifier begins another block
        assert_eq!(one("WEBVTT\n\nid\nmore\n00:00.000 --> 00:01.000\nb").2, "");
    }

    #[test]
    fn bad_cues_are_left_out_and_told_with_their_line() {
        let document = read(
            "WEBVTT\n\n00:00,000 --> 00:01.000\nx\n\n00:02.000 --> 00:01.000\ny\n\nloose\ntext\n\nNOTE\nok\n\n00:03.000 --> 00:04.000\nz",
        );
        assert_eq!(document.cues.len(), 1);
        let warnings = document.warnings.iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(
            warnings,
            [
                "line 3: not the times of a cue: \"00:00,000 --> 00:01.000\"",
                "line 6: a cue that ends at 1000 ms, not after its start at 2000 ms",
                "line 9: text that belongs to no cue: \"loose\\ntext\"",
            ]
        );
        let many = format!("WEBVTT\n\n{}", "-->\n\n".repeat(1000));
        let warnings = read(&many).warnings;
        assert_eq!((warnings.len(), warnings.last().map(String::as_str)), (65, Some("936 more of this kind")));
    }

    #[test]
    fn style_and_region_make_the_header() {
        let document = read(
            "WEBVTT\n\nSTYLE\n::cue { color: red }\n::cue(b) {}\n\nNOTE x\n\nREGION \nid:a\nlines:3\n\n00:00.000 --> 00:01.000 region:a\nx\n\nSTYLE\nlate {}\n",
        );
        assert_eq!(document.header, "STYLE\n::cue { color: red }\n::cue(b) {}\n\nREGION\nid:a\nlines:3");
        assert_eq!(document.warnings.len(), 1, "{:?}", document.warnings);
        // an identifier may be any word
        assert_eq!(one("WEBVTT\n\nSTYLE\n00:00.000 --> 00:01.000\nx").2, "STYLE");
        // an arrow ends a style sheet
        assert_eq!(read("WEBVTT\n\nSTYLE\na {}\n00:00.000 --> 00:01.000\nx").header, "STYLE\na {}");
    }

    #[test]
    fn a_map_may_stand_after_a_blank_line() {
        let document = read("WEBVTT\n\nX-TIMESTAMP-MAP=MPEGTS:5,LOCAL:00:00:00.000\n\n00:00.000 --> 00:01.000\nx");
        assert_eq!((document.timestamp_map.map(|m| m.mpegts), document.warnings.len()), (Some(5), 0));
        let document = read("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:5\n");
        assert_eq!((document.timestamp_map, document.warnings.len()), (None, 1));
    }

    #[test]
    fn nul_and_invalid_bytes_are_replaced() {
        assert_eq!(one("WEBVTT\n\n00:00.000 --> 00:01.000\na\0b").4, "a\u{fffd}b");
        let document = parse(b"WEBVTT\n\n00:00.000 --> 00:01.000\na\xffb").unwrap();
        assert_eq!(document.cues.first().map(|c| c.payload.as_str()), Some("a\u{fffd}b"));
        assert!(document.warnings.iter().any(|w| w.starts_with("byte 33 ")), "{:?}", document.warnings);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let large = format!("WEBVTT\n\n00:00.000 --> 00:01.000\n{}", "x".repeat(limits::MAX_CUE_BYTES + 1));
        assert_eq!(parse(large.as_bytes()).unwrap_err().kind(), ErrorKind::Limit);
        let large = format!("WEBVTT\n\nSTYLE\n{}", "x".repeat(limits::MAX_TEXT_HEADER_BYTES));
        assert_eq!(parse(large.as_bytes()).unwrap_err().kind(), ErrorKind::Limit);
        let note = format!("WEBVTT\n\nNOTE\n{}\n\n00:00.000 --> 00:01.000\nx", "x\n".repeat(limits::MAX_CUE_BYTES));
        assert_eq!(one(&note).4, "x");
    }
}
