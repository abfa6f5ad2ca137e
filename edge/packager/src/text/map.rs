//! X-TIMESTAMP-MAP (RFC 8216bis, 3.1.4): how the times of a WebVTT segment relate to a transport stream.

use super::cue::Document;
use super::time;
use crate::media::time::rescale;

/// Ticks of a transport stream in a second.
const PTS_TIMESCALE: u32 = 90_000;
/// Where a transport stream's timestamps begin again.
const PTS_WRAP: i64 = 1 << 33;

/// The pair of times that an X-TIMESTAMP-MAP header states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampMap {
    /// Timestamp of the transport stream, 90 kHz, 33 bits.
    pub mpegts: u64,
    /// The cue time that is the same moment, in milliseconds.
    pub local_ms: i64,
}

/// Where a WebVTT segment lies in the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Timestamp of the transport stream at presentation time 0, in 90 kHz; 0 for CMAF that begins at 0.
    pub origin: u64,
    /// Presentation time of the segment, in milliseconds: tells how often the 33 bits have wrapped.
    pub segment_start: u64,
}

impl TimestampMap {
    /// Whether the local time is another one than that of the transport stream.
    pub fn is_shift(&self) -> bool {
        i64::try_from(self.mpegts).ok().is_none_or(|mpegts| rescale(mpegts, PTS_TIMESCALE, 1000) != self.local_ms)
    }

    /// Reads what follows `X-TIMESTAMP-MAP=`; the two parts come in either order.
    pub fn parse(value: &str) -> Option<Self> {
        let (mut mpegts, mut local) = (None, None);
        for part in value.split(',') {
            let (name, value) = part.split_once(':')?;
            match name.trim() {
                "MPEGTS" => mpegts = value.trim().parse::<u64>().ok(),
                "LOCAL" => local = time::webvtt(value.trim()).filter(|(_, rest)| rest.is_empty()).map(|(ms, _)| ms),
                _ => {}
            }
        }
        Some(Self { mpegts: mpegts?, local_ms: i64::try_from(local?).ok()? })
    }

    /// What is added to cue times to get presentation times, in milliseconds. `first` is the time of the first cue, which
    /// tells among all wraps of the 33 bits the one that is meant.
    fn shift(&self, first: u64, placement: Placement) -> i64 {
        let ticks = |ms: i64| ms.saturating_mul(i64::from(PTS_TIMESCALE / 1000));
        let pts = |value: u64| (value % PTS_WRAP as u64) as i64;
        let difference = pts(self.mpegts) - pts(placement.origin);
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let first = difference.saturating_add(ticks(signed(first).saturating_sub(self.local_ms)));
        let missing = ticks(signed(placement.segment_start)).saturating_sub(first);
        let wraps = missing.saturating_add(PTS_WRAP / 2).div_euclid(PTS_WRAP);
        let shift = difference.saturating_add(wraps.saturating_mul(PTS_WRAP));
        rescale(shift, PTS_TIMESCALE, 1000).saturating_sub(self.local_ms)
    }
}

impl Document {
    /// Brings the cues of a WebVTT segment to presentation times. Without X-TIMESTAMP-MAP cue times are presentation times
    /// already, which is what players make of them.
    #[must_use]
    pub fn placed(self, placement: Placement) -> Self {
        match (&self.timestamp_map, self.cues.iter().map(|cue| cue.start).min()) {
            (Some(map), Some(first)) => {
                let shift = map.shift(first, placement);
                Self { timestamp_map: None, ..self.moved(shift) }
            }
            _ => Self { timestamp_map: None, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Cue;

    fn placed(map: Option<(u64, i64)>, origin: u64, segment_start: u64, cue: (u64, u64)) -> Option<(u64, u64)> {
        let timestamp_map = map.map(|(mpegts, local_ms)| TimestampMap { mpegts, local_ms });
        let cues = vec![Cue { start: cue.0, end: cue.1, ..Cue::default() }];
        let document = Document { timestamp_map, cues, ..Document::default() };
        document.placed(Placement { origin, segment_start }).cues.first().map(|cue| (cue.start, cue.end))
    }

    #[test]
    fn the_parts_come_in_either_order() {
        let map = Some(TimestampMap { mpegts: 900_000, local_ms: 1500 });
        assert_eq!(TimestampMap::parse("MPEGTS:900000,LOCAL:00:00:01.500"), map);
        assert_eq!(TimestampMap::parse("LOCAL:00:01.500, MPEGTS:900000 "), map);
        for bad in
            ["", "MPEGTS:900000", "MPEGTS:x,LOCAL:00:00:00.000", "MPEGTS:1,LOCAL:00:00:00", "MPEGTS:-1,LOCAL:00:00.000"]
        {
            assert_eq!(TimestampMap::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn cue_times_become_presentation_times() {
        assert_eq!(placed(Some((900_000, 0)), 900_000, 6000, (6100, 7000)), Some((6100, 7000)));
        // 1.4 s of transport stream before presentation time 0, as many muxers write
        assert_eq!(placed(Some((126_000, 0)), 126_000, 0, (0, 1900)), Some((0, 1900)));
        assert_eq!(placed(Some((0, 0)), 126_000, 0, (1400, 1900)), Some((0, 500)));
        // times that begin at 0 in each segment
        assert_eq!(placed(Some((900_000 + 540_000, 0)), 900_000, 6000, (100, 900)), Some((6100, 6900)));
        assert_eq!(placed(Some((900_000, 10_000)), 900_000, 0, (10_500, 11_000)), Some((500, 1000)));
        assert_eq!(placed(None, 900_000, 6000, (6100, 7000)), Some((6100, 7000)));
        // over before the presentation begins
        assert_eq!(placed(Some((0, 0)), 900_000, 0, (1000, 2000)), None);
    }

    #[test]
    fn thirty_three_bits_wrap() {
        let wrap = 1u64 << 33;
        let day = 27 * 3_600_000u64;
        // full times, and a map that never changes
        assert_eq!(placed(Some((900_000, 0)), 900_000, day, (day + 5, day + 500)), Some((day + 5, day + 500)));
        // a map that goes with the transport stream: 27 hours are past the wrap
        let pts = (900_000 + day * 90) % wrap;
        assert_eq!(placed(Some((pts, 0)), 900_000, day, (5, 500)), Some((day + 5, day + 500)));
        // an origin just before the wrap
        assert_eq!(placed(Some((45_000, 0)), wrap - 45_000, 1000, (0, 500)), Some((1000, 1500)));
        assert!(
            placed(Some((u64::MAX, i64::MAX)), u64::MAX, u64::MAX, (u64::MAX - 1, u64::MAX))
                .is_none_or(|(s, e)| s <= e)
        );
    }
}
