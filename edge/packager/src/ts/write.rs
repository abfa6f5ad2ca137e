//! Writing of transport stream packets: sections with their CRC, PES packets, and packets that carry nothing but the clock.
//!
//! Every length is known before a packet is begun, so a PES packet takes its bytes piece by piece and nothing is gathered
//! beforehand.

pub use super::PACKET_BYTES;
use super::SYNC_BYTE;

/// Bytes of a packet after its header.
const BODY_BYTES: usize = PACKET_BYTES - 4;
/// Bytes of an adaptation field that holds a PCR: its length, its flags and 6 bytes.
const CLOCK_FIELD_BYTES: usize = 8;
/// What unused bytes hold.
const STUFFING: u8 = 0xff;
/// Ticks of 90 kHz after which time stamps begin anew.
pub const WRAP: i64 = 1 << 33;
/// `PES_packet_length` counts what follows it in 16 bits.
pub const MAX_PES_BYTES: usize = 6 + 0xffff;

/// `payload_unit_start_indicator`, in the second byte of a packet.
const UNIT_START: u8 = 0x40;
/// `adaptation_field_control` of a packet that has a payload.
const PAYLOAD: u8 = 0x10;
/// `adaptation_field_control` of a packet that has an adaptation field.
const ADAPTATION: u8 = 0x20;
/// `random_access_indicator` in the flags of an adaptation field.
const RANDOM_ACCESS: u8 = 0x40;
/// `PCR_flag` in the flags of an adaptation field.
const CLOCK: u8 = 0x10;

/// A packet identifier and the continuity counter of its next packet with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid {
    number: u16,
    counter: u8,
}

impl Pid {
    /// The stream with this packet identifier after `packets` packets with a payload.
    pub const fn new(number: u16, packets: u64) -> Self {
        Self { number: number & 0x1fff, counter: (packets & 15) as u8 }
    }

    fn header(&mut self, unit_start: u8, control: u8) -> [u8; 4] {
        let [high, low] = self.number.to_be_bytes();
        // A packet without a payload repeats the counter of the one before it (2.4.3.3).
        let counter = if control & PAYLOAD == 0 { self.counter.wrapping_sub(1) & 15 } else { self.counter };
        if control & PAYLOAD != 0 {
            self.counter = (self.counter + 1) & 15;
        }
        [SYNC_BYTE, unit_start | high, low, control | counter]
    }

    /// Appends a packet with a whole section: its table identifier and what follows the section length, without the CRC.
    /// The section has to fit into one packet.
    pub fn section(&mut self, table_id: u8, content: &[u8], out: &mut Vec<u8>) {
        const POINTER_FIELD: u8 = 0;
        let end = out.len() + PACKET_BYTES;
        out.extend_from_slice(&self.header(UNIT_START, PAYLOAD));
        out.push(POINTER_FIELD);
        let section = out.len();
        // section_syntax_indicator, 0, two reserved bits, then the length with the CRC
        let length = 0xb000 | (content.len() + 4) as u16;
        out.push(table_id);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(content);
        let crc = crc32(out.get(section..).unwrap_or_default());
        out.extend_from_slice(&crc.to_be_bytes());
        debug_assert!(out.len() <= end, "the section fits into a packet");
        out.resize(end, STUFFING);
    }

    /// Appends a packet that has nothing but a PCR, in ticks of 90 kHz.
    pub fn clock(&mut self, pcr: i64, out: &mut Vec<u8>) {
        let mut packet = [STUFFING; PACKET_BYTES];
        packet[..4].copy_from_slice(&self.header(0, ADAPTATION));
        packet[4..6].copy_from_slice(&[(BODY_BYTES - 1) as u8, CLOCK]);
        packet[6..12].copy_from_slice(&clock_reference(pcr));
        out.extend_from_slice(&packet);
    }
}

/// CRC of a section (annex A): polynomial 0x04C11DB7, started with ones, not inverted.
pub fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let mut crc = (n as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
                bit += 1;
            }
            table[n] = crc;
            n += 1;
        }
        table
    };
    data.iter().fold(u32::MAX, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

/// `program_clock_reference_base`, six reserved bits, and an extension of 0.
fn clock_reference(pcr: i64) -> [u8; 6] {
    let bits = (pcr.rem_euclid(WRAP) as u64) << 15 | 0x7e00;
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    bytes
}

/// A time stamp of a PES header: four bits that say which, then 33 bits with a marker bit after 3, 15 and 15 of them.
fn time_stamp(prefix: u8, time: i64) -> [u8; 5] {
    let t = time.rem_euclid(WRAP) as u64;
    let bits = u64::from(prefix) << 36
        | (t >> 30) << 33
        | 1 << 32
        | (t >> 15 & 0x7fff) << 17
        | 1 << 16
        | (t & 0x7fff) << 1
        | 1;
    let [_, _, _, bytes @ ..] = bits.to_be_bytes();
    bytes
}

/// When the payload of a PES packet is presented and decoded, in ticks of 90 kHz; taken modulo 2^33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Presentation time stamp.
    pub pts: i64,
    /// Decoding time stamp, where it differs (2.7.5).
    pub dts: Option<i64>,
}

/// The header of a PES packet (2.4.3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PesHeader {
    /// `stream_id`.
    pub stream_id: u8,
    /// Absent in a packet that goes on with what the one before began.
    pub times: Option<Times>,
    /// Bytes after the header.
    pub payload: usize,
}

impl PesHeader {
    /// Bytes of a header.
    pub fn bytes(times: Option<Times>) -> usize {
        match times {
            None => 9,
            Some(Times { dts: None, .. }) => 14,
            Some(_) => 19,
        }
    }

    fn write(&self, out: &mut [u8; 19]) -> usize {
        const MARKER: u8 = 0x80;
        const DATA_ALIGNMENT: u8 = 0x04;
        let bytes = Self::bytes(self.times);
        // Longer packets have a length of 0, which only video may have.
        let length = u16::try_from(bytes - 6 + self.payload).unwrap_or(0);
        let [high, low] = length.to_be_bytes();
        let (alignment, flags) = match self.times {
            None => (0, 0),
            Some(Times { dts: None, .. }) => (DATA_ALIGNMENT, 0x80),
            Some(_) => (DATA_ALIGNMENT, 0xc0),
        };
        out[..9].copy_from_slice(&[0, 0, 1, self.stream_id, high, low, MARKER | alignment, flags, (bytes - 9) as u8]);
        if let Some(times) = self.times {
            out[9..14].copy_from_slice(&time_stamp(2 | u8::from(times.dts.is_some()), times.pts));
            if let Some(dts) = times.dts {
                out[14..].copy_from_slice(&time_stamp(1, dts));
            }
        }
        bytes
    }
}

/// The adaptation field of the packet that a PES packet begins in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// PCR in ticks of 90 kHz; taken modulo 2^33.
    pub pcr: i64,
    /// Whether decoding can begin with this PES packet.
    pub random_access: bool,
}

/// How many packets a PES packet of `bytes` needs, its header included. With `clock` the first one carries a PCR.
pub fn packets(bytes: usize, clock: bool) -> usize {
    let first = BODY_BYTES - if clock { CLOCK_FIELD_BYTES } else { 0 };
    1 + bytes.saturating_sub(first).div_ceil(BODY_BYTES)
}

/// A PES packet that is being written.
#[derive(Debug)]
pub struct Pes<'a> {
    pid: &'a mut Pid,
    out: &'a mut Vec<u8>,
    /// Bytes of the PES packet for which no transport stream packet has been begun.
    left: usize,
    /// Transport stream packets that have not been begun.
    packets: usize,
    /// Bytes that fit into the packet begun last.
    room: usize,
}

impl<'a> Pes<'a> {
    /// Begins a PES packet. All of its payload has to be put afterwards.
    pub fn new(pid: &'a mut Pid, header: &PesHeader, clock: Option<Clock>, out: &'a mut Vec<u8>) -> Self {
        Self::spread(pid, header, clock, 0, out)
    }

    /// The same in a number of packets, if that is more than are needed and less than there are bytes: what is over becomes
    /// adaptation fields of the last ones.
    pub fn spread(
        pid: &'a mut Pid,
        header: &PesHeader,
        clock: Option<Clock>,
        wanted: usize,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let mut start = [0; 19];
        let header_bytes = header.write(&mut start);
        let bytes = header_bytes + header.payload;
        let packets = packets(bytes, clock.is_some()).max(wanted.min(bytes));
        out.reserve(packets * PACKET_BYTES);
        let mut this = Self { pid, out, left: bytes, packets, room: 0 };
        this.begin(UNIT_START, clock);
        this.put(start.get(..header_bytes).unwrap_or_default());
        this
    }

    /// Appends bytes of the payload; what is more than was announced is left out.
    pub fn put(&mut self, mut bytes: &[u8]) {
        loop {
            if self.room == 0 {
                // Nearly all packets: nothing but a header and 184 bytes.
                while self.left >= BODY_BYTES + self.packets.saturating_sub(1)
                    && let Some((body, rest)) = bytes.split_first_chunk::<BODY_BYTES>()
                {
                    let mut packet = [0; PACKET_BYTES];
                    packet[..4].copy_from_slice(&self.pid.header(0, PAYLOAD));
                    packet[4..].copy_from_slice(body);
                    self.out.extend_from_slice(&packet);
                    self.left -= BODY_BYTES;
                    self.packets = self.packets.saturating_sub(1);
                    bytes = rest;
                }
                if bytes.is_empty() || self.left == 0 {
                    return;
                }
                self.begin(0, None);
            }
            let (now, rest) = bytes.split_at(bytes.len().min(self.room));
            self.out.extend_from_slice(now);
            self.room -= now.len();
            bytes = rest;
            if self.room > 0 {
                return;
            }
        }
    }

    /// Begins a packet with as much room as is needed and possible, a byte for each packet after it left over; the rest of it
    /// becomes an adaptation field.
    fn begin(&mut self, unit_start: u8, clock: Option<Clock>) {
        let least = if clock.is_some() { CLOCK_FIELD_BYTES } else { 0 };
        self.packets = self.packets.saturating_sub(1);
        self.room = self.left.saturating_sub(self.packets).min(BODY_BYTES - least);
        self.left -= self.room;
        let field = BODY_BYTES - self.room;
        let control = if field > 0 { PAYLOAD | ADAPTATION } else { PAYLOAD };
        self.out.extend_from_slice(&self.pid.header(unit_start, control));
        if field == 0 {
            return;
        }
        let end = self.out.len() + field;
        self.out.push((field - 1) as u8);
        if let Some(clock) = clock {
            self.out.push(CLOCK | if clock.random_access { RANDOM_ACCESS } else { 0 });
            self.out.extend_from_slice(&clock_reference(clock.pcr));
        } else if field > 1 {
            self.out.push(0);
        }
        self.out.resize(end, STUFFING);
    }
}
