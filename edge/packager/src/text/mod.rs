//! Timed text: files and samples of several formats become WebVTT cues in milliseconds of the presentation.
//!
//! [`parse`] reads side files and the segments of a playlist (WebVTT, SubRip); [`Entry`] and [`SampleReader`] read text
//! tracks of MP4 files (`wvtt`, `tx3g`; `stpp` passes through as it is). [`merge`] makes one track of many segments.

mod cue;
mod encoding;
mod entry;
mod map;
mod markup;
mod merge;
mod sample;
pub mod srt;
pub mod stpp;
pub mod time;
pub mod tx3g;
pub mod webvtt;
pub mod wvtt;

pub use cue::{Cue, CueRef, Document};
pub(crate) use cue::{line_safe, payload_safe};
pub use entry::{Entry, Forced};
pub use map::{Placement, TimestampMap};
pub(crate) use markup::has_timestamps;
pub use merge::merge;
pub use sample::{Sample, SampleReader};

use crate::error::{Error, Result};

/// Reads a subtitle file, whichever of the supported formats it has: WebVTT by its signature, else SubRip by its first
/// line of times.
///
/// # Errors
/// `Unsupported` for TTML, EBU STL, SCC and SubStation Alpha, `Limit`, and `BadSource` for anything else, with its first
/// line.
pub fn parse(data: &[u8]) -> Result<Document> {
    if let Some(format) = other_format(data) {
        return Err(Error::unsupported(format!("a {format} file; subtitle files are read as WebVTT or SubRip")));
    }
    let text = encoding::decode(data)?;
    if webvtt::has_signature(&text.text) {
        return webvtt::parse_text(text);
    }
    if let Some(format) = other_text_format(&text.text) {
        return Err(Error::unsupported(format!(
            "a {format} document; subtitle files are read as WebVTT or SubRip, and TTML from tracks of MP4 files (stpp)"
        )));
    }
    if srt::has_times(&text.text) {
        return srt::parse_text(text);
    }
    Err(Error::bad_source(match first_line(&text.text) {
        Some(line) => format!("neither WebVTT (a first line WEBVTT) nor SubRip: the file begins with {line}"),
        None => "the file is empty, not WebVTT or SubRip".to_owned(),
    }))
}

/// Whether a file that begins with these bytes is a text file, and not media in boxes or packets.
pub fn is_text_file(start: &[u8]) -> bool {
    const LOOKED_AT: usize = 256;
    let start = start.get(..LOOKED_AT.min(start.len())).unwrap_or_default();
    // A byte order mark of UTF-16, or the zero bytes of Latin letters in it.
    match start {
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => return true,
        [0, letter, 0, ..] | [letter, 0, _, 0, ..] if letter.is_ascii_alphanumeric() => return true,
        _ => {}
    }
    // Boxes, packets and frames all have bytes that no text has, by their second field at the latest.
    !start.is_empty() && start.iter().all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// The first line that is not blank, quoted for a message.
fn first_line(text: &str) -> Option<String> {
    encoding::Lines::new(text).find(|line| !line.trim().is_empty()).map(|line| encoding::shown(line.trim()))
}

/// Formats that are not text: EBU Tech 3264 has a code page number and then its name.
fn other_format(data: &[u8]) -> Option<&'static str> {
    (data.get(3..6) == Some(b"STL")).then_some("binary EBU STL")
}

fn other_text_format(text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    if start.starts_with("Scenarist_SCC") {
        return Some("Scenarist SCC");
    }
    if start.starts_with("[Script Info]") {
        return Some("SubStation Alpha");
    }
    // Declaration, comments and the root element come first.
    const PROLOGUE: usize = 4096;
    let xml = start.starts_with('<') && {
        let end = (0..=PROLOGUE.min(start.len())).rev().find(|at| start.is_char_boundary(*at)).unwrap_or(0);
        let prologue = start.get(..end).unwrap_or_default();
        prologue.starts_with("<?xml") || prologue.contains("<tt ") || prologue.contains(":tt ")
    };
    xml.then_some("TTML or other XML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn the_format_is_seen_from_the_content() {
        assert_eq!(parse(b"WEBVTT\n\n00:01.000 --> 00:02.000\nx\n").unwrap().cues.len(), 1);
        assert_eq!(parse(b"1\r\n00:00:01,000 --> 00:00:02,000\r\nx\r\n").unwrap().cues.len(), 1);
        for (data, name) in [
            (&b"<?xml version=\"1.0\"?><tt xmlns=\"http://www.w3.org/ns/ttml\"/>"[..], "TTML"),
            (b"  <tt xml:lang='en' xmlns='http://www.w3.org/ns/ttml'></tt>", "TTML"),
            (b"850STL25.01 ...", "EBU STL"),
            (b"Scenarist_SCC V1.0\n\n00:00:00:00\t9420", "SCC"),
            (b"[Script Info]\nTitle: x", "SubStation"),
        ] {
            let error = parse(data).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn text_files_are_told_from_media() {
        for text in [
            &b"WEBVTT\n\n"[..],
            b"\xef\xbb\xbf1\r\n",
            b"\xff\xfeW\0",
            b"\x001\0\n",
            b"<?xml",
            b"[Script Info]",
            b"\xe9t\xe9",
        ] {
            assert!(is_text_file(text), "{}", text.escape_ascii());
        }
        for media in
            [&b""[..], b"\0\0\0\x18ftypisom", b"\0\0\0\x01mdat", b"G@\0\x10\0", b"ID3\x04\0", b"\xff\xf1P\x80\x02"]
        {
            assert!(!is_text_file(media), "{}", media.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_subtitle_is_named_by_its_first_line() {
        let error = parse(b"\n\nHello there\nxyz").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadSource);
        assert!(error.message().contains("\"Hello there\""), "{error}");
        assert!(parse(b"").unwrap_err().message().contains("empty"));
        assert!(parse(&[0xff; 40]).is_err());
        assert!(parse(b"WEBVTTX\n\n00:01.000 --> 00:02.000\nx").is_ok_and(|d| d.cues.len() == 1));
    }
}
