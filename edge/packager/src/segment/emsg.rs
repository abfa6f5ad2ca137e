//! Event messages in CMAF (ISO/IEC 23009-1, 5.10.3.3) that carry ID3 tags (AOM "Carriage of ID3 Timed Metadata in CMAF").

use crate::bytes::writer::Writer;
use crate::index::Track;
use crate::index::events::Event;

/// `scheme_id_uri` of ID3 tags.
pub const ID3_SCHEME: &str = "https://aomedia.org/emsg/ID3";

/// What a version 1 `emsg` has beside its message: header, timescale, presentation time, duration, id, scheme and an empty
/// value.
pub const OVERHEAD: u64 = 12 + 4 + 8 + 4 + 4 + ID3_SCHEME.len() as u64 + 1 + 1;

/// Appends an event of `track`.
pub fn write(track: &Track, event: &Event, out: &mut Vec<u8>) {
    out.full_box(b"emsg", 1, 0, |b| {
        b.u32(track.timescale);
        b.u64(event.time);
        // Unknown: a tag holds until the next one.
        b.u32(u32::MAX);
        b.u32(event.id);
        b.extend_from_slice(ID3_SCHEME.as_bytes());
        b.extend_from_slice(&[0, 0]);
        b.extend_from_slice(&event.message);
    });
}
