//! Media playlists and I-frame playlists.

use core::fmt::Write;

use super::keys::KeyTags;
use crate::error::Result;
use crate::index::head::Cut;
use crate::index::{Head, Track};
use crate::media::delivery::Delivery;
use crate::media::presentation::Rendition;
use crate::media::segmenter;
use crate::media::time::rescale;
use crate::route::{SegmentFormat, TrackFile};
use crate::segment::ts;

/// The media sequence number that playlists begin with. Gaps count; where a key has no initialisation vector, that of a
/// segment is its number.
pub const FIRST_SEQUENCE_NUMBER: u32 = 1;

/// Times of a media playlist in microseconds, so that rounding does not add up.
fn micros(ticks: u64, track: &Track) -> u64 {
    rescale(i64::try_from(ticks).unwrap_or(i64::MAX), track.timescale, 1_000_000).unsigned_abs()
}

pub(super) fn write_extinf(out: &mut String, micros: u64) {
    let _ = writeln!(out, "#EXTINF:{}.{:06},", micros / 1_000_000, micros % 1_000_000);
}

/// The durations of all entries, rounded up to whole seconds the way 4.4.3.1 demands: to the nearest.
fn target_duration(durations: impl Iterator<Item = u64>) -> u64 {
    durations.map(|micros| (micros + 500_000) / 1_000_000).max().unwrap_or(0).max(1)
}

/// Which period a segment that begins at a cut belongs to, counted from 1, and whether it is the first of it.
struct Periods<'a> {
    cuts: &'a [Cut],
    at: usize,
    number: u32,
}

impl Periods<'_> {
    fn new(head: &Head) -> Periods<'_> {
        Periods { cuts: &head.cuts, at: 1, number: 1 }
    }

    /// Goes to a cut, none that is before the last one.
    fn enter(&mut self, cut: usize) -> u32 {
        let passed = self.cuts.get(self.at..=cut).unwrap_or_default();
        self.number += passed.iter().filter(|c| c.period).count() as u32;
        self.at = self.at.max(cut + 1);
        self.number
    }
}

/// The media playlist of a track. `reference` is the first video track, which audio that begins late is aligned to.
///
/// # Errors
/// `Upstream` when a key has nothing to say in HLS.
pub fn media(
    head: &Head,
    track: &Track,
    rendition: &Rendition,
    reference: Option<(&Track, &Rendition)>,
) -> Result<String> {
    let mut keys = KeyTags::new(rendition)?;
    let mut gaps: Vec<u64> = Vec::new();
    let mut entries: Vec<u64> = Vec::with_capacity(rendition.segments.len());
    let first_fragment = rendition.segments.first().map_or(0, |s| s.fragments.start);
    for (number, segment) in rendition.segments.iter().enumerate() {
        let mut start = micros(segment.start, track);
        if number == 0 {
            // Audio lists cover the same time as video lists, even where there is no audio yet.
            start = match reference {
                Some((video, listed)) => {
                    let before = segmenter::before(&listed.segments, first_fragment);
                    gaps.extend(before.iter().map(|s| micros(s.end, video) - micros(s.start, video)));
                    let covering = listed.segments.get(gaps.len()).map_or(start, |s| micros(s.start, video));
                    covering.min(start)
                }
                None => 0,
            };
        }
        entries.push(micros(segment.end, track).saturating_sub(start));
    }
    let format = rendition.delivery.format().unwrap_or(SegmentFormat::Cmaf);
    let mapped = format == SegmentFormat::Cmaf;
    let mut out = String::with_capacity(256 + entries.len() * 32);
    let target = target_duration(gaps.iter().chain(&entries).copied());
    // 3: decimal EXTINF. 6: EXT-X-MAP in a playlist that is not I-frames only. A gap asks for 8.
    let version = match mapped {
        _ if !gaps.is_empty() => 8,
        true => 6,
        false => keys.version().max(3),
    };
    let _ = writeln!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:{FIRST_SEQUENCE_NUMBER}\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS"
    );
    let mut periods = Periods::new(head);
    let mut period = periods.enter(first_fragment);
    if mapped {
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", TrackFile::Init(period));
    }
    for gap in gaps {
        out.push_str("#EXT-X-GAP\n");
        write_extinf(&mut out, gap);
        let _ = writeln!(out, "gap.{}", format.extension());
    }
    for ((number, duration), segment) in (1u32..).zip(entries).zip(&rendition.segments) {
        let own = periods.enter(segment.fragments.start);
        if own != period {
            period = own;
            out.push_str("#EXT-X-DISCONTINUITY\n");
            if mapped {
                let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", TrackFile::Init(period));
            }
        }
        // After EXT-X-MAP: init segments are in the clear, and players learn the key id from them.
        keys.enter(&mut out, number as usize - 1);
        write_extinf(&mut out, duration);
        let _ = writeln!(out, "{}", TrackFile::Segment { number, format });
    }
    out.push_str("#EXT-X-ENDLIST\n");
    Ok(out)
}

/// A key frame in a segment: which segment, when, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iframe {
    /// Number of the segment in URLs.
    pub segment: u32,
    /// Presentation time in ticks of the track.
    pub time: u64,
    /// Byte range in the segment: of CMAF from its `moof` to its last byte, of a transport stream its packets.
    pub range: core::ops::Range<u64>,
}

/// The I-frame playlist of a video track (4.4.3.6).
///
/// # Errors
/// `Upstream` when a key has nothing to say in HLS.
pub fn iframes(head: &Head, track: &Track, rendition: &Rendition, frames: &[Iframe]) -> Result<String> {
    let mut keys = KeyTags::new(rendition)?;
    let ends = frames.iter().skip(1).map(|f| f.time).chain([track.end]);
    let durations: Vec<u64> =
        frames.iter().zip(ends).map(|(f, end)| micros(end.max(f.time), track) - micros(f.time, track)).collect();
    let mut out = String::with_capacity(256 + frames.len() * 64);
    let _ = writeln!(
        out,
        "#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:1\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY",
        target_duration(durations.iter().copied())
    );
    let format = rendition.delivery.format().unwrap_or(SegmentFormat::Cmaf);
    let first = rendition.segments.first().map_or(0, |s| s.fragments.start);
    let mut periods = Periods::new(head);
    let mut period = periods.enter(first);
    let map = |out: &mut String, period: u32, segment: u32| {
        let _ = match rendition.delivery {
            // The tables at the start of a segment.
            Delivery::Transport { .. } => {
                let file = TrackFile::Segment { number: segment, format };
                writeln!(out, "#EXT-X-MAP:URI=\"{file}\",BYTERANGE=\"{}@0\"", ts::PSI_BYTES)
            }
            _ => writeln!(out, "#EXT-X-MAP:URI=\"{}\"", TrackFile::Init(period)),
        };
    };
    map(&mut out, period, 1);
    for (frame, duration) in frames.iter().zip(durations) {
        let segment = (frame.segment as usize).checked_sub(1).and_then(|n| rendition.segments.get(n));
        let own = periods.enter(segment.map_or(0, |s| s.fragments.start));
        if own != period {
            period = own;
            out.push_str("#EXT-X-DISCONTINUITY\n");
            map(&mut out, period, frame.segment);
        }
        keys.enter(&mut out, (frame.segment as usize).saturating_sub(1));
        write_extinf(&mut out, duration);
        let length = frame.range.end - frame.range.start;
        let file = TrackFile::Segment { number: frame.segment, format };
        let _ = writeln!(out, "#EXT-X-BYTERANGE:{length}@{}\n{file}", frame.range.start);
    }
    out.push_str("#EXT-X-ENDLIST\n");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_counted_however_far_the_steps_are() {
        let cut = |period| Cut { period, ..Cut::default() };
        let cuts = [false, true, false, true, true, false].map(cut).to_vec();
        let head = Head { alone: false, cuts, tracks: Vec::new() };
        let numbers = |cuts: &[usize]| {
            let mut periods = Periods::new(&head);
            cuts.iter().map(|cut| periods.enter(*cut)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[0, 1, 2, 3, 4, 5]), [1, 2, 2, 3, 4, 4]);
        assert_eq!(numbers(&[0, 0, 2, 2, 5, 5]), [1, 1, 2, 2, 4, 4]);
        assert_eq!(numbers(&[3, 9]), [3, 3]);
    }
}
