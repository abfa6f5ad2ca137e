//! Sample entries and samples of real encoders, against what ffmpeg's `trace_headers` says about them.
//! `codec/README.md` says how the fixtures were made.
#![allow(missing_docs)]

#[path = "codec/ffmpeg.rs"]
mod ffmpeg;
#[path = "codec/mp4.rs"]
mod mp4;

use std::path::{Path, PathBuf};

use packager::codec::{Codec, Config, Handler, SampleEntry, Scanner, Subsample};

fn fixtures(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec").join(folder);
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == extension));
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

/// NAL units of a sample as (length field and unit) bytes, cut by the test's own means.
fn nal_units(sample: &[u8]) -> Vec<&[u8]> {
    let (mut at, mut units) = (0, Vec::new());
    while at < sample.len() {
        let length = u32::from_be_bytes(sample[at..at + 4].try_into().unwrap()) as usize;
        units.push(&sample[at..at + 4 + length]);
        at += 4 + length;
    }
    units
}

/// Raw bytes that hold the first `bits` of a NAL unit without its emulation prevention bytes.
fn raw_bytes(nal: &[u8], bits: usize) -> usize {
    let (mut zeros, mut plain) = (0, 0);
    for (index, &byte) in nal.iter().enumerate() {
        if plain * 8 >= bits {
            return index;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain += 1;
    }
    nal.len()
}

/// What the subsamples must be, from the ends of the slice headers in bits.
fn expected(sample: &[u8], codec: Codec, ends: &[usize]) -> Vec<Subsample> {
    let (mut out, mut clear, mut ends) = (Vec::new(), 0, ends.iter());
    for unit in nal_units(sample) {
        let nal = &unit[4..];
        let slice = match codec {
            Codec::Avc => matches!(nal[0] & 31, 1 | 5),
            _ => matches!((nal[0] >> 1) & 63, 0..=9 | 16..=21) && (nal[0] & 1) == 0 && (nal[1] >> 3) == 0,
        };
        if !slice {
            clear += unit.len();
            continue;
        }
        let header = raw_bytes(nal, *ends.next().expect("a slice more than ffmpeg has"));
        out.push(Subsample { clear: (clear + 4 + header) as u32, protected: (nal.len() - header) as u32 });
        clear = 0;
    }
    assert!(ends.next().is_none(), "a slice less than ffmpeg has");
    if clear > 0 {
        out.push(Subsample { clear: clear as u32, protected: 0 });
    }
    out
}

struct Open {
    file: Vec<u8>,
    track: mp4::Track,
    config: Config,
}

/// The first video track whose sample entry is readable.
fn open(path: &Path) -> Option<Open> {
    let file = std::fs::read(path).unwrap();
    let track = mp4::tracks(&file).into_iter().find(|t| t.handler == Handler::Video)?;
    let config =
        Config::parse(&SampleEntry { fourcc: track.fourcc, handler: track.handler, data: &track.entry }).ok()?;
    Some(Open { file, track, config })
}

/// Scans as many samples as there are lines and compares; gives the slices compared.
fn compare(path: &Path, open: &Open, lines: &[Vec<usize>]) -> usize {
    let mut scanner = Scanner::new(&open.config);
    let mut out = Vec::new();
    let mut slices = 0;
    for (index, (range, ends)) in open.track.samples.iter().zip(lines).enumerate() {
        let sample = &open.file[range.clone()];
        scanner.scan(sample, &mut out).unwrap();
        assert_eq!(out, expected(sample, open.config.codec, ends), "{} sample {index}", path.display());
        slices += ends.len();
    }
    assert_eq!(scanner.broken(), 0, "{}", path.display());
    slices
}

#[test]
fn slice_headers_end_where_ffmpeg_says() {
    for path in fixtures("slices", "mp4") {
        let open = open(&path).unwrap();
        let text = std::fs::read_to_string(path.with_extension("ends")).unwrap();
        let lines: Vec<Vec<usize>> =
            text.lines().map(|l| l.split_whitespace().map(|n| n.parse().unwrap()).collect()).collect();
        assert_eq!(lines.len(), open.track.samples.len(), "{}", path.display());
        assert!(compare(&path, &open, &lines) >= lines.len());
    }
}

#[test]
fn slice_headers_of_real_files() {
    /// Packets of each file that are compared.
    const PACKETS: usize = 120;
    let mut compared = (0, 0);
    for path in shared() {
        let Some(open) = open(&path) else { continue };
        if !matches!(open.config.codec, Codec::Avc | Codec::Hevc) || open.track.samples.is_empty() {
            continue;
        }
        let Some(lines) = ffmpeg::slice_header_ends(&path, PACKETS) else { continue };
        compared.0 += 1;
        compared.1 += compare(&path, &open, &lines);
    }
    println!("compared with ffmpeg: {} files, {} slices", compared.0, compared.1);
}
