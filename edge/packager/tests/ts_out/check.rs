//! A reader of transport streams that shares nothing with the crate: it knows the rules of ISO/IEC 13818-1 that the output
//! has to keep, and panics where one is broken.

#![allow(dead_code, reason = "each of its users looks at another part")]

use std::collections::BTreeMap;

pub const PACKET: usize = 188;
const WRAP: i64 = 1 << 33;

/// A PES packet.
#[derive(Clone, Debug)]
pub struct Pes {
    pub pid: u16,
    pub stream_id: u8,
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub aligned: bool,
    pub random_access: bool,
    /// PCR in the packet it begins in, in ticks of 90 kHz.
    pub pcr: Option<i64>,
    pub payload: Vec<u8>,
    /// Number of its first packet and of the one after its last.
    pub packets: (usize, usize),
    length: usize,
}

/// What the PMT says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub stream_type: u8,
    pub pid: u16,
    pub descriptors: Vec<u8>,
}

/// What has been read so far; segments are read one after the other.
#[derive(Default)]
pub struct Reader {
    counters: BTreeMap<u16, u8>,
    open: BTreeMap<u16, Pes>,
    /// All that are complete, in the order in which they begin.
    pub pes: Vec<Pes>,
    pub streams: Vec<Stream>,
    pub program_descriptors: Vec<u8>,
    pub clock_pid: u16,
    /// Number of the packet and PCR.
    pub clocks: Vec<(usize, i64)>,
    packets: usize,
}

/// A CRC as annex A draws it: bit by bit.
fn crc(data: &[u8]) -> u32 {
    let mut register = 0xffff_ffffu32;
    for byte in data {
        for bit in (0..8).rev() {
            let feedback = (register >> 31) ^ u32::from(byte >> bit & 1);
            register <<= 1;
            if feedback == 1 {
                register ^= 0x04c1_1db7;
            }
        }
    }
    register
}

fn section(packet_payload: &[u8], table: u8) -> &[u8] {
    let pointer = usize::from(packet_payload[0]);
    let section = &packet_payload[1 + pointer..];
    assert_eq!(section[0], table);
    assert_eq!(section[1] & 0xf0, 0xb0);
    let length = usize::from(section[1] & 15) << 8 | usize::from(section[2]);
    assert_eq!(crc(&section[..3 + length]), 0, "the CRC over a section and its CRC is 0");
    assert!(section[3 + length..].iter().all(|b| *b == 0xff), "nothing but stuffing follows");
    assert_eq!(section[5] & 0xc1, 0xc1, "current");
    assert_eq!(section[6..8], [0, 0], "the only section");
    &section[8..3 + length - 4]
}

fn time_stamp(data: &[u8], prefix: u8) -> i64 {
    assert_eq!(data[0] >> 4, prefix);
    assert_eq!((data[0] & 1, data[2] & 1, data[4] & 1), (1, 1, 1), "marker bits");
    i64::from(data[0] >> 1 & 7) << 30
        | i64::from(data[1]) << 22
        | i64::from(data[2] >> 1) << 15
        | i64::from(data[3]) << 7
        | i64::from(data[4] >> 1)
}

/// `b - a`, of time stamps that are near each other.
pub fn distance(a: i64, b: i64) -> i64 {
    let d = (b - a).rem_euclid(WRAP);
    if d >= WRAP / 2 { d - WRAP } else { d }
}

impl Reader {
    /// Reads a segment: PAT, PMT, and then PES packets.
    pub fn segment(&mut self, data: &[u8]) {
        assert_eq!(data.len() % PACKET, 0, "whole packets");
        for (number, packet) in data.chunks(PACKET).enumerate() {
            self.packet(packet, number);
            self.packets += 1;
        }
        // A PES packet without a length ends with the segment: a segment can be decoded without the next one.
        for pid in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(pid);
        }
        self.pes.sort_by_key(|pes| pes.packets.0);
    }

    fn packet(&mut self, packet: &[u8], number: usize) {
        assert_eq!(packet[0], 0x47);
        assert_eq!(packet[1] & 0xa0, 0, "neither error nor priority");
        let start = packet[1] & 0x40 != 0;
        let pid = u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2]);
        assert_eq!(packet[3] & 0xc0, 0, "not scrambled");
        let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        assert!(has_field || has_payload);
        let counter = packet[3] & 15;
        if let Some(last) = self.counters.insert(pid, counter) {
            let expected = if has_payload { (last + 1) & 15 } else { last };
            assert_eq!(counter, expected, "continuity of pid {pid:#x} at packet {}", self.packets);
        }
        let mut at = 4;
        let (mut random_access, mut pcr) = (false, None);
        if has_field {
            let length = usize::from(packet[4]);
            assert!(if has_payload { length <= 182 } else { length == 183 }, "adaptation field of {length} bytes");
            let field = &packet[5..5 + length];
            at = 5 + length;
            if let Some((flags, field)) = field.split_first() {
                assert_eq!(flags & 0x80, 0, "no discontinuity");
                assert_eq!(flags & 0x2f, 0, "nothing but random access and clock");
                random_access = flags & 0x40 != 0;
                let mut stuffing = field;
                if flags & 0x10 != 0 {
                    let base =
                        field[..4].iter().fold(0i64, |n, b| n << 8 | i64::from(*b)) << 1 | i64::from(field[4] >> 7);
                    assert_eq!((field[4] & 0x7f, field[5]), (0x7e, 0), "reserved bits and extension");
                    pcr = Some(base);
                    stuffing = &field[6..];
                }
                assert!(stuffing.iter().all(|b| *b == 0xff));
            }
        }
        let payload = &packet[at..];
        match number {
            0 => {
                assert_eq!((pid, start, at), (0, true, 4), "a segment begins with the PAT");
                assert_eq!(section(payload, 0), [0, 1, 0xf0, 0]);
                return;
            }
            1 => {
                assert_eq!((pid, start, at), (0x1000, true, 4), "the PMT follows");
                self.program_map(section(payload, 2));
                return;
            }
            _ => {}
        }
        if let Some(pcr) = pcr {
            assert_eq!(pid, self.clock_pid);
            self.clocks.push((self.packets, pcr));
        }
        if !has_payload {
            assert!(pcr.is_some());
            return;
        }
        assert!(self.streams.iter().any(|s| s.pid == pid), "pid {pid:#x} is in the PMT");
        if start {
            self.close(pid);
            self.begin(pid, payload, (random_access, pcr));
        } else {
            let pes = self.open.get_mut(&pid).expect("a PES packet has begun");
            assert!(!random_access && pcr.is_none());
            pes.payload.extend_from_slice(payload);
            pes.packets.1 = self.packets + 1;
        }
    }

    fn begin(&mut self, pid: u16, payload: &[u8], (random_access, pcr): (bool, Option<i64>)) {
        assert_eq!(payload[..3], [0, 0, 1]);
        let length = usize::from(payload[4]) << 8 | usize::from(payload[5]);
        assert_eq!(payload[6] & !4, 0x80);
        let flags = payload[7];
        let header = usize::from(payload[8]);
        assert_eq!((flags, header).1, [0, 9, 5, 10][usize::from(flags >> 6)], "flags {flags:#x}");
        assert_eq!(flags & 0x3f, 0);
        let times = &payload[9..9 + header];
        let (pts, dts) = match flags >> 6 {
            0 => (None, None),
            2 => (Some(time_stamp(times, 2)), None),
            _ => (Some(time_stamp(times, 3)), Some(time_stamp(&times[5..], 1))),
        };
        if let (Some(pts), Some(dts)) = (pts, dts) {
            assert!(distance(dts, pts) > 0, "a decoding time only where it differs, and before the presentation");
        }
        let pes = Pes {
            pid,
            stream_id: payload[3],
            pts,
            dts,
            aligned: payload[6] & 4 != 0,
            random_access,
            pcr,
            payload: payload[9 + header..].to_vec(),
            packets: (self.packets, self.packets + 1),
            length: if length == 0 { 0 } else { length - 3 - header },
        };
        assert!(length > 0 || pid == 0x100, "only video has no length");
        self.open.insert(pid, pes);
    }

    fn close(&mut self, pid: u16) {
        if let Some(pes) = self.open.remove(&pid) {
            if pes.length > 0 {
                assert_eq!(pes.payload.len(), pes.length, "PES_packet_length");
            } else {
                assert!(pes.payload.len() > 65_535 - 13);
            }
            self.pes.push(pes);
        }
    }

    fn program_map(&mut self, map: &[u8]) {
        self.clock_pid = u16::from(map[0] & 0x1f) << 8 | u16::from(map[1]);
        let length = usize::from(map[2] & 15) << 8 | usize::from(map[3]);
        self.program_descriptors = map[4..4 + length].to_vec();
        let mut rest = &map[4 + length..];
        self.streams.clear();
        while let [stream_type, a, b, c, d, after @ ..] = rest {
            let length = usize::from(c & 15) << 8 | usize::from(*d);
            self.streams.push(Stream {
                stream_type: *stream_type,
                pid: u16::from(a & 0x1f) << 8 | u16::from(*b),
                descriptors: after[..length].to_vec(),
            });
            rest = &after[length..];
        }
        assert!(rest.is_empty());
    }

    /// The clock runs on evenly, and what is decoded has arrived before.
    pub fn check_clock(&self) {
        assert!(!self.clocks.is_empty());
        for pair in self.clocks.windows(2) {
            let step = distance(pair[0].1, pair[1].1);
            assert!((0..=9_000).contains(&step), "the PCR goes from {:?} to {:?}", pair[0], pair[1]);
        }
        for pes in &self.pes {
            // The last PCR before its last byte, and the first one after it.
            let next = self.clocks.partition_point(|(packet, _)| *packet < pes.packets.1);
            let Some(decode) = pes.dts.or(pes.pts) else { continue };
            assert!(next > 0, "the clock comes first");
            assert!(distance(self.clocks[next - 1].1, decode) > 0, "{:#x} is late: {decode}", pes.pid);
            if let Some((_, clock)) = self.clocks.get(next) {
                assert!(distance(*clock, decode) >= 0, "{:#x} ends at {clock} and is decoded at {decode}", pes.pid);
            }
        }
    }

    /// The PES packets of a stream.
    pub fn of(&self, pid: u16) -> impl Iterator<Item = &Pes> {
        self.pes.iter().filter(move |pes| pes.pid == pid)
    }

    /// The elementary stream of a pid.
    pub fn elementary(&self, pid: u16) -> Vec<u8> {
        self.of(pid).flat_map(|pes| pes.payload.iter().copied()).collect()
    }
}
