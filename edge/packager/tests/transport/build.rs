//! Small transport streams made by hand.

use std::collections::HashMap;

/// Program map: stream types, PIDs, descriptors.
pub type Streams<'a> = &'a [(u8, u16, &'a [u8])];

pub const PMT: u16 = 0x1000;
pub const VIDEO: u16 = 0x100;
pub const SOUND: u16 = 0x101;

/// A multiplexer.
#[derive(Default)]
pub struct Mux {
    pub out: Vec<u8>,
    continuity: HashMap<u16, u8>,
}

impl Mux {
    /// Starts with program tables.
    pub fn new(streams: Streams<'_>) -> Self {
        let mut mux = Self::default();
        mux.tables(0, streams);
        mux
    }

    pub fn tables(&mut self, version: u8, streams: Streams<'_>) {
        let mut pat = vec![0, 0, 0, 0, 1, 0xc1, 0, 0, 0, 1, 0xe0 | (PMT >> 8) as u8, PMT as u8];
        let mut pmt = vec![2, 0, 0, 0, 1, 0xc1 | version << 1, 0, 0, 0xe1, 0, 0xf0, 0];
        for (stream_type, pid, descriptors) in streams {
            pmt.push(*stream_type);
            pmt.extend((0xe000 | pid).to_be_bytes());
            pmt.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
            pmt.extend(*descriptors);
        }
        for (pid, section) in [(0, &mut pat), (PMT, &mut pmt)] {
            let length = section.len() + 1;
            section[1] = 0xb0 | (length >> 8) as u8;
            section[2] = length as u8;
            let crc = packager::ts::psi::crc32(section);
            section.extend(crc.to_be_bytes());
            section.insert(0, 0);
            self.packet(pid, true, section);
        }
    }

    /// One packet; what is missing of its payload is made up by an adaptation field.
    pub fn packet(&mut self, pid: u16, start: bool, payload: &[u8]) {
        let continuity = self.continuity.entry(pid).or_insert(15);
        *continuity = (*continuity + 1) & 15;
        let stuffing = 184 - payload.len();
        let control = if stuffing > 0 { 0x30 } else { 0x10 } | *continuity;
        self.out.extend([0x47, u8::from(start) << 6 | (pid >> 8) as u8, pid as u8, control]);
        if stuffing > 0 {
            let mut field = vec![(stuffing - 1) as u8, 0];
            field.resize(stuffing.max(2), 0xff);
            self.out.extend(&field[..stuffing]);
        }
        self.out.extend(payload);
    }

    /// A PES packet in packets with `room` bytes of payload at most.
    pub fn pes_in(&mut self, pid: u16, room: usize, times: (Option<u64>, Option<u64>), data: &[u8]) {
        let (pts, dts) = times;
        let flags = u8::from(pts.is_some()) << 7 | u8::from(dts.is_some()) << 6;
        let mut pes = vec![0, 0, 1, 0xe0, 0, 0, 0x80, flags, 0];
        for (time, prefix) in [(pts, if dts.is_some() { 3 } else { 2 }), (dts, 1)] {
            if let Some(t) = time {
                let part = |shift: u64, bits: u64| (t >> shift & ((1 << bits) - 1)) << 1 | 1;
                pes.push((prefix << 4 | part(30, 3)) as u8);
                pes.extend((part(15, 15) as u16).to_be_bytes());
                pes.extend((part(0, 15) as u16).to_be_bytes());
            }
        }
        pes[8] = (pes.len() - 9) as u8;
        pes.extend(data);
        for (index, chunk) in pes.chunks(room).enumerate() {
            self.packet(pid, index == 0, chunk);
        }
    }

    /// A PES packet with a PTS.
    pub fn pes(&mut self, pid: u16, pts: u64, data: &[u8]) {
        self.pes_in(pid, 184, (Some(pts), None), data);
    }
}

/// Bits written as text, with Exp-Golomb codes in between.
#[derive(Default)]
struct Bits(String);

impl Bits {
    fn u(mut self, value: u32, bits: usize) -> Self {
        self.0 += &format!("{value:0bits$b}");
        self
    }

    fn ue(self, value: u32) -> Self {
        let length = 32 - (value + 1).leading_zeros() as usize;
        self.u(value + 1, 2 * length - 1)
    }

    /// With `rbsp_trailing_bits`, behind a NAL unit header.
    fn nal(self, header: u8) -> Vec<u8> {
        let mut bits = self.0 + "1";
        while !bits.len().is_multiple_of(8) {
            bits.push('0');
        }
        let bytes = (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap());
        std::iter::once(header).chain(bytes).collect()
    }
}

/// H.264 parameter sets and slices, as far as anybody looks at them.
pub mod avc {
    use super::Bits;

    /// `width` in macroblocks; with `fields`, pictures may be fields.
    pub fn sps(id: u32, width: u32, fields: bool) -> Vec<u8> {
        let b = Bits::default().u(77, 8).u(0, 8).u(30, 8).ue(id).ue(0).ue(2).ue(1).u(0, 1).ue(width - 1).ue(8);
        let b = if fields { b.u(0, 2) } else { b.u(1, 1) };
        b.u(1, 1).u(0, 2).nal(0x67)
    }

    pub fn pps(id: u32, sps: u32) -> Vec<u8> {
        Bits::default().ue(id).ue(sps).u(0, 2).ue(0).ue(0).ue(0).u(0, 3).ue(0).ue(0).ue(0).u(0, 3).nal(0x68)
    }

    /// A slice of a frame, or of a field (whether it is the bottom one).
    pub struct Slice {
        pub header: u8,
        pub first_mb: u32,
        pub intra: bool,
        pub frame_num: u32,
        pub field: Option<bool>,
    }

    impl Slice {
        pub fn nal(&self, bytes: usize) -> Vec<u8> {
            let b = Bits::default().ue(self.first_mb).ue(if self.intra { 7 } else { 5 }).ue(0).u(self.frame_num, 4);
            let b = match self.field {
                Some(bottom) => b.u(1, 1).u(bottom.into(), 1),
                None => b,
            };
            let mut nal = b.nal(self.header);
            nal.extend((0..bytes).map(|n| 0x40 | n as u8));
            nal
        }
    }

    pub fn idr(bytes: usize) -> Vec<u8> {
        Slice { header: 0x65, first_mb: 0, intra: true, frame_num: 0, field: None }.nal(bytes)
    }

    pub fn p(frame_num: u32, bytes: usize) -> Vec<u8> {
        Slice { header: 0x41, first_mb: 0, intra: false, frame_num, field: None }.nal(bytes)
    }

    pub const AUD: &[u8] = &[9, 0xf0];
}

/// NAL units behind start codes.
pub fn annex_b(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
}

/// NAL units behind their lengths.
pub fn sample(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes(), *nal].concat()).collect()
}

/// An ADTS frame: sampling frequency index, channel configuration, content; with a CRC or without.
pub fn adts(rate: u8, channels: u8, crc: bool, content: &[u8]) -> Vec<u8> {
    let bytes = content.len() + if crc { 9 } else { 7 };
    let mut frame = vec![
        0xff,
        if crc { 0xf0 } else { 0xf1 },
        0x40 | rate << 2 | channels >> 2,
        (channels & 3) << 6 | (bytes >> 11) as u8,
        (bytes >> 3) as u8,
        (bytes as u8) << 5 | 0x1f,
        0xfc,
    ];
    if crc {
        frame.extend([0x12, 0x34]);
    }
    frame.extend(content);
    frame
}
