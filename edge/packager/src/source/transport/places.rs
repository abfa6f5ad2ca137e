//! Which packets hold which bytes of an elementary stream.

use std::collections::VecDeque;

use super::Place;
use super::depacketizer::Data;
use crate::error::{Error, Result};
use crate::limits::MAX_TS_FRAME_PACKETS;

#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// Position in the elementary stream.
    at: u64,
    from: u64,
    end: u64,
}

/// The packets of what has not been handed out.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    chunks: VecDeque<Chunk>,
}

impl Places {
    /// Notes the packet of the bytes that begin at `at` in the elementary stream.
    pub fn push(&mut self, at: u64, data: &Data<'_>) -> Result<()> {
        if self.chunks.len() >= MAX_TS_FRAME_PACKETS {
            return Err(Error::limit(format!("a frame in more than {MAX_TS_FRAME_PACKETS} packets")));
        }
        self.chunks.push_back(Chunk { at, from: data.from, end: data.end });
        Ok(())
    }

    /// Forgets what is before `at`.
    pub fn trim(&mut self, at: u64) {
        while self.chunks.get(1).is_some_and(|next| next.at <= at) {
            self.chunks.pop_front();
        }
    }

    /// Where the bytes from `first` to before `end` are.
    pub fn find(&self, first: u64, end: u64) -> Option<Place> {
        let chunk = |at: u64| self.chunks.get(self.chunks.partition_point(|c| c.at <= at).checked_sub(1)?);
        let (start, last) = (chunk(first)?, chunk(end.checked_sub(1)?)?);
        let skip = u32::try_from(first.checked_sub(start.at)?).ok()?;
        Some(Place { pid: 0, run: 0, packets: start.from..last.end, skip })
    }
}
