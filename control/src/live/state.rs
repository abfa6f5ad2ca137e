//! What of a timeline has to outlive the process, and how it grows.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use packager::config::{
    Counters, LISTING_PARTS, ListingEntry, LivePeriod, MAX_GROUP, OpenPart, PART_POSITIONS, PartEntry, Timeline,
};
use packager::index::{Fragment, Head};
use packager::ingest::live::{Layout, Owners, Position};
use packager::limits::MAX_LIVE_PERIODS;
use packager::live;
use serde::{Deserialize, Serialize};

use super::line::Line;

/// The timeline of a channel and what its next position is held against.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    /// As edges get it; without the open part.
    pub timeline: Timeline,
    /// Where it stands on the clocks of the encoders.
    pub line: Line,
    /// Where the tracks of the last position come from, and where they end; `None` before the first position.
    layout: Option<(Owners, Vec<u64>)>,
    /// The first position since the last part.
    pub open_first: u64,
    /// What stands before it.
    counters: Counters,
    /// Whether the last position has no media.
    after_gap: bool,
    /// The positions since the last part.
    #[serde(skip)]
    open: Vec<OpenPosition>,
    /// The head of those, put together.
    #[serde(skip)]
    head: Option<Head>,
    /// The head of the last position.
    #[serde(skip)]
    last: Option<Head>,
}

/// A position in no part yet.
#[derive(Debug)]
pub struct OpenPosition {
    /// Its head.
    pub head: Head,
    /// Its blocks.
    pub blocks: Vec<u8>,
    /// When it begins, in microseconds of presentation time.
    pub start_us: u64,
}

/// A position to be added.
#[derive(Debug)]
pub struct NewPosition {
    /// What is in it.
    pub position: Position,
    /// When it begins and ends, in microseconds of presentation time.
    pub start_us: u64,
    /// See `start_us`.
    pub end_us: u64,
    /// What begins with it.
    pub begin: Begin,
    /// Whether it has no media.
    pub is_gap: bool,
}

/// What begins with a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Nothing.
    Nothing,
    /// A period in which time and sample entries go on.
    Period,
    /// A period whose clock or sample entries are new.
    Discontinuity,
}

impl State {
    /// A timeline without positions.
    pub fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            line: Line::default(),
            layout: None,
            open_first: 0,
            counters: Counters::default(),
            after_gap: false,
            open: Vec::new(),
            head: None,
            last: None,
        }
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// When it was written by another version, or is damaged.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).context("the state of a timeline")
    }

    /// For [`Self::from_json`].
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Brings what [`Self::from_json`] does not have: the head of the last position that is in a part, and the positions since.
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn restore(&mut self, last: Option<Head>, open: Vec<OpenPosition>) -> Result<()> {
        ensure!(
            self.open_first + open.len() as u64 == self.timeline.next,
            "{} positions since {}, {} are known",
            open.len(),
            self.open_first,
            self.timeline.next
        );
        self.last = last;
        for position in open {
            self.join(position)?;
        }
        Ok(())
    }

    /// What the next position is held against; `None` before the first one.
    ///
    /// # Errors
    /// When head and layout do not belong together.
    pub fn layout(&self) -> Result<Option<Layout>> {
        let (Some(head), Some((owners, ends))) = (&self.last, &self.layout) else { return Ok(None) };
        Ok(Some(Layout::new(head, owners.clone(), ends.clone())?))
    }

    /// What begins with a position. `discontinuity` when the clock is a new one.
    pub fn begin(&self, position: &Position, discontinuity: bool, is_gap: bool) -> Begin {
        let Some(last) = &self.last else { return Begin::Period };
        if discontinuity || position.change.is_some() {
            Begin::Discontinuity
        } else if (self.after_gap && !is_gap) || live::check(last, &position.head).is_err() {
            Begin::Period
        } else {
            Begin::Nothing
        }
    }

    /// Whether the open part has to be closed before a position with which `begin` begins.
    pub fn is_full(&self, begin: Begin) -> bool {
        !self.open.is_empty() && (begin != Begin::Nothing || self.open.len() >= PART_POSITIONS as usize)
    }

    /// Adds a position. Answers its number.
    ///
    /// # Errors
    /// When it has other tracks than the part that it is in.
    pub fn push(&mut self, new: NewPosition) -> Result<u64> {
        let NewPosition { position, start_us, end_us, begin, is_gap } = new;
        let number = self.timeline.next;
        let periods = &mut self.timeline.periods;
        if periods.is_empty() || begin != Begin::Nothing {
            let discontinuity = begin == Begin::Discontinuity && !periods.is_empty();
            periods.push(LivePeriod { first: number, start_us, end_us, discontinuity });
        }
        if let Some(period) = periods.last_mut() {
            period.end_us = end_us.max(period.start_us);
        }
        let tracks = position.head.tracks.len();
        if self.counters.packets.len() != tracks {
            self.counters = Counters { packets: vec![0; tracks], sample_aes: vec![0; tracks] };
        }
        self.layout = Some((position.layout.owners().clone(), position.layout.ends().to_vec()));
        self.join(OpenPosition { head: position.head, blocks: position.blocks, start_us })?;
        self.after_gap = is_gap;
        self.timeline.next = number + 1;
        self.timeline.revision += 1;
        Ok(number)
    }

    fn join(&mut self, position: OpenPosition) -> Result<()> {
        match &mut self.head {
            Some(head) => live::append(head, &position.head).map_err(|change| anyhow::anyhow!("{change}"))?,
            None => self.head = Some(position.head.clone()),
        }
        self.last = Some(position.head.clone());
        self.open.push(position);
        Ok(())
    }

    /// The open part as an object, and what the timeline will say of it; `None` when no position is open.
    ///
    /// # Errors
    /// When blocks are missing.
    pub fn part(&self) -> Result<Option<(PartEntry, Vec<u8>)>> {
        let (Some(head), Some(first)) = (&self.head, self.open.first()) else { return Ok(None) };
        let mut bytes = head.write();
        let head_bytes = bytes.len() as u64;
        for track in 0..head.tracks.len() {
            for position in &self.open {
                let fragments = position.head.tracks.get(track).map(|t| t.fragments.as_slice());
                for fragment in fragments.unwrap_or_default() {
                    let start = fragment.block_offset as usize;
                    let block = position.blocks.get(start..start + fragment.block_bytes as usize);
                    bytes.extend_from_slice(block.context("a block of a position is missing")?);
                }
            }
        }
        let entry = PartEntry {
            first: self.open_first,
            positions: u32::try_from(self.open.len()).unwrap_or(u32::MAX),
            start_us: first.start_us,
            end_us: self.timeline.periods.last().map_or(first.start_us, |p| p.end_us),
            bytes: bytes.len() as u64,
            head_bytes,
            counters: self.counters.clone(),
        };
        Ok(Some((entry, bytes)))
    }

    /// The open part is stored as `entry`.
    pub fn close(&mut self, entry: PartEntry) {
        if let Some(head) = self.head.take() {
            count(&mut self.counters, &head);
        }
        self.open.clear();
        self.open_first = self.timeline.next;
        self.timeline.parts.push(entry);
        self.timeline.revision += 1;
    }

    /// The next listing as an object, when there are parts enough for one, and what the timeline will say of it.
    pub fn listing(&self) -> Option<(ListingEntry, Vec<u8>)> {
        let parts = self.timeline.parts.get(..LISTING_PARTS as usize)?;
        let bytes = serde_json::to_vec(parts).ok()?;
        let first = parts.first()?;
        Some((ListingEntry { first: first.first, start_us: first.start_us, bytes: bytes.len() as u64 }, bytes))
    }

    /// The listing is stored as `entry`.
    pub fn list(&mut self, entry: ListingEntry) {
        self.timeline.parts.drain(..(LISTING_PARTS as usize).min(self.timeline.parts.len()));
        self.timeline.listings.push(entry);
        self.timeline.revision += 1;
    }

    /// Gives up the positions before `first`.
    pub fn forget(&mut self, first: u64) {
        let timeline = &mut self.timeline;
        let over = timeline.periods.len().saturating_sub(MAX_LIVE_PERIODS - 1);
        let over = timeline.periods.get(over).filter(|_| over > 0).map_or(0, |p| p.first);
        let first = first.max(over).min(self.open_first);
        if first <= timeline.first {
            return;
        }
        timeline.first = first;
        let passed = timeline.periods.iter().skip(1).take_while(|next| next.first <= first).count();
        let firsts: Vec<u64> = timeline.periods.iter().map(|p| p.first).take(passed + 1).collect();
        let before = &mut timeline.before;
        before.segments.resize(MAX_GROUP as usize, 0);
        for pair in firsts.windows(2) {
            for (group, segments) in (1..).zip(&mut before.segments) {
                *segments += (pair[1] - pair[0]).div_ceil(group);
            }
        }
        let gone = timeline.periods.iter().skip(1).take(passed);
        before.discontinuities += gone.filter(|next| next.discontinuity).count() as u64;
        timeline.periods.drain(..passed);
        let end = timeline.parts.first().map_or(timeline.next, |p| p.first);
        let ends: Vec<u64> = timeline.listings.iter().skip(1).map(|l| l.first).chain([end]).collect();
        let mut ends = ends.into_iter();
        timeline.listings.retain(|_| ends.next().is_none_or(|end| end > first));
        timeline.parts.retain(|part| part.first + u64::from(part.positions) > first);
        timeline.revision += 1;
    }

    /// The document for edges.
    pub fn document(&self) -> Timeline {
        let open = self.head.as_ref().map(|head| OpenPart {
            first: self.open_first,
            head: STANDARD.encode(head.write()),
            counters: self.counters.clone(),
        });
        Timeline { open, ..self.timeline.clone() }
    }
}

/// Adds the packets of a head.
fn count(counters: &mut Counters, head: &Head) {
    let add = |counters: &mut [u8], of: fn(&Fragment) -> u32| {
        for (counter, track) in counters.iter_mut().zip(&head.tracks) {
            let sum = track.fragments.iter().fold(u32::from(*counter), |sum, f| (sum + of(f)) & 15);
            *counter = sum as u8;
        }
    };
    add(&mut counters.packets, |f| f.packets & 15);
    add(&mut counters.sample_aes, |f| f.sample_aes_packets & 15);
}
