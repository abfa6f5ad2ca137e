//! A reader of well-formed MP4 files that knows just enough to find sample entries and samples for these tests.

use std::ops::Range;

use packager::codec::{FourCc, Handler};

/// A sample entry and the samples of its track.
pub struct Track {
    pub id: u32,
    pub handler: Handler,
    pub fourcc: FourCc,
    pub entry: Vec<u8>,
    #[allow(dead_code, reason = "one of the two test programs reads sample entries alone")]
    pub samples: Vec<Range<usize>>,
    default_size: usize,
}

fn u32_at(data: &[u8], at: usize) -> usize {
    u32::from_be_bytes(data[at..at + 4].try_into().unwrap()) as usize
}

fn boxes(data: &[u8]) -> Vec<(FourCc, Range<usize>)> {
    let (mut at, mut found) = (0, Vec::new());
    while data.len() >= at + 8 {
        let (mut size, mut header) = (u32_at(data, at), 8);
        if size == 1 && data.len() >= at + 16 {
            (size, header) = (u32_at(data, at + 12), 16);
        } else if size == 0 {
            size = data.len() - at;
        }
        if size < header || at + size > data.len() {
            break;
        }
        found.push((data[at + 4..at + 8].try_into().unwrap(), at + header..at + size));
        at += size;
    }
    found
}

fn child<'a>(data: &'a [u8], path: &[&FourCc]) -> Option<&'a [u8]> {
    let Some((first, rest)) = path.split_first() else { return Some(data) };
    let (_, range) = boxes(data).into_iter().find(|(fourcc, _)| fourcc == *first)?;
    child(&data[range], rest)
}

/// The tracks of a file that are video or audio, with the samples of the file itself or of its fragments.
pub fn tracks(file: &[u8]) -> Vec<Track> {
    let Some(moov) = child(file, &[b"moov"]) else { return Vec::new() };
    let mut tracks: Vec<Track> = Vec::new();
    for (fourcc, range) in boxes(moov) {
        if fourcc == *b"trak" {
            tracks.extend(track(&moov[range]));
        }
    }
    for (fourcc, range) in boxes(child(moov, &[b"mvex"]).unwrap_or_default()) {
        let mvex = child(moov, &[b"mvex"]).unwrap();
        if fourcc == *b"trex" {
            let trex = &mvex[range];
            if let Some(track) = tracks.iter_mut().find(|t| t.id as usize == u32_at(trex, 4)) {
                track.default_size = u32_at(trex, 16);
            }
        }
    }
    for (fourcc, range) in boxes(file) {
        if fourcc == *b"moof" {
            fragment(file, range, &mut tracks);
        }
    }
    tracks
}

fn track(trak: &[u8]) -> Option<Track> {
    let handler = match &child(trak, &[b"mdia", b"hdlr"])?[8..12] {
        b"vide" => Handler::Video,
        b"soun" => Handler::Audio,
        _ => return None,
    };
    let tkhd = child(trak, &[b"tkhd"])?;
    let id = u32_at(tkhd, if tkhd[0] == 1 { 20 } else { 12 }) as u32;
    let stbl = child(trak, &[b"mdia", b"minf", b"stbl"])?;
    let stsd = &child(stbl, &[b"stsd"])?[8..];
    let (fourcc, range) = boxes(stsd).into_iter().next()?;
    let entry = stsd[range].to_vec();
    let mut samples = Vec::new();
    if let (Some(stsz), Some(stsc)) = (child(stbl, &[b"stsz"]), child(stbl, &[b"stsc"])) {
        let (fixed, count) = (u32_at(stsz, 4), u32_at(stsz, 8));
        let chunks: Vec<usize> = match child(stbl, &[b"stco"]) {
            Some(stco) => (0..u32_at(stco, 4)).map(|i| u32_at(stco, 8 + 4 * i)).collect(),
            None => child(stbl, &[b"co64"])
                .map(|co64| (0..u32_at(co64, 4)).map(|i| u32_at(co64, 12 + 8 * i)).collect())
                .unwrap_or_default(),
        };
        let runs: Vec<(usize, usize)> =
            (0..u32_at(stsc, 4)).map(|i| (u32_at(stsc, 8 + 12 * i), u32_at(stsc, 12 + 12 * i))).collect();
        let mut sample = 0;
        for (index, &chunk) in chunks.iter().enumerate() {
            let per_chunk = runs.iter().rev().find(|(first, _)| *first <= index + 1).map_or(0, |r| r.1);
            let mut at = chunk;
            for _ in 0..per_chunk {
                if sample == count {
                    break;
                }
                let size = if fixed == 0 { u32_at(stsz, 12 + 4 * sample) } else { fixed };
                samples.push(at..at + size);
                at += size;
                sample += 1;
            }
        }
    }
    Some(Track { id, handler, fourcc, entry, samples, default_size: 0 })
}

fn fragment(file: &[u8], range: Range<usize>, tracks: &mut [Track]) {
    let moof = &file[range.clone()];
    let start = range.start - 8;
    for (_, traf) in boxes(moof).into_iter().filter(|(fourcc, _)| fourcc == b"traf") {
        let traf = &moof[traf];
        let Some(tfhd) = child(traf, &[b"tfhd"]) else { continue };
        let flags = u32_at(tfhd, 0);
        let Some(track) = tracks.iter_mut().find(|t| t.id as usize == u32_at(tfhd, 4)) else { continue };
        let (mut base, mut at, mut default_size) = (start, 8, track.default_size);
        if flags & 1 != 0 {
            base = u32_at(tfhd, at + 4);
            at += 8;
        }
        at += 4 * (flags & 2 != 0) as usize + 4 * (flags & 8 != 0) as usize;
        if flags & 0x10 != 0 {
            default_size = u32_at(tfhd, at);
        }
        let mut next = base;
        for (_, trun) in boxes(traf).into_iter().filter(|(fourcc, _)| fourcc == b"trun") {
            let trun = &traf[trun];
            let flags = u32_at(trun, 0);
            let count = u32_at(trun, 4);
            let mut at = 8;
            if flags & 1 != 0 {
                next = base.wrapping_add(u32_at(trun, at) as u32 as i32 as usize);
                at += 4;
            }
            at += 4 * (flags & 4 != 0) as usize;
            for _ in 0..count {
                at += 4 * (flags & 0x100 != 0) as usize;
                let mut size = default_size;
                if flags & 0x200 != 0 {
                    size = u32_at(trun, at);
                    at += 4;
                }
                at += 4 * (flags & 0x400 != 0) as usize + 4 * (flags & 0x800 != 0) as usize;
                track.samples.push(next..next + size);
                next += size;
            }
        }
    }
}
