//! A small MP4 file of text tracks, box by box.

use packager::bytes::writer::Writer;

/// A track of a file.
pub struct Track {
    pub handler: [u8; 4],
    /// The whole sample entry.
    pub entry: Vec<u8>,
    pub timescale: u32,
    /// Durations in ticks, and bytes.
    pub samples: Vec<(u32, Vec<u8>)>,
    /// Durations in milliseconds, and media times; -1 is an empty edit.
    pub edits: Vec<(u32, i32)>,
    /// Number of the track that holds its chapters.
    pub chapters: Option<u32>,
}

impl Track {
    pub fn wvtt(timescale: u32, cues: &[(u32, &str)]) -> Self {
        let mut entry = Vec::new();
        entry.boxed(b"wvtt", |b| {
            b.u64(1);
            b.boxed(b"vttC", |b| b.extend_from_slice(b"WEBVTT"));
        });
        let sample = |text: &str| {
            let mut sample = Vec::new();
            match text {
                "" => sample.boxed(b"vtte", |_| {}),
                text => sample.boxed(b"vttc", |b| b.boxed(b"payl", |b| b.extend_from_slice(text.as_bytes()))),
            }
            sample
        };
        let samples = cues.iter().map(|(duration, text)| (*duration, sample(text))).collect();
        Self { handler: *b"text", entry, timescale, samples, edits: Vec::new(), chapters: None }
    }

    /// With these display flags.
    pub fn tx3g(timescale: u32, flags: u32, cues: &[(u32, &str)]) -> Self {
        let mut entry = Vec::new();
        entry.boxed(b"tx3g", |b| {
            b.u64(1);
            b.u32(flags);
            b.extend_from_slice(&[0; 26]);
        });
        let sample = |text: &str| {
            let mut sample = Vec::new();
            sample.u16(text.len() as u16);
            sample.extend_from_slice(text.as_bytes());
            sample
        };
        let samples = cues.iter().map(|(duration, text)| (*duration, sample(text))).collect();
        Self { handler: *b"sbtl", entry, timescale, samples, edits: Vec::new(), chapters: None }
    }

    pub fn stpp(timescale: u32, documents: &[(u32, &str)]) -> Self {
        let mut entry = Vec::new();
        entry.boxed(b"stpp", |b| {
            b.u64(1);
            b.extend_from_slice(b"http://www.w3.org/ns/ttml\0\0\0");
        });
        let samples = documents.iter().map(|(duration, text)| (*duration, text.as_bytes().to_vec())).collect();
        Self { handler: *b"subt", entry, timescale, samples, edits: Vec::new(), chapters: None }
    }
}

/// The tracks as a file with `mdat` first.
pub fn file(tracks: &[Track]) -> Vec<u8> {
    let mut file = Vec::new();
    file.boxed(b"ftyp", |b| b.extend_from_slice(b"isom\0\0\0\0isom"));
    let mut offset = file.len() as u32 + 8;
    file.boxed(b"mdat", |b| tracks.iter().flat_map(|t| &t.samples).for_each(|(_, data)| b.extend_from_slice(data)));
    file.boxed(b"moov", |b| {
        b.full_box(b"mvhd", 0, 0, |b| {
            [0, 0, 1000, 0].iter().for_each(|v| b.u32(*v));
            b.extend_from_slice(&[0; 80]);
        });
        for (number, track) in (1..).zip(tracks) {
            b.boxed(b"trak", |b| write_track(b, track, number, offset));
            offset += track.samples.iter().map(|(_, data)| data.len() as u32).sum::<u32>();
        }
    });
    file
}

fn write_track(out: &mut Vec<u8>, track: &Track, number: u32, offset: u32) {
    out.full_box(b"tkhd", 0, 7, |b| {
        [0, 0, number, 0, 0].iter().for_each(|v| b.u32(*v));
        b.extend_from_slice(&[0; 60]);
    });
    if !track.edits.is_empty() {
        out.boxed(b"edts", |b| {
            b.full_box(b"elst", 0, 0, |b| {
                b.u32(track.edits.len() as u32);
                track
                    .edits
                    .iter()
                    .for_each(|(duration, time)| [*duration, *time as u32, 0x0001_0000].iter().for_each(|v| b.u32(*v)));
            });
        });
    }
    if let Some(chapters) = track.chapters {
        out.boxed(b"tref", |b| b.boxed(b"chap", |b| b.u32(chapters)));
    }
    out.boxed(b"mdia", |b| {
        b.full_box(b"mdhd", 0, 0, |b| {
            [0, 0, track.timescale, 0].iter().for_each(|v| b.u32(*v));
            // "deu"
            b.u32(0x10b5_0000);
        });
        b.full_box(b"hdlr", 0, 0, |b| {
            b.u32(0);
            b.extend_from_slice(&track.handler);
            b.extend_from_slice(&[0; 13]);
        });
        b.boxed(b"minf", |b| {
            b.boxed(b"stbl", |b| {
                b.full_box(b"stsd", 0, 0, |b| {
                    b.u32(1);
                    b.extend_from_slice(&track.entry);
                });
                b.full_box(b"stts", 0, 0, |b| {
                    b.u32(track.samples.len() as u32);
                    track.samples.iter().for_each(|(duration, _)| [1, *duration].iter().for_each(|v| b.u32(*v)));
                });
                b.full_box(b"stsc", 0, 0, |b| [1, 1, track.samples.len() as u32, 1].iter().for_each(|v| b.u32(*v)));
                b.full_box(b"stsz", 0, 0, |b| {
                    b.u64(track.samples.len() as u64);
                    track.samples.iter().for_each(|(_, data)| b.u32(data.len() as u32));
                });
                b.full_box(b"stco", 0, 0, |b| [1, offset].iter().for_each(|v| b.u32(*v)));
            });
        });
    });
}
