//! Blocks of timed metadata: for each event between two cuts its number in the title, its time, and its message.
//!
//! | field | type |
//! | --- | --- |
//! | number of the first event | varint |
//! | for each event: ticks since the fragment's decoding time, message | varint, blob |

use bytes::Bytes;

use super::Track;
use crate::bytes::Reader;
use crate::bytes::writer::Writer;
use crate::error::{Error, Result};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Counts the events of the title.
    pub id: u32,
    /// Presentation time in ticks of the track.
    pub time: u64,
    /// An ID3 tag.
    pub message: Bytes,
}

/// Appends the block of a fragment that begins at `start` ticks.
pub fn write(start: u64, events: &[Event], out: &mut Vec<u8>) {
    out.varint(events.first().map_or(0, |e| u64::from(e.id)));
    for event in events {
        out.varint(event.time.saturating_sub(start));
        out.blob(&event.message);
    }
}

/// Reads the block of a fragment, and appends its events to `out`.
///
/// # Errors
/// `BadSource` when it breaks its format, or holds other bytes than the head says.
pub fn read(track: &Track, fragment: usize, data: &[u8], out: &mut Vec<Event>) -> Result<()> {
    let Some(fragment) = track.fragments.get(fragment) else { return Ok(()) };
    let bad = || Error::bad_source(format!("index: the block of events at byte {}", fragment.block_offset));
    let mut r = Reader::new(data, fragment.block_offset);
    let mut id = r.varint().ok().and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)?;
    let mut bytes = 0u64;
    for _ in 0..fragment.samples {
        let after = r.varint().map_err(|_| bad())?;
        let length = r.varint().ok().and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?;
        let message = r.take(length).map_err(|_| bad())?;
        let time = fragment.decode_time.checked_add(after).ok_or_else(bad)?;
        out.push(Event { id, time, message: Bytes::copy_from_slice(message) });
        bytes += length as u64;
        id = id.wrapping_add(1);
    }
    if bytes == fragment.bytes && r.left() == 0 { Ok(()) } else { Err(bad()) }
}
