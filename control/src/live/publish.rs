//! What a channel has to tell: its timeline to edges, its state to people.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use packager::config::Timeline;
use tokio::sync::watch;

use super::line::Line;

/// What the inputs of a channel tell of themselves.
#[derive(Clone, Debug, Default)]
pub struct InputState {
    /// Whether its clock is the one that the timeline follows; `None` when it has sent nothing.
    pub aligned: Option<bool>,
    /// Sets whose segments begin and end elsewhere than those of the other input.
    pub misaligned: u64,
    /// Segments that could not be used.
    pub unusable: u64,
    /// Why the last one could not.
    pub last_error: Option<String>,
}

/// How a channel is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The number that the next position will have; 0 before the first one.
    pub positions: u64,
    /// Presentation time 0, milliseconds since 1970; `None` before the first position.
    pub epoch_ms: Option<u64>,
    /// Where the timeline ends, microseconds of presentation time.
    pub end_us: u64,
    /// The input that the last position came from, 1 or 2.
    pub active_input: Option<usize>,
    /// How many discontinuities there were.
    pub discontinuities: u64,
    /// Whether nothing more will come.
    pub ended: bool,
    /// Both of them.
    pub inputs: [InputState; 2],
}

/// The latest of one channel.
#[derive(Debug)]
pub struct Published {
    timeline: watch::Sender<Option<(u64, Bytes)>>,
    /// Whether what there was before the process began is taken up.
    opened: watch::Sender<bool>,
    status: Mutex<Status>,
}

impl Default for Published {
    fn default() -> Self {
        Self { timeline: watch::Sender::new(None), opened: watch::Sender::new(false), status: Mutex::default() }
    }
}

impl Published {
    /// Notes that what there was before the process began is taken up, if there was anything.
    pub fn open(&self) {
        self.opened.send_replace(true);
    }

    /// Waits until [`Self::open`].
    pub async fn opened(&self) {
        let mut opened = self.opened.subscribe();
        // The sender lives as long as this.
        let _ = opened.wait_for(|opened| *opened).await;
    }

    /// Tells edges and people of a timeline.
    pub fn publish(&self, timeline: &Timeline, line: &Line) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.positions = timeline.next;
        status.epoch_ms = Some(timeline.epoch_ms);
        status.end_us = timeline.periods.last().map_or(0, |p| p.end_us);
        status.active_input = line.input().map(|n| n + 1);
        let known = timeline.periods.iter().filter(|p| p.discontinuity).count();
        status.discontinuities = timeline.before.discontinuities + known as u64;
        status.ended = timeline.ended;
        for (number, input) in status.inputs.iter_mut().enumerate() {
            input.aligned = line.is_aligned(number);
        }
        drop(status);
        let json = serde_json::to_vec(timeline).unwrap_or_default();
        self.timeline.send_replace(Some((timeline.revision, json.into())));
    }

    /// Notes why a segment of an input could not be used.
    pub fn note(&self, input: usize, reason: String) {
        metrics::counter!("control_live_unusable_total").increment(1);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = status.inputs.get_mut(input) {
            input.unusable += 1;
            input.last_error = Some(reason);
        }
    }

    /// Notes that the segments of an input begin and end elsewhere than those of the other.
    pub fn misaligned(&self, input: usize) {
        metrics::counter!("control_live_misaligned_total").increment(1);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = status.inputs.get_mut(input) {
            input.misaligned += 1;
        }
    }

    /// How the channel is.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The timeline as JSON, when its revision is above `after`, or as soon as it is within `wait`. `None` when it is not;
    /// `Some(None)` when there is none at all.
    pub async fn newer(&self, after: Option<u64>, wait: Duration) -> Option<Option<Bytes>> {
        let mut receiver = self.timeline.subscribe();
        let is_newer = |known: &Option<(u64, Bytes)>| known.as_ref().is_some_and(|(r, _)| after.is_none_or(|a| *r > a));
        if receiver.borrow().is_none() {
            return Some(None);
        }
        let found = tokio::time::timeout(wait, receiver.wait_for(is_newer)).await;
        match found {
            Ok(Ok(known)) => Some(known.as_ref().map(|(_, json)| json.clone())),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}
