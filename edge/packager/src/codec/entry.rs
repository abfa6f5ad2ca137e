//! A sample entry (ISO/IEC 14496-12 clause 12.1.3 and 12.2.3, and the QuickTime File Format's sound descriptions): its
//! fixed fields and its child boxes.

use super::error::{Error, ErrorKind, Malformed};
use super::{FourCc, SampleEntry, rfc6381};

/// SampleEntry and VisualSampleEntry up to the child boxes.
const VISUAL_BYTES: usize = 78;
/// SampleEntry and AudioSampleEntry up to the child boxes.
const AUDIO_BYTES: usize = 28;
/// What QuickTime sound description version 1 adds.
const QUICKTIME_1_BYTES: usize = 16;
/// What QuickTime sound description version 2 adds.
const QUICKTIME_2_BYTES: usize = 36;
/// Child boxes that are looked at; real entries have fewer than fifteen.
const MAX_CHILDREN: usize = 256;
/// `BoxHeader` without a large size.
const HEADER_BYTES: usize = 8;

/// A child box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub fourcc: FourCc,
    pub payload: &'a [u8],
    /// Where the payload starts in the data of the sample entry.
    pub offset: usize,
    /// Inside QuickTime's `wave`.
    pub in_wave: bool,
}

/// The fixed fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields {
    pub width: u32,
    pub height: u32,
    pub channels: u32,
    /// The whole part of `samplerate`.
    pub sample_rate: u32,
}

/// A sample entry taken apart.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub fourcc: FourCc,
    pub fields: Fields,
    pub children: Vec<Child<'a>>,
    bytes: usize,
}

fn u16_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b).into())
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

impl<'a> Entry<'a> {
    pub fn visual(entry: &SampleEntry<'a>) -> Result<Self, Error> {
        let data = entry.data;
        let read = || Some(Fields { width: u16_at(data, 24)?, height: u16_at(data, 26)?, ..Fields::default() });
        Self::take_apart(entry, read(), VISUAL_BYTES)
    }

    pub fn audio(entry: &SampleEntry<'a>) -> Result<Self, Error> {
        let data = entry.data;
        let version = u16_at(data, 8).unwrap_or(0);
        let mut start = AUDIO_BYTES;
        let fields = if version == 2 && looks_like_sound_description_2(data) {
            start += QUICKTIME_2_BYTES;
            u32_at(data, 40).map(|channels| Fields { channels, ..Fields::default() })
        } else {
            // ISO files use version 1 for an entry with the layout of version 0.
            if version == 1 && !box_starts(data, AUDIO_BYTES) {
                start += QUICKTIME_1_BYTES;
            }
            let read =
                || Some(Fields { channels: u16_at(data, 16)?, sample_rate: u16_at(data, 24)?, ..Fields::default() });
            read()
        };
        Self::take_apart(entry, fields, start)
    }

    fn take_apart(entry: &SampleEntry<'a>, fields: Option<Fields>, start: usize) -> Result<Self, Error> {
        let (fourcc, data) = (entry.fourcc, entry.data);
        let mut this = Self { fourcc, fields: Fields::default(), children: Vec::new(), bytes: data.len() };
        let children = data.get(start..);
        let (Some(fields), Some(children)) = (fields, children) else {
            return Err(this.malformed(data.len(), format!("the sample entry has {} bytes, not {start}", data.len())));
        };
        this.fields = fields;
        this.walk(children, start, false)?;
        Ok(this)
    }

    fn walk(&mut self, data: &'a [u8], start: usize, in_wave: bool) -> Result<(), Error> {
        let mut at = 0;
        // Up to seven bytes that are no box, often four zero bytes, are what QuickTime writes at the end.
        while data.len().saturating_sub(at) >= HEADER_BYTES {
            let (Some(size), Some(fourcc)) = (u32_at(data, at), data.get(at + 4..).and_then(|d| d.first_chunk()))
            else {
                break;
            };
            let (mut header, mut bytes) = (HEADER_BYTES, size as usize);
            if size == 0 {
                break;
            }
            if size == 1 {
                let large = u32_at(data, at + 8).zip(u32_at(data, at + 12));
                bytes = match large {
                    Some((0, low)) => low as usize,
                    _ => usize::MAX,
                };
                header = 16;
            }
            let end = at.checked_add(bytes).filter(|_| bytes >= header);
            let Some(payload) = end.and_then(|end| data.get(at + header..end)) else {
                let mut error = self.malformed(start + at, format!("box of {size} bytes does not fit in its parent"));
                error.path = format!("{}/{}", self.path(in_wave), rfc6381::name(*fourcc));
                return Err(error);
            };
            if self.children.len() >= MAX_CHILDREN {
                return Err(self.malformed(start + at, format!("more than {MAX_CHILDREN} boxes")));
            }
            let child = Child { fourcc: *fourcc, payload, offset: start + at + header, in_wave };
            if *fourcc == *b"wave" && !in_wave {
                self.walk(payload, child.offset, true)?;
            } else {
                self.children.push(child);
            }
            at += bytes;
        }
        Ok(())
    }

    fn path(&self, in_wave: bool) -> String {
        let wave = if in_wave { "/wave" } else { "" };
        format!("{}{wave}", rfc6381::name(self.fourcc))
    }

    /// The first child of this type.
    pub fn child(&self, fourcc: &FourCc) -> Option<&Child<'a>> {
        self.children.iter().find(|c| c.fourcc == *fourcc)
    }

    /// The configuration box, without which the entry is of no use.
    pub fn need(&self, fourcc: &FourCc) -> Result<&Child<'a>, Error> {
        self.child(fourcc)
            .ok_or_else(|| self.malformed(self.bytes, format!("there is no {} box", rfc6381::name(*fourcc))))
    }

    /// A fault of the sample entry itself.
    pub fn malformed(&self, offset: usize, what: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Malformed, path: self.path(false), offset, what: what.into() }
    }

    /// A fault inside a child.
    pub fn inside(&self, child: &Child<'_>, fault: Malformed) -> Error {
        Error {
            kind: ErrorKind::Malformed,
            path: format!("{}/{}", self.path(child.in_wave), rfc6381::name(child.fourcc)),
            // A fault of what is missing lies at the end.
            offset: child.offset.saturating_add(fault.offset.min(child.payload.len())),
            what: fault.what,
        }
    }

    /// Something in a child that is correct and not handled.
    pub fn unsupported(&self, child: &Child<'_>, offset: usize, what: impl Into<String>) -> Error {
        Error { kind: ErrorKind::Unsupported(self.fourcc), ..self.inside(child, Malformed::new(offset, what)) }
    }
}

/// A version 2 sound description states its own length and a constant (QuickTime File Format, `SoundDescriptionV2`).
fn looks_like_sound_description_2(data: &[u8]) -> bool {
    u32_at(data, 28) == Some(72) && u32_at(data, 44) == Some(0x7f00_0000)
}

/// Whether something with the looks of a box header stands here.
fn box_starts(data: &[u8], at: usize) -> bool {
    let size = u32_at(data, at).unwrap_or(0) as usize;
    let fourcc: Option<&FourCc> = data.get(at + 4..).and_then(|d| d.first_chunk());
    size >= HEADER_BYTES
        && size <= data.len() - at
        && fourcc.is_some_and(|f| f.iter().all(|b| b.is_ascii_graphic() || *b == b' '))
}
