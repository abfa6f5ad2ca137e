//! Which positions make which segments: both follow from each other by the table of periods alone.

use core::ops::Range;

use crate::config::{LivePeriod, Timeline};

/// Segments of one number of positions, over a timeline.
#[derive(Debug)]
pub struct Numbering<'a> {
    timeline: &'a Timeline,
    group: u64,
    /// For each period of the timeline, the number of its first segment.
    firsts: Vec<u64>,
}

/// A segment of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub number: u64,
    /// Its period, counted among those of the timeline.
    pub period: usize,
    /// Its positions.
    pub positions: Range<u64>,
}

impl<'a> Numbering<'a> {
    /// Segments of `group` positions.
    pub fn new(timeline: &'a Timeline, group: u32) -> Self {
        let before = (group as usize).checked_sub(1).and_then(|at| timeline.before.segments.get(at));
        let group = u64::from(group.max(1));
        let mut next = before.copied().unwrap_or(0);
        let mut firsts = Vec::with_capacity(timeline.periods.len());
        for period in 0..timeline.periods.len() {
            firsts.push(next);
            let positions = positions(timeline, period);
            next = next.saturating_add((positions.end - positions.start).div_ceil(group));
        }
        Self { timeline, group, firsts }
    }

    /// How many positions make a segment.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// How many segments are listed, counted from the very first: those whose positions are all there, and those whose period
    /// is over.
    pub fn end(&self) -> u64 {
        let Some((period, first)) = self.firsts.iter().enumerate().next_back() else { return 0 };
        let positions = positions(self.timeline, period);
        let count = positions.end - positions.start;
        let own = if self.timeline.ended { count.div_ceil(self.group) } else { count / self.group };
        first.saturating_add(own)
    }

    /// The first segment of which everything is still stored.
    pub fn start(&self) -> u64 {
        let first = self.timeline.first;
        let Some(period) = self.period_at(first) else { return self.end() };
        let positions = positions(self.timeline, period);
        let before = first.saturating_sub(positions.start).div_ceil(self.group);
        self.firsts.get(period).map_or(0, |own| own.saturating_add(before)).min(self.end())
    }

    /// The segment of this number, whether it is listed or not; `None` before the first period and after the last.
    pub fn place(&self, number: u64) -> Option<Place> {
        let period = self.firsts.partition_point(|first| *first <= number).checked_sub(1)?;
        let positions = positions(self.timeline, period);
        let start = positions.start.checked_add((number - self.firsts.get(period)?).checked_mul(self.group)?)?;
        let end = start.saturating_add(self.group).min(positions.end);
        (start < end).then_some(Place { number, period, positions: start..end })
    }

    /// The segment that a position is in.
    pub fn of(&self, position: u64) -> Option<Place> {
        let period = self.period_at(position)?;
        let within = (position - positions(self.timeline, period).start) / self.group;
        self.place(self.firsts.get(period)?.saturating_add(within))
    }

    /// The discontinuity sequence number of a period.
    pub fn discontinuities(&self, period: usize) -> u64 {
        let since = self.timeline.periods.iter().take(period + 1).skip(1).filter(|p| p.discontinuity).count();
        self.timeline.before.discontinuities.saturating_add(since as u64)
    }

    /// The period that a position is in.
    fn period_at(&self, position: u64) -> Option<usize> {
        let period = self.timeline.periods.partition_point(|p| p.first <= position).checked_sub(1)?;
        positions(self.timeline, period).contains(&position).then_some(period)
    }
}

/// The positions of a period, counted among those of the timeline.
pub fn positions(timeline: &Timeline, period: usize) -> Range<u64> {
    let first = |at: usize| timeline.periods.get(at).map(|p: &LivePeriod| p.first);
    let start = first(period).unwrap_or(timeline.next);
    start..first(period + 1).unwrap_or(timeline.next).max(start)
}
