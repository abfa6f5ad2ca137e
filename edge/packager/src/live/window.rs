//! The window that a request asks for: which segments it has, and the snapshot of them.

use core::ops::Range;

use super::append;
use super::archive::Archive;
use super::numbering::{self, Numbering};
use super::query::{End, Query};
use super::renditions::{self, Offer};
use crate::config::{Endpoint, LiveManifest, LivePeriod};
use crate::error::{Error, Result};
use crate::limits;
use crate::media::date;
use crate::media::window::{Kind, Period, Window, cut_us};

/// The segments of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// Their numbers; at least one.
    pub numbers: Range<u64>,
    pub kind: Kind,
    /// Whether nothing will be added.
    pub closed: bool,
}

/// What a window is selected by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub endpoint: &'a Endpoint,
    pub query: &'a Query,
    /// Milliseconds since 1970 UTC.
    pub now_ms: u64,
    /// No segment is longer, in seconds.
    pub target_seconds: u32,
}

/// Refuses a query that the endpoint does not allow at this time.
///
/// # Errors
/// `BadRequest` with the parameter.
pub(super) fn allow(endpoint: &Endpoint, query: &Query, now_ms: u64) -> Result<()> {
    let shift = endpoint.time_shift_seconds;
    if query.is_empty() {
        return Ok(());
    }
    if shift == 0 {
        return Err(Error::bad_request(format!("{}: this endpoint has no time shift", query.first_name())));
    }
    if let Some(start) = query.start_ms
        && start < now_ms.saturating_sub(u64::from(shift) * 1000)
    {
        let message =
            format!("start: {} is further back than the {shift} seconds of this endpoint", date::format(start));
        return Err(Error::bad_request(message));
    }
    if let Some(offset) = query.offset_seconds
        && offset > shift
    {
        return Err(Error::bad_request(format!("offset: {offset} is more than the {shift} seconds of this endpoint")));
    }
    Ok(())
}

/// Selects the segments of a window.
///
/// # Errors
/// `NotFound` when there are none.
pub(super) fn select(
    archive: &mut Archive,
    numbering: &Numbering<'_>,
    wanted: Wanted<'_>,
) -> Result<Option<Selection>> {
    let listed = numbering.start()..numbering.end();
    let timeline = archive.timeline.clone();
    let edge = timeline.periods.last().map_or(0, |p| p.end_us);
    let presented = |ms: u64| ms.saturating_sub(timeline.epoch_ms).saturating_mul(1000);
    let query = wanted.query;
    // Both ends are looked for at once.
    let mut found = true;
    for ms in query.start_ms.into_iter().chain(query.end.map(|end| end.ms().saturating_sub(1))) {
        found &= archive.position_at(presented(ms))?.is_some();
    }
    if !found {
        return Ok(None);
    }
    let (mut end, mut closed) = (listed.end, timeline.ended);
    if let Some(limit) = query.end {
        let time = presented(limit.ms());
        let Some(position) = archive.position_at(time.saturating_sub(1))? else { return Ok(None) };
        let Some(part) = archive.part(position)? else { return Ok(None) };
        // The very first position may begin later: then nothing is in the window.
        let within = part.start_us(position) < time;
        let bound = numbering.of(position).map_or(end, |p| p.number.saturating_add(u64::from(within)));
        let reached = edge >= time && bound <= listed.end;
        if let End::Vod(ms) = limit
            && !reached
            && !timeline.ended
        {
            return Err(Error::not_found(format!("vodend: nothing is there up to {} yet", date::format(ms))));
        }
        if edge >= time {
            end = end.min(bound);
        }
        closed |= reached;
    }
    if let Some(offset) = query.offset_seconds {
        let time = presented(wanted.now_ms.saturating_sub(u64::from(offset) * 1000));
        if time < edge {
            let Some(position) = archive.position_at(time)? else { return Ok(None) };
            let bound = numbering.of(position).map_or(end, |p| p.number);
            closed &= bound >= end;
            end = end.min(bound);
        }
    }
    let none = || Err(Error::not_found("nothing of the channel is there at this time"));
    if end <= listed.start {
        return none();
    }
    let (start, kind) = match query.start_ms {
        Some(ms) => {
            let time = presented(ms);
            let Some(first) = segment_at(archive, numbering, time)? else { return Ok(None) };
            if first >= end || time >= edge {
                return none();
            }
            let kind = if matches!(query.end, Some(End::Vod(_))) { Kind::Whole } else { Kind::Growing };
            (first.max(listed.start), kind)
        }
        None => {
            let Some(start) = slide(archive, numbering, wanted, listed.start..end)? else { return Ok(None) };
            (start, Kind::Sliding)
        }
    };
    Ok(Some(Selection { numbers: start..end, kind, closed }))
}

/// Where a sliding window begins that ends where `listed` does.
fn slide(
    archive: &mut Archive,
    numbering: &Numbering<'_>,
    wanted: Wanted<'_>,
    listed: Range<u64>,
) -> Result<Option<u64>> {
    match &wanted.endpoint.manifest {
        LiveManifest::Hls { segments, .. } => {
            let usual = listed.end.saturating_sub(u64::from(*segments)).max(listed.start);
            // Short segments at the ends of periods do not make the window shorter than players need (RFC 8216bis, 6.2.2).
            let least = u64::from(wanted.target_seconds) * 3_000_000;
            let mut length = 0u64;
            let mut start = listed.end;
            while start > usual || (start > listed.start && length < least) {
                let Some(span) = span_us(archive, numbering, start - 1)? else { return Ok(None) };
                length = length.saturating_add(span.end.saturating_sub(span.start));
                start -= 1;
                if listed.end - start > limits::MAX_WINDOW_POSITIONS {
                    break;
                }
            }
            Ok(Some(start))
        }
        LiveManifest::Dash { .. } => {
            let depth = depth_seconds(wanted);
            let Some(span) = span_us(archive, numbering, listed.end - 1)? else { return Ok(None) };
            let time = span.end.saturating_sub(u64::from(depth) * 1_000_000);
            let Some(first) = segment_at(archive, numbering, time)? else { return Ok(None) };
            Ok(Some(first.clamp(listed.start, listed.end - 1)))
        }
    }
}

/// The segment that is presented at a time in microseconds, or the next one where nothing is.
fn segment_at(archive: &mut Archive, numbering: &Numbering<'_>, time: u64) -> Result<Option<u64>> {
    let Some(position) = archive.position_at(time)? else { return Ok(None) };
    let place =
        numbering.of(position).ok_or_else(|| Error::bad_source(format!("no period has position {position}")))?;
    let Some(span) = span_us(archive, numbering, place.number)? else { return Ok(None) };
    Ok(Some(place.number.saturating_add(u64::from(span.end <= time))))
}

/// How far back players of DASH may go: what the endpoint says, and never less than they start behind the live edge.
pub(super) fn depth_seconds(wanted: Wanted<'_>) -> u32 {
    match &wanted.endpoint.manifest {
        LiveManifest::Dash { window_seconds, presentation_delay_seconds, .. } => {
            (*window_seconds).max(presentation_delay_seconds.saturating_add(wanted.target_seconds))
        }
        LiveManifest::Hls { .. } => 0,
    }
}

/// When a segment is presented, in microseconds.
fn span_us(archive: &mut Archive, numbering: &Numbering<'_>, number: u64) -> Result<Option<Range<u64>>> {
    let place =
        numbering.place(number).ok_or_else(|| Error::bad_source(format!("timeline: there is no segment {number}")))?;
    let timeline = archive.timeline.clone();
    let period = numbering::positions(&timeline, place.period);
    let Some(first) = archive.part(place.positions.start)? else { return Ok(None) };
    let start = first.start_us(place.positions.start);
    let end = if place.positions.end < period.end {
        let Some(next) = archive.part(place.positions.end)? else { return Ok(None) };
        next.start_us(place.positions.end)
    } else {
        timeline.periods.get(place.period).map_or(start, |p| p.end_us)
    };
    Ok(Some(start..end.max(start)))
}

/// The snapshot of some segments.
///
/// # Errors
/// `Limit` when they are too many, `BadSource` when parts of a period differ.
pub(super) fn build(
    archive: &mut Archive,
    numbering: &Numbering<'_>,
    offer: &Offer,
    wanted: Wanted<'_>,
    selection: &Selection,
) -> Result<Option<Window>> {
    let timeline = archive.timeline.clone();
    let numbers = &selection.numbers;
    let last = numbers.end.checked_sub(1).and_then(|n| numbering.place(n));
    let (Some(first), Some(last)) = (numbering.place(numbers.start), last) else {
        return Err(Error::bad_source("timeline: a window without segments"));
    };
    let positions = last.positions.end.saturating_sub(first.positions.start);
    if positions > limits::MAX_WINDOW_POSITIONS {
        let message = format!("the window has {positions} positions, more than {}", limits::MAX_WINDOW_POSITIONS);
        return Err(Error::limit(message));
    }
    // All of it is asked for at once.
    if archive.parts(first.positions.start..last.positions.end)?.is_none() {
        return Ok(None);
    }
    let mut periods = Vec::new();
    let mut number = numbers.start;
    while number < numbers.end {
        let Some(place) = numbering.place(number) else { break };
        let Some(period) = timeline.periods.get(place.period) else { break };
        let whole = numbering::positions(&timeline, place.period);
        let own = place.positions.start..whole.end.min(last.positions.end);
        let stretch = Stretch { number, positions: own.clone(), is_last: own.end == whole.end };
        let Some(built) = stretch.build(archive, numbering, offer, period, place.period)? else { return Ok(None) };
        periods.push(built);
        number = number.saturating_add((own.end - own.start).div_ceil(numbering.group()));
    }
    let (endpoint, kind, closed) = (wanted.endpoint, selection.kind, selection.closed);
    Ok(Some(Window {
        epoch_ms: timeline.epoch_ms,
        published_ms: timeline.published_ms,
        delay_ms: u64::from(wanted.query.offset_seconds.unwrap_or(0)) * 1000,
        target_seconds: wanted.target_seconds,
        depth_seconds: depth_seconds(wanted),
        manifest: endpoint.manifest.clone(),
        kind,
        closed,
        periods,
    }))
}

/// What of a period is in a window.
struct Stretch {
    /// The number of its first segment.
    number: u64,
    positions: Range<u64>,
    /// Whether it goes on to the end of the period, as far as that is known.
    is_last: bool,
}

impl Stretch {
    fn build(
        self,
        archive: &mut Archive,
        numbering: &Numbering<'_>,
        offer: &Offer,
        period: &LivePeriod,
        at: usize,
    ) -> Result<Option<Period>> {
        let Some(parts) = archive.parts(self.positions.clone())? else { return Ok(None) };
        let mut joined: Option<crate::index::Head> = None;
        let mut starts: Vec<usize> = Vec::new();
        for part in &parts {
            let cuts = part.cuts(&self.positions);
            let base = joined.as_ref().map_or(0, |head| head.cuts.len());
            let own = self.positions.start.max(part.positions().start)..self.positions.end.min(part.positions().end);
            starts.extend(own.map(|position| base + part.cuts(&(position..position)).start - cuts.start));
            match &mut joined {
                None => joined = Some(append::slice(&part.head, cuts)),
                Some(head) => {
                    append::check(head, &part.head)
                        .map_err(|change| Error::bad_source(format!("the parts of a period differ: {change}")))?;
                    append::join(head, &part.head, cuts);
                }
            }
        }
        let Some(head) = joined else { return Err(Error::internal("a stretch without parts")) };
        let after = parts.last().filter(|part| part.positions().contains(&self.positions.end));
        let end_us = match after {
            _ if self.is_last => period.end_us,
            Some(part) => part.start_us(self.positions.end),
            None => cut_us(&head, head.cuts.len()),
        };
        let group = usize::try_from(numbering.group()).unwrap_or(usize::MAX);
        let firsts: Vec<usize> = starts.iter().step_by(group).copied().collect();
        let ends = firsts.iter().skip(1).copied().chain([head.cuts.len()]);
        let runs: Vec<Range<usize>> = firsts.iter().copied().zip(ends).map(|(first, end)| first..end).collect();
        let presentation = renditions::present(offer, head, &runs)?;
        Ok(Some(Period {
            first: period.first,
            start_us: period.start_us,
            end_us,
            discontinuity: period.discontinuity,
            sequence: numbering.discontinuities(at),
            number: self.number,
            position: self.positions.start,
            positions: starts,
            presentation,
        }))
    }
}
