//! Transport streams: what is learned is taken out again. Input: after an even byte, the stream as it is; after an odd one,
//! a number for the type of its only stream, then parts: a control byte, a length and bytes of the elementary stream. The
//! control byte says whether a PES packet begins, with a time or without, and whether packets are lost before.
#![no_main]

#[allow(dead_code, reason = "tests use more of it")]
#[path = "../../tests/transport/build.rs"]
mod build;
#[allow(dead_code, reason = "tests use more of it")]
#[path = "../../tests/transport/learn.rs"]
mod learn;

use libfuzzer_sys::fuzz_target;

/// Types of all codecs that are handled.
const STREAM_TYPES: [u8; 8] = [0x1b, 0x24, 0x0f, 0x11, 0x81, 0x87, 0x03, 0x15];

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else { return };
    if mode & 1 == 0 {
        let (first, second) = rest.split_at(rest.len().min(usize::from(mode >> 2) * 188));
        check(&[(false, first), (mode & 2 != 0, second)]);
        return;
    }
    let Some((stream_type, mut rest)) = rest.split_first() else { return };
    let mut mux = build::Mux::new(&[(STREAM_TYPES[usize::from(stream_type & 7)], build::VIDEO, &[])]);
    let mut time = 9000;
    while let Some((&[control, length], after)) = rest.split_first_chunk() {
        let (data, after) = after.split_at(after.len().min(length.into()));
        rest = after;
        if control & 0x0f == 0x0f {
            let before = mux.out.len();
            mux.packet(build::VIDEO, false, &data[..data.len().min(184)]);
            mux.out.truncate(before);
            continue;
        }
        time += u64::from(control) << 6;
        match control & 3 {
            0 => mux.pes(build::VIDEO, time, data),
            1 => mux.pes_in(build::VIDEO, 1 + usize::from(control >> 2), (Some(time + 3600), Some(time)), data),
            2 => mux.pes_in(build::VIDEO, 184, (None, None), data),
            _ => data.chunks(184).for_each(|chunk| mux.packet(build::VIDEO, false, chunk)),
        }
    }
    check(&[(false, &mux.out)]);
});

fn check(segments: &[learn::Segment<'_>]) {
    let Ok(rendition) = learn::learn(segments, &[188 * 50]) else { return };
    let bytes: Vec<u8> = segments.iter().flat_map(|s| s.1).copied().collect();
    learn::check_extraction(&bytes, &rendition, "input");
}
