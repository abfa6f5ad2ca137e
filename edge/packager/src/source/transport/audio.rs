//! Frames of sound and ID3 tags are found in an elementary stream.

use std::collections::VecDeque;

use super::audio_config::{Configurations, Configured, DAMAGED, Found};
use super::depacketizer::Data;
use super::places::Places;
use super::reader::Context;
use super::units::{self, Fault, Unit};
use super::{EsCodec, Frame, Place, Stamp};
use crate::bytes::bits;
use crate::error::Result;

/// Bytes that are done with are removed when there are this many, and more than of those that are not.
const COMPACT_BYTES: usize = 64 << 10;
/// Payload of a packet, to estimate what was lost.
const PAYLOAD_BYTES: u64 = 184;

/// One elementary stream.
#[derive(Clone, Debug)]
pub(super) struct Audio {
    codec: EsCodec,
    data: Vec<u8>,
    /// Position of `data` in the elementary stream.
    base: u64,
    /// What has been looked at.
    at: usize,
    places: Places,
    /// Times to come, each with what `missing` was there.
    stamps: VecDeque<(Stamp, u64)>,
    /// The last frame ended where `at` is.
    synced: bool,
    /// Of the last frame.
    identity: Option<u64>,
    configurations: Configurations,
    anchor: Option<Stamp>,
    offset_samples: u32,
    /// Bytes of all packets that were lost, estimated.
    missing: u64,
    last: Last,
    run: u32,
    /// The next frame does not follow the last one.
    broken: bool,
    neutral: Vec<u8>,
}

/// The last frame.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    bytes: u64,
    samples: u32,
    /// Where it ended in the elementary stream, and what `missing` was there.
    end: u64,
    missing: u64,
}

impl Last {
    /// Samples of the frames that so many lost bytes were.
    fn samples_of(&self, bytes: u64) -> u32 {
        // A frame counts when most of it is lost: parts of two may be.
        let frames = (bytes + self.bytes / 4).checked_div(self.bytes).unwrap_or(0);
        frames.saturating_mul(self.samples.into()).min(u32::MAX.into()) as u32
    }
}

impl Audio {
    pub fn new(codec: EsCodec) -> Self {
        Self {
            codec,
            data: Vec::new(),
            base: 0,
            at: 0,
            places: Places::default(),
            stamps: VecDeque::new(),
            synced: false,
            identity: None,
            configurations: Configurations::new(codec),
            anchor: None,
            offset_samples: 0,
            missing: 0,
            last: Last::default(),
            run: 0,
            broken: false,
            neutral: Vec::new(),
        }
    }

    fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// A PES packet with times begins.
    pub fn stamp(&mut self, pts: u64, dts: u64) {
        let at = self.base + self.data.len() as u64;
        if self.stamps.back().is_some_and(|(s, _)| s.at == at) {
            self.stamps.pop_back();
        }
        self.stamps.push_back((Stamp { at, pts, dts }, self.missing));
    }

    /// Bytes of the stream.
    pub fn data(&mut self, data: &Data<'_>, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        if cx.info.left_out.is_some() {
            return Ok(());
        }
        if self.at >= COMPACT_BYTES && self.at > self.data.len() - self.at {
            self.data.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
        self.places.push(self.base + self.data.len() as u64, data)?;
        self.data.extend_from_slice(data.bytes);
        self.carve(false, cx)
    }

    /// `packets` are missing before what comes next, or something that is not known.
    pub fn gap(&mut self, packets: u8, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        self.carve(true, cx)?;
        self.skip(self.data.len() - self.at);
        self.missing += u64::from(packets) * PAYLOAD_BYTES;
        self.synced = false;
        self.broken = true;
        Ok(())
    }

    /// What comes next has nothing to do with what was before.
    pub fn reset(&mut self, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        self.gap(0, cx)?;
        self.stamps.clear();
        self.anchor = None;
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.broken |= bytes > 0;
        let position = self.position();
        while self.stamps.get(1).is_some_and(|(next, _)| next.at <= position) {
            self.stamps.pop_front();
        }
        self.places.trim(position);
    }

    /// A frame that should be here is not, or is damaged.
    fn lose(&mut self, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) {
        if core::mem::take(&mut self.synced) {
            cx.warn(DAMAGED);
        }
        self.skip(1);
    }

    /// Finds frames; `end` says that nothing follows.
    fn carve(&mut self, end: bool, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        while cx.info.left_out.is_none() {
            let data = self.data.get(self.at..).unwrap_or_default();
            if data.is_empty() {
                break;
            }
            if !self.synced && !units::may_begin(self.codec, data) {
                let next = (1..data.len()).find(|at| units::may_begin(self.codec, data.get(*at..).unwrap_or_default()));
                let bytes = next.unwrap_or(data.len());
                self.skip(bytes);
                continue;
            }
            let unit = match units::unit(self.codec, data, end) {
                Ok(unit) => unit,
                Err(bits::Error::End) if !end => break,
                Err(_) => {
                    self.lose(cx);
                    continue;
                }
            };
            if unit.bytes > data.len() {
                match (end, self.synced) {
                    (false, _) => break,
                    // What there is of the frame is not searched for others.
                    (true, true) => {
                        self.lose(cx);
                        self.skip(self.data.len() - self.at);
                    }
                    (true, false) => self.lose(cx),
                }
                continue;
            }
            match self.believe(&unit, end) {
                Some(true) if !end && self.configurations.wants_more(&unit, data) => break,
                Some(true) => self.accept(&unit, cx)?,
                Some(false) => self.lose(cx),
                None => break,
            }
        }
        Ok(())
    }

    /// Whether what looks like a frame is one; None when that is not known yet.
    fn believe(&self, unit: &Unit, end: bool) -> Option<bool> {
        // These have been seen up to the frame after them, or say plainly what they are.
        if matches!(self.codec, EsCodec::Eac3 | EsCodec::Id3) {
            return Some(true);
        }
        let first = self.position();
        let inside = first + 1..first + unit.bytes as u64;
        let same = self.identity == Some(unit.identity);
        let begins_pes = self.stamps.iter().any(|(s, _)| s.at == first);
        let straddles = self.stamps.iter().any(|(s, _)| inside.contains(&s.at));
        if (self.synced || begins_pes) && same && !straddles {
            return Some(true);
        }
        let rest = self.data.get(self.at + unit.bytes..).unwrap_or_default();
        match units::unit(self.codec, rest, end) {
            Ok(next) => Some(same || next.identity == unit.identity),
            Err(bits::Error::End) if !end => None,
            Err(bits::Error::End) => Some(self.identity.is_none_or(|known| known == unit.identity)),
            Err(bits::Error::Range) => Some(false),
        }
    }

    fn accept(&mut self, unit: &Unit, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        let first = self.position();
        let end = first + unit.bytes as u64;
        let mut own = None;
        while let Some(stamp) = self.stamps.front().copied().filter(|(s, _)| s.at <= first) {
            self.stamps.pop_front();
            own = Some(stamp);
        }
        let since = |at: u64, missing: u64| first.saturating_sub(at) + (self.missing - missing);
        let lost = since(self.last.end, self.last.missing);
        if let Some((stamp, missing)) = own {
            // A frame may begin in the packet before its time; one that was lost may not.
            let before = if lost > 0 { self.last.samples_of(since(stamp.at, missing)) } else { 0 };
            (self.anchor, self.offset_samples) = (Some(stamp), before);
        } else if lost > 0 {
            self.offset_samples = self.offset_samples.saturating_add(self.last.samples_of(lost));
        }
        self.synced = true;
        let bytes = self.data.get(self.at..self.at + unit.bytes).unwrap_or_default();
        let same = self.identity == Some(unit.identity);
        let ahead = self.data.get(self.at..).unwrap_or_default();
        let configured = self.configurations.configure(&Found { frame: bytes, ahead, same }, cx)?;
        self.identity = Some(unit.identity);
        let mut dropped = None;
        let mut samples = 0;
        match configured {
            Configured::LeaveOut(why) => {
                cx.info.left_out = Some(why);
                return Ok(());
            }
            Configured::Drop(why) => dropped = Some(why),
            Configured::Use(config) => {
                let audio = cx.info.configs.get(config).and_then(|c| c.config.audio());
                samples = audio.and_then(|a| a.samples_per_frame).unwrap_or(0);
            }
        }
        self.neutral.clear();
        if dropped.is_none() {
            match units::neutral(self.codec, bytes, &mut self.neutral) {
                Ok(()) => {}
                Err(Fault::Unsupported(what)) if cx.info.frames == 0 => return Err(cx.unsupported(what)),
                Err(Fault::Unsupported(what)) => dropped = Some(what),
                Err(Fault::Broken) => dropped = Some(DAMAGED),
            }
        }
        let place = self.places.find(first, end);
        match (self.anchor, place) {
            (Some(anchor), Some(place)) if dropped.is_none() => {
                self.run += u32::from(core::mem::take(&mut self.broken));
                cx.give(Frame {
                    stream: 0,
                    config: self.configurations.current(),
                    pts: anchor.pts,
                    dts: anchor.dts,
                    offset_samples: self.offset_samples,
                    estimated: false,
                    sync: true,
                    open: false,
                    data: &self.neutral,
                    duration_samples: samples,
                    place: Place { run: self.run, ..place },
                });
            }
            _ => {
                cx.warn(dropped.unwrap_or("a frame before the first PES packet with a PTS was left out"));
                self.broken = true;
            }
        }
        self.offset_samples = self.offset_samples.saturating_add(samples);
        self.last = Last { bytes: unit.bytes as u64, samples, end, missing: self.missing };
        self.at += unit.bytes;
        self.places.trim(self.position());
        Ok(())
    }
}
