//! The packets of one PID become the bytes of its elementary stream. Reader and extractor use the same, so both see the
//! same bytes: a packet that is sent twice counts once, damaged and scrambled ones are not there, and every jump of the
//! continuity counter is a gap.

use crate::error::Result;
use crate::ts::pes::Header;
use crate::ts::{PACKET_BYTES, Packet};

/// The longest PES header: nine bytes and what `PES_header_data_length` can say.
const MAX_HEADER_BYTES: usize = 9 + 255;

/// What a packet brings.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// Packets are missing before what comes next; how many, modulo 16, if that is known.
    Gap(u8),
    /// What should be a PES header is none; nothing comes until the next one.
    Broken(&'static str),
    /// A PES packet begins.
    Pes(Header),
    /// Bytes of the elementary stream.
    Data(Data<'a>),
}

/// Bytes of the elementary stream, and where they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data<'a> {
    pub bytes: &'a [u8],
    /// Position of the packet from which reading must start to get them: the one that holds them, or, when a PES header
    /// ends in it that began before, the one where that header begins.
    pub from: u64,
    /// Position after the packet that holds them.
    pub end: u64,
}

#[derive(Clone, Debug)]
enum State {
    /// Until a PES packet begins, nothing is known.
    Waiting,
    /// A PES header is not yet whole; where it begins.
    Header(u64),
    Payload,
}

/// One PID.
#[derive(Clone, Debug)]
pub(super) struct Depacketizer {
    state: State,
    header: Vec<u8>,
    continuity: Option<u8>,
    last: [u8; PACKET_BYTES],
    last_length: usize,
}

impl Depacketizer {
    /// Starts where a PES packet is under way (`inside`), or waits for one to begin.
    pub fn new(inside: bool) -> Self {
        let state = if inside { State::Payload } else { State::Waiting };
        Self { state, header: Vec::new(), continuity: None, last: [0; PACKET_BYTES], last_length: 0 }
    }

    /// Takes a packet of the PID that begins at position `at`.
    pub fn packet(
        &mut self,
        packet: &Packet<'_>,
        at: u64,
        sink: &mut impl FnMut(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(payload) = packet.payload.filter(|_| !packet.error && packet.scrambling == 0) else { return Ok(()) };
        let continuity = packet.continuity;
        if let Some(last) = self.continuity {
            if last == continuity && self.last.get(..self.last_length) == Some(payload) {
                return Ok(());
            }
            let expected = (last + 1) & 15;
            if continuity != expected && !packet.adaptation.discontinuity {
                if matches!(self.state, State::Header(_)) {
                    self.state = State::Waiting;
                }
                sink(Event::Gap(continuity.wrapping_sub(expected) & 15))?;
            }
        }
        self.continuity = Some(continuity);
        if let Some(copy) = self.last.get_mut(..payload.len()) {
            copy.copy_from_slice(payload);
            self.last_length = payload.len();
        }
        let end = at + PACKET_BYTES as u64;
        if packet.unit_start {
            return match Header::parse(payload) {
                Ok(Some(header)) => self.begin(header, Data { bytes: payload, from: at, end }, sink),
                Ok(None) => {
                    self.state = State::Header(at);
                    self.header.clear();
                    self.header.extend_from_slice(payload);
                    Ok(())
                }
                Err(what) => self.broken(what, sink),
            };
        }
        match self.state {
            State::Waiting => Ok(()),
            State::Payload if payload.is_empty() => Ok(()),
            State::Payload => sink(Event::Data(Data { bytes: payload, from: at, end })),
            State::Header(from) => {
                let before = self.header.len();
                self.header.extend(payload.iter().take(MAX_HEADER_BYTES.saturating_sub(before)));
                match Header::parse(&self.header) {
                    Ok(Some(header)) => {
                        let bytes = header.bytes.saturating_sub(before);
                        let header = Header { bytes, ..header };
                        self.begin(header, Data { bytes: payload, from, end }, sink)
                    }
                    Ok(None) => Ok(()),
                    Err(what) => self.broken(what, sink),
                }
            }
        }
    }

    /// A PES packet begins; `header.bytes` of `data` are its header.
    fn begin(&mut self, header: Header, data: Data<'_>, sink: &mut impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        if header.scrambling != 0 {
            return self.broken("PES_scrambling_control is not 0: encrypted", sink);
        }
        self.state = State::Payload;
        sink(Event::Pes(header))?;
        match data.bytes.get(header.bytes..) {
            None | Some([]) => Ok(()),
            Some(bytes) => sink(Event::Data(Data { bytes, ..data })),
        }
    }

    fn broken(&mut self, what: &'static str, sink: &mut impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        self.state = State::Waiting;
        sink(Event::Broken(what))
    }
}
