//! AV1 samples: open bitstream units, frames and their tile groups (AV1 specification clauses 5.3 and 5.11).

use super::av1::{Sequence, Unit, unit_type};
use super::av1_header::{self, Slots};
use super::av1_params::Tiles;
use super::av1_refs::SLOTS;
use super::scan::Runs;
use crate::bytes::bits::{Bits, Error, Result};

/// Open bitstream units of one sample.
const MAX_UNITS: usize = 4096;

/// Walks the open bitstream units of a track.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    sequence: Option<Box<Sequence>>,
    slots: Slots,
    /// Tiles of the frame whose tile groups are still to come (`SeenFrameHeader`).
    open: Option<Tiles>,
}

impl Frames {
    pub fn new(sequence: Option<Box<Sequence>>) -> Self {
        Self { sequence, slots: [None; SLOTS], open: None }
    }

    /// Adds the runs of one sample.
    pub fn scan(&mut self, sample: &[u8], runs: &mut Runs<'_>, broken: &mut u32) {
        let mut rest = sample;
        self.open = None;
        for _ in 0..MAX_UNITS {
            if rest.is_empty() {
                return;
            }
            let Ok(unit) = Unit::parse(rest) else { break };
            runs.clear(unit.header_bytes);
            match self.unit(&unit) {
                Ok(None) => runs.clear(unit.payload.len()),
                Ok(Some((group, tiles))) => {
                    runs.clear(unit.payload.len() - group.len());
                    if tiles.runs(group, runs).is_err() {
                        *broken = broken.saturating_add(1);
                    }
                }
                Err(_) => {
                    // What was built on this frame can no longer be told: the next key frame starts afresh.
                    self.slots = [None; SLOTS];
                    self.open = None;
                    *broken = broken.saturating_add(1);
                    runs.clear(unit.payload.len());
                }
            }
            rest = rest.get(unit.header_bytes + unit.payload.len()..).unwrap_or_default();
        }
        if !rest.is_empty() {
            *broken = broken.saturating_add(1);
            runs.clear(rest.len());
        }
    }

    /// Takes in a unit; gives its tile group, if it has one: bytes of the payload, from the tile group's own header on.
    fn unit<'a>(&mut self, unit: &Unit<'a>) -> Result<Option<(&'a [u8], Tiles)>> {
        match unit.kind {
            unit_type::SEQUENCE_HEADER => {
                let sequence = Sequence::parse(unit.payload)?;
                match &mut self.sequence {
                    Some(old) => **old = sequence,
                    None => self.sequence = Some(Box::new(sequence)),
                }
                Ok(None)
            }
            unit_type::TEMPORAL_DELIMITER => {
                self.open = None;
                Ok(None)
            }
            unit_type::FRAME_HEADER | unit_type::REDUNDANT_FRAME_HEADER => {
                if self.open.is_none() {
                    self.open = self.header(&mut Bits::new(unit.payload), unit.layer)?;
                }
                Ok(None)
            }
            unit_type::FRAME => {
                let mut r = Bits::new(unit.payload);
                // A frame unit has no show_existing_frame, so there are tiles.
                let tiles = self.header(&mut r, unit.layer)?.ok_or(Error::Range)?;
                self.open = Some(tiles);
                self.group(r.rest()).map(Some)
            }
            unit_type::TILE_GROUP => self.group(unit.payload).map(Some),
            _ => Ok(None),
        }
    }

    fn group<'a>(&mut self, data: &'a [u8]) -> Result<(&'a [u8], Tiles)> {
        let tiles = self.open.ok_or(Error::Range)?;
        if tiles.last_in(data)? + 1 == tiles.count() {
            self.open = None;
        }
        Ok((data, tiles))
    }

    fn header(&mut self, r: &mut Bits<'_>, layer: Option<(u8, u8)>) -> Result<Option<Tiles>> {
        let sequence = self.sequence.take().ok_or(Error::Range)?;
        let header = av1_header::read(r, &sequence, layer, &mut self.slots);
        self.sequence = Some(sequence);
        header
    }
}
