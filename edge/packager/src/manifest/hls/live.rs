//! Media playlists of live endpoints (RFC 8216bis, 6.2.1 and 6.2.2).

use core::fmt::Write;
use core::ops::Range;

use super::keys::KeyTags;
use super::media::write_extinf;
use crate::config::LiveManifest;
use crate::error::{Error, Result};
use crate::media::date;
use crate::media::delivery::Delivery;
use crate::media::segmenter::Segment;
use crate::media::window::{Kind, Period, Window, micros};
use crate::route::{LiveFile, SegmentFormat, TrackName};
use crate::segment::ts;

/// The lines that every live playlist begins with.
fn begin(window: &Window, version: u32, sequence: u64) -> String {
    let mut out = String::with_capacity(4096);
    let discontinuities = window.periods.first().map_or(0, |p| p.sequence);
    let _ = writeln!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{sequence}",
        window.target_seconds
    );
    if discontinuities > 0 {
        let _ = writeln!(out, "#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}");
    }
    match (window.kind, window.closed) {
        (Kind::Sliding, _) => {}
        (Kind::Growing, false) => out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        (Kind::Growing | Kind::Whole, _) => out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
    }
    out
}

fn end(window: &Window, out: &mut String) {
    if window.closed {
        out.push_str("#EXT-X-ENDLIST\n");
    }
}

/// Where EXT-X-PROGRAM-DATE-TIME is due.
struct Dates {
    epoch_ms: u64,
    /// Every so many microseconds, 0 at every segment; `None` never.
    interval: Option<u64>,
    last: Option<u64>,
}

impl Dates {
    fn new(window: &Window) -> Self {
        let interval = match &window.manifest {
            LiveManifest::Hls { program_date_time_seconds, .. } => *program_date_time_seconds,
            LiveManifest::Dash { .. } => None,
        };
        let interval = interval.map(|seconds| u64::from(seconds) * 1_000_000);
        Self { epoch_ms: window.epoch_ms, interval, last: None }
    }

    /// The next segment is counted from its own beginning, not from one before it.
    fn begin(&mut self) {
        self.last = None;
    }

    /// Goes to a segment that is presented at `start` microseconds. It has a date when a multiple of the interval lies
    /// between it and the one before it, so whether it has one does not depend on where the playlist begins.
    fn enter(&mut self, out: &mut String, start: u64) {
        let Some(interval) = self.interval else { return };
        let multiple = |time: u64| time.checked_div(interval);
        let due = self.last.is_none_or(|last| interval == 0 || multiple(last) != multiple(start));
        self.last = Some(start);
        if due {
            let at = self.epoch_ms.saturating_add(start / 1000);
            let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{}", date::format(at));
        }
    }
}

/// When a segment is presented, in microseconds.
fn span(segment: &Segment, timescale: u32) -> (u64, u64) {
    (micros(segment.start, timescale), micros(segment.end, timescale))
}

/// The media playlist of a track.
///
/// # Errors
/// `NotFound` when no period has such a track, `Upstream` when a key has nothing to say in HLS.
pub fn live_media(window: &Window, name: TrackName) -> Result<String> {
    let own = window.track(name).rev().find_map(|(_, own)| own);
    let format = own.and_then(|(_, rendition)| rendition.delivery.format());
    let format = format.ok_or_else(|| Error::not_found(format!("this endpoint offers no track {name} now")))?;
    let mut body = String::new();
    let mut key_version = 1;
    let mut dates = Dates::new(window);
    for (at, (period, own)) in (0usize..).zip(window.track(name)) {
        if at > 0 && period.discontinuity {
            body.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if at > 0 {
            dates.begin();
        }
        // Where there is no such track, another one tells the times of what is missing.
        let Some((track, rendition)) = own.or_else(|| period.reference()) else { continue };
        let format = rendition.delivery.format().filter(|_| own.is_some()).unwrap_or(format);
        if own.is_some() && format == SegmentFormat::Cmaf {
            let _ = writeln!(body, "#EXT-X-MAP:URI=\"{}\"", LiveFile::Init(period.first));
        }
        let mut keys = KeyTags::new(rendition)?;
        key_version = keys.version().max(key_version);
        for (at, (number, segment)) in (period.number..).zip(&rendition.segments).enumerate() {
            let (start, end) = span(segment, track.timescale);
            dates.enter(&mut body, start);
            let there = track.fragments.get(segment.fragments.clone()).unwrap_or_default();
            if own.is_none() || !there.iter().any(|f| f.samples > 0) {
                body.push_str("#EXT-X-GAP\n");
            } else {
                keys.enter(&mut body, at);
            }
            write_extinf(&mut body, end.saturating_sub(start));
            let _ = writeln!(body, "{}", LiveFile::Segment { number, format });
        }
    }
    // 3: decimal EXTINF. 6: EXT-X-MAP in a playlist that is not I-frames only.
    let version = if format == SegmentFormat::Cmaf { 6 } else { key_version.max(3) };
    let mut out = begin(window, version, window.number());
    out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    out.push_str(&body);
    end(window, &mut out);
    Ok(out)
}

/// The key frame that a position of a live channel begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveIframe {
    /// The segment that it is in, counted from the first listed one of its period.
    pub segment: usize,
    /// Its byte range there; `None` when the position has no picture to begin with.
    pub range: Option<Range<u64>>,
    /// From when to when it is shown, in microseconds.
    pub time: Range<u64>,
}

/// The I-frame playlist of a video track (4.4.3.6): for each position the key frame that it begins with, so that media
/// sequence numbers are those of positions. `frames` has those of each period.
///
/// # Errors
/// As [`live_media`].
pub fn live_iframes(window: &Window, name: TrackName, frames: &[Vec<LiveIframe>]) -> Result<String> {
    let sequence = window.periods.first().map_or(0, |p| p.position);
    let mut out = begin(window, 5, sequence);
    out.push_str("#EXT-X-I-FRAMES-ONLY\n");
    let mut dates = Dates::new(window);
    for (at, ((period, own), frames)) in window.track(name).zip(frames).enumerate() {
        if at > 0 && period.discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if at > 0 {
            dates.begin();
        }
        let Some((_, rendition)) = own.or_else(|| period.reference()) else { continue };
        let format = rendition.delivery.format().unwrap_or(SegmentFormat::Cmaf);
        if own.is_some() {
            write_map(&mut out, period, rendition.delivery, format);
        }
        let mut keys = KeyTags::new(rendition)?;
        for frame in frames {
            dates.enter(&mut out, frame.time.start);
            if frame.range.is_some() {
                keys.enter(&mut out, frame.segment);
            } else {
                out.push_str("#EXT-X-GAP\n");
            }
            write_extinf(&mut out, frame.time.end.saturating_sub(frame.time.start));
            if let Some(range) = &frame.range {
                let _ = writeln!(out, "#EXT-X-BYTERANGE:{}@{}", range.end.saturating_sub(range.start), range.start);
            }
            let number = period.number.saturating_add(frame.segment as u64);
            let _ = writeln!(out, "{}", LiveFile::Segment { number, format });
        }
    }
    end(window, &mut out);
    Ok(out)
}

/// What a decoder needs before a key frame: an init segment, or the tables at the start of a segment.
fn write_map(out: &mut String, period: &Period, delivery: Delivery, format: SegmentFormat) {
    let _ = match delivery {
        Delivery::Transport { .. } => {
            let file = LiveFile::Segment { number: period.number, format };
            writeln!(out, "#EXT-X-MAP:URI=\"{file}\",BYTERANGE=\"{}@0\"", ts::PSI_BYTES)
        }
        _ => writeln!(out, "#EXT-X-MAP:URI=\"{}\"", LiveFile::Init(period.first)),
    };
}
