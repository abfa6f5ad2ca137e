//! The objects of an HLS rendition: where they stand in one space of bytes, and what they hold.

use core::fmt;
use std::collections::HashMap;

use crate::mp4::boxes::FourCc;

/// An object that has been opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedObject {
    /// Position of its first byte in the space.
    pub base: u64,
    /// Storage path.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Entity tag, if the storage has one.
    pub etag: Option<String>,
}

/// The objects of one rendition, laid one after the other in the order in which they are opened.
#[derive(Debug, Default)]
pub struct Space {
    objects: Vec<PlacedObject>,
    by_path: HashMap<String, usize>,
}

impl Space {
    /// The place of an object: that of its first opening, or the end of the space.
    pub fn open(&mut self, path: &str, bytes: u64, etag: Option<&str>) -> &PlacedObject {
        let next = self.objects.len();
        let number = *self.by_path.entry(path.to_owned()).or_insert(next);
        if number == next {
            let base = self.objects.last().map_or(0, |o| o.base.saturating_add(o.bytes));
            self.objects.push(PlacedObject { base, path: path.to_owned(), bytes, etag: etag.map(str::to_owned) });
        }
        &self.objects[number]
    }

    /// An object that was opened before.
    pub fn known(&self, path: &str) -> Option<&PlacedObject> {
        self.by_path.get(path).and_then(|n| self.objects.get(*n))
    }

    /// The object that holds this byte of the space.
    pub fn at(&self, position: u64) -> Option<&PlacedObject> {
        let after = self.objects.partition_point(|o| o.base <= position);
        self.objects.get(after.checked_sub(1)?).filter(|o| position - o.base < o.bytes)
    }

    /// All objects, ascending.
    pub fn objects(&self) -> &[PlacedObject] {
        &self.objects
    }
}

/// What a segment is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MPEG-2 transport stream.
    Transport,
    /// Boxes: movie fragments, or an initialization section.
    Fragments,
    /// WebVTT.
    Webvtt,
    /// An elementary stream of audio, with or without an ID3 tag in front.
    PackedAudio,
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport => "a transport stream",
            Self::Fragments => "made of boxes (MP4)",
            Self::Webvtt => "WebVTT",
            Self::PackedAudio => "packed audio (an elementary stream)",
        })
    }
}

/// Box types that begin a segment or an initialization section.
const FIRST_BOXES: [&[u8; 4]; 12] =
    [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip", b"mdat", b"uuid"];

impl Container {
    /// Looks at the first bytes of a segment: two hundred, or fewer when it has no more.
    ///
    /// # Errors
    /// What they look like instead.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let kind: Option<[u8; 4]> = bytes.get(4..8).and_then(|k| k.try_into().ok());
        if bytes.first() == Some(&0x47) && matches!(bytes.get(188), None | Some(0x47)) {
            Ok(Self::Transport)
        } else if kind.is_some_and(|k| FIRST_BOXES.contains(&&k)) {
            Ok(Self::Fragments)
        } else if text.starts_with(b"WEBVTT") {
            Ok(Self::Webvtt)
        } else if bytes.starts_with(b"ID3") || is_audio_sync(bytes) {
            Ok(Self::PackedAudio)
        } else if bytes.get(4) == Some(&0x47) && bytes.get(196) == Some(&0x47) {
            Err("a transport stream with packets of 192 bytes (M2TS), which HLS does not have".into())
        } else if text.starts_with(b"#EXTM3U") {
            Err("a playlist".into())
        } else if text.trim_ascii_start().starts_with(b"<") {
            Err("a document of XML or HTML".into())
        } else {
            let first = kind.map_or_else(|| "fewer than 8 bytes".to_owned(), |_| first_bytes(bytes));
            Err(format!("neither a transport stream, nor boxes, nor WebVTT ({first})"))
        }
    }
}

/// ADTS and MPEG audio begin with eleven set bits, AC-3 and E-AC-3 with a word of their own.
fn is_audio_sync(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0) || bytes.starts_with(&[0x0b, 0x77])
}

fn first_bytes(bytes: &[u8]) -> String {
    let first: [u8; 4] = bytes.first_chunk().copied().unwrap_or_default();
    format!("it begins with \"{}\"", FourCc(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stand_one_after_the_other() {
        let mut space = Space::default();
        assert_eq!(space.open("a", 100, None).base, 0);
        assert_eq!(space.open("b", 50, Some("x")).base, 100);
        assert_eq!(space.open("a", 100, None).base, 0);
        assert_eq!(space.open("c", 1, None).base, 150);
        assert_eq!(space.at(149).map(|o| o.path.as_str()), Some("b"));
        assert_eq!(space.at(150).map(|o| o.path.as_str()), Some("c"));
        assert_eq!(space.at(151), None);
        assert_eq!(space.known("b").map(|o| o.base), Some(100));
    }

    #[test]
    fn containers_are_told_apart() {
        let mut packet = vec![0x47; 189];
        assert_eq!(Container::of(&packet), Ok(Container::Transport));
        packet[188] = 0;
        assert!(Container::of(&packet).is_err());
        assert_eq!(Container::of(b"\0\0\0\x18styp...."), Ok(Container::Fragments));
        assert_eq!(Container::of("\u{feff}WEBVTT\n".as_bytes()), Ok(Container::Webvtt));
        assert_eq!(Container::of(&[0xff, 0xf1, 0, 0, 0, 0, 0, 0]), Ok(Container::PackedAudio));
        assert!(Container::of(b"<html></html>").unwrap_err().contains("HTML"));
        assert!(Container::of(b"RIFF1234").unwrap_err().contains("RIFF"));
        assert!(Container::of(b"").unwrap_err().contains("fewer"));
    }
}
