//! Timed ID3 tags of a rendition: a stream of their own in transport streams, event messages in fragments.

use super::join::Timeline;
use super::stream::PartId;
use crate::bytes::Reader;
use crate::index::events::Event;
use crate::ingest::metadata::TIMESCALE;
use crate::limits;
use crate::media::time::Instant;
use crate::mp4::boxes::Header;
use crate::segment::emsg::ID3_SCHEME;

/// A tag and when it is presented.
#[derive(Clone, Debug)]
pub struct Tag {
    /// The part of the timeline that it belongs to.
    pub part: PartId,
    /// As the source has it.
    pub time: Instant,
    /// The tag.
    pub data: Vec<u8>,
}

/// Bounds how many tags are kept, and how large they are together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    tags: usize,
    bytes: usize,
}

impl Room {
    /// Whether one more tag of this many bytes is kept.
    pub fn take(&mut self, bytes: usize) -> bool {
        let fits = self.tags < limits::MAX_TAGS
            && bytes <= limits::MAX_TAG_BYTES
            && self.bytes + bytes <= limits::MAX_TAGS_BYTES;
        if fits {
            self.tags += 1;
            self.bytes += bytes;
        }
        fits
    }
}

/// The time of an event message.
#[derive(Clone, Copy, Debug)]
pub enum MessageTime {
    /// On the timeline of the media.
    At(Instant),
    /// After the beginning of the segment.
    After(Instant),
}

/// Reads an event message box (ISO/IEC 23009-1, 5.10.3.3), given with its header: the time and the tag of one that carries
/// ID3, `None` for any other.
pub fn read_message(whole: &[u8]) -> Option<(MessageTime, &[u8])> {
    let header = Header::read(whole, 0, "").ok()?;
    let mut r = Reader::new(whole.get(usize::from(header.length)..)?, 0);
    let version = r.u32().ok()? >> 24;
    let time;
    if version == 1 {
        let timescale = r.u32().ok().filter(|t| *t > 0)?;
        let ticks = i64::try_from(r.u64().ok()?).ok().filter(|t| *t < i64::MAX / 4)?;
        time = MessageTime::At(Instant { ticks, timescale });
        // duration and identifier
        r.u64().ok()?;
        read_scheme(&mut r)?;
    } else {
        read_scheme(&mut r)?;
        let timescale = r.u32().ok().filter(|t| *t > 0)?;
        time = MessageTime::After(Instant { ticks: i64::from(r.u32().ok()?), timescale });
        r.u64().ok()?;
    }
    Some((time, r.rest()))
}

/// Passes over scheme and value, if the scheme is that of ID3.
fn read_scheme(r: &mut Reader<'_>) -> Option<()> {
    let mut text = || {
        let length = r.rest().iter().position(|b| *b == 0)?;
        let text = r.take(length).ok()?;
        r.u8().ok()?;
        Some(text)
    };
    let scheme = text()?;
    text()?;
    (scheme == ID3_SCHEME.as_bytes()).then_some(())
}

/// The tags as events of the asset, ascending. `origin` is the time on the joined timeline that is presentation time 0.
pub fn events(tags: Vec<Tag>, timeline: &Timeline, origin: Instant) -> Vec<Event> {
    let origin = origin.in_timescale(TIMESCALE);
    let mut events: Vec<Event> = tags
        .into_iter()
        .filter_map(|tag| {
            let time = Instant { ticks: tag.time.in_timescale(TIMESCALE), timescale: TIMESCALE };
            let time = timeline.place(tag.part, time, false)?.saturating_sub(origin);
            Some(Event { id: 0, time: time.max(0).unsigned_abs(), message: tag.data.into() })
        })
        .collect();
    events.sort_by_key(|e| e.time);
    // Packagers repeat a message in every segment that it holds for.
    events.dedup_by(|a, b| a.time == b.time && a.message == b.message);
    for (event, id) in events.iter_mut().zip(0..) {
        event.id = id;
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;

    fn message(version: u8, scheme: &str) -> Vec<u8> {
        let mut out = Vec::new();
        out.full_box(b"emsg", version, 0, |b| {
            let text = |b: &mut Vec<u8>| {
                b.extend_from_slice(scheme.as_bytes());
                b.extend_from_slice(&[0, 0]);
            };
            if version == 0 {
                text(b);
            }
            b.u32(1000);
            if version == 0 {
                b.u32(500)
            } else {
                b.u64(500)
            }
            b.u32(u32::MAX);
            b.u32(7);
            if version == 1 {
                text(b);
            }
            b.extend_from_slice(b"ID3...");
        });
        out
    }

    #[test]
    fn both_versions_are_read() {
        let time = |found: Option<(MessageTime, &[u8])>| match found {
            Some((MessageTime::At(t), b"ID3...")) => Some((false, t.ticks, t.timescale)),
            Some((MessageTime::After(t), b"ID3...")) => Some((true, t.ticks, t.timescale)),
            _ => None,
        };
        assert_eq!(time(read_message(&message(1, ID3_SCHEME))), Some((false, 500, 1000)));
        assert_eq!(time(read_message(&message(0, ID3_SCHEME))), Some((true, 500, 1000)));
        assert!(read_message(&message(1, "urn:scte:scte35:2013:bin")).is_none());
        for version in [0, 1] {
            let whole = message(version, ID3_SCHEME);
            for end in 0..whole.len() - 6 {
                assert!(read_message(&whole[..end]).is_none_or(|(_, tag)| tag.is_empty()), "{end}");
            }
        }
    }
}
