//! 3GPP timed text (3GPP TS 26.245), which QuickTime uses for subtitles too ("Subtitle sample data").
//!
//! Text, bold, italic and underline are carried over. Fonts, colours, boxes, scrolling and karaoke are not.

use super::entry::Forced;
use super::markup;
use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;
use crate::error::{Error, Result};
use crate::mp4::boxes::{Box, FourCc};

/// `SampleEntry`: reserved bytes and the data reference index.
const SAMPLE_ENTRY_BYTES: usize = 8;
/// Justification, background colour, text box, and the parts of the style record before its face.
const BEFORE_FACE_BYTES: usize = 2 + 4 + 8 + 6;

const SOME_FORCED: u32 = 0x4000_0000;
const ALL_FORCED: u32 = 0x8000_0000;

const BOLD: u8 = 1;
const ITALIC: u8 = 2;
const UNDERLINE: u8 = 4;

/// What a `tx3g` sample entry says (5.16).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// From the display flags, as QuickTime defines them.
    pub forced: Forced,
    /// Face of text without a style of its own: 1 bold, 2 italic, 4 underline.
    face: u8,
}

impl Entry {
    pub(super) fn read(data: &[u8]) -> Result<Self> {
        let short = |e: ShortRead| Error::bad_source(format!("tx3g sample entry: {e}"));
        let mut r = Reader::new(data, 0);
        r.take(SAMPLE_ENTRY_BYTES).map_err(short)?;
        let flags = r.u32().map_err(short)?;
        let forced = match (flags & ALL_FORCED != 0, flags & SOME_FORCED != 0) {
            (true, _) => Forced::All,
            (false, true) => Forced::Some,
            (false, false) => Forced::None,
        };
        r.take(BEFORE_FACE_BYTES).map_err(short)?;
        Ok(Self { forced, face: r.u8().map_err(short)? })
    }
}

/// What a sample shows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// WebVTT cue text; empty when nothing is shown.
    pub payload: String,
    /// An `frcd` box marks the sample as forced.
    pub forced: bool,
}

/// Reads a sample (5.17).
///
/// # Errors
/// `BadSource` when it ends inside its text. Broken style boxes are ignored, as the text is good without them.
pub(super) fn read(entry: &Entry, sample: &[u8]) -> Result<Text> {
    let short = |e: ShortRead| Error::bad_source(format!("tx3g: {e}"));
    let mut r = Reader::new(sample, 0);
    let length = r.u16().map_err(short)?;
    let text = decode(r.take(usize::from(length)).map_err(short)?);
    let mut styles = Styles { faces: vec![entry.face; text.chars().count()], next: 0 };
    let mut forced = false;
    let content = Box::top(FourCc(*b"tx3g"), 0, 0, sample);
    for child in content.children_after(r).map_while(Result::ok) {
        match &child.kind.0 {
            // Running out of records ends the styles.
            b"styl" => drop(styles.read(child.reader())),
            b"frcd" => forced = true,
            _ => {}
        }
    }
    Ok(Text { payload: marked_up(&text, &styles.faces), forced })
}

/// UTF-8, or UTF-16 when it begins with a byte order mark.
fn decode(text: &[u8]) -> String {
    let utf16 = |units: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = units.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match text {
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        _ => String::from_utf8_lossy(text).into_owned(),
    }
}

/// The face of each character.
struct Styles {
    faces: Vec<u8>,
    /// Where the next record may begin: records are in order and do not overlap (5.17.1.1).
    next: usize,
}

impl Styles {
    fn read(&mut self, mut r: Reader<'_>) -> Result<(), ShortRead> {
        let count = r.u16()?;
        for _ in 0..count {
            let (start, end) = (usize::from(r.u16()?), usize::from(r.u16()?));
            let _font = r.u16()?;
            let face = r.u8()?;
            let _size_and_colour = r.take(5)?;
            let end = end.min(self.faces.len());
            let start = start.max(self.next);
            if let Some(styled) = self.faces.get_mut(start..end) {
                styled.fill(face);
                self.next = end;
            }
        }
        Ok(())
    }
}

fn marked_up(text: &str, faces: &[u8]) -> String {
    const TAGS: [(u8, &str, &str); 3] = [(BOLD, "<b>", "</b>"), (ITALIC, "<i>", "</i>"), (UNDERLINE, "<u>", "</u>")];
    let mut out = String::with_capacity(text.len());
    let mut open = 0u8;
    let change = |out: &mut String, open: &mut u8, face: u8| {
        if face == *open {
            return;
        }
        TAGS.iter().rev().filter(|tag| *open & tag.0 != 0).for_each(|tag| out.push_str(tag.2));
        TAGS.iter().filter(|tag| face & tag.0 != 0).for_each(|tag| out.push_str(tag.1));
        *open = face;
    };
    // Line ends of old Mac files are single CRs.
    let text = text.replace("\r\n", "\u{0}\n").replace('\r', "\n");
    for (c, face) in text.chars().zip(faces) {
        change(&mut out, &mut open, face & (BOLD | ITALIC | UNDERLINE));
        if c != '\0' {
            markup::escape_char(c, &mut out);
        }
    }
    change(&mut out, &mut open, 0);
    out.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;
    use crate::text::{self, Sample, SampleReader};

    fn sample(text: &[u8], styles: &[(u16, u16, u8)]) -> Vec<u8> {
        let mut out = Vec::new();
        out.u16(text.len() as u16);
        out.extend_from_slice(text);
        if !styles.is_empty() {
            out.boxed(b"styl", |b| {
                b.u16(styles.len() as u16);
                for (start, end, face) in styles {
                    [*start, *end, 1].iter().for_each(|v| b.u16(*v));
                    b.extend_from_slice(&[*face, 24, 255, 255, 255, 255]);
                }
            });
        }
        out
    }

    fn payload(sample: &[u8]) -> String {
        read(&Entry::default(), sample).unwrap().payload
    }

    #[test]
    fn styles_become_tags() {
        assert_eq!(payload(&sample(b"plain", &[])), "plain");
        assert_eq!(payload(&sample(b"a bc d", &[(2, 4, 3)])), "a <b><i>bc</i></b> d");
        assert_eq!(payload(&sample("é♪x".as_bytes(), &[(1, 2, 4)])), "é<u>♪</u>x");
        assert_eq!(payload(&sample(b"ab", &[(0, 1, 1), (1, 2, 2)])), "<b>a</b><i>b</i>");
        assert_eq!(payload(&sample(b"ab", &[(1, 900, 1)])), "a<b>b</b>");
        assert_eq!(payload(&sample(b"ab", &[(9, 3, 1)])), "ab");
        assert_eq!(read(&Entry { face: 2, ..Entry::default() }, &sample(b"a", &[])).unwrap().payload, "<i>a</i>");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(payload(&sample(b"a <b> & --> c\r\nd\re\n", &[])), "a &lt;b&gt; &amp; --&gt; c\nd\ne");
    }

    #[test]
    fn utf16_is_told_by_its_mark() {
        assert_eq!(payload(&[0, 6, 0xfe, 0xff, 0x4f, 0x60, 0x59, 0x7d]), "你好");
        assert_eq!(payload(&[0, 6, 0xff, 0xfe, 0x60, 0x4f, 0x7d, 0x59]), "你好");
    }

    #[test]
    fn forced_is_read_from_entry_and_samples() {
        let entry = |flags: u32| {
            let mut data = vec![0; 8];
            data.u32(flags);
            data.extend_from_slice(&[0; 26]);
            Entry::read(&data).unwrap().forced
        };
        assert_eq!(entry(0), Forced::None);
        assert_eq!(entry(0x4000_0000), Forced::Some);
        assert_eq!(entry(0xc000_0000), Forced::All);
        let mut forced = sample(b"x", &[]);
        forced.boxed(b"frcd", |_| {});
        assert!(read(&Entry::default(), &forced).unwrap().forced);
        assert!(!read(&Entry::default(), &sample(b"x", &[])).unwrap().forced);
        assert!(Entry::read(&[0; 20]).is_err());
    }

    #[test]
    fn samples_become_cues() {
        let mut reader = SampleReader::new(&text::Entry::Tx3g(Entry::default())).unwrap();
        let (a, empty) = (sample(b"a", &[]), sample(b"", &[]));
        for (data, start, end) in [
            (&empty, 0, 100),
            (&a, 100, 900),
            (&a, 900, 1000),
            (&empty, 1000, 1200),
            (&a, 1200, 1200),
            (&a, 1200, 1300),
        ] {
            reader.push(Sample { data, start, end }).unwrap();
        }
        reader.push(Sample { data: &[0, 9, 1], start: 1300, end: 1400 }).unwrap();
        let document = reader.finish();
        let times = document.cues.iter().map(|c| (c.start, c.end, c.payload.as_str())).collect::<Vec<_>>();
        assert_eq!(times, [(100, 1000, "a"), (1200, 1300, "a")]);
        assert_eq!(document.warnings.len(), 1);
        assert!(
            document.warnings.concat().starts_with("text sample 7 at 1300 ms: tx3g: 9 bytes wanted"),
            "{document:?}"
        );
    }

    #[test]
    fn any_sample_may_be_broken() {
        let mut good = sample("a é".as_bytes(), &[(0, 1, 1), (2, 3, 7)]);
        good.boxed(b"frcd", |_| {});
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = read(&Entry::default(), &bad);
                let _ = read(&Entry::default(), &bad[..at]);
            }
        }
    }
}
