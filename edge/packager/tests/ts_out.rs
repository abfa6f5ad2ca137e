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
use packager::segment::packed;
use packager::segment::ts::{Audio, AudioStream, Fragment, Muxer, Next, Program, Tag, Unit, VideoStream};
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
        video.push((Unit { size: stream.access_unit_bytes(&sample, sync), dts, pts, sync }, sample));
        dts += frame;
    }
    let mut pts = base + random.below(3) as i64 * 30_000;
    let step = [1_920, 2_090, 3_840, 11_520][random.below(4) as usize];
    while pts < base + length + 50_000 {
        let count = random.below(900) as usize;
        let bytes = random.bytes(count);
        audio.push((Unit { size: bytes.len() as u32, dts: pts, pts, sync: true }, bytes));
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

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Hashes of the packets or decoded frames that ffmpeg finds in a stream.
fn hashes(path: &Path, before: &[&str], after: &[&str]) -> Vec<String> {
    let arguments =
        [&["-v", "error", "-nostdin"], before, &["-i", text(path)], after, &["-f", "framehash", "-"]].concat();
    let lines = run("ffmpeg", &arguments);
    lines.lines().filter(|l| !l.starts_with('#')).map(|l| l.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

/// Presentation times of a stream's packets in seconds, ascending.
fn times(path: &Path, stream: &str) -> Vec<f64> {
    let arguments = ["-v", "error", "-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let lines = run("ffprobe", &[&arguments[..], &[text(path)]].concat());
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
            &["-v", "warning", "-xerror", "-err_detect", "explode", "-i", text(&path), "-map", "0", "-f", "null", "-"],
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
