//! Programs, PES headers, and what is refused.

use packager::ErrorKind;

use crate::build::{Mux, SOUND, VIDEO, adts, annex_b, avc};
use crate::learn;

fn error(bytes: &[u8]) -> (ErrorKind, String) {
    let error = learn::learn(&[(false, bytes)], &[188]).err().expect("it is refused");
    (error.kind(), error.to_string())
}

#[test]
fn a_stream_keeps_its_number_when_its_pid_changes() {
    let frames = |n: u8| [adts(3, 2, false, &[n; 90]), adts(3, 2, false, &[n + 1; 90])].concat();
    let mut mux = Mux::new(&[(0x0f, SOUND, &[]), (0x0f, 0x102, &[])]);
    mux.pes(SOUND, 9000, &frames(0));
    mux.pes(0x102, 9000, &frames(10));
    mux.tables(1, &[(0x0f, 0x200, &[]), (0x0f, 0x102, &[])]);
    mux.pes(0x200, 12_840, &frames(2));
    mux.pes(0x102, 12_840, &frames(12));
    // The PID that it had is nobody's now.
    mux.pes(SOUND, 16_680, &frames(4));
    let found = learn::learn(&[(false, &mux.out)], &[188]).unwrap();
    learn::check_extraction(&mux.out, &found, "two maps");
    let all = |stream: usize| -> Vec<(u8, u16, u32)> {
        found.frames[stream].iter().map(|f| (f.data[0], f.place.pid, f.place.run)).collect()
    };
    assert_eq!(all(0), [(0, SOUND, 0), (1, SOUND, 0), (2, 0x200, 1), (3, 0x200, 1)]);
    assert_eq!(all(1), [(10, 0x102, 0), (11, 0x102, 0), (12, 0x102, 0), (13, 0x102, 0)]);
}

#[test]
fn a_pes_header_may_be_in_several_packets() {
    let (sps, pps, idr, p) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(50), avc::p(1, 20));
    for room in 1..24 {
        let mut mux = Mux::new(&[(0x1b, VIDEO, &[])]);
        mux.pes_in(VIDEO, room, (Some(9000), Some(5400)), &annex_b(&[&sps, &pps, &idr]));
        mux.pes_in(VIDEO, room, (Some((1 << 33) - 1), Some(9000)), &annex_b(&[&p]));
        let found = learn::learn(&[(false, &mux.out)], &[188]).unwrap();
        learn::check_extraction(&mux.out, &found, "a header in parts");
        let times: Vec<_> = found.frames[0].iter().map(|f| (f.pts, f.dts)).collect();
        assert_eq!(times, [(9000, 5400), ((1 << 33) - 1, 9000)], "{room} bytes a packet");
    }
}

#[test]
fn encrypted_streams_are_refused() {
    let frames: Vec<u8> = (0..20).flat_map(|n| adts(3, 2, false, &[n; 180])).collect();
    let mut mux = Mux::new(&[(0x0f, SOUND, &[])]);
    mux.pes(SOUND, 9000, &frames);
    for packet in mux.out[2 * 188..].chunks_mut(188) {
        packet[3] |= 0x80;
    }
    let (kind, message) = error(&mux.out);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert_eq!(message, "segment 1 packet 9 PID 0x101: encrypted: transport_scrambling_control is 2");
    let mut mux = Mux::new(&[(0xdb, VIDEO, &[])]);
    mux.pes(VIDEO, 9000, &[0; 50]);
    let (kind, message) = error(&mux.out);
    assert_eq!(kind, ErrorKind::Unsupported);
    assert_eq!(message, "segment 1 packet 1 PID 0x1000: stream_type 0xdb: encrypted (SAMPLE-AES)");
}

#[test]
fn a_segment_that_is_something_else_is_named() {
    let mut mux = Mux::new(&[(0x0f, SOUND, &[])]);
    mux.pes(SOUND, 9000, &adts(3, 2, false, &[1; 180]));
    let page = b"<html>no such file</html>".repeat(40);
    let error = learn::learn(&[(false, &mux.out), (false, &page)], &[188]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::BadSource);
    assert!(error.message().starts_with("segment 2: no sync byte 0x47"), "{error}");
    assert!(error.message().ends_with("(it looks like a web page or XML)"), "{error}");
    assert_eq!(error_of_tables(), "segment 1: no program association table in 3 packets");
}

fn error_of_tables() -> String {
    let mut mux = Mux::default();
    mux.pes(SOUND, 9000, &[1; 500]);
    error(&mux.out).1
}

#[test]
fn what_is_left_out_is_named_with_its_type() {
    let mut mux = Mux::new(&[(0x0f, SOUND, &[]), (0x02, 0x110, &[]), (0x06, 0x111, &[0x59, 0]), (0x86, 0x112, &[])]);
    mux.pes(SOUND, 9000, &adts(3, 2, false, &[1; 180]));
    let found = learn::learn(&[(false, &mux.out)], &[188]).unwrap();
    assert_eq!(
        found.warnings,
        [
            "segment 1 packet 1 PID 0x110: stream_type 0x02 was left out: MPEG-1 or MPEG-2 video",
            "segment 1 packet 1 PID 0x111: stream_type 0x06 was left out: DVB subtitles",
        ]
    );
    assert_eq!(found.streams.len(), 1);
}
