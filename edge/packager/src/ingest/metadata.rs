//! The track of timed metadata, which the index holds itself.

use super::assemble::{bit_rate, peak};
use super::plan::Plan;
use crate::index::events::{self, Event};
use crate::index::head::{Media, Storage, SyncLayout};
use crate::index::{Fragment, Track};
use crate::media::time::Instant;
use crate::route::{TrackKind, TrackName};

/// Ticks a second: those of a transport stream, where most tags come from.
pub const TIMESCALE: u32 = 90_000;

/// Appends the blocks of all events to `blocks`.
pub fn write(events: &[Event], plan: &Plan, blocks: &mut Vec<u8>) -> Track {
    let ticks = |time: Instant| time.in_timescale(TIMESCALE).max(0).unsigned_abs();
    let cuts: Vec<u64> = plan.times.iter().map(|t| ticks(*t)).collect();
    let ends = plan.tracks.iter().map(|t| ticks(Instant { ticks: t.end as i64, timescale: t.media.timescale }));
    let end = ends.max().unwrap_or(0);
    let bytes = events.iter().map(|e| e.message.len() as u64).sum();
    let mut track = Track {
        name: TrackName { kind: TrackKind::Metadata, ordinal: 0 },
        storage: Storage::Index,
        timescale: TIMESCALE,
        unit: 1,
        edit_media_time: 0,
        end,
        constant_duration: None,
        composition: false,
        reorder: 0,
        sync: SyncLayout::All,
        closed: true,
        stretches: false,
        annex_b: false,
        transport: true,
        sample_aes: false,
        stored: None,
        hidden: true,
        default: false,
        sample_entries: Vec::new(),
        codec: "id3".to_owned(),
        supplemental_codec: None,
        language: None,
        language_code: *b"und",
        label: None,
        role: None,
        average_bitrate: bit_rate(bytes, end, TIMESCALE),
        peak_bitrate: 0,
        media: Media::Metadata,
        fragments: Vec::with_capacity(cuts.len()),
        pieces: Vec::new(),
    };
    let mut rest = events;
    let ends = cuts.iter().skip(1).copied().chain([u64::MAX]);
    for (start, end) in cuts.iter().copied().zip(ends) {
        let (own, after) = rest.split_at(rest.partition_point(|e| e.time < end));
        rest = after;
        let before = blocks.len();
        events::write(start, own, blocks);
        track.fragments.push(Fragment {
            samples: own.len() as u32,
            bytes: own.iter().map(|e| e.message.len() as u64).sum(),
            decode_time: start,
            description: 1,
            block_bytes: (blocks.len() - before) as u32,
            ..Fragment::default()
        });
    }
    track.peak_bitrate = peak(&track, end);
    track
}
