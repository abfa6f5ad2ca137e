use super::*;
use crate::ts::{PACKET_BYTES, Packet};

fn with_crc(mut section: Vec<u8>) -> Vec<u8> {
    let length = section.len() - 3 + 4;
    section[1] = 0xb0 | (length >> 8) as u8;
    section[2] = length as u8;
    let crc = crc32(&section);
    section.extend(crc.to_be_bytes());
    section
}

fn pat(programs: &[(u16, u16)]) -> Vec<u8> {
    let mut section = vec![0, 0, 0, 0, 1, 0xc1, 0, 0];
    for (number, pid) in programs {
        section.extend(number.to_be_bytes());
        section.extend((0xe000 | pid).to_be_bytes());
    }
    with_crc(section)
}

fn pmt(current: bool, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut section = vec![2, 0, 0, 0, 1, 0xc0 | u8::from(current), 0, 0, 0xe1, 0x00, 0xf0, 3, 9, 1, 0];
    for (stream_type, pid, descriptors) in streams {
        section.push(*stream_type);
        section.extend((0xe000 | pid).to_be_bytes());
        section.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
        section.extend(*descriptors);
    }
    with_crc(section)
}

/// Packets that carry these sections one after the other.
fn packets(sections: &[Vec<u8>]) -> Vec<[u8; PACKET_BYTES]> {
    let mut starts = Vec::new();
    let mut data = Vec::new();
    for section in sections {
        starts.push(data.len());
        data.extend(section);
    }
    let (mut at, mut out) = (0, Vec::new());
    while at < data.len() {
        let continuity = (out.len() & 15) as u8;
        let first = starts.iter().find(|s| (at..at + 183).contains(s)).map(|s| s - at);
        let mut packet = vec![0x47, if first.is_some() { 0x40 } else { 0 }, 0, 0x10 | continuity];
        packet.extend(first.map(|f| f as u8));
        let end = data.len().min(at + PACKET_BYTES - packet.len());
        packet.extend(&data[at..end]);
        packet.resize(PACKET_BYTES, 0xff);
        at = end;
        out.push(packet.try_into().unwrap());
    }
    out
}

fn read(packets: &[[u8; PACKET_BYTES]]) -> (Vec<Vec<u8>>, u32) {
    let (mut sections, mut found, mut broken) = (Sections::default(), Vec::new(), 0);
    for packet in packets {
        broken += sections.push(&Packet::parse(packet).unwrap(), |s| found.push(s.to_vec()));
    }
    (found, broken)
}

#[test]
fn the_crc_is_that_of_mpeg_2() {
    assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    assert_eq!(crc32(&pat(&[(1, 0x1000)])), 0);
}

#[test]
fn programs_without_the_network() {
    let programs = program_association(&pat(&[(0, 0x10), (3, 0x1000), (4, 0x1001)])).unwrap();
    assert_eq!(programs, [Program { number: 3, map_pid: 0x1000 }, Program { number: 4, map_pid: 0x1001 }]);
    assert_eq!(program_association(&pmt(true, &[])), None);
}

#[test]
fn descriptors() {
    let language = [0x0a, 4, b'e', b'n', b'g', 3];
    let dvb = [0x6a, 1, 0, 0x7a, 1, 0, 0x7f, 2, 6, 0x85];
    let registration = [5, 4, b'A', b'C', b'-', b'3'];
    let metadata = [0x26, 13, 0xff, 0xff, b'I', b'D', b'3', b' ', 0xff, b'I', b'D', b'3', b' ', 0, 0x0f];
    let map = program_map(&pmt(
        true,
        &[(0x0f, 0x101, &language), (6, 0x102, &dvb), (0x81, 0x103, &registration), (0x15, 0x104, &metadata)],
    ))
    .unwrap();
    let [aac, private, ac3, id3] = &map.streams[..] else { panic!("{map:?}") };
    assert_eq!((map.pcr_pid, aac.pid, aac.stream_type), (0x100, 0x101, 0x0f));
    assert_eq!((aac.descriptors.language, aac.descriptors.audio_type), (Some(*b"eng"), 3));
    let d = &private.descriptors;
    assert_eq!(
        (d.ac3, d.eac3, d.visually_impaired, d.tags.as_slice()),
        (true, true, true, [0x6a, 0x7a, 0x7f].as_slice())
    );
    assert_eq!(ac3.descriptors.registration, Some(*b"AC-3"));
    assert_eq!(id3.descriptors.metadata_format, Some(*b"ID3 "));
    assert_eq!(program_map(&pmt(false, &[])), None, "a table that is not yet in force");
}

#[test]
fn sections_across_packets_and_several_in_one() {
    let long: Vec<(u8, u16, &[u8])> = (0..60).map(|n| (0x0f, 0x100 + n, [0x0a, 2, 1, 2].as_slice())).collect();
    let sections = [pat(&[(1, 0x1000)]), pmt(true, &long), pmt(true, &[]), pat(&[(2, 0x30)])];
    let packets = packets(&sections);
    assert!(packets.len() > 3);
    assert_eq!(read(&packets), (sections.to_vec(), 0));
    // A packet sent twice changes nothing; one that is missing breaks what it held a part of.
    let twice: Vec<_> = packets.iter().flat_map(|p| [*p, *p]).collect();
    assert_eq!(read(&twice), (sections.to_vec(), 0));
    let mut missing = packets.clone();
    missing.remove(1);
    let (found, broken) = read(&missing);
    assert_eq!((found.first(), broken), (Some(&sections[0]), 1));
}

#[test]
fn a_wrong_bit_is_seen() {
    let packets = packets(&[pat(&[(1, 0x1000)])]);
    for bit in 5 * 8..(5 + 16) * 8 {
        let mut bad = packets[0];
        bad[bit / 8] ^= 0x80 >> (bit % 8);
        assert_eq!(read(&[bad]).0, Vec::<Vec<u8>>::new(), "bit {bit}");
    }
}
