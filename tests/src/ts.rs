//! A checker of transport streams, packet by packet, written from ISO/IEC 13818-1 and RFC 8216 3.2. It knows nothing of how
//! ours are made, and takes ffmpeg's as well.

pub mod shift;
mod unit;

use std::collections::BTreeMap;

pub use unit::Codec;

/// Bytes of a packet.
pub const PACKET: usize = 188;
const SYNC: u8 = 0x47;
const PAT_PID: u16 = 0;
const NULL_PID: u16 = 0x1fff;
/// Ticks of the 90 kHz clock in 100 ms: PCRs may not be farther apart (ISO/IEC 13818-1, 2.7.2).
const PCR_INTERVAL: i64 = 9_000;
/// Ticks that data may wait in a decoder's buffers (2.4.2.7: one second).
const LONGEST_DELAY: i64 = 90_000;

/// What one PES packet carries.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// Number of the packet that it begins in, counted over all segments.
    pub packet: usize,
    /// Segment that it is in, from 0.
    pub segment: usize,
    /// In ticks of 90 kHz, modulo 2^33.
    pub pts: u64,
    /// As `pts`; the same when it is not written.
    pub dts: u64,
    /// `random_access_indicator`
    pub random_access: bool,
    /// What follows the PES header.
    pub payload: Vec<u8>,
}

/// An elementary stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// `stream_type` of the program map.
    pub stream_type: u8,
    /// Descriptors of the program map.
    pub descriptors: Vec<u8>,
    /// Its PES packets.
    pub units: Vec<Unit>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What breaks a rule, each with its segment and packet.
    pub problems: Vec<String>,
    /// By PID.
    pub streams: BTreeMap<u16, Stream>,
    /// The PIDs of the first three packets of each segment.
    pub first_pids: Vec<Vec<u16>>,
    /// The widest distance of two PCRs, in ticks of 90 kHz.
    pub widest_pcr_interval: i64,
    /// The least time that data is there before it is decoded, in ticks of 90 kHz. A decoder that runs by the PCR has too
    /// little when this is negative, as it is in what ffmpeg writes; players of HLS do not mind.
    pub least_delay: Option<i64>,
    /// Packets in all.
    pub packets: usize,
    /// PID that carries the PCR.
    pub pcr_pid: u16,
}

/// How far `later` is from `earlier` on a clock of 33 bits.
pub fn distance(later: u64, earlier: u64) -> i64 {
    let wrapped = later.wrapping_sub(earlier) & ((1 << 33) - 1);
    if wrapped < 1 << 32 { wrapped as i64 } else { wrapped as i64 - (1 << 33) }
}

/// Checks segments that are played one after the other.
pub fn check(segments: &[Vec<u8>]) -> Report {
    let mut checker = Checker::default();
    for (index, segment) in segments.iter().enumerate() {
        checker.segment(index, segment);
    }
    let mut report = checker.report;
    unit::check(&mut report);
    report
}

/// A PES packet that is not whole yet.
struct Open {
    unit: Unit,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Checker {
    report: Report,
    /// Within the segment.
    packet: usize,
    segment: usize,
    pmt_pid: Option<u16>,
    pmt_seen: bool,
    /// Last counter and last packet of each PID; over segments.
    counters: BTreeMap<u16, (u8, Vec<u8>)>,
    /// PIDs whose counter may jump: the discontinuity indicator was set.
    restarted: BTreeMap<u16, bool>,
    open: BTreeMap<u16, Open>,
    last_dts: BTreeMap<u16, u64>,
    pcr: Option<u64>,
}

/// An adaptation field.
#[derive(Default)]
struct Adaptation {
    discontinuity: bool,
    random_access: bool,
    /// In ticks of 90 kHz.
    pcr: Option<u64>,
}

impl Checker {
    fn problem(&mut self, what: impl std::fmt::Display) {
        self.report.problems.push(format!("segment {}, packet {}: {what}", self.segment, self.packet));
    }

    fn segment(&mut self, index: usize, bytes: &[u8]) {
        self.segment = index;
        self.packet = 0;
        self.pmt_seen = false;
        self.restarted.clear();
        if bytes.is_empty() || !bytes.len().is_multiple_of(PACKET) {
            self.problem(format!("{} bytes are not whole packets", bytes.len()));
        }
        let pid = |packet: &[u8]| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        self.report.first_pids.push(bytes.chunks_exact(PACKET).take(3).map(pid).collect());
        for (number, packet) in bytes.chunks_exact(PACKET).enumerate() {
            self.packet = number;
            self.packet(packet);
            self.report.packets += 1;
        }
        let open: Vec<u16> = self.open.keys().copied().collect();
        for pid in open {
            self.close(pid);
        }
        if !self.pmt_seen {
            self.problem("the segment has no program map");
        }
    }

    fn packet(&mut self, packet: &[u8]) {
        if packet[0] != SYNC {
            return self.problem(format!("begins with {:#04x}", packet[0]));
        }
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        if pid == NULL_PID {
            return;
        }
        if packet[1] & 0x80 != 0 {
            self.problem("transport error indicator");
        }
        if packet[3] & 0xc0 != 0 {
            self.problem("scrambled");
        }
        let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let mut at = 4;
        let mut adaptation = Adaptation::default();
        if has_adaptation {
            let length = usize::from(packet[4]);
            // 183 bytes without payload, else 0 to 182.
            if (!has_payload && length != 183) || (has_payload && length > 182) {
                return self.problem(format!("adaptation field of {length} bytes"));
            }
            adaptation = self.adaptation(&packet[5..5 + length]);
            at = 5 + length;
        } else if !has_payload {
            return self.problem("neither adaptation field nor payload");
        }
        self.continuity(pid, packet, has_payload, adaptation.discontinuity);
        if let Some(pcr) = adaptation.pcr {
            self.clock(pid, pcr, adaptation.discontinuity);
        }
        if !has_payload {
            return;
        }
        let begins = packet[1] & 0x40 != 0;
        let payload = &packet[at..];
        if pid == PAT_PID {
            self.association(payload, begins);
        } else if Some(pid) == self.pmt_pid {
            self.map(payload, begins);
        } else if self.report.streams.contains_key(&pid) {
            self.elementary(pid, payload, begins, &adaptation);
        } else if pid > 0x1f {
            // PIDs up to 0x1f are for tables that players ignore (SDT).
            self.problem(format!("PID {pid:#x} is not in the program map"));
        }
    }

    fn adaptation(&mut self, field: &[u8]) -> Adaptation {
        let Some(flags) = field.first() else { return Adaptation::default() };
        let mut adaptation =
            Adaptation { discontinuity: flags & 0x80 != 0, random_access: flags & 0x40 != 0, pcr: None };
        let mut used = 1;
        if flags & 0x10 != 0 {
            if let Some(field) = field.get(1..7) {
                let high = u64::from(u32::from_be_bytes([field[0], field[1], field[2], field[3]]));
                adaptation.pcr = Some(high << 1 | u64::from(field[4] >> 7));
                let extension = u16::from_be_bytes([field[4] & 1, field[5]]);
                if extension >= 300 {
                    self.problem(format!("PCR extension of {extension}"));
                }
                if field[4] & 0x7e != 0x7e {
                    self.problem("reserved bits of the PCR are not ones");
                }
                used = 7;
            } else {
                self.problem("a PCR that does not fit");
            }
        }
        // Nothing of the optional parts but the PCR is expected; then all that is left is stuffing.
        if flags & 0x0f == 0 && field.get(used..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0xff)) {
            self.problem("stuffing of an adaptation field is not 0xff");
        }
        adaptation
    }

    fn continuity(&mut self, pid: u16, packet: &[u8], has_payload: bool, discontinuity: bool) {
        let counter = packet[3] & 15;
        let fresh = self.restarted.insert(pid, true).is_none();
        if let Some((last, before)) = self.counters.get(&pid) {
            let expected = if has_payload { (last + 1) & 15 } else { *last };
            let duplicate = !fresh && counter == *last && before[..] == *packet;
            let last = *last;
            if counter != expected && !duplicate && !discontinuity {
                let whence = if fresh { " since the segment before, without a discontinuity indicator" } else { "" };
                self.problem(format!("PID {pid:#x}: counter {last}, then {counter}{whence}"));
            }
        }
        self.counters.insert(pid, (counter, packet.to_vec()));
    }

    fn clock(&mut self, pid: u16, pcr: u64, discontinuity: bool) {
        if !self.pmt_seen || pid != self.report.pcr_pid {
            return self.problem(format!("a PCR on PID {pid:#x}, the program's is {:#x}", self.report.pcr_pid));
        }
        if let Some(last) = self.pcr {
            let interval = distance(pcr, last);
            if !discontinuity || (0..=LONGEST_DELAY).contains(&interval) {
                if interval < 0 {
                    self.problem(format!("the PCR goes back by {} ticks", -interval));
                } else if interval > PCR_INTERVAL {
                    self.problem(format!("no PCR for {} ms", interval / 90));
                }
                self.report.widest_pcr_interval = self.report.widest_pcr_interval.max(interval);
            }
        }
        self.pcr = Some(pcr);
    }

    /// A section that is whole in one packet, without its checksum; `None` after a problem.
    fn section<'a>(&mut self, payload: &'a [u8], begins: bool, table: u8) -> Option<&'a [u8]> {
        let start = 1 + usize::from(*payload.first()?);
        if !begins {
            self.problem("a table in more than one packet");
            return None;
        }
        let section = payload.get(start..)?;
        let length = usize::from(u16::from_be_bytes([*section.get(1)? & 0x0f, *section.get(2)?]));
        let Some(whole) = section.get(..3 + length).filter(|_| length >= 9) else {
            self.problem(format!("a section of {length} bytes"));
            return None;
        };
        if whole[0] != table || whole[1] & 0xc0 != 0x80 {
            self.problem(format!("table {:#x}, expected {table:#x}", whole[0]));
            return None;
        }
        if crc(whole) != 0 {
            self.problem(format!("checksum of table {table:#x}"));
            return None;
        }
        if whole[5] & 1 != 1 || whole[6..8] != [0, 0] {
            self.problem("a table that is not current or has several sections");
        }
        if section[3 + length..].iter().any(|byte| *byte != 0xff) {
            self.problem("stuffing of a table is not 0xff");
        }
        Some(&whole[8..whole.len() - 4])
    }

    fn association(&mut self, payload: &[u8], begins: bool) {
        let Some(entries) = self.section(payload, begins, 0) else { return };
        let programs: Vec<u16> = entries
            .chunks_exact(4)
            .filter(|entry| entry[..2] != [0, 0])
            .map(|entry| u16::from_be_bytes([entry[2] & 0x1f, entry[3]]))
            .collect();
        match programs[..] {
            [pid] => self.pmt_pid = Some(pid),
            _ => self.problem(format!("{} programs", programs.len())),
        }
    }

    fn map(&mut self, payload: &[u8], begins: bool) {
        let Some(body) = self.section(payload, begins, 2) else { return };
        let Some(ProgramMap { pcr_pid, streams }) = ProgramMap::read(body) else {
            return self.problem("a program map that contradicts itself");
        };
        self.report.pcr_pid = pcr_pid;
        if !streams.iter().any(|(pid, _)| *pid == pcr_pid) {
            self.problem(format!("the PCR is on PID {pcr_pid:#x}, which is no stream of the program"));
        }
        for (pid, found) in streams {
            let stream = self.report.streams.entry(pid).or_default();
            stream.stream_type = found.stream_type;
            stream.descriptors = found.descriptors;
        }
        self.pmt_seen = true;
    }

    fn elementary(&mut self, pid: u16, payload: &[u8], begins: bool, adaptation: &Adaptation) {
        if !self.pmt_seen {
            self.problem(format!("PID {pid:#x} before the segment's program map"));
        }
        if begins {
            self.close(pid);
            let unit = Unit {
                packet: self.report.packets,
                segment: self.segment,
                random_access: adaptation.random_access,
                ..Unit::default()
            };
            self.open.insert(pid, Open { unit, bytes: payload.to_vec() });
        } else if let Some(open) = self.open.get_mut(&pid) {
            open.bytes.extend_from_slice(payload);
            if adaptation.random_access {
                self.problem("random access indicator where no PES packet begins");
            }
        } else {
            self.problem(format!("PID {pid:#x} begins in the middle of a PES packet"));
        }
        let whole =
            |open: &Open| pes_header(&open.bytes).is_some_and(|h| h.length > 0 && h.length + 6 == open.bytes.len());
        if self.open.get(&pid).is_some_and(whole) {
            self.close(pid);
        }
    }

    /// Looks at a PES packet that is whole now.
    fn close(&mut self, pid: u16) {
        let Some(Open { mut unit, bytes }) = self.open.remove(&pid) else { return };
        let Some(header) = pes_header(&bytes) else {
            return self
                .problem(format!("PID {pid:#x}: the PES packet that began at packet {} is broken", unit.packet));
        };
        let is_video = (0xe0..=0xef).contains(&header.stream_id);
        if header.length == 0 && !is_video {
            self.problem(format!("PID {pid:#x}: a PES packet without length that is not video"));
        }
        if header.length != 0 && header.length + 6 != bytes.len() {
            self.problem(format!("PID {pid:#x}: a PES packet of {} bytes says {}", bytes.len(), header.length + 6));
        }
        let Some(pts) = header.pts else { return self.problem(format!("PID {pid:#x}: a PES packet without PTS")) };
        unit.pts = pts;
        unit.dts = header.dts.unwrap_or(pts);
        if distance(unit.pts, unit.dts) < 0 {
            self.problem(format!("PID {pid:#x}: PTS {} before DTS {}", unit.pts, unit.dts));
        }
        if let Some(last) = self.last_dts.insert(pid, unit.dts)
            && distance(unit.dts, last) <= 0
        {
            self.problem(format!("PID {pid:#x}: DTS {last}, then {}", unit.dts));
        }
        // The clock when the last byte has come, of what has a length; else when the next PES packet begins.
        if let Some(pcr) = self.pcr {
            let ahead = distance(unit.dts, pcr);
            self.report.least_delay = Some(self.report.least_delay.map_or(ahead, |least| least.min(ahead)));
            if ahead > LONGEST_DELAY * 2 {
                self.problem(format!("PID {pid:#x}: data {} ms ahead of its time", ahead / 90));
            }
        }
        unit.payload = bytes[header.payload..].to_vec();
        if let Some(stream) = self.report.streams.get_mut(&pid) {
            stream.units.push(unit);
        }
    }
}

struct ProgramMap {
    pcr_pid: u16,
    /// By PID, without units.
    streams: Vec<(u16, Stream)>,
}

impl ProgramMap {
    fn read(body: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8], mask: u8| Some(u16::from_be_bytes([*bytes.first()? & mask, *bytes.get(1)?]));
        let pcr_pid = number(body, 0x1f)?;
        let mut rest = body.get(4 + usize::from(number(body.get(2..)?, 0x0f)?)..)?;
        let mut streams = Vec::new();
        while !rest.is_empty() {
            let length = usize::from(number(rest.get(3..)?, 0x0f)?);
            let descriptors = rest.get(5..5 + length)?.to_vec();
            let pid = number(rest.get(1..)?, 0x1f)?;
            streams.push((pid, Stream { stream_type: rest[0], descriptors, units: Vec::new() }));
            rest = &rest[5 + length..];
        }
        Some(Self { pcr_pid, streams })
    }
}

struct PesHeader {
    stream_id: u8,
    length: usize,
    pts: Option<u64>,
    dts: Option<u64>,
    payload: usize,
}

fn pes_header(bytes: &[u8]) -> Option<PesHeader> {
    let fixed = bytes.get(..9).filter(|bytes| bytes.starts_with(&[0, 0, 1]) && bytes[6] & 0xc0 == 0x80)?;
    let payload = 9 + usize::from(fixed[8]);
    let fields = bytes.get(9..payload)?;
    let (pts, dts) = match fixed[7] >> 6 {
        0 => (None, None),
        2 => (Some(stamp(fields, 2)?), None),
        3 => (Some(stamp(fields, 3)?), Some(stamp(fields.get(5..)?, 1)?)),
        _ => return None,
    };
    let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    Some(PesHeader { stream_id: fixed[3], length, pts, dts, payload })
}

/// A time of 33 bits, with its prefix and its marker bits.
fn stamp(field: &[u8], prefix: u8) -> Option<u64> {
    let field = field.get(..5)?;
    let markers = field[0] & field[2] & field[4] & 1 == 1;
    let low = |high: u8, low: u8| u64::from(high) << 7 | u64::from(low >> 1);
    (field[0] >> 4 == prefix && markers)
        .then(|| u64::from(field[0] >> 1 & 7) << 30 | low(field[1], field[2]) << 15 | low(field[3], field[4]))
}

/// CRC-32/MPEG-2; 0 over a section with its checksum.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8)
            .fold(crc ^ u32::from(*byte) << 24, |crc, _| if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::root;

    fn ffmpeg_made(folder: &str, count: usize) -> Vec<Vec<u8>> {
        let folder = root().join("tests/media/hls").join(folder);
        (1..=count).map(|number| std::fs::read(folder.join(format!("{number}.ts"))).expect("a segment")).collect()
    }

    #[test]
    fn streams_of_ffmpeg_keep_the_rules() {
        // The segments with LATM are two streams: each was multiplexed by itself.
        for (folder, count) in
            [("ts/180p", 3), ("codecs/hevc", 2), ("codecs/eac3", 2), ("codecs/latm", 1), ("codecs/mp3", 2)]
        {
            let report = check(&ffmpeg_made(folder, count));
            assert!(report.problems.is_empty(), "{folder}: {:#?}", report.problems);
            assert_eq!(report.streams.len(), 2, "{folder}");
        }
        let report = check(&ffmpeg_made("ts/180p", 3));
        let video = &report.streams[&report.pcr_pid];
        assert_eq!((video.stream_type, video.units.len()), (0x1b, 18 * 25));
        assert_eq!(video.units.iter().filter(|unit| unit.random_access).count(), 9);
        assert_eq!((video.units[0].pts, video.units[150].segment), (900_000, 1));
    }

    /// Every kind of damage is named.
    #[test]
    fn damage_is_found() {
        type Damage = fn(&mut Vec<u8>);
        let cases: [(&str, &str, Damage); 14] = [
            ("a byte missing", "not whole packets", |bytes| bytes.truncate(PACKET * 100 + 50)),
            ("sync", "begins with", |bytes| bytes[PACKET * 9] = 0x46),
            ("a packet missing", "counter", |bytes| drop(bytes.drain(PACKET * 9..PACKET * 10))),
            ("a packet twice elsewhere", "counter", |bytes| {
                let packet = bytes[PACKET * 9..PACKET * 10].to_vec();
                bytes.splice(PACKET * 20..PACKET * 20, packet);
            }),
            ("checksum", "checksum of table", |bytes| bytes[PACKET + 12] ^= 1),
            ("no program map", "no program map", |bytes| bytes.retain_packets(|pid| pid != 0x1000)),
            ("error indicator", "transport error", |bytes| bytes[PACKET * 9 + 1] |= 0x80),
            ("few PCRs", "no PCR for", |bytes| {
                bytes.each_packet(|packet, number| {
                    if number > 10 && number < 300 && packet[3] & 0x20 != 0 && packet[4] >= 7 && packet[5] & 0x10 != 0 {
                        packet[5] &= !0x10;
                        packet[6..12].fill(0xff);
                    }
                })
            }),
            ("times", "DTS", |bytes| {
                bytes.each_packet(|packet, number| {
                    // The upper bits of a PTS in the middle.
                    if number > 150
                        && let Some(at) = packet.windows(4).position(|four| four == [0, 0, 1, 0xe0])
                    {
                        packet[at + 9] ^= 0x02;
                    }
                })
            }),
            ("random access", "random access", |bytes| {
                bytes.each_packet(|packet, _| {
                    if packet[3] & 0x20 != 0 && packet[4] > 0 {
                        packet[5] &= !0x40;
                    }
                })
            }),
            ("parameter sets", "parameter sets", |bytes| {
                bytes.each_packet(|packet, _| {
                    // SPS by name becomes a NAL unit of type 12, filler.
                    if let Some(at) = packet.windows(4).position(|four| four == [0, 0, 1, 0x67]) {
                        packet[at + 3] = 0x6c;
                    }
                })
            }),
            ("delimiter", "delimiter", |bytes| {
                bytes.each_packet(|packet, number| {
                    if number > 100
                        && let Some(at) = packet.windows(4).position(|four| four == [0, 0, 1, 0x09])
                    {
                        packet[at + 3] = 0x0c;
                    }
                })
            }),
            ("ADTS", "ADTS", |bytes| {
                bytes.each_packet(|packet, _| {
                    if let Some(at) = packet.windows(2).position(|two| two == [0xff, 0xf1]) {
                        packet[at] = 0x7f;
                    }
                })
            }),
            ("cut short", "says", |bytes| {
                let last = bytes.len() / PACKET - 1;
                let start = (0..last).rev().find(|number| {
                    let packet = &bytes[number * PACKET..];
                    packet[1] & 0x40 != 0 && packet[2] == 1
                });
                bytes.truncate((start.expect("a PES packet of sound") + 1) * PACKET);
            }),
        ];
        let whole = ffmpeg_made("ts/180p", 1).remove(0);
        for (name, wanted, damage) in cases {
            let mut bytes = whole.clone();
            damage(&mut bytes);
            let problems = check(&[bytes]).problems;
            assert!(problems.iter().any(|problem| problem.contains(wanted)), "{name}: {problems:#?}");
        }
    }

    #[test]
    fn restarts_must_be_marked() {
        let mut segments = ffmpeg_made("ts/180p", 3);
        // The third right after the first.
        segments.swap(1, 2);
        segments.truncate(2);
        let problems = check(&segments).problems;
        assert!(problems.iter().any(|problem| problem.contains("since the segment before")), "{problems:#?}");
        assert!(problems.iter().any(|problem| problem.contains("no PCR for")), "{problems:#?}");
    }

    #[test]
    fn clocks_wrap() {
        assert_eq!(distance(5, (1 << 33) - 5), 10);
        assert_eq!(distance((1 << 33) - 5, 5), -10);
        assert_eq!(distance(100, 90), 10);
    }

    trait Packets {
        fn each_packet(&mut self, change: impl Fn(&mut [u8], usize));
        fn retain_packets(&mut self, keep: impl Fn(u16) -> bool);
    }

    impl Packets for Vec<u8> {
        fn each_packet(&mut self, change: impl Fn(&mut [u8], usize)) {
            for (number, packet) in self.chunks_exact_mut(PACKET).enumerate() {
                change(packet, number);
            }
        }

        fn retain_packets(&mut self, keep: impl Fn(u16) -> bool) {
            let kept: Vec<&[u8]> = self
                .chunks_exact(PACKET)
                .filter(|packet| keep(u16::from_be_bytes([packet[1] & 0x1f, packet[2]])))
                .collect();
            *self = kept.concat();
        }
    }
}
