//! Samples are taken out of a transport stream at request time.

use std::collections::VecDeque;

use super::EsCodec;
use super::depacketizer::{Depacketizer, Event};
use super::splitter::{Splitter, Unit};
use super::units;
use crate::bytes::bits;
use crate::codec::NalCodec;
use crate::error::{Error, Result};
use crate::ts::{PACKET_BYTES, Packet, SYNC_BYTE};

/// Bytes of the length before each NAL unit.
const LENGTH_BYTES: usize = 4;
/// Bytes that are done with are removed when there are this many, and more than of those that are not.
const COMPACT_BYTES: usize = 64 << 10;

/// Takes the samples of one PID out of the packets of one read, as a [`super::Place`] tells: from the first packet of a
/// frame to the last packet of a frame of the same run. What was pushed and not taken is held in memory: take what there
/// is after each push.
#[derive(Clone, Debug)]
pub struct Extractor {
    pid: u16,
    skip: u32,
    /// A packet that is not yet whole.
    partial: Vec<u8>,
    packets: u64,
    depacketizer: Depacketizer,
    carver: Carver,
    finished: bool,
}

#[derive(Clone, Debug)]
enum Carver {
    Video(Video),
    Frames(Frames),
}

/// NAL units that are whole and not yet taken.
#[derive(Clone, Debug)]
struct Video {
    codec: NalCodec,
    splitter: Splitter,
    units: VecDeque<Unit>,
    /// How many of `units` belong to the sample that is wanted, and their bytes in the neutral form.
    taken: usize,
    bytes: usize,
}

/// Frames of sound and tags.
#[derive(Clone, Debug)]
struct Frames {
    codec: EsCodec,
    data: Vec<u8>,
    at: usize,
    /// Packets are missing: nothing is taken after it.
    gap: bool,
}

impl Extractor {
    /// Starts in the packet that holds the first byte of a frame, `skip` bytes of the elementary stream before it.
    pub fn new(pid: u16, codec: EsCodec, skip: u32) -> Self {
        let video = |codec| {
            let (splitter, units) = Default::default();
            Carver::Video(Video { codec, splitter, units, taken: 0, bytes: 0 })
        };
        let carver = match codec {
            EsCodec::Avc => video(NalCodec::Avc),
            EsCodec::Hevc => video(NalCodec::Hevc),
            _ => Carver::Frames(Frames { codec, data: Vec::new(), at: 0, gap: false }),
        };
        let depacketizer = Depacketizer::new(true);
        Self { pid, skip, partial: Vec::new(), packets: 0, depacketizer, carver, finished: false }
    }

    /// Takes bytes, in any chunking, which begin at the start of a packet. Packets of other PIDs are passed over.
    ///
    /// # Errors
    /// `BadSource` where there is no packet, with its number counted from the first byte that was pushed; `Limit`.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        if !self.partial.is_empty() {
            let missing = PACKET_BYTES.saturating_sub(self.partial.len());
            let (part, after) = rest.split_at(rest.len().min(missing));
            self.partial.extend_from_slice(part);
            rest = after;
            let mut whole = core::mem::take(&mut self.partial);
            match <&[u8; PACKET_BYTES]>::try_from(whole.as_slice()) {
                Ok(packet) => {
                    self.packet(packet)?;
                    whole.clear();
                    self.partial = whole;
                }
                Err(_) => {
                    self.partial = whole;
                    return Ok(());
                }
            }
        }
        while let Some((packet, after)) = rest.split_first_chunk::<PACKET_BYTES>() {
            self.packet(packet)?;
            rest = after;
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// No more bytes come: what is pending is complete.
    pub fn finish(&mut self) {
        if !core::mem::replace(&mut self.finished, true)
            && let Carver::Video(video) = &mut self.carver
        {
            video.close();
        }
    }

    fn packet(&mut self, packet: &[u8; PACKET_BYTES]) -> Result<()> {
        let number = self.packets;
        self.packets += 1;
        if packet.first() != Some(&SYNC_BYTE) {
            return Err(changed(format!("packet {number} of the read does not begin with 0x47")));
        }
        if Packet::peek_pid(packet) != self.pid {
            return Ok(());
        }
        // The reader passed over packets that cannot be taken apart, too.
        let Ok(packet) = Packet::parse(packet) else { return Ok(()) };
        let Self { skip, carver, depacketizer, .. } = self;
        depacketizer.packet(&packet, 0, &mut |event| match event {
            Event::Data(data) => {
                let skipped = data.bytes.len().min(*skip as usize);
                *skip -= skipped as u32;
                carver.push(data.bytes.get(skipped..).unwrap_or_default())
            }
            Event::Gap(_) | Event::Broken(_) => {
                carver.gap();
                Ok(())
            }
            Event::Pes(_) => Ok(()),
        })
    }

    /// Appends the next sample, which has exactly `size` bytes in the neutral form, to `out`. False: more bytes are needed.
    ///
    /// # Errors
    /// `BadSource` when there is no such sample: the media are not what was indexed.
    pub fn next(&mut self, size: u32, out: &mut Vec<u8>) -> Result<bool> {
        let size = size as usize;
        let found = match &mut self.carver {
            Carver::Video(video) => video.next(size, out)?,
            Carver::Frames(frames) => frames.next(size, self.finished, out)?,
        };
        if !found && self.finished {
            return Err(changed(format!("PID 0x{:x} ends before a sample of {size} bytes is complete", self.pid)));
        }
        Ok(found)
    }
}

fn changed(what: String) -> Error {
    Error::bad_source(format!("the media are not what was indexed: {what}"))
}

impl Carver {
    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Video(video) => {
                let keep = video.units.front().map_or(u64::MAX, |unit| unit.code);
                video.splitter.push(bytes, keep)
            }
            Self::Frames(frames) => {
                if !frames.gap {
                    frames.push(bytes);
                }
                Ok(())
            }
        }
    }

    fn gap(&mut self) {
        match self {
            Self::Video(video) => video.close(),
            Self::Frames(frames) => frames.gap = true,
        }
    }
}

impl Video {
    fn pump(&mut self) {
        let Self { splitter, units, .. } = self;
        units.extend(core::iter::from_fn(|| splitter.next()));
    }

    fn close(&mut self) {
        self.pump();
        self.units.extend(self.splitter.close());
    }

    fn next(&mut self, size: usize, out: &mut Vec<u8>) -> Result<bool> {
        self.pump();
        let Self { codec, splitter, units, taken, bytes } = self;
        while *bytes < size {
            let Some(unit) = units.get(*taken) else { return Ok(false) };
            *taken += 1;
            let nal = splitter.bytes(unit);
            if codec.keeps(nal) {
                *bytes += LENGTH_BYTES + nal.len();
            }
        }
        if *bytes > size {
            return Err(changed(format!("a sample of {size} bytes has {bytes}")));
        }
        out.reserve(size);
        for unit in units.drain(..*taken) {
            let nal = splitter.bytes(&unit);
            if codec.keeps(nal) {
                out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
                out.extend_from_slice(nal);
            }
        }
        (*taken, *bytes) = (0, 0);
        Ok(true)
    }
}

impl Frames {
    fn push(&mut self, bytes: &[u8]) {
        if self.at >= COMPACT_BYTES && self.at > self.data.len() - self.at {
            self.data.drain(..self.at);
            self.at = 0;
        }
        self.data.extend_from_slice(bytes);
    }

    fn next(&mut self, size: usize, finished: bool, out: &mut Vec<u8>) -> Result<bool> {
        let data = self.data.get(self.at..).unwrap_or_default();
        let end = finished || self.gap;
        let unit = match units::unit(self.codec, data, end) {
            Ok(unit) => unit,
            Err(bits::Error::End) if !end => return Ok(false),
            Err(error) => return Err(changed(format!("where a frame of {size} bytes should begin, a header {error}"))),
        };
        let Some(frame) = data.get(..unit.bytes) else {
            return if end { Err(changed(format!("a frame of {} bytes is cut off", unit.bytes))) } else { Ok(false) };
        };
        let before = out.len();
        if units::neutral(self.codec, frame, out).is_err() || out.len() - before != size {
            let found = out.len() - before;
            out.truncate(before);
            return Err(changed(format!("a frame of {size} bytes has {found}")));
        }
        self.at += unit.bytes;
        Ok(true)
    }
}
