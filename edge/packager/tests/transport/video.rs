//! Pictures and their configurations.

use crate::build::avc::{self, AUD, Slice};
use crate::build::{Mux, VIDEO, annex_b, sample};
use crate::learn::{self, Learned, Rendition};

fn read(mux: &Mux) -> Rendition {
    let rendition = learn::learn(&[(false, &mux.out)], &[99]).unwrap();
    learn::check_extraction(&mux.out, &rendition, "by hand");
    rendition
}

fn mux() -> Mux {
    Mux::new(&[(0x1b, VIDEO, &[])])
}

fn samples(frames: &[Learned]) -> Vec<&[u8]> {
    frames.iter().map(|f| f.data.as_slice()).collect()
}

#[test]
fn what_is_no_picture_is_left_out() {
    let (sps, pps, idr, p) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(300), avc::p(1, 20));
    let sei: &[u8] = &[6, 5, 1, 9, 0x80];
    let mut mux = mux();
    mux.pes_in(
        VIDEO,
        184,
        (Some(9000), Some(5400)),
        &annex_b(&[AUD, &sps, &pps, sei, &idr, &[12, 0xff, 0xff, 0x80], &[10]]),
    );
    // Zero bytes at the end of a NAL unit are not part of it.
    mux.pes_in(VIDEO, 184, (Some(12_600), None), &[annex_b(&[AUD, &p]), vec![0; 9]].concat());
    mux.pes_in(VIDEO, 184, (Some(16_200), None), &annex_b(&[AUD, &p, &[11]]));
    let found = read(&mux);
    let frames = &found.frames[0];
    assert_eq!(samples(frames), [sample(&[sei, &idr]), sample(&[&p]), sample(&[&p])]);
    let times: Vec<_> = frames.iter().map(|f| (f.pts, f.dts, f.sync, f.estimated)).collect();
    assert_eq!(times, [(9000, 5400, true, false), (12_600, 12_600, false, false), (16_200, 16_200, false, false)]);
    let config = found.streams[0].configs[0].config.video().unwrap();
    assert_eq!((config.width, config.height, config.nal_length_size), (256, 144, Some(4)));
    let entry = &found.streams[0].configs[0].sample_entry;
    assert!(entry.windows(sps.len()).any(|w| w == sps) && entry.windows(pps.len()).any(|w| w == pps));
    assert_eq!(found.warnings, Vec::<String>::new());
}

#[test]
fn delimiters_inside_a_picture_do_not_end_it() {
    let (sps, pps, idr, p) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(50), avc::p(1, 20));
    let rest = Slice { header: 0x41, first_mb: 40, intra: false, frame_num: 1, field: None }.nal(30);
    let mut mux = mux();
    mux.pes(VIDEO, 9000, &annex_b(&[AUD, &sps, &pps, &idr]));
    mux.pes(VIDEO, 12_600, &annex_b(&[AUD, &p, AUD, &rest]));
    // One slice in a PES packet of its own, with the same time; and one without a time.
    mux.pes(VIDEO, 16_200, &annex_b(&[AUD, &p]));
    mux.pes(VIDEO, 16_200, &annex_b(&[&rest]));
    mux.pes_in(VIDEO, 184, (None, None), &annex_b(&[&rest]));
    let frames = &read(&mux).frames[0];
    assert_eq!(samples(frames), [sample(&[&idr]), sample(&[&p, &rest]), sample(&[&p, &rest, &rest])]);
}

#[test]
fn several_pictures_in_a_pes_packet_have_estimated_times() {
    let (sps, pps, idr) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(50));
    let p: Vec<Vec<u8>> = (1..8).map(|n| avc::p(n, 20)).collect();
    let mut mux = mux();
    mux.pes(VIDEO, 9000, &annex_b(&[AUD, &sps, &pps, &idr]));
    mux.pes(VIDEO, 12_000, &annex_b(&[AUD, &p[0], AUD, &p[1], &p[2]]));
    mux.pes(VIDEO, 21_000, &annex_b(&[&p[3]]));
    let frames = &read(&mux).frames[0];
    let times: Vec<_> = frames.iter().map(|f| (f.dts, f.estimated)).collect();
    assert_eq!(times, [(9000, false), (12_000, false), (15_000, true), (18_000, true), (21_000, false)]);
    assert_eq!(samples(frames)[2], sample(&[&p[1]]));
}

#[test]
fn a_pes_packet_may_begin_inside_a_nal_unit() {
    let (sps, pps, idr) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(400));
    let (p, q) = (avc::p(1, 300), avc::p(2, 30));
    let rest = Slice { header: 0x41, first_mb: 40, intra: false, frame_num: 1, field: None }.nal(30);
    let all = annex_b(&[AUD, &sps, &pps, &idr, AUD, &p, &rest, AUD, &q]);
    let at = |unit: &[u8]| all.windows(unit.len()).position(|w| w == unit).unwrap();
    let (first, second) = (at(&p) - 100, at(&rest) - 100);
    let mut mux = mux();
    mux.pes(VIDEO, 9000, &all[..first]);
    mux.pes(VIDEO, 12_600, &all[first..second]);
    mux.pes(VIDEO, 16_200, &all[second..]);
    let frames = &read(&mux).frames[0];
    assert_eq!(samples(frames), [sample(&[&idr]), sample(&[&p, &rest]), sample(&[&q])]);
    assert_eq!(frames.iter().map(|f| f.pts).collect::<Vec<_>>(), [9000, 12_600, 16_200]);
}

#[test]
fn two_fields_are_one_sample() {
    let (sps, pps) = (avc::sps(0, 16, true), avc::pps(0, 0));
    let field = |header, frame_num, bottom| {
        let intra = header == 0x65;
        Slice { header, first_mb: 0, intra, frame_num, field: Some(bottom) }.nal(25)
    };
    let (a, b) = (field(0x65, 0, false), field(0x41, 0, true));
    let (c, d) = (field(0x41, 1, false), field(0x41, 1, true));
    let (e, f) = (field(0x41, 2, false), field(0x41, 3, false));
    let mut mux = mux();
    mux.pes(VIDEO, 9000, &annex_b(&[AUD, &sps, &pps, &a, AUD, &b]));
    // Each field in a PES packet of its own.
    mux.pes(VIDEO, 12_600, &annex_b(&[AUD, &c]));
    mux.pes(VIDEO, 14_400, &annex_b(&[AUD, &d]));
    // A field without its second one.
    mux.pes(VIDEO, 16_200, &annex_b(&[AUD, &e]));
    mux.pes(VIDEO, 19_800, &annex_b(&[AUD, &f]));
    let frames = &read(&mux).frames[0];
    assert_eq!(samples(frames), [sample(&[&a, &b]), sample(&[&c, &d]), sample(&[&e]), sample(&[&f])]);
    assert_eq!(frames.iter().map(|f| f.pts).collect::<Vec<_>>(), [9000, 12_600, 16_200, 19_800]);
}

#[test]
fn a_contradiction_begins_a_configuration_where_decoding_can_start() {
    let (narrow, wide, pps) = (avc::sps(0, 16, false), avc::sps(0, 32, false), avc::pps(0, 0));
    let (idr, p) = (avc::idr(50), avc::p(1, 20));
    let other = avc::pps(1, 0);
    let mut mux = mux();
    let mut time = 9000;
    let mut add = |units: &[&[u8]]| {
        mux.pes(VIDEO, time, &annex_b(units));
        time += 3600;
    };
    add(&[&narrow, &pps, &idr]);
    add(&[&p]);
    // Nothing is contradicted: the same configuration.
    add(&[&narrow, &pps, &other, &idr]);
    add(&[&wide, &pps, &idr]);
    // Sets that come early count from the next start.
    add(&[&narrow, &p]);
    add(&[&pps, &idr]);
    add(&[&p]);
    let found = read(&mux);
    assert_eq!(found.frames[0].iter().map(|f| f.config).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 0, 0]);
    let configs = &found.streams[0].configs;
    assert_eq!(configs.iter().map(|c| c.config.video().unwrap().width).collect::<Vec<_>>(), [256, 512]);
    assert!(configs[0].sample_entry.windows(other.len()).any(|w| w == other), "a set that came late is added");
}

#[test]
fn a_recovery_point_is_a_start() {
    let (sps, pps, p) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::p(1, 20));
    let intra = Slice { header: 0x41, first_mb: 0, intra: true, frame_num: 1, field: None }.nal(40);
    let (now, later): (&[u8], &[u8]) = (&[6, 6, 1, 0xc4, 0x80], &[6, 6, 1, 0x44, 0x80]);
    let mut mux = mux();
    for (index, units) in [
        &[&p[..]] as &[&[u8]],
        &[&sps, &pps, later, &intra],
        &[&sps, &pps, now, &p],
        &[&sps, &pps, now, &intra],
        &[&p],
        &[&intra],
    ]
    .into_iter()
    .enumerate()
    {
        mux.pes(VIDEO, 9000 + 3600 * index as u64, &annex_b(units));
    }
    let found = read(&mux);
    let frames = &found.frames[0];
    assert_eq!(
        frames.iter().map(|f| (f.sync, f.open)).collect::<Vec<_>>(),
        [(true, true), (false, false), (false, false)]
    );
    assert_eq!(frames[0].pts, 9000 + 3 * 3600, "what comes before cannot be decoded");
    assert!(found.warnings[0].contains("(3 times: segment 1 packet"), "{:?}", found.warnings);
}

#[test]
fn after_a_discontinuity_decoding_starts_anew() {
    let (narrow, wide, pps) = (avc::sps(0, 16, false), avc::sps(1, 32, false), avc::pps(0, 0));
    let (idr, p, other) = (avc::idr(50), avc::p(1, 20), avc::pps(0, 1));
    let mut first = mux();
    first.pes(VIDEO, 9000, &annex_b(&[&narrow, &pps, &idr]));
    first.pes(VIDEO, 12_600, &annex_b(&[&p]));
    let mut second = mux();
    second.pes(VIDEO, 90_000, &annex_b(&[&p]));
    second.pes(VIDEO, 93_600, &annex_b(&[&wide, &other, &idr]));
    second.pes(VIDEO, 97_200, &annex_b(&[&p]));
    let found = learn::learn(&[(false, &first.out), (true, &second.out)], &[188]).unwrap();
    learn::check_extraction(&[first.out, second.out].concat(), &found, "two segments");
    let frames = &found.frames[0];
    let all: Vec<_> = frames.iter().map(|f| (f.pts, f.config, f.place.run)).collect();
    assert_eq!(all, [(9000, 0, 0), (12_600, 0, 0), (93_600, 1, 1), (97_200, 1, 1)]);
    let entry = &found.streams[0].configs[1].sample_entry;
    assert!(!entry.windows(narrow.len()).any(|w| w == narrow), "what was before does not count");
    assert_eq!(found.streams[0].configs[1].config.video().unwrap().width, 512);
}

#[test]
fn lost_packets_leave_what_is_there() {
    let (sps, pps, idr, p) = (avc::sps(0, 16, false), avc::pps(0, 0), avc::idr(1000), avc::p(1, 20));
    let rest = Slice { header: 0x65, first_mb: 40, intra: true, frame_num: 0, field: None }.nal(100);
    let mut mux = mux();
    mux.pes(VIDEO, 9000, &annex_b(&[&sps, &pps, &idr, &rest]));
    mux.pes(VIDEO, 12_600, &annex_b(&[&p]));
    // Two tables, then the packets of the picture: the fourth of them is lost.
    mux.out.drain(5 * 188..6 * 188);
    let found = read(&mux);
    let frames = &found.frames[0];
    let before = 3 * 184 - 14 - (sps.len() + pps.len() + 3 * 4);
    assert_eq!(samples(frames), [sample(&[&idr[..before], &rest]), sample(&[&p])]);
    assert_eq!(found.warnings, ["segment 1 packet 5 PID 0x100: packets are missing (continuity_counter)"]);
}
