//! Transport streams and packed audio as they are written, against a reader that is not ours and against one that shares
//! nothing with the crate.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

#[path = "ts_out/check.rs"]
mod check;
#[path = "ts_out/file.rs"]
mod file;
#[path = "ts_out/title.rs"]
mod title;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use check::Reader;
use packager::ErrorKind;
use packager::mp4::movie::Handler;
use packager::segment::packed;
use packager::segment::ts::{
    self, Adts, Audio, AudioCodec, AudioStream, Before, Fragment, Muxer, Next, Order, Program, Tag, Unit, VideoStream,
};
use title::{Cut, Sample, Title};

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat()
}

const SPS: &[u8] = &[0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x5f, 0x88, 0x88, 0xc0, 0x44];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb];

/// An `avc1` box with one parameter set of each kind.
fn avc_entry(length_size: u8) -> Vec<u8> {
    let mut record = vec![1, 0x64, 0, 10, 0xfc | (length_size - 1), 0xe1, 0, SPS.len() as u8];
    record.extend_from_slice(SPS);
    record.extend_from_slice(&[1, 0, PPS.len() as u8]);
    record.extend_from_slice(PPS);
    boxed(b"avc1", &[vec![0; 78], boxed(b"avcC", &record)].concat())
}

/// An `mp4a` box with this AudioSpecificConfig.
fn aac_entry(specific: &[u8]) -> Vec<u8> {
    let config = [&[4, 15 + specific.len() as u8, 0x40][..], &[0; 12], &[5, specific.len() as u8], specific].concat();
    let stream = [&[0, 0, 0, 0, 3, 3 + config.len() as u8, 0, 0, 0][..], &config].concat();
    boxed(b"mp4a", &[vec![0; 28], boxed(b"esds", &stream)].concat())
}

fn nal(length_size: usize, unit: &[u8]) -> Vec<u8> {
    [&(unit.len() as u32).to_be_bytes()[4 - length_size..], unit].concat()
}

/// What an access unit has to become, by other means: split where lengths say, joined with start codes.
fn byte_stream(sample: &[u8], length_size: usize, sync: bool) -> Vec<u8> {
    let mut units = Vec::new();
    let mut at = 0;
    while at + length_size <= sample.len() {
        let length = sample[at..at + length_size].iter().fold(0, |n, b| n * 256 + usize::from(*b));
        at += length_size + length;
        if at > sample.len() {
            break;
        }
        units.push(&sample[at - length..at]);
    }
    let kinds: Vec<u8> = units.iter().filter_map(|u| u.first()).map(|b| b & 31).collect();
    let mut out = vec![0, 0, 0, 1, 9, 0xf0];
    let mut push = |unit: &[u8]| {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(unit);
    };
    if sync && !(kinds.contains(&7) && kinds.contains(&8)) {
        push(SPS);
        push(PPS);
    }
    for unit in units {
        if unit.first().is_some_and(|b| !matches!(b & 31, 9 | 12)) {
            push(unit);
        }
    }
    out
}

fn random_sample(random: &mut Random, length_size: usize, sync: bool) -> Vec<u8> {
    let mut sample = Vec::new();
    for _ in 0..random.below(5) {
        let limit = if length_size == 1 {
            255
        } else if random.below(40) == 0 {
            70_000
        } else {
            600
        };
        let limit = if length_size == 2 { limit.min(65_535) } else { limit };
        let count = random.below(limit) as usize;
        let mut unit = random.bytes(count);
        if let Some(first) = unit.first_mut() {
            *first = [1, 5, 6, 7, 8, 9, 12][random.below(7) as usize];
        }
        sample.extend(nal(length_size, &unit));
    }
    if random.below(20) == 0 {
        // A length that runs past the end.
        sample.extend([0xff; 3]);
    }
    if sync && random.below(2) == 0 {
        sample.extend(nal(length_size, SPS));
        sample.extend(nal(length_size, PPS));
    }
    sample
}

/// A title of random samples at random distances. `base` is where it starts.
fn random_title(seed: u64, base: i64, with_video: bool) -> Title {
    let random = &mut Random(seed);
    let length_size = [1, 2, 4][random.below(3) as usize];
    let stream = VideoStream::from_sample_entry(&avc_entry(length_size as u8)).unwrap();
    let specific: &[u8] = [&[0x12, 0x10][..], &[0x15, 0x88], &[0x2b, 0x09, 0x88, 0x00]][random.below(3) as usize];
    let audio_stream = AudioStream::from_sample_entry(&aac_entry(specific)).unwrap();
    let frame = [3_600, 3_003, 1_500, 90_000, 45_000][random.below(5) as usize];
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    let mut dts = base + random.below(20_000) as i64;
    let length = 400_000;
    while with_video && dts < base + length {
        let sync = video.is_empty() || random.below(10) == 0;
        let sample = random_sample(random, length_size, sync);
        let pts = dts + frame * random.below(4) as i64;
        video.push((Unit { size: stream.access_unit_bytes(&sample, sync), dts, pts, sync, spare: 0 }, sample));
        dts += frame;
    }
    let mut pts = base + random.below(3) as i64 * 30_000;
    let step = [1_920, 2_090, 3_840, 11_520][random.below(4) as usize];
    while pts < base + length + 50_000 {
        let count = random.below(900) as usize;
        let bytes = random.bytes(count);
        audio.push((Unit { size: bytes.len() as u32, dts: pts, pts, sync: true, spare: 0 }, bytes));
        pts += step + if random.below(30) == 0 { random.below(20_000) as i64 } else { 0 };
    }
    let mut cuts = file::cut(video, audio);
    for cut in &mut cuts {
        for _ in 0..random.below(3) {
            let bytes = match random.below(20) {
                0 => random.bytes(140_000),
                _ => random.bytes(80),
            };
            cut.id3.push((Tag { size: bytes.len() as u32, pts: cut.span.start + 20_000 }, bytes));
        }
    }
    let video = with_video.then_some(stream);
    Title { program: Program { video, audio: Some(Audio { stream: audio_stream, language: None }), id3: true }, cuts }
}

fn check_against(title: &Title, reader: &Reader, length_size: usize) {
    let all = |pick: fn(&Cut) -> &Vec<Sample>| title.cuts.iter().flat_map(pick);
    if let Some(stream) = &title.program.video {
        let written: Vec<_> = reader.of(0x100).collect();
        assert_eq!(written.len(), all(|c| &c.video).count());
        for (pes, (unit, sample)) in written.iter().zip(all(|c| &c.video)) {
            let stamp = |time: i64| (time + 900_000).rem_euclid(1 << 33);
            assert_eq!(pes.payload, byte_stream(sample, length_size, unit.sync));
            assert_eq!(pes.payload.len(), stream.access_unit_bytes(sample, unit.sync) as usize);
            assert_eq!(pes.pts, Some(stamp(unit.pts)));
            assert_eq!(pes.dts.or(pes.pts), Some(stamp(unit.dts)));
            assert_eq!((pes.random_access, pes.aligned, pes.stream_id), (unit.sync, true, 0xe0));
            assert!(pes.pcr.is_some());
        }
    }
    let raw: Vec<u8> = all(|c| &c.audio).flat_map(|s| s.1.clone()).collect();
    let mut rest = &reader.elementary(0x101)[..];
    let mut frames = Vec::new();
    while let [0xff, 0xf1, _, a, b, c, _, ..] = rest {
        let length = usize::from(a & 3) << 11 | usize::from(*b) << 3 | usize::from(c >> 5);
        frames.extend_from_slice(&rest[7..length]);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    assert_eq!(frames, raw);
    for pes in reader.of(0x101) {
        assert!(all(|c| &c.audio).any(|s| Some((s.0.pts + 900_000).rem_euclid(1 << 33)) == pes.pts));
    }
    let tags: Vec<u8> = title.cuts.iter().flat_map(|c| &c.id3).flat_map(|t| t.1.clone()).collect();
    assert_eq!(reader.elementary(0x102), tags);
    assert!(reader.of(0x102).all(|pes| pes.aligned == pes.pts.is_some() && pes.stream_id == 0xbd));
}

#[test]
fn random_titles_have_the_sizes_that_were_counted_and_keep_the_rules() {
    for seed in 0..300 {
        let with_video = seed % 4 != 0;
        // Some at the place where time stamps begin anew, 26.5 hours after the start.
        let base = if seed % 3 == 0 { (1 << 33) - 1_000_000 } else { 0 };
        let title = random_title(seed, base, with_video);
        let length_size = [1, 2, 4][Random(seed).below(3) as usize];
        let mut joined = None;
        for cuts in [1, 2, 100] {
            let mut reader = Reader::default();
            for segment in title.segments(cuts) {
                reader.segment(&segment);
            }
            reader.check_clock();
            check_against(&title, &reader, length_size);
            // The packets of a fragment are the same in every segment.
            let packets: Vec<usize> = reader.pes.iter().map(|pes| pes.packets.1 - pes.packets.0).collect();
            assert_eq!(*joined.get_or_insert_with(|| packets.clone()), packets);
        }
    }
}

/// A place for a file that another program reads.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a program and gives what it prints. It must succeed and have nothing to complain about.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Hashes of the packets or decoded frames that ffmpeg finds in a stream.
fn hashes(path: &Path, before: &[&str], after: &[&str]) -> Vec<String> {
    let arguments =
        [&["-v", "error", "-nostdin"], before, &["-i", text_of(path)], after, &["-f", "framehash", "-"]].concat();
    let lines = run("ffmpeg", &arguments);
    lines.lines().filter(|l| !l.starts_with('#')).map(|l| l.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

/// Presentation times of a stream's packets in seconds, ascending.
fn times(path: &Path, stream: &str) -> Vec<f64> {
    let arguments = ["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let lines = run("ffprobe", &[&arguments[..], &[text_of(path)]].concat());
    let mut times: Vec<f64> = lines.lines().filter_map(|l| l.split(',').next()?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    times
}

const FILES: [&str; 10] = [
    "small/h264_aac.mp4",
    "small/variable_frame_rate.mp4",
    "small/audio_delayed_750ms.mp4",
    "small/open_gop.mp4",
    "small/hevc_hvc1.mp4",
    "small/hevc_hev1.mp4",
    "small/ac3.mp4",
    "small/eac3_51.mp4",
    "small/aac_51.mp4",
    "ladder/video_720p.mp4",
];

#[test]
fn ffmpeg_finds_the_frames_of_the_source_at_their_times() {
    for name in FILES {
        let source = file::path(name);
        let title = file::title(name);
        let mut reader = Reader::default();
        let mut joined = Vec::new();
        for segment in title.segments(2) {
            reader.segment(&segment);
            joined.extend(segment);
        }
        reader.check_clock();
        let path = scratch(&name.replace(['/', '.'], "_")).with_extension("ts");
        fs::write(&path, &joined).unwrap();
        run(
            "ffmpeg",
            &[
                "-v",
                "warning",
                "-xerror",
                "-err_detect",
                "explode",
                "-i",
                text_of(&path),
                "-map",
                "0",
                "-f",
                "null",
                "-",
            ],
        );
        if title.program.video.is_some() {
            let decoded = |path: &Path| {
                hashes(
                    path,
                    &["-ignore_editlist", "1"][..if path == source { 2 } else { 0 }],
                    &["-map", "0:v:0", "-fps_mode", "passthrough"],
                )
            };
            let frames = decoded(&path);
            assert!(frames.len() > 50, "{name}: {} frames", frames.len());
            assert!(frames == decoded(&source), "{name}: other pictures");
        }
        if let Some(audio) = &title.program.audio {
            let filter: &[&str] = if audio.stream.header_bytes() > 0 { &["-bsf:a", "aac_adtstoasc"] } else { &[] };
            let packets = hashes(&path, &[], &[&["-map", "0:a:0", "-c", "copy"], filter].concat());
            let wanted = hashes(&source, &["-ignore_editlist", "1"], &["-map", "0:a:0", "-c", "copy"]);
            assert!(packets.len() > 50, "{name}: {} packets", packets.len());
            assert!(packets == wanted, "{name}: other audio");
        }
        for stream in ["v:0", "a:0"] {
            let (found, wanted) = (times(&path, stream), times(&source, stream));
            assert_eq!(found.len(), wanted.len(), "{name} {stream}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted - 10.0).abs() < 0.001, "{name} {stream}: {found} of {wanted}");
            }
        }
    }
}

/// The whole title in one transport stream, in a file.
fn write(title: &Title, name: &str) -> PathBuf {
    let path = scratch(name);
    fs::write(&path, title.segments(2).concat()).unwrap();
    path
}

#[test]
fn every_segment_and_every_key_frame_stands_for_itself() {
    for name in ["small/h264_aac.mp4", "small/hevc_hvc1.mp4"] {
        let title = file::title(name);
        let mut first_units = title.cuts.iter().map(|cut| cut.video[0].0);
        for (number, segment) in title.segments(1).into_iter().enumerate() {
            let path = scratch("segment.ts");
            fs::write(&path, &segment).unwrap();
            let frames =
                hashes(&path, &["-xerror", "-err_detect", "explode"], &["-map", "0:v:0", "-fps_mode", "passthrough"]);
            assert_eq!(frames.len(), title.cuts[number].video.len());
            let packets = ts::access_unit_packets(&first_units.next().unwrap()) as usize;
            fs::write(&path, &segment[..ts::PSI_BYTES as usize + 188 * packets]).unwrap();
            let key_frame = hashes(&path, &["-xerror", "-err_detect", "explode"], &["-map", "0:v:0"]);
            assert!(key_frame == frames[..1], "{name}: the bytes of the key frame are the key frame");
        }
    }
}

#[test]
fn time_stamps_begin_anew_after_26_hours_and_a_half() {
    let source = file::title("small/h264_aac.mp4");
    let plain = write(&source, "plain.ts");
    let mut late = source;
    // The time stamps begin anew two seconds after the start.
    let shift = (1 << 33) - 900_000 - 180_000;
    for cut in &mut late.cuts {
        cut.span = cut.span.start + shift..cut.span.end + shift;
        for (unit, _) in cut.video.iter_mut().chain(&mut cut.audio) {
            unit.dts += shift;
            unit.pts += shift;
        }
    }
    let mut reader = Reader::default();
    late.segments(1).iter().for_each(|segment| reader.segment(segment));
    reader.check_clock();
    assert!(
        reader.pes.iter().any(|pes| pes.pts.unwrap() < 90_000)
            && reader.pes.iter().any(|pes| pes.pts.unwrap() > 1 << 32)
    );
    let path = write(&late, "late.ts");
    for stream in ["v:0", "a:0"] {
        let (late, plain) = (times(&path, stream), times(&plain, stream));
        assert_eq!(late.len(), plain.len());
        for (late, plain) in late.iter().zip(&plain) {
            let moved = late - plain - shift as f64 / 90_000.0;
            // ffprobe moves what begins shortly before the wrap to before zero.
            assert!(moved.abs() < 0.001 || (moved + 95_443.717_7).abs() < 0.001, "{late} of {plain}");
        }
    }
    run("ffmpeg", &["-v", "warning", "-xerror", "-err_detect", "explode", "-i", text_of(&path), "-f", "null", "-"]);
}

#[test]
fn packed_audio_is_what_ffmpeg_takes_it_for() {
    for name in ["small/h264_aac.mp4", "small/aac_51.mp4", "small/ac3.mp4", "small/eac3_51.mp4"] {
        let title = file::title(name);
        let stream = title.program.audio.unwrap().stream;
        let frames: Vec<&Sample> = title.cuts.iter().flat_map(|cut| &cut.audio).collect();
        let mut out = Vec::new();
        packed::tag(frames[0].0.pts, None, &mut out);
        assert_eq!(out.len(), 73);
        frames.iter().for_each(|frame| packed::frame(&stream, &frame.1, &mut out));
        let bytes = frames.iter().map(|frame| frame.1.len() as u64).sum();
        assert_eq!(out.len() as u64, packed::length(&stream, frames.len() as u64, bytes, false));
        let path = scratch(&name.replace(['/', '.'], "_")).with_extension(packed::extension(stream.codec()));
        fs::write(&path, &out).unwrap();
        let filter: &[&str] = if stream.header_bytes() > 0 { &["-bsf:a", "aac_adtstoasc"] } else { &[] };
        let wanted = hashes(&file::path(name), &["-ignore_editlist", "1"], &["-map", "0:a:0", "-c", "copy"]);
        assert!(hashes(&path, &[], &[&["-c", "copy"], filter].concat()) == wanted, "{name}");
        assert_eq!(out[..11], *b"ID3\x04\0\0\0\0\0\x3fP");
        assert_eq!(out[65..73], (frames[0].0.pts + 900_000).to_be_bytes());
        if stream.header_bytes() > 0 {
            // Of these ffprobe shows the tag.
            let tags =
                run("ffprobe", &["-v", "error", "-show_entries", "format_tags", "-of", "default=nw=1", text_of(&path)]);
            assert!(
                tags.starts_with("TAG:id3v2_priv.com.apple.streaming.transportStreamTimestamp=\\x00\\x00\\x00"),
                "{tags}"
            );
        }
    }
}

#[test]
fn the_program_map_says_what_the_streams_are() {
    let mut title = file::title("small/h264_aac.mp4");
    title.program.id3 = true;
    let tag = [&b"ID3\x04\0\0\0\0\0\x0eTXXX\0\0\0\x04\0\0\0a\0b"[..]].concat();
    title.cuts[0].id3.push((Tag { size: tag.len() as u32, pts: 45_000 }, tag.clone()));
    let mut reader = Reader::default();
    title.segments(1).iter().for_each(|segment| reader.segment(segment));
    let found: Vec<(u8, u16)> = reader.streams.iter().map(|s| (s.stream_type, s.pid)).collect();
    assert_eq!(found, [(0x1b, 0x100), (0x0f, 0x101), (0x15, 0x102)]);
    assert_eq!(reader.program_descriptors, b"\x25\x0f\xff\xffID3 \xffID3 \x00\x1f\x00\x01");
    let tags: Vec<_> = reader.of(0x102).map(|pes| (pes.pts, pes.payload.clone())).collect();
    assert_eq!(tags, [(Some(945_000), tag)]);
    let names = |path: &Path| {
        let fields = "stream=codec_name,codec_tag_string:stream_tags=language";
        run("ffprobe", &["-v", "error", "-show_entries", fields, "-of", "default=nw=1:nk=1", text_of(path)])
    };
    let found = names(&write(&title, "id3.ts"));
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[..1], ["h264"], "{found}");
    assert!(lines.contains(&"aac") && lines.contains(&"eng") && lines.contains(&"timed_id3"), "{found}");
    for (name, wanted) in [("small/hevc_hvc1.mp4", "HEVC"), ("small/ac3.mp4", "AC-3"), ("small/eac3_51.mp4", "EAC3")] {
        let found = names(&write(&file::title(name), "program_map.ts"));
        assert!(found.contains(wanted), "{name}: {found}");
    }
}

#[test]
fn channels_that_have_no_number_are_described_in_every_frame() {
    let source = scratch("quad.mp4");
    let tones = "sine=f=400:r=48000:d=3[a];sine=f=500:r=48000:d=3[b];sine=f=600:r=48000:d=3[c];sine=f=700:r=48000:d=3[d];\
                 [a][b][c][d]join=inputs=4:channel_layout=quad";
    run("ffmpeg", &["-v", "error", "-y", "-filter_complex", tones, "-c:a", "aac", "-bitexact", text_of(&source)]);
    let title = file::title(text_of(&source));
    let stream = title.program.audio.unwrap().stream;
    assert!(matches!(stream.codec(), AudioCodec::Aac(Adts { channel_configuration: 0, .. })));
    assert!(stream.header_bytes() > 7);
    let path = write(&title, "quad.ts");
    let decoded = hashes(&path, &["-xerror", "-err_detect", "explode"], &[]);
    assert!(decoded == hashes(&source, &["-ignore_editlist", "1"], &[]));
    let wanted =
        run("ffprobe", &["-v", "error", "-show_entries", "stream=channel_layout", "-of", "csv=p=0", text_of(&source)]);
    let found =
        run("ffprobe", &["-v", "error", "-show_entries", "stream=channel_layout", "-of", "csv=p=0", text_of(&path)]);
    assert!(found.starts_with(wanted.trim()), "{found} of {wanted}");
}

/// Everything about `entry` that a program is made of.
fn refusal(entry: &[u8]) -> (ErrorKind, String) {
    let error = match AudioStream::from_sample_entry(entry) {
        Err(error) => error,
        Ok(stream) => panic!("{stream:?}"),
    };
    (error.kind(), error.message().to_owned())
}

#[test]
fn what_has_no_place_is_refused_with_the_reason() {
    for name in ["small/av1_flac.mp4", "small/vp9_opus.mp4"] {
        for (handler, entry) in file::sample_entries(name) {
            let error = match handler {
                Handler::Video => VideoStream::from_sample_entry(&entry).unwrap_err(),
                Handler::Audio => AudioStream::from_sample_entry(&entry).unwrap_err(),
                Handler::Text => continue,
            };
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
            assert!(error.message().ends_with("has no place in an MPEG-2 transport stream of HLS"), "{error}");
        }
    }
    // 960 samples a frame; eight channels of configuration 12; 50 kHz
    for (specific, reason) in [
        (&[0x12, 0x14][..], "frames of 960 samples"),
        (&[0x11, 0xe0], "channel configuration 12"),
        (&[0x17, 0x80, 0x61, 0xa8, 0x10], "a rate of 50000 Hz"),
    ] {
        let (kind, message) = refusal(&aac_entry(specific));
        assert_eq!((kind, message.contains(reason)), (ErrorKind::Unsupported, true), "{message}");
    }
    assert_eq!(refusal(&aac_entry(&[0x12])).0, ErrorKind::BadSource);
    assert_eq!(refusal(b"ab").0, ErrorKind::BadSource);
}

#[test]
fn aac_headers_say_what_the_core_coder_is() {
    let adts = |specific: &[u8]| match AudioStream::from_sample_entry(&aac_entry(specific)).unwrap().codec() {
        AudioCodec::Aac(adts) => (adts.profile, adts.sampling_frequency_index, adts.channel_configuration),
        codec => panic!("{codec:?}"),
    };
    assert_eq!(adts(&[0x12, 0x10]), (1, 4, 2));
    // HE-AAC, and HE-AAC v2: 24 kHz and one channel inside.
    assert_eq!(adts(&[0x2b, 0x09, 0x88, 0x00]), (1, 6, 1));
    assert_eq!(adts(&[0xeb, 0x09, 0x88, 0x00]), (1, 6, 1));
    // 48 kHz as a number of its own.
    assert_eq!(adts(&[0x17, 0x80, 0x5d, 0xc0, 0x10]), (1, 3, 2));
    let header = Adts { profile: 1, sampling_frequency_index: 3, channel_configuration: 2 }.header(1_000);
    assert_eq!(header, [0xff, 0xf1, 0x4c, 0x80, 0x7d, 0xff, 0xfc]);
}

#[test]
fn mpeg_audio_keeps_its_frames() {
    for (rate, stream_type) in [(44_100u16, 3), (22_050, 4)] {
        let mut entry = aac_entry(&[]);
        // objectTypeIndication and samplerate
        let at = entry.windows(2).position(|w| w == [4, 15]).unwrap() + 2;
        entry[at] = 0x6b;
        entry[8 + 24..8 + 26].copy_from_slice(&rate.to_be_bytes());
        let stream = AudioStream::from_sample_entry(&entry).unwrap();
        let frames: Vec<Sample> = (0..200)
            .map(|n| (Unit { size: 417, dts: n * 2_351, pts: n * 2_351, sync: true, spare: 0 }, vec![n as u8; 417]))
            .collect();
        let wanted: Vec<u8> = frames.iter().flat_map(|f| f.1.clone()).collect();
        let program = Program { audio: Some(Audio { stream, language: None }), ..Program::default() };
        let title = Title { program, cuts: file::cut(Vec::new(), frames) };
        let mut reader = Reader::default();
        title.segments(1).iter().for_each(|segment| reader.segment(segment));
        reader.check_clock();
        assert_eq!((reader.streams.len(), reader.streams[0].stream_type), (1, stream_type));
        assert_eq!(reader.elementary(0x101), wanted);
        assert!(reader.of(0x101).all(|pes| pes.stream_id == 0xc0));
        assert_eq!(packed::media_type(stream.codec()), "audio/mpeg");
    }
}

#[test]
fn parameter_sets_of_the_sample_are_not_written_twice() {
    let entry = file::sample_entries("small/hevc_hev1.mp4").remove(0).1;
    let stream = VideoStream::from_sample_entry(&entry).unwrap();
    let picture = nal(4, &[0x26, 0x01, 1, 2, 3]);
    let delimiter = 7;
    let alone = stream.access_unit_bytes(&picture, false);
    assert_eq!(alone as usize, delimiter + picture.len());
    let sets = stream.access_unit_bytes(&picture, true) - alone;
    assert!(sets > 60, "VPS, SPS and PPS: {sets}");
    let own = [nal(4, &[0x40, 1, 9]), nal(4, &[0x42, 1, 9]), nal(4, &[0x44, 1, 9]), picture.clone()].concat();
    assert_eq!(stream.access_unit_bytes(&own, true) as usize, delimiter + own.len());
    let some = [nal(4, &[0x42, 1, 9]), nal(4, &[0x44, 1, 9]), picture.clone()].concat();
    assert_eq!(stream.access_unit_bytes(&some, true) as usize, delimiter + some.len() + sets as usize);
    // Delimiters, filler data, empty units and the second view are left out, and so is what no length fits.
    let view = nal(4, &[0x02, 0x09, 1, 2]);
    let full = [nal(4, &[0x46, 1, 0x50]), nal(4, &[0x4c, 1, 0xff]), nal(4, &[]), picture, view, vec![0xff; 9]].concat();
    assert_eq!(stream.access_unit_bytes(&full, false), alone);
}

#[test]
fn bytes_of_another_size_are_refused_before_anything_is_written() {
    let title = file::title("small/h264_aac.mp4");
    let cut = &title.cuts[0];
    let (video, audio) = ([cut.video[0].0], [cut.audio[0].0]);
    let tag = [Tag { size: 5, pts: 0 }];
    let fragment = Fragment { span: cut.span.clone(), video: &video, audio: &audio, id3: &tag };
    let mut muxer = Muxer::new(title.program.clone(), Before::default(), None);
    let mut order = Order::new(&title.program);
    let mut out = Vec::new();
    let mut kinds = Vec::new();
    while let Some(next) = order.next(&fragment) {
        if let Next::Clock(_) = next {
            continue;
        }
        let error = muxer.write(&next, &fragment, &[0, 0, 0], &mut out).unwrap_err();
        assert_eq!((error.kind(), out.len()), (ErrorKind::BadSource, 0));
        kinds.push(error.message().split(" of ").next().unwrap().to_owned());
    }
    // Sound begins with its priming, before time 0.
    assert_eq!(kinds, ["access unit", "group", "tag"]);
}

/// Whatever times and sizes an index holds, counting ends, and what is written is what was counted.
#[test]
fn extreme_times_and_sizes_do_no_harm() {
    let stream = VideoStream::from_sample_entry(&avc_entry(4)).unwrap();
    let audio = AudioStream::from_sample_entry(&aac_entry(&[0x12, 0x10])).unwrap();
    let random = &mut Random(7);
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, 90_000, i64::MAX - 1, i64::MAX];
    let pick = |random: &mut Random| extremes[random.below(8) as usize];
    for _ in 0..20_000 {
        let units: Vec<Unit> = (0..random.below(4))
            .map(|_| Unit {
                size: [0, 1, 70_000, u32::MAX][random.below(4) as usize],
                dts: pick(random),
                pts: pick(random),
                sync: true,
                spare: [0, 1, u32::MAX][random.below(3) as usize],
            })
            .collect();
        let span = pick(random)..pick(random);
        let _ = ts::video_packets(&units, &span).bytes();
        let _ = ts::audio_packets(&audio, &units, Some(&span)).bytes();
        let program =
            Program { video: Some(stream.clone()), audio: Some(Audio { stream: audio, language: None }), id3: false };
        let fragment = Fragment { span, video: &units, audio: &units, id3: &[] };
        let mut order = Order::new(&program);
        // The clock may take ages; every step of it is a step forward.
        for _ in 0..50 {
            let Some(next) = order.next(&fragment) else { break };
            let mut out = Vec::new();
            let _ = Muxer::new(program.clone(), Before::default(), None).write(&next, &fragment, &[], &mut out);
            assert_eq!(out.len() % 188, 0);
        }
    }
}

/// Files that others made, where they are at hand: whatever they hold, sizes are those that were counted, packets keep the
/// rules, and the elementary streams are whole.
#[test]
fn files_of_all_kinds_keep_the_rules() {
    let folder = std::env::var_os("EDGEPACK_MEDIA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media"), PathBuf::from);
    let mut folders = vec![folder];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.metadata().is_ok_and(|m| m.len() < 20 << 20)
                && path.extension().is_some_and(|e| ["mp4", "m4v", "m4a", "mov"].iter().any(|known| e == *known))
                && let Some(title) = file::title_of(&path)
            {
                files += 1;
                let mut reader = Reader::default();
                title.segments(3).iter().for_each(|segment| reader.segment(segment));
                let bytes: usize = title.cuts.iter().flat_map(|c| &c.video).map(|s| s.0.size as usize).sum();
                assert_eq!(reader.elementary(0x100).len(), bytes);
                if let Some(audio) = &title.program.audio {
                    let frames = title.cuts.iter().flat_map(|c| &c.audio);
                    let bytes: usize = frames.map(|s| s.1.len() + audio.stream.header_bytes()).sum();
                    assert_eq!(reader.elementary(0x101).len(), bytes);
                }
            }
        }
    }
    println!("{files} files");
}

fn seconds(ticks: i64) -> f64 {
    ticks as f64 / 90_000.0
}

/// A media playlist of these segments, which begin at these times, and the segments.
fn playlist(folder: &Path, extension: &str, segments: &[(i64, Vec<u8>)], end: i64) {
    fs::create_dir_all(folder).unwrap();
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:5\n");
    for (number, (start, bytes)) in segments.iter().enumerate() {
        let next = segments.get(number + 1).map_or(end, |s| s.0);
        text += &format!("#EXTINF:{:.5},\n{number}.{extension}\n", seconds(next - start));
        fs::write(folder.join(format!("{number}.{extension}")), bytes).unwrap();
    }
    fs::write(folder.join("media.m3u8"), text + "#EXT-X-ENDLIST\n").unwrap();
}

/// The ladder's title: pictures and sound come from files of their own.
fn joined_title() -> Title {
    let (video, audio) = (file::title("ladder/video_360p.mp4"), file::title("ladder/audio_eng.mp4"));
    let all = |title: Title, pick: fn(Cut) -> Vec<Sample>| title.cuts.into_iter().flat_map(pick).collect::<Vec<_>>();
    let program = Program { video: video.program.video.clone(), audio: audio.program.audio, id3: false };
    Title { program, cuts: file::cut(all(video, |cut| cut.video), all(audio, |cut| cut.audio)) }
}

#[test]
fn ffmpeg_plays_playlists_of_segments_without_a_complaint() {
    let folder = scratch("hls");
    let (muxed, separate, packed_audio) = (folder.join("muxed"), folder.join("video"), folder.join("audio"));
    let mut title = joined_title();
    let starts: Vec<i64> = title.cuts.chunks(2).map(|cuts| cuts[0].video[0].0.pts).collect();
    let timed = |segments: Vec<Vec<u8>>| starts.iter().copied().zip(segments).collect::<Vec<_>>();
    playlist(&muxed, "ts", &timed(title.segments(2)), 16 * 90_000);

    let stream = title.program.audio.take().unwrap().stream;
    let mut packed_segments = Vec::new();
    for cuts in title.cuts.chunks(2) {
        let frames: Vec<&Sample> = cuts.iter().flat_map(|cut| &cut.audio).collect();
        let mut out = Vec::new();
        packed::tag(frames[0].0.pts, None, &mut out);
        frames.iter().for_each(|frame| packed::frame(&stream, &frame.1, &mut out));
        packed_segments.push(out);
    }
    playlist(&packed_audio, packed::extension(stream.codec()), &timed(packed_segments), 16 * 90_000);
    title.cuts.iter_mut().for_each(|cut| cut.audio.clear());
    playlist(&separate, "ts", &timed(title.segments(2)), 16 * 90_000);
    let main = folder.join("main.m3u8");
    let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",DEFAULT=YES,AUTOSELECT=YES,LANGUAGE=\"en\",\
                URI=\"audio/media.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS=\"avc1.64001e,mp4a.40.2\",AUDIO=\"a\"\n\
                video/media.m3u8\n";
    fs::write(&main, text).unwrap();

    let pictures = hashes(&file::path("ladder/video_360p.mp4"), &["-ignore_editlist", "1"], &["-map", "0:v:0"]);
    let sound =
        hashes(&file::path("ladder/audio_eng.mp4"), &["-ignore_editlist", "1"], &["-map", "0:a:0", "-c", "copy"]);
    let wanted = times(&file::path("ladder/video_360p.mp4"), "v:0");
    for list in [muxed.join("media.m3u8"), main] {
        run("ffmpeg", &["-v", "warning", "-xerror", "-err_detect", "explode", "-i", text_of(&list), "-f", "null", "-"]);
        assert!(hashes(&list, &[], &["-map", "0:v:0", "-fps_mode", "passthrough"]) == pictures);
        assert!(hashes(&list, &[], &["-map", "0:a:0", "-c", "copy", "-bsf:a", "aac_adtstoasc"]) == sound);
        // Pictures and sound stay in step.
        let (video, audio) = (times(&list, "v:0"), times(&list, "a:0"));
        assert!((video[0] - audio[0] - wanted[0] - 1_024.0 / 48_000.0).abs() < 0.001, "{} {}", video[0], audio[0]);
        let last = (video.last().unwrap() - video[0], audio.last().unwrap() - audio[0]);
        assert!((last.0 - 15.96).abs() < 0.001 && (last.1 - 16.0).abs() < 0.03, "{last:?}");
    }
}

#[test]
fn broken_sample_entries_are_refused_or_make_streams_whose_sizes_hold() {
    let random = &mut Random(11);
    let names = ["small/h264_aac.mp4", "small/hevc_hev1.mp4", "small/ac3.mp4", "small/eac3_51.mp4", "small/aac_51.mp4"];
    let mut made = 0;
    for (handler, good) in names.iter().flat_map(|name| file::sample_entries(name)) {
        for _ in 0..3_000 {
            let mut entry = good.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(entry.len() as u64) as usize;
                entry[at] = random.below(256) as u8;
            }
            if random.below(8) == 0 {
                entry.truncate(random.below(good.len() as u64) as usize);
            }
            let mut program = Program::default();
            let sample = random_sample(random, 4, true);
            let mut unit = Unit { size: sample.len() as u32, sync: true, ..Unit::default() };
            match handler {
                Handler::Text => {}
                Handler::Video => program.video = VideoStream::from_sample_entry(&entry).ok(),
                Handler::Audio => {
                    let stream = AudioStream::from_sample_entry(&entry).ok();
                    program.audio = stream.map(|stream| Audio { stream, language: None });
                }
            }
            if let Some(video) = &program.video {
                unit.size = video.access_unit_bytes(&sample, true);
            } else if program.audio.is_none() {
                continue;
            }
            let samples = vec![(unit, sample)];
            let (video, audio) = if program.video.is_some() { (samples, Vec::new()) } else { (Vec::new(), samples) };
            Title { program, cuts: vec![Cut { span: 0..1, video, audio, id3: Vec::new() }] }.segments(1);
            made += 1;
        }
    }
    assert!(made > 1_000, "{made}");
}

/// Pictures that begin five seconds after the sound, one a second, and end five seconds before it.
#[test]
fn the_clock_runs_where_pictures_are_missing() {
    let stream = VideoStream::from_sample_entry(&avc_entry(4)).unwrap();
    let sound = AudioStream::from_sample_entry(&aac_entry(&[0x11, 0x90])).unwrap();
    let sample = nal(4, &[0x65, 1, 2, 3]);
    let unit = |time, size| Unit { size, dts: time, pts: time, sync: true, spare: 0 };
    let picture = |second: i64| (unit(second * 90_000, stream.access_unit_bytes(&sample, true)), sample.clone());
    let frames = |seconds: std::ops::Range<i64>| -> Vec<Sample> {
        let numbers = (seconds.start * 90_000 + 1_919) / 1_920..(seconds.end * 90_000 + 1_919) / 1_920;
        numbers.map(|n| (unit(n * 1_920, 300), vec![n as u8; 300])).collect()
    };
    let cut = |seconds: std::ops::Range<i64>, pictures: std::ops::Range<i64>| Cut {
        span: seconds.start * 90_000..seconds.end * 90_000,
        video: pictures.map(picture).collect(),
        audio: frames(seconds),
        id3: Vec::new(),
    };
    let program =
        Program { video: Some(stream.clone()), audio: Some(Audio { stream: sound, language: None }), id3: false };
    let title = Title { program, cuts: vec![cut(0..8, 5..8), cut(8..10, 8..10), cut(10..15, 10..10)] };
    let mut reader = Reader::default();
    title.segments(1).iter().for_each(|segment| reader.segment(segment));
    reader.check_clock();
    assert_eq!(reader.of(0x100).count(), 5);
    let (first, last) = (reader.clocks[0].1, reader.clocks.last().unwrap().1);
    assert!(first == 891_000 && last > 891_000 + 15 * 90_000 - 9_000, "{first} {last}");
    check_against(&title, &reader, 4);
}
