//! The rules that a live HLS media playlist keeps from one load to the next (RFC 8216bis, 4.4.3 and 6.2).

use std::collections::BTreeMap;

/// A media playlist at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// EXT-X-TARGETDURATION.
    pub target: u64,
    /// EXT-X-MEDIA-SEQUENCE.
    pub sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE.
    pub discontinuity_sequence: u64,
    /// EXT-X-PLAYLIST-TYPE.
    pub kind: Option<String>,
    /// EXT-X-ENDLIST.
    pub ended: bool,
    /// Its segments.
    pub entries: Vec<Entry>,
}

/// A segment of a playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// As it is written.
    pub uri: String,
    /// EXTINF, in seconds.
    pub duration: f64,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// The discontinuities of the channel up to it, its own included.
    pub discontinuities: u64,
    /// Whether it is said to be lost.
    pub gap: bool,
    /// EXT-X-PROGRAM-DATE-TIME, milliseconds since 1970: what stands before it.
    pub date_ms: Option<u64>,
    /// EXT-X-MAP that is for it, as it is written.
    pub map: Option<String>,
}

impl Snapshot {
    /// Reads a playlist.
    ///
    /// # Errors
    /// The line that is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut snapshot = Self::default();
        let mut entry = Entry::default();
        let mut map = None;
        let mut target = None;
        let mut duration = None;
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err("it does not begin with #EXTM3U".to_owned());
        }
        for line in lines {
            let bad = || format!("{line:?} cannot be read");
            let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => target = Some(number(value)?),
                "#EXT-X-MEDIA-SEQUENCE" => snapshot.sequence = number(value)?,
                "#EXT-X-DISCONTINUITY-SEQUENCE" => snapshot.discontinuity_sequence = number(value)?,
                "#EXT-X-PLAYLIST-TYPE" => snapshot.kind = Some(value.to_owned()),
                "#EXT-X-ENDLIST" => snapshot.ended = true,
                "#EXT-X-DISCONTINUITY" => entry.discontinuity = true,
                "#EXT-X-GAP" => entry.gap = true,
                "#EXT-X-MAP" => {
                    let uri = value.split_once("URI=\"").and_then(|(_, rest)| rest.split('"').next());
                    map = Some(uri.ok_or_else(bad)?.to_owned());
                }
                "#EXT-X-PROGRAM-DATE-TIME" => {
                    entry.date_ms = Some(packager::media::date::parse(value).ok_or_else(bad)?);
                }
                "#EXTINF" => {
                    let text = value.split(',').next().unwrap_or_default();
                    duration = Some(text.parse::<f64>().map_err(|_| bad())?);
                }
                _ if line.starts_with('#') || line.is_empty() => {}
                _ => {
                    entry.uri = line.to_owned();
                    entry.duration = duration.take().ok_or_else(|| format!("no EXTINF before {line}"))?;
                    entry.map.clone_from(&map);
                    let before =
                        snapshot.entries.last().map_or(snapshot.discontinuity_sequence, |last| last.discontinuities);
                    entry.discontinuities = before + u64::from(entry.discontinuity);
                    snapshot.entries.push(std::mem::take(&mut entry));
                }
            }
        }
        snapshot.target = target.ok_or("no EXT-X-TARGETDURATION")?;
        Ok(snapshot)
    }

    /// The segments with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &Entry)> {
        (self.sequence..).zip(&self.entries)
    }
}

/// Checks one load after another.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    last: Option<Snapshot>,
    /// Everything that was ever listed.
    pub known: BTreeMap<u64, Entry>,
}

/// How much a date may differ from what the durations say, milliseconds: what rounding to milliseconds does over ten segments.
const DATE_TOLERANCE_MS: f64 = 12.0;

/// The longest sound after the last picture of an encoder, milliseconds: some frames of AAC.
const OVERLAP_MS: f64 = 100.0;

impl Rules {
    /// Checks a load.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn check(&mut self, now: &Snapshot) -> Result<(), String> {
        self.by_itself(now)?;
        if let Some(last) = &self.last {
            if now.target != last.target {
                return Err(format!("EXT-X-TARGETDURATION was {}, and is {}", last.target, now.target));
            }
            if now.sequence < last.sequence {
                return Err(format!("EXT-X-MEDIA-SEQUENCE goes back from {} to {}", last.sequence, now.sequence));
            }
            if now.discontinuity_sequence < last.discontinuity_sequence {
                let (before, after) = (last.discontinuity_sequence, now.discontinuity_sequence);
                return Err(format!("EXT-X-DISCONTINUITY-SEQUENCE goes back from {before} to {after}"));
            }
            let end = |list: &Snapshot| list.sequence + list.entries.len() as u64;
            if end(now) < end(last) {
                return Err(format!("it ended before segment {}, and ends before {}", end(last), end(now)));
            }
            if now.sequence > end(last) {
                return Err(format!("segments {} to {} were never listed", end(last), now.sequence - 1));
            }
            if last.ended && now != last {
                return Err("it changed after EXT-X-ENDLIST".to_owned());
            }
            let seconds = |list: &Snapshot| list.entries.iter().map(|one| one.duration).sum::<f64>();
            let least = 3.0 * now.target as f64;
            if now.sequence > last.sequence && seconds(now) + 0.01 < least.min(seconds(last)) {
                return Err(format!("segments were removed though {} s of {least} s are left", seconds(now)));
            }
        }
        for (number, entry) in now.numbered() {
            let Some(before) = self.known.get(&number) else { continue };
            let (mut a, mut b) = (before.clone(), entry.clone());
            // With an interval, which segments have a date depends on where the playlist begins.
            if let (Some(before), Some(after)) = (a.date_ms, b.date_ms)
                && before != after
            {
                return Err(format!("the date of segment {number} was {before}, and is {after}"));
            }
            (a.date_ms, b.date_ms) = (None, None);
            // What stood before the first segment is removed with all that was before it, and counts in EXT-X-DISCONTINUITY-SEQUENCE.
            if number == now.sequence && !b.discontinuity {
                b.discontinuity = a.discontinuity;
            }
            if a != b {
                return Err(format!("segment {number} was {a:?}, and is {b:?}"));
            }
        }
        for (number, entry) in now.numbered() {
            let known = self.known.entry(number).or_insert_with(|| entry.clone());
            known.date_ms = known.date_ms.or(entry.date_ms);
        }
        self.last = Some(now.clone());
        Ok(())
    }

    fn by_itself(&self, now: &Snapshot) -> Result<(), String> {
        let mut date: Option<f64> = None;
        let mut gap = false;
        for (number, entry) in now.numbered() {
            if entry.duration.round() > now.target as f64 || entry.duration <= 0.0 {
                return Err(format!("segment {number} takes {} s, the target is {}", entry.duration, now.target));
            }
            if now.entries.iter().filter(|other| other.uri == entry.uri).count() > 1 {
                return Err(format!("{} is listed twice", entry.uri));
            }
            if let (Some(own), Some(expected)) = (entry.date_ms, date) {
                let own = own as f64;
                let apart = own - expected;
                // After a discontinuity time may have gone on without media; it does not go back but by the sound that an encoder
                // sends after its last picture. How long lost sound was is not known to the packet.
                let loose = entry.discontinuity || gap;
                let least = if loose { -OVERLAP_MS } else { -DATE_TOLERANCE_MS };
                if apart < least || (apart > DATE_TOLERANCE_MS && !entry.discontinuity) {
                    return Err(format!("the date of segment {number} is {apart} ms from what follows"));
                }
            }
            gap = entry.gap;
            date = entry.date_ms.map(|ms| ms as f64).or(date).map(|ms| ms + entry.duration * 1000.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Rules, Snapshot};

    const HEAD: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n";
    const SEGMENTS: &str = "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n#EXTINF:2,\n5.ts\n#EXTINF:2,\n6.ts\n\
        #EXT-X-DISCONTINUITY\n#EXTINF:2,\n7.ts\n#EXTINF:2.4,\n8.ts\n";

    fn second(text: &str) -> Result<(), String> {
        let mut rules = Rules::default();
        rules.check(&Snapshot::read(&format!("{HEAD}{SEGMENTS}")).unwrap()).unwrap();
        rules.check(&Snapshot::read(text)?)
    }

    #[test]
    fn what_keeps_the_rules_passes() {
        second(&format!("{HEAD}{SEGMENTS}#EXTINF:2,\n9.ts\n#EXT-X-ENDLIST\n")).unwrap();
        let later = format!("{HEAD}{SEGMENTS}#EXTINF:2,\n9.ts\n").replace("SEQUENCE:5", "SEQUENCE:7");
        let later = later.replace("#EXTINF:2,\n5.ts\n#EXTINF:2,\n6.ts\n", "").replace("00:00:00", "00:00:04");
        second(&later).unwrap();
        // Now EXT-X-DISCONTINUITY-SEQUENCE says it.
        let first = later.replace("#EXT-X-DISCONTINUITY\n", "");
        assert!(second(&first).is_err());
        second(&first.replace("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2")).unwrap();
    }

    #[test]
    fn every_breach_is_seen() {
        let whole = format!("{HEAD}{SEGMENTS}");
        for (from, to, says) in [
            ("TARGETDURATION:2", "TARGETDURATION:3", "EXT-X-TARGETDURATION was"),
            ("MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:4", "EXT-X-MEDIA-SEQUENCE goes back"),
            ("MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:6", "segment 6 was"),
            ("MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:90", "segments 9 to 89 were never listed"),
            ("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:0", "EXT-X-DISCONTINUITY-SEQUENCE goes back"),
            ("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2", "segment 5 was"),
            ("#EXT-X-DISCONTINUITY\n", "", "segment 7 was"),
            ("6.ts", "6b.ts", "segment 6 was"),
            ("#EXTINF:2,\n6.ts", "#EXTINF:1.9,\n6.ts", "segment 6 was"),
            ("#EXTINF:2,\n6.ts", "#EXT-X-GAP\n#EXTINF:2,\n6.ts", "segment 6 was"),
            ("2.4", "2.6", "segment 8 takes 2.6 s"),
            ("00:00:00", "00:00:01", "the date of segment 5"),
            ("#EXTINF:2.4,\n8.ts\n", "", "it ended before segment 9"),
            (
                "#EXTINF:2.4",
                "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:07.000Z\n#EXTINF:2.4",
                "the date of segment 8 is",
            ),
            ("8.ts", "7.ts", "7.ts is listed twice"),
        ] {
            assert!(whole.contains(from), "{from}");
            let error = second(&whole.replacen(from, to, 1)).expect_err(to);
            assert!(error.starts_with(says), "{to}: {error}");
        }
    }
}
