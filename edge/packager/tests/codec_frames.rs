//! AV1 and VP9 samples of real encoders, against what ffmpeg's `trace_headers` says about them.
//! `codec/README.md` says how the fixtures were made.
#![allow(missing_docs)]

#[path = "codec/mp4.rs"]
#[allow(dead_code)]
mod mp4;

use std::path::{Path, PathBuf};

use packager::codec::{Codec, Config, SampleEntry, Scanner, Subsample};

/// Stretches of a sample: whether they are protected, and their length.
#[derive(Default)]
struct Stretches(Vec<Subsample>, usize);

impl Stretches {
    fn add(&mut self, clear: usize, protected: usize) {
        self.1 += clear;
        if protected > 0 {
            self.0.push(Subsample { clear: self.1 as u32, protected: protected as u32 });
            self.1 = 0;
        }
    }

    fn finish(mut self) -> Vec<Subsample> {
        if self.1 > 0 {
            self.0.push(Subsample { clear: self.1 as u32, protected: 0 });
        }
        self.0
    }
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |n, b| n << 8 | *b as usize)
}

/// `ends` is what ffmpeg says: bits up to the tiles, and the bytes of a tile size field.
fn av1(sample: &[u8], tiles: usize, ends: &[(usize, usize)]) -> Vec<Subsample> {
    let (mut at, mut out, mut ends) = (0, Stretches::default(), ends.iter());
    while at < sample.len() {
        let kind = sample[at] >> 3 & 15;
        let mut header = 1 + (sample[at] >> 2 & 1) as usize;
        let (mut size, mut shift) = (0, 0);
        loop {
            let byte = sample[at + header];
            size |= ((byte & 0x7f) as usize) << shift;
            (header, shift) = (header + 1, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let unit = &sample[at..at + header + size];
        at += unit.len();
        if kind != 4 && kind != 6 {
            out.add(unit.len(), 0);
            continue;
        }
        let &(bits, size_bytes) = ends.next().expect("a tile group more than ffmpeg has");
        let mut position = bits.div_ceil(8);
        out.add(position, 0);
        for _ in 1..tiles {
            let tile = little_endian(&unit[position..position + size_bytes]) + 1;
            out.add(size_bytes, tile);
            position += size_bytes + tile;
        }
        out.add(0, unit.len() - position);
    }
    assert!(ends.next().is_none(), "a tile group less than ffmpeg has");
    out.finish()
}

/// `ends` is what ffmpeg says: bits up to the compressed header.
fn vp9(sample: &[u8], ends: &[(usize, usize)]) -> Vec<Subsample> {
    let (mut out, mut ends) = (Stretches::default(), ends.iter());
    let marker = sample[sample.len() - 1];
    let (mut sizes, mut index) = (vec![sample.len()], 0);
    if marker & 0xe0 == 0xc0 {
        let (bytes, frames) = ((marker >> 3 & 3) as usize + 1, (marker & 7) as usize + 1);
        index = 2 + bytes * frames;
        let table = &sample[sample.len() - index + 1..sample.len() - 1];
        sizes = table.chunks(bytes).map(little_endian).collect();
    }
    let mut at = 0;
    for size in sizes {
        let &(bits, _) = ends.next().expect("a frame more than ffmpeg has");
        // Bit 4 is show_existing_frame in profiles 0 to 2.
        let header = if sample[at] & 8 == 8 { size } else { bits.div_ceil(8) };
        out.add(header, size - header);
        at += size;
    }
    out.add(index, 0);
    assert!(ends.next().is_none(), "a frame less than ffmpeg has");
    out.finish()
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec/frames");
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|p| p.extension().is_some_and(|e| e == "mp4"));
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn headers_end_where_ffmpeg_says() {
    for path in fixtures() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let tiles = name.split_once("tiles_").map_or(1, |(_, count)| count.parse().unwrap());
        let file = std::fs::read(&path).unwrap();
        let track = mp4::tracks(&file).remove(0);
        let config =
            Config::parse(&SampleEntry { fourcc: track.fourcc, handler: track.handler, data: &track.entry }).unwrap();
        let mut scanner = Scanner::new(&config);
        let mut out = Vec::new();
        let text = std::fs::read_to_string(path.with_extension("ends")).unwrap();
        assert_eq!(text.lines().count(), track.samples.len(), "{name}");
        for (index, (range, line)) in track.samples.iter().zip(text.lines()).enumerate() {
            let sample = &file[range.clone()];
            let ends: Vec<(usize, usize)> = line
                .split_whitespace()
                .map(|word| match word.split_once('/') {
                    Some((bits, size)) => (bits.parse().unwrap(), size.parse().unwrap()),
                    None => (word.parse().unwrap(), 0),
                })
                .collect();
            scanner.scan(sample, &mut out).unwrap();
            let expected = if config.codec == Codec::Av1 { av1(sample, tiles, &ends) } else { vp9(sample, &ends) };
            assert_eq!(out, expected, "{name} sample {index}");
        }
        assert_eq!(scanner.broken(), 0, "{name}");
    }
}
