//! The same packets at another time.

use std::collections::BTreeMap;

use super::PACKET;

/// Continuity counters of all PIDs, kept from one segment to the next.
pub type Counters = BTreeMap<u16, u8>;

/// `segment` with `ticks` of 90 kHz added to its PCRs, PTS and DTS, modulo 2^33, and with counters that go on.
pub fn shifted(segment: &[u8], ticks: u64, counters: &mut Counters) -> Vec<u8> {
    let mut out = segment.to_vec();
    for packet in out.chunks_exact_mut(PACKET) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (has_adaptation, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        if has_payload {
            let counter = counters.entry(pid).or_insert(15);
            *counter = (*counter + 1) & 15;
            packet[3] = packet[3] & 0xf0 | *counter;
        }
        let mut at = 4;
        if has_adaptation {
            at = 5 + usize::from(packet[4]);
            if packet[4] >= 7 && packet[5] & 0x10 != 0 {
                let base = u64::from(u32::from_be_bytes([packet[6], packet[7], packet[8], packet[9]])) << 1
                    | u64::from(packet[10] >> 7);
                let base = (base + ticks) & ((1 << 33) - 1);
                packet[6..10].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
                packet[10] = packet[10] & 0x7f | ((base & 1) << 7) as u8;
            }
        }
        let begins = packet[1] & 0x40 != 0;
        let Some(pes) = packet.get_mut(at..).filter(|pes| begins && has_payload && pes.starts_with(&[0, 0, 1])) else {
            continue;
        };
        if pes[7] & 0x80 != 0 {
            move_stamp(&mut pes[9..14], ticks);
        }
        if pes[7] & 0x40 != 0 {
            move_stamp(&mut pes[14..19], ticks);
        }
    }
    out
}

fn move_stamp(field: &mut [u8], ticks: u64) {
    let time = u64::from(field[0] >> 1 & 7) << 30
        | u64::from(field[1]) << 22
        | u64::from(field[2] >> 1) << 15
        | u64::from(field[3]) << 7
        | u64::from(field[4] >> 1);
    let time = (time + ticks) & ((1 << 33) - 1);
    field[0] = field[0] & 0xf0 | (time >> 29) as u8 & 0x0e | 1;
    field[1] = (time >> 22) as u8;
    field[2] = (time >> 14) as u8 | 1;
    field[3] = (time >> 7) as u8;
    field[4] = (time << 1) as u8 | 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;
    use crate::ts;

    #[test]
    fn shifted_segments_follow_each_other_across_the_wrap() {
        let segment = std::fs::read(media::hls("ts/180p/1.ts")).expect("a segment");
        // Video of the segment begins at 900000 and ends 540000 ticks later; two segments before the wrap.
        let start = (1 << 33) - 900_000 - 2 * 540_000;
        let mut counters = Counters::new();
        let segments: Vec<Vec<u8>> =
            (0..4).map(|number| shifted(&segment, start + number * 540_000, &mut counters)).collect();
        let report = ts::check(&segments);
        // The sound of a repeated segment is not a whole number of frames long; nothing else may be wrong.
        let others: Vec<&String> = report.problems.iter().filter(|problem| !problem.contains("PID 0x101")).collect();
        assert!(others.is_empty(), "{others:#?}");
        let video = &report.streams[&report.pcr_pid].units;
        assert_eq!((video.len(), video[300].pts), (600, 0));
        assert_eq!(ts::distance(video[599].dts, video[0].dts), 599 * 3600);
    }
}
