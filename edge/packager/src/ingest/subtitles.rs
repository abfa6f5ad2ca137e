//! Tracks of WebVTT cues, which the index holds itself.

use super::assemble::{bit_rate, peak};
use super::plan::{self, Plan};
use super::{Description, language};
use crate::error::Result;
use crate::index::head::{Media, Storage, SyncLayout, Text, TextFormat};
use crate::index::{Fragment, Track, cues};
use crate::media::time::Instant;
use crate::route::{TrackKind, TrackName};
use crate::text::Document;

/// Ticks a second: cues count milliseconds.
const TIMESCALE: u32 = 1000;

/// A track of subtitles.
#[derive(Debug)]
pub struct Subtitles {
    /// For messages.
    pub path: String,
    /// Its cues, in presentation times, sorted by start.
    pub document: Document,
    /// Language, label, role, forced and default.
    pub description: Description,
}

impl Subtitles {
    /// The cues of a track of MP4. What the operator says goes before what the track says.
    pub fn of_track(
        track: &plan::Track,
        file: &str,
        document: Document,
        forced: bool,
        description: Description,
        warnings: &mut Vec<String>,
    ) -> Self {
        let path = format!("{file}: track {}", track.media.id);
        warnings.extend(document.warnings.iter().map(|w| format!("{path}: {w}")));
        let language = description.language.or_else(|| track.media.language.clone());
        let description = Description { language, forced: description.forced || forced, ..description };
        Self { path, document, description }
    }

    /// Leaves out what begins when the title has ended.
    pub fn fit(&mut self, plan: &Plan, warnings: &mut Vec<String>) {
        let (path, all, end) = (&self.path, self.document.cues.len(), end(plan));
        self.document.cues.retain(|cue| cue.start < end);
        let late = all - self.document.cues.len();
        if late > 0 {
            warnings.push(format!("{path}: {late} of {all} cues begin after the title has ended, at {end} ms"));
        }
    }

    /// Appends its blocks to `blocks`.
    ///
    /// # Errors
    /// `Limit` when they are too large.
    pub fn write(self, ordinal: u16, plan: &Plan, blocks: &mut Vec<u8>) -> Result<Track> {
        let cuts: Vec<u64> = plan.times.iter().map(|t| milliseconds(*t)).collect();
        let written = cues::write(&self.document.cues, &cuts).map_err(|e| e.context(&self.path))?;
        let end = end(plan);
        let language = self.description.language.as_deref().and_then(language::tag);
        let label = self.description.label.or_else(|| language.as_deref().and_then(language::name));
        let mut track = Track {
            name: TrackName { kind: TrackKind::Text, ordinal },
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
            transport: false,
            sample_aes: false,
            stored: None,
            hidden: false,
            default: self.description.default,
            sample_entries: Vec::new(),
            codec: "wvtt".to_owned(),
            supplemental_codec: None,
            language_code: language::code(language.as_deref()),
            language,
            label,
            role: self.description.role.or_else(|| Some(role(self.description.forced).to_owned())),
            average_bitrate: bit_rate(written.bytes.len() as u64, end, TIMESCALE),
            peak_bitrate: 0,
            media: Media::Text(Text {
                format: TextFormat::Webvtt { header: self.document.header },
                forced: self.description.forced,
            }),
            fragments: Vec::with_capacity(cuts.len()),
            pieces: Vec::new(),
        };
        for (block, start) in written.fragments.iter().zip(&cuts) {
            track.fragments.push(Fragment {
                samples: block.cues,
                bytes: block.bytes,
                decode_time: *start,
                description: 1,
                block_bytes: block.bytes as u32,
                ..Fragment::default()
            });
        }
        track.peak_bitrate = peak(&track, end);
        blocks.extend_from_slice(&written.bytes);
        Ok(track)
    }
}

/// When the title ends, in milliseconds.
fn end(plan: &Plan) -> u64 {
    let end = |t: &plan::Track| milliseconds(Instant { ticks: t.end as i64, timescale: t.media.timescale });
    plan.tracks.iter().map(end).max().unwrap_or(0)
}

/// The role of subtitles of which nothing else is said.
fn role(forced: bool) -> &'static str {
    if forced { "forced-subtitle" } else { "subtitle" }
}

/// Rounded to the nearest; nothing is presented before 0.
pub fn milliseconds(time: Instant) -> u64 {
    time.in_timescale(TIMESCALE).max(0).unsigned_abs()
}
