//! Where packets begin: `sync_byte` at a distance of 188 bytes, found again after bytes that belong to no packet.

use super::{PACKET_BYTES, SYNC_BYTE};
use crate::error::{Error, Result};
use crate::limits::MAX_TS_GARBAGE_BYTES;

/// Packets in a row that must begin with `sync_byte` before a place is believed to be a packet.
const SYNC_PACKETS: usize = 3;
/// Distances of packets in formats that carry transport packets with something added.
const M2TS_BYTES: usize = 192;
const REED_SOLOMON_BYTES: usize = 204;
/// First bytes out of step that are kept to say what they are: five of the longest packets.
const PROBE_BYTES: usize = 5 * REED_SOLOMON_BYTES;
/// Bytes that are searched at a time.
const STEP_BYTES: usize = 4096;

/// What is found, in order.
#[derive(Debug)]
pub enum Found<'a> {
    /// A packet.
    Packet {
        /// All of it.
        bytes: &'a [u8; PACKET_BYTES],
        /// Where it begins, counted over all bytes that were pushed.
        at: u64,
    },
    /// Bytes that belong to no packet were left out.
    Garbage {
        /// Where they begin.
        at: u64,
        /// How many.
        bytes: u64,
    },
}

/// Cuts bytes into packets.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// The part of a packet at the end of what was pushed; while searching, what has not been searched.
    pending: Vec<u8>,
    /// Where `pending` begins.
    at: u64,
    searching: Option<Search>,
    /// Where the segment begins, and packets found in it.
    start: u64,
    packets: u64,
}

#[derive(Clone, Debug)]
struct Search {
    at: u64,
    probe: Vec<u8>,
}

impl Sync {
    /// Bytes that were pushed so far.
    pub fn position(&self) -> u64 {
        self.at + self.pending.len() as u64
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// `BadSource` when this is not a transport stream of 188-byte packets, and what `sink` gives.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.searching.is_some() {
                let (step, after) = rest.split_at(rest.len().min(STEP_BYTES));
                self.pending.extend_from_slice(step);
                rest = after;
                self.search(false, sink)?;
                continue;
            }
            if !self.pending.is_empty() {
                let missing = PACKET_BYTES.saturating_sub(self.pending.len());
                let (part, after) = rest.split_at(rest.len().min(missing));
                self.pending.extend_from_slice(part);
                rest = after;
                self.whole(sink)?;
                continue;
            }
            match rest.split_first_chunk::<PACKET_BYTES>() {
                Some((packet, after)) if packet.first() == Some(&SYNC_BYTE) => {
                    let at = self.at;
                    self.at += PACKET_BYTES as u64;
                    self.packets += 1;
                    rest = after;
                    sink(Found::Packet { bytes: packet, at })?;
                }
                _ => {
                    let (part, after) = rest.split_at(rest.len().min(PACKET_BYTES));
                    self.pending.extend_from_slice(part);
                    rest = after;
                    self.whole(sink)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at `pending`, at most a packet.
    fn whole(&mut self, sink: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        if self.pending.first().is_some_and(|byte| *byte != SYNC_BYTE) {
            self.searching = Some(Search { at: self.at, probe: Vec::new() });
            return self.search(false, sink);
        }
        if let Ok(packet) = <&[u8; PACKET_BYTES]>::try_from(self.pending.as_slice()) {
            let at = self.at;
            self.at += PACKET_BYTES as u64;
            self.packets += 1;
            let result = sink(Found::Packet { bytes: packet, at });
            self.pending.clear();
            return result;
        }
        Ok(())
    }

    /// Searches `pending` for packets. At the end of a segment, fewer packets in a row are enough.
    fn search(&mut self, end: bool, sink: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        let Some(search) = &mut self.searching else { return Ok(()) };
        let searched = (self.at - search.at) as usize;
        let unseen = search.probe.len().saturating_sub(searched);
        let room = PROBE_BYTES.saturating_sub(search.probe.len());
        search.probe.extend(self.pending.iter().skip(unseen).take(room));
        let (mut from, mut found) = (0, false);
        while let Some(rest) = self.pending.get(from..) {
            let Some(next) = rest.iter().position(|byte| *byte == SYNC_BYTE) else {
                from = self.pending.len();
                break;
            };
            from += next;
            match in_step(self.pending.get(from..).unwrap_or_default(), PACKET_BYTES, SYNC_PACKETS) {
                Some(true) => found = true,
                None if !end => {}
                None if self.pending.len() - from >= PACKET_BYTES => found = true,
                _ => {
                    from += 1;
                    continue;
                }
            }
            break;
        }
        self.at += from as u64;
        self.pending.drain(..from);
        let garbage = self.at - search.at;
        if !found {
            let full = search.probe.len() >= PROBE_BYTES;
            if garbage > MAX_TS_GARBAGE_BYTES || (full && other_distance(&search.probe).is_some()) {
                return Err(not_ts(&search.probe, search.at - self.start, self.packets));
            }
            return Ok(());
        }
        let at = search.at;
        self.searching = None;
        sink(Found::Garbage { at, bytes: garbage })?;
        let pending = core::mem::take(&mut self.pending);
        self.push(&pending, sink)
    }

    /// The segment is over: what is left is no whole packet. Gives the bytes that were left out at its end.
    ///
    /// # Errors
    /// `BadSource` when there was not one packet in it.
    pub fn end_segment(&mut self, sink: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<u64> {
        // Each turn finds a packet or leaves nothing to search.
        while self.searching.is_some() {
            let before = self.packets;
            self.search(true, sink)?;
            if self.packets == before {
                break;
            }
        }
        let (mut left, mut probe, mut from) = (self.pending.len() as u64, self.pending.clone(), self.at);
        if let Some(search) = self.searching.take() {
            left += self.at - search.at;
            (probe, from) = (search.probe, search.at);
        }
        self.at += self.pending.len() as u64;
        self.pending.clear();
        let (start, packets) = (self.start, self.packets);
        (self.start, self.packets) = (self.at, 0);
        if packets == 0 {
            if start == self.at {
                return Err(Error::bad_source("no bytes"));
            }
            return Err(not_ts(&probe, from - start, packets));
        }
        Ok(left)
    }
}

/// Whether `count` packets at this distance begin here; None when the data end before that is known.
fn in_step(data: &[u8], distance: usize, count: usize) -> Option<bool> {
    for packet in 0..count {
        match data.get(packet * distance) {
            Some(&SYNC_BYTE) => {}
            Some(_) => return Some(false),
            None => return None,
        }
    }
    Some(true)
}

/// The distance of packets, if it is another than 188 bytes.
fn other_distance(probe: &[u8]) -> Option<usize> {
    [M2TS_BYTES, REED_SOLOMON_BYTES].into_iter().find(|distance| {
        (0..*distance).any(|from| {
            let data = probe.get(from..).unwrap_or_default();
            in_step(data, *distance, 4) == Some(true) && in_step(data, PACKET_BYTES, 2) != Some(true)
        })
    })
}

fn not_ts(probe: &[u8], at: u64, packets: u64) -> Error {
    let after = if packets > 0 { format!(" after {packets} packets") } else { String::new() };
    let what = match other_distance(probe) {
        Some(M2TS_BYTES) => "packets of 192 bytes (M2TS, with a time code before each); 188 are handled".into(),
        Some(bytes) => format!("packets of {bytes} bytes (with error correction); 188 are handled"),
        None => {
            format!(
                "no sync byte 0x47 every 188 bytes{after} from byte {at}: not an MPEG-2 transport stream{}",
                looks_like(probe)
            )
        }
    };
    Error::bad_source(what)
}

/// What bytes look like that are no transport stream.
fn looks_like(data: &[u8]) -> &'static str {
    let second = data.get(4..8).unwrap_or_default();
    if matches!(second, b"ftyp" | b"styp" | b"moof" | b"moov" | b"sidx" | b"emsg" | b"prft" | b"free") {
        return " (it looks like MP4)";
    }
    match data {
        [b'I', b'D', b'3', ..] => " (it looks like packed audio with an ID3 tag)",
        [0xff, b, ..] if b & 0xf6 == 0xf0 => " (it looks like AAC in ADTS)",
        [0xff, b, ..] if b & 0xe6 == 0xe2 => " (it looks like MP3)",
        [0x0b, 0x77, ..] => " (it looks like AC-3 or E-AC-3)",
        [0, 0, 1, 0xba, ..] => " (it looks like an MPEG program stream)",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => " (it looks like Matroska or WebM)",
        [b'#', b'E', b'X', b'T', ..] => " (it looks like a playlist)",
        [b'W', b'E', b'B', b'V', ..] => " (it looks like WebVTT)",
        [b'<', ..] => " (it looks like a web page or XML)",
        _ => "; it may be encrypted",
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
