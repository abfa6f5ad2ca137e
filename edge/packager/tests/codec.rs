//! Sample entries and samples of real encoders, against what ffmpeg says about them. `codec/README.md` says how the
//! fixtures were made.
#![allow(missing_docs, reason = "a test program has no public interface")]
#![allow(clippy::disallowed_methods, reason = "tests read fixtures")]

#[path = "codec/expected.rs"]
mod expected;
#[path = "codec/ffmpeg.rs"]
mod ffmpeg;
#[path = "codec/mp4.rs"]
mod mp4;

use std::path::{Path, PathBuf};

use ffmpeg::End;
use packager::codec::{Codec, Config, Handler, SampleEntry, Scanner, Subsample};

/// Packets of each real file that are compared.
const PACKETS: usize = 60;

fn fixtures() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in ["slices", "frames"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec").join(folder);
        found.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()));
    }
    found.retain(|p| p.extension().is_some_and(|e| e == "mp4"));
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Real files beside the repository, when they are there.
fn shared() -> Vec<PathBuf> {
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media")];
    let mut found = Vec::new();
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.extend((!path.ends_with("malformed")).then_some(path));
            } else if path.extension().is_some_and(|e| e == "mp4" || e == "mov" || e == "m4v") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

struct Open {
    path: PathBuf,
    file: Vec<u8>,
    track: mp4::Track,
    config: Config,
}

/// The first video track whose sample entry is readable.
fn open(path: &Path) -> Option<Open> {
    let file = std::fs::read(path).unwrap();
    let track = mp4::tracks(&file).into_iter().find(|t| t.handler == Handler::Video)?;
    let entry = SampleEntry { fourcc: track.fourcc, handler: track.handler, data: &track.entry };
    let config = Config::parse(&entry).ok()?;
    Some(Open { path: path.into(), file, track, config })
}

/// Scans as many samples as there are lines and compares; gives the units compared.
fn compare(open: &Open, tiles: usize, lines: &[Vec<End>]) -> usize {
    let name = open.path.display();
    let mut scanner = Scanner::new(&open.config);
    let mut out = Vec::new();
    let mut units = 0;
    for (index, (range, ends)) in open.track.samples.iter().zip(lines).enumerate() {
        let sample = &open.file[range.clone()];
        scanner.scan(sample, &mut out).unwrap();
        assert_eq!(out, expected::subsamples(sample, open.config.codec, tiles, ends), "{name} sample {index}");
        units += ends.len();
    }
    assert_eq!(scanner.broken(), 0, "{name}");
    units
}

#[test]
fn headers_end_where_ffmpeg_says() {
    for path in fixtures() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let tiles = name.split_once("tiles_").map_or(1, |(_, count)| count.parse().unwrap());
        let open = open(&path).unwrap();
        let lines = ffmpeg::read(&std::fs::read_to_string(path.with_extension("ends")).unwrap());
        assert_eq!(lines.len(), open.track.samples.len(), "{name}");
        assert!(compare(&open, tiles, &lines) > 0, "{name}");
    }
}

#[test]
fn broken_samples_are_clear_and_counted() {
    for path in fixtures() {
        let open = open(&path).unwrap();
        let name = path.display();
        let nal_units = matches!(open.config.codec, Codec::Avc | Codec::Hevc);
        let sample = &open.file[open.track.samples[0].clone()];
        let (mut at, mut boundaries) = (0, vec![0]);
        while nal_units && at < sample.len() {
            at += 4 + u32::from_be_bytes(sample[at..at + 4].try_into().unwrap()) as usize;
            boundaries.push(at);
        }
        let mut out = Vec::new();
        let mut sum = |scanner: &mut Scanner, sample: &[u8]| -> usize {
            scanner.scan(sample, &mut out).unwrap();
            out.iter().map(|s| (s.clear + s.protected) as usize).sum()
        };
        for length in 0..sample.len() {
            let mut scanner = Scanner::new(&open.config);
            assert_eq!(sum(&mut scanner, &sample[..length]), length, "{name}");
            // The last unit is cut off, unless the cut is between two.
            assert!(!nal_units || (scanner.broken() > 0) != boundaries.contains(&length), "{name} cut at {length}");
        }
        for bit in 0..sample.len().min(400) * 8 {
            let mut flipped = sample.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut scanner = Scanner::new(&open.config);
            assert_eq!(sum(&mut scanner, &flipped), flipped.len(), "{name} bit {bit}");
        }
    }
}

#[test]
fn a_slice_without_its_parameter_sets_is_clear_and_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec/slices/avc_slices.mp4");
    let open = open(&path).unwrap();
    let mut entry = vec![0; 78];
    entry.extend([0, 0, 0, 15, b'a', b'v', b'c', b'C', 1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]);
    let entry = SampleEntry { fourcc: *b"avc3", handler: Handler::Video, data: &entry };
    let mut scanner = Scanner::new(&Config::parse(&entry).unwrap());
    let sample = &open.file[open.track.samples[1].clone()];
    let mut out = vec![Subsample::default(); 9];
    scanner.scan(sample, &mut out).unwrap();
    assert_eq!(out, [Subsample { clear: sample.len() as u32, protected: 0 }]);
    assert_eq!(scanner.broken(), 4);
}

#[test]
fn headers_of_real_files() {
    let mut compared = (0, 0);
    for path in shared() {
        let Some(open) = open(&path) else { continue };
        if open.track.samples.is_empty() {
            continue;
        }
        let Some(lines) = ffmpeg::trace(&path, PACKETS) else { return };
        // How many tiles there are is in no single line of the trace.
        if lines.iter().flatten().all(|end| end.size_bytes == 0) {
            compared.0 += 1;
            compared.1 += compare(&open, 1, &lines);
        }
    }
    println!("compared with ffmpeg: {} files, {} units", compared.0, compared.1);
}

#[test]
fn every_sample_of_real_files_is_readable() {
    for path in shared() {
        let Some(open) = open(&path) else { continue };
        let mut scanner = Scanner::new(&open.config);
        let mut out = Vec::new();
        for range in &open.track.samples {
            let Some(sample) = open.file.get(range.clone()) else { break };
            scanner.scan(sample, &mut out).unwrap();
            let sum: usize = out.iter().map(|s| (s.clear + s.protected) as usize).sum();
            assert_eq!(sum, sample.len(), "{}", path.display());
            assert!(out.iter().any(|s| s.protected > 0) || matches!(open.config.codec, Codec::Av1 | Codec::Vp9));
        }
        assert_eq!(scanner.broken(), 0, "{}", path.display());
        if !scanner.captions().is_empty() {
            println!("{}: {:?}", path.display(), scanner.captions());
        }
    }
}
