//! Whether a timeline is one: whatever reads it may then add and multiply its numbers.

use super::{Counters, LISTING_PARTS, MAX_GROUP, PART_POSITIONS, PartEntry, Removed, Timeline};
use crate::config::{DOCUMENT_VERSION, is_name};
use crate::error::{Error, Result};
use crate::limits;

impl Timeline {
    /// Reads and checks a timeline.
    ///
    /// # Errors
    /// `BadSource` when it is none, has another version, or breaks a limit; with the field.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let timeline: Self = serde_json::from_slice(json).map_err(|e| Error::bad_source(format!("timeline: {e}")))?;
        timeline.check().map_err(|why| Error::bad_source(format!("timeline: {why}")))?;
        Ok(timeline)
    }

    /// Checks what serde cannot: that numbers and times ascend and stay within their limits, so that they can be added and
    /// multiplied by those who read them, and that paths can be made of the id.
    ///
    /// # Errors
    /// The field and why.
    pub fn check(&self) -> Result<(), String> {
        if self.version != DOCUMENT_VERSION {
            return Err(format!("version {} is not {DOCUMENT_VERSION}", self.version));
        }
        if !is_name(&self.channel_group) || !is_name(&self.channel) {
            return Err("channel_group or channel is not a name".to_owned());
        }
        if self.id.len() != 16 || !self.id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(format!("id: {:?} is not sixteen lower-case hexadecimal digits", self.id));
        }
        if self.epoch_ms.max(self.published_ms) > limits::MAX_UNIX_MS {
            return Err("epoch_ms or published_ms is after the year 9999".to_owned());
        }
        if !limits::POSITION_SECONDS.contains(&self.position_seconds) {
            return Err(format!("position_seconds: {} is out of range", self.position_seconds));
        }
        if self.first > self.next || self.next > limits::MAX_POSITIONS {
            return Err(format!("first and next: {} to {} are no positions", self.first, self.next));
        }
        self.before.check()?;
        self.check_periods()?;
        self.check_parts()
    }

    fn check_periods(&self) -> Result<(), String> {
        at_most("periods", self.periods.len(), limits::MAX_LIVE_PERIODS)?;
        ascend("periods", self.periods.iter().map(|p| (p.first, p.first.saturating_add(1))), self.next)?;
        times("periods", self.periods.iter().map(|p| (p.start_us, p.end_us)))?;
        let known = self.periods.first().map_or(self.next, |p| p.first);
        if known > self.first {
            return Err(format!("periods: none has position {}", self.first));
        }
        Ok(())
    }

    fn check_parts(&self) -> Result<(), String> {
        at_most("listings", self.listings.len(), limits::MAX_LISTINGS)?;
        at_most("parts", self.parts.len(), limits::MAX_UNLISTED_PARTS)?;
        let listings = self.listings.iter().map(|l| (l.first, l.first.saturating_add(LISTING_PARTS.into())));
        let parts = self.parts.iter().map(|p| (p.first, p.first.saturating_add(p.positions.into())));
        ascend("listings", listings.clone(), self.next)?;
        ascend(
            "listings, parts and open",
            listings.chain(parts).chain(self.open.iter().map(|o| (o.first, self.next))),
            self.next,
        )?;
        times("listings", self.listings.iter().map(|l| (l.start_us, l.start_us)))?;
        times("parts", self.parts.iter().map(|p| (p.start_us, p.end_us)))?;
        if let Some(listing) = self.listings.iter().find(|l| l.bytes > limits::MAX_LISTING_BYTES) {
            return Err(format!("listings: that of {} has {} bytes", listing.first, listing.bytes));
        }
        self.parts.iter().try_for_each(PartEntry::check)?;
        let Some(open) = &self.open else { return Ok(()) };
        if open.first >= self.next || self.next - open.first > limits::MAX_OPEN_POSITIONS {
            return Err(format!("open: {} to {} is no part", open.first, self.next));
        }
        open.counters.check()
    }
}

impl Removed {
    fn check(&self) -> Result<(), String> {
        at_most("before.segments", self.segments.len(), MAX_GROUP as usize)?;
        match self.segments.iter().chain([&self.discontinuities]).max() {
            Some(most) if *most > limits::MAX_POSITIONS => {
                Err(format!("before: {most} is more than positions there can be"))
            }
            _ => Ok(()),
        }
    }
}

impl PartEntry {
    /// Checks what serde cannot.
    ///
    /// # Errors
    /// The field and why.
    pub fn check(&self) -> Result<(), String> {
        let first = self.first;
        if self.positions == 0 || self.positions > PART_POSITIONS || first > limits::MAX_POSITIONS {
            return Err(format!("part {first}: {} positions", self.positions));
        }
        if self.start_us > self.end_us || self.end_us > limits::MAX_PRESENTATION_US {
            return Err(format!("part {first}: from {} to {} is no time", self.start_us, self.end_us));
        }
        if self.head_bytes > self.bytes.min(limits::MAX_HEAD_BYTES) || self.bytes > limits::MAX_INDEX_BYTES {
            return Err(format!("part {first}: {} bytes with a head of {}", self.bytes, self.head_bytes));
        }
        self.counters.check()
    }
}

impl Counters {
    fn check(&self) -> Result<(), String> {
        at_most("counters", self.packets.len().max(self.sample_aes.len()), limits::MAX_TRACKS)?;
        match self.packets.iter().chain(&self.sample_aes).max() {
            Some(most) if *most > 15 => Err(format!("counters: {most} is not below 16")),
            _ => Ok(()),
        }
    }
}

fn at_most(field: &str, number: usize, most: usize) -> Result<(), String> {
    if number <= most { Ok(()) } else { Err(format!("{field}: {number} are more than {most}")) }
}

/// Whether ranges of positions, each with its first and that after its last one, follow each other up to `end`.
fn ascend(field: &str, mut ranges: impl Iterator<Item = (u64, u64)>, end: u64) -> Result<(), String> {
    let last = ranges.try_fold(0, |least, (first, after)| if first < least { Err(first) } else { Ok(after) });
    match last {
        Ok(last) if last <= end => Ok(()),
        Ok(last) => Err(format!("{field}: they end with {last}, the timeline with {end}")),
        Err(first) => Err(format!("{field}: {first} is within those before it")),
    }
}

/// Whether times, each with its start and end, ascend and stay within the limit.
fn times(field: &str, mut spans: impl Iterator<Item = (u64, u64)>) -> Result<(), String> {
    let sound = |least, start, end| least <= start && start <= end && end <= limits::MAX_PRESENTATION_US;
    let last = spans.try_fold(0, |least, (start, end)| sound(least, start, end).then_some(start));
    if last.is_some() { Ok(()) } else { Err(format!("{field}: their times do not ascend")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ListingEntry, LivePeriod, OpenPart};

    fn part(first: u64, positions: u32) -> PartEntry {
        let (start_us, end_us) = (first * 2_000_000, (first + u64::from(positions)) * 2_000_000);
        PartEntry { first, positions, start_us, end_us, bytes: 900, head_bytes: 100, counters: Counters::default() }
    }

    fn timeline() -> Timeline {
        let period = |first: u64, end: u64| LivePeriod {
            first,
            start_us: first * 2_000_000,
            end_us: end * 2_000_000,
            discontinuity: first > 0,
        };
        Timeline {
            version: DOCUMENT_VERSION,
            channel_group: "g".into(),
            channel: "c".into(),
            id: "0123456789abcdef".into(),
            revision: 7,
            published_ms: 1_700_000_000_000,
            epoch_ms: 1_600_000_000_000,
            position_seconds: 2,
            ended: false,
            first: 10,
            next: 6003,
            periods: vec![period(0, 4200), period(4200, 6003)],
            before: Removed::default(),
            listings: vec![ListingEntry { first: 0, start_us: 0, bytes: 5000 }],
            parts: vec![part(4096, 64), part(4160, 40), part(4200, 64)],
            open: Some(OpenPart { first: 5990, head: String::new(), counters: Counters::default() }),
        }
    }

    #[test]
    fn a_timeline_is_read_as_it_is_written() {
        let timeline = timeline();
        let json = serde_json::to_vec(&timeline).unwrap();
        assert_eq!(Timeline::from_json(&json).unwrap(), timeline);
        assert!(Timeline::from_json(&json[1..]).is_err());
        let empty = Timeline {
            first: 6003,
            periods: Vec::new(),
            listings: Vec::new(),
            parts: Vec::new(),
            open: None,
            ..timeline
        };
        assert_eq!(empty.check(), Ok(()));
    }

    #[test]
    fn whatever_does_not_ascend_or_passes_a_limit_is_named() {
        type Change = fn(&mut Timeline);
        let cases: &[(&str, Change)] = &[
            ("version", |t| t.version = 2),
            ("channel", |t| t.channel = "../c".into()),
            ("channel", |t| t.channel_group = String::new()),
            ("id", |t| t.id = "../../0123456789".into()),
            ("id", |t| t.id = "0123456789ABCDEF".into()),
            ("epoch_ms", |t| t.epoch_ms = u64::MAX),
            ("published_ms", |t| t.published_ms = limits::MAX_UNIX_MS + 1),
            ("position_seconds", |t| t.position_seconds = 0),
            ("position_seconds", |t| t.position_seconds = 61),
            ("first and next", |t| t.first = 6004),
            ("first and next", |t| t.next = limits::MAX_POSITIONS + 1),
            ("periods", |t| t.periods[1].first = 0),
            ("periods", |t| t.periods[1].first = 6003),
            ("periods", |t| t.periods[1].first = u64::MAX),
            ("periods", |t| t.periods[0].first = 11),
            ("periods", |t| t.periods.clear()),
            ("periods", |t| t.periods[1].end_us = 0),
            ("periods", |t| t.periods[1].end_us = u64::MAX),
            ("periods", |t| t.periods[0].start_us = 8_400_000_001),
            ("periods", |t| t.periods = vec![t.periods[0].clone(); limits::MAX_LIVE_PERIODS + 1]),
            ("before", |t| t.before.segments = vec![0; 31]),
            ("before", |t| t.before.segments = vec![u64::MAX]),
            ("before", |t| t.before.discontinuities = u64::MAX),
            ("listings", |t| t.listings[0].bytes = u64::MAX),
            ("listings", |t| t.listings[0].first = 4097),
            ("listings", |t| t.listings.push(t.listings[0].clone())),
            ("listings", |t| t.listings = vec![t.listings[0].clone(); limits::MAX_LISTINGS + 1]),
            ("parts", |t| t.parts[1].first = 4159),
            ("parts", |t| t.parts[2].positions = u32::MAX),
            ("parts", |t| t.parts[1].start_us = 0),
            ("parts", |t| t.parts = vec![part(4096, 1); limits::MAX_UNLISTED_PARTS + 1]),
            ("part 4160", |t| t.parts[1].positions = 0),
            ("part 4160", |t| t.parts[1].head_bytes = 901),
            ("part 4160", |t| t.parts[1].bytes = u64::MAX),
            ("counters", |t| t.parts[1].counters.packets = vec![16]),
            ("counters", |t| t.parts[1].counters.sample_aes = vec![0; limits::MAX_TRACKS + 1]),
            ("open", |t| t.open.as_mut().unwrap().first = 4263),
            ("open", |t| t.open.as_mut().unwrap().first = 4900),
            ("open", |t| t.open.as_mut().unwrap().first = 6003),
            ("open", |t| t.open.as_mut().unwrap().first = u64::MAX),
        ];
        for (number, (field, change)) in cases.iter().enumerate() {
            let mut changed = timeline();
            change(&mut changed);
            let why = changed.check().expect_err(&format!("case {number}, {field}"));
            assert!(why.contains(field), "case {number}: {why}");
        }
    }
}
