//! Program specific information (ISO/IEC 13818-1 clause 2.4.4): sections, the program association table and program map
//! tables with their descriptors.

use crate::bytes::Reader;

/// `section_length` may not pass this in a PAT or PMT; private sections may.
const MAX_SECTION_BYTES: usize = 3 + 1021;
/// `table_id` and the two bytes of `section_length`.
const SECTION_HEADER_BYTES: usize = 3;
/// `stuffing_byte` after the last section of a packet.
const STUFFING: u8 = 0xff;
/// `table_id` of a program association table.
const TABLE_PROGRAM_ASSOCIATION: u8 = 0;
/// `table_id` of a program map table.
const TABLE_PROGRAM_MAP: u8 = 2;
/// `program_number` of the network information table, which is no program.
const NETWORK: u16 = 0;
/// Elementary streams of one program that are looked at: more than fit in a section without descriptors are not there.
const MAX_STREAMS: usize = 204;

/// CRC-32 of MPEG-2 (annex A): polynomial 0x04c11db7, initial value all ones. Over a section with its CRC it is 0.
pub fn crc32(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

/// Puts the sections of one PID together.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    buffer: Vec<u8>,
    continuity: Option<u8>,
    /// A section has begun, so payload without a start belongs to it.
    open: bool,
}

impl Sections {
    /// Takes the payload of a packet; each whole section with a right CRC goes to `sink`. Gives how many were broken.
    pub fn push(&mut self, packet: &super::Packet<'_>, mut sink: impl FnMut(&[u8])) -> u32 {
        let Some(payload) = packet.payload else { return 0 };
        let expected = self.continuity.map(|last| (last + 1) & 15);
        if self.continuity == Some(packet.continuity) && !packet.adaptation.discontinuity {
            return 0;
        }
        let mut broken = 0;
        if expected.is_some_and(|expected| expected != packet.continuity) && self.open {
            self.open = false;
            broken += 1;
        }
        self.continuity = Some(packet.continuity);
        if !packet.unit_start {
            return broken + self.extend(payload, &mut sink);
        }
        let Some((&pointer, payload)) = payload.split_first() else { return broken + 1 };
        let Some((tail, payload)) = payload.split_at_checked(usize::from(pointer)) else {
            self.open = false;
            return broken + 1;
        };
        broken += self.extend(tail, &mut sink);
        // What is still open now was cut short.
        broken += u32::from(self.open && !self.buffer.is_empty());
        self.buffer.clear();
        self.open = true;
        broken + self.extend(payload, &mut sink)
    }

    /// Forgets what is in flight.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes of the section, as far as they are known.
    fn wanted(&self) -> usize {
        match self.buffer.get(1..SECTION_HEADER_BYTES) {
            Some(&[high, low]) => SECTION_HEADER_BYTES + usize::from(u16::from_be_bytes([high & 0x0f, low])),
            _ => SECTION_HEADER_BYTES,
        }
    }

    fn extend(&mut self, data: &[u8], sink: &mut impl FnMut(&[u8])) -> u32 {
        let mut broken = 0;
        let mut rest = data;
        while self.open && !rest.is_empty() {
            if self.buffer.is_empty() && rest.first() == Some(&STUFFING) {
                self.open = false;
                break;
            }
            let wanted = self.wanted();
            let (part, after) = rest.split_at(wanted.saturating_sub(self.buffer.len()).min(rest.len()));
            self.buffer.extend_from_slice(part);
            rest = after;
            // With its header whole, a section says how long it is.
            if self.buffer.len() < self.wanted() {
                continue;
            }
            if self.buffer.len() <= MAX_SECTION_BYTES && crc32(&self.buffer) == 0 {
                sink(&self.buffer);
            } else {
                broken += 1;
            }
            self.buffer.clear();
        }
        broken
    }
}

/// The part that PAT and PMT sections have in common (clause 2.4.4.3).
struct Section<'a> {
    table_id: u8,
    /// `transport_stream_id` or `program_number`.
    id: u16,
    current: bool,
    body: Reader<'a>,
}

fn section(data: &[u8]) -> Option<Section<'_>> {
    let (content, _crc) = data.split_at_checked(data.len().checked_sub(4)?)?;
    let mut r = Reader::new(content, 0);
    let table_id = r.u8().ok()?;
    r.u16().ok()?;
    let id = r.u16().ok()?;
    let current = r.u8().ok()? & 1 == 1;
    r.take(2).ok()?;
    Some(Section { table_id, id, current, body: r })
}

/// A program of the program association table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// `program_number`, not 0.
    pub number: u16,
    /// PID of its program map table.
    pub map_pid: u16,
}

/// The programs of a PAT section that is in force; None for another table.
pub fn program_association(data: &[u8]) -> Option<Vec<Program>> {
    let mut section = section(data).filter(|s| s.table_id == TABLE_PROGRAM_ASSOCIATION && s.current)?;
    let mut programs = Vec::new();
    while let (Ok(number), Ok(pid)) = (section.body.u16(), section.body.u16()) {
        if number != NETWORK {
            programs.push(Program { number, map_pid: pid & 0x1fff });
        }
    }
    Some(programs)
}

/// A program map table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramMap {
    /// `program_number`.
    pub program: u16,
    /// `PCR_PID`.
    pub pcr_pid: u16,
    /// The elementary streams, in order.
    pub streams: Vec<MapEntry>,
}

/// An elementary stream of a program map table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// `stream_type`.
    pub stream_type: u8,
    /// `elementary_PID`.
    pub pid: u16,
    /// What its descriptors say.
    pub descriptors: Descriptors,
}

/// What the descriptors of an elementary stream say (ISO/IEC 13818-1 clause 2.6, ETSI EN 300 468).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// `format_identifier` of the registration descriptor.
    pub registration: Option<[u8; 4]>,
    /// ISO 639-2 code of the language descriptor.
    pub language: Option<[u8; 3]>,
    /// `audio_type`: 1 clean effects, 2 hearing impaired, 3 visual impaired commentary.
    pub audio_type: u8,
    /// `metadata_format_identifier` of the metadata descriptor, or its registered format.
    pub metadata_format: Option<[u8; 4]>,
    /// The AC-3 descriptor of DVB is there.
    pub ac3: bool,
    /// The enhanced AC-3 descriptor of DVB is there.
    pub eac3: bool,
    /// The supplementary audio descriptor of DVB calls it audio for the visually impaired.
    pub visually_impaired: bool,
    /// Tags of all descriptors, for messages.
    pub tags: Vec<u8>,
}

impl Descriptors {
    fn parse(data: &[u8]) -> Self {
        let mut found = Self::default();
        let mut r = Reader::new(data, 0);
        while let (Ok(tag), Ok(length)) = (r.u8(), r.u8()) {
            let Ok(body) = r.take(length.into()) else { break };
            found.tags.push(tag);
            match tag {
                0x05 => found.registration = found.registration.or(body.first_chunk().copied()),
                0x0a => {
                    if let Some([a, b, c, audio_type]) = body.first_chunk() {
                        found.language = Some([*a, *b, *c]);
                        found.audio_type = *audio_type;
                    }
                }
                0x26 => found.metadata_format = metadata_format(body).or(found.metadata_format),
                0x6a => found.ac3 = true,
                0x7a => found.eac3 = true,
                // Extension descriptor, supplementary_audio_descriptor: editorial_classification 1.
                0x7f => {
                    if let Some([0x06, flags]) = body.first_chunk() {
                        found.visually_impaired |= flags >> 2 & 0x1f == 1;
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// `metadata_descriptor` (clause 2.6.60).
fn metadata_format(body: &[u8]) -> Option<[u8; 4]> {
    let mut r = Reader::new(body, 0);
    if r.u16().ok()? == 0xffff {
        r.take(4).ok()?;
    }
    if r.u8().ok()? == 0xff { r.array().ok() } else { None }
}

/// A PMT section that is in force; None for another table.
pub fn program_map(data: &[u8]) -> Option<ProgramMap> {
    let mut section = section(data).filter(|s| s.table_id == TABLE_PROGRAM_MAP && s.current)?;
    let r = &mut section.body;
    let pcr_pid = r.u16().ok()? & 0x1fff;
    let program_info = r.u16().ok()? & 0x0fff;
    r.take(program_info.into()).ok()?;
    let mut streams = Vec::new();
    while let (Ok(stream_type), Ok(pid), Ok(length)) = (r.u8(), r.u16(), r.u16()) {
        let Ok(descriptors) = r.take(usize::from(length & 0x0fff)) else { break };
        if streams.len() < MAX_STREAMS {
            let descriptors = Descriptors::parse(descriptors);
            streams.push(MapEntry { stream_type, pid: pid & 0x1fff, descriptors });
        }
    }
    Some(ProgramMap { program: section.id, pcr_pid, streams })
}

#[cfg(test)]
#[path = "psi_tests.rs"]
mod tests;
