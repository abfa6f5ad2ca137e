//! The CMAF header (init segment) of a track: ISO/IEC 23000-19, 7.3.1.

use bytes::Bytes;

use crate::bytes::writer::Writer;
use crate::index::head::Media;
use crate::index::{Track, entry};
use crate::mp4::movie::IDENTITY_MATRIX;

/// Which name HEVC sample entries get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HevcEntry {
    /// As stored.
    Stored,
    /// `hvc1`, as Apple's players demand, when all parameter sets are in the sample entry.
    Hvc1,
}

/// The one track of a CMAF file has this id.
pub const TRACK_ID: u32 = 1;

/// Makes the CMAF header of a track.
pub fn write(track: &Track, hevc: HevcEntry) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.boxed(b"ftyp", |b| {
        b.extend_from_slice(b"iso6");
        b.u32(0);
        b.extend_from_slice(b"iso6");
        // With video the edit list is folded into the composition offsets, which is what cmf2 asks for.
        b.extend_from_slice(if track.is_video() { b"cmf2" } else { b"cmfc" });
        if track.is_video() {
            b.extend_from_slice(b"cmfc");
        }
        b.extend_from_slice(b"dash");
    });
    out.boxed(b"moov", |b| {
        movie_header(b, track);
        b.boxed(b"trak", |b| {
            track_header(b, track);
            if track.edit_media_time > 0 {
                edit_list(b, track);
            }
            b.boxed(b"mdia", |b| media(b, track, hevc));
        });
        b.boxed(b"mvex", |b| {
            b.full_box(b"mehd", 1, 0, |b| b.u64(track.end));
            b.full_box(b"trex", 0, 0, |b| [TRACK_ID, 1, 0, 0, 0].iter().for_each(|v| b.u32(*v)));
        });
    });
    out.into()
}

fn movie_header(out: &mut Vec<u8>, track: &Track) {
    out.full_box(b"mvhd", 0, 0, |b| {
        // creation, modification, timescale, duration: unknown here, mehd has it
        [0, 0, track.timescale, 0].iter().for_each(|v| b.u32(*v));
        b.u32(0x0001_0000);
        b.u16(0x0100);
        b.extend_from_slice(&[0; 10]);
        IDENTITY_MATRIX.iter().for_each(|v| b.u32(*v));
        b.extend_from_slice(&[0; 24]);
        b.u32(TRACK_ID + 1);
    });
}

fn track_header(out: &mut Vec<u8>, track: &Track) {
    const ENABLED_IN_MOVIE_AND_PREVIEW: u32 = 7;
    out.full_box(b"tkhd", 0, ENABLED_IN_MOVIE_AND_PREVIEW, |b| {
        [0, 0, TRACK_ID, 0, 0].iter().for_each(|v| b.u32(*v));
        b.extend_from_slice(&[0; 8]);
        // layer, alternate group, volume, reserved
        let (volume, matrix) = match &track.media {
            Media::Video(video) => (0, &video.matrix),
            Media::Audio(_) => (0x0100, &IDENTITY_MATRIX),
        };
        [0, 0, volume, 0].iter().for_each(|v| b.u16(*v));
        matrix.iter().for_each(|v| b.u32(*v));
        let (width, height) = match &track.media {
            Media::Video(video) => {
                let (across, down) = (u64::from(video.aspect.0.max(1)), u64::from(video.aspect.1.max(1)));
                let width = ((u64::from(video.width) << 16) * across / down).min(u64::from(u32::MAX));
                (width as u32, video.height.min(0xffff) << 16)
            }
            Media::Audio(_) => (0, 0),
        };
        b.u32(width);
        b.u32(height);
    });
}

/// Cancels the priming of audio: presentation begins inside the first samples (CMAF 7.5.13 allows exactly this).
fn edit_list(out: &mut Vec<u8>, track: &Track) {
    out.boxed(b"edts", |b| {
        b.full_box(b"elst", 1, 0, |b| {
            b.u32(1);
            b.u64(0);
            b.u64(track.edit_media_time);
            b.u32(0x0001_0000);
        });
    });
}

fn media(out: &mut Vec<u8>, track: &Track, hevc: HevcEntry) {
    out.full_box(b"mdhd", 0, 0, |b| {
        [0, 0, track.timescale, 0].iter().for_each(|v| b.u32(*v));
        let packed = track.language_code.iter().fold(0, |p, l| p << 5 | u16::from(l.wrapping_sub(0x60) & 31));
        b.u16(packed);
        b.u16(0);
    });
    let video = track.is_video();
    out.full_box(b"hdlr", 0, 0, |b| {
        b.u32(0);
        b.extend_from_slice(if video { b"vide" } else { b"soun" });
        b.extend_from_slice(&[0; 12]);
        b.extend_from_slice(if video { b"VideoHandler\0" } else { b"SoundHandler\0" });
    });
    out.boxed(b"minf", |b| {
        if video {
            b.full_box(b"vmhd", 0, 1, |b| b.extend_from_slice(&[0; 8]));
        } else {
            b.full_box(b"smhd", 0, 0, |b| b.u32(0));
        }
        b.boxed(b"dinf", |b| {
            b.full_box(b"dref", 0, 0, |b| {
                b.u32(1);
                const SAME_FILE: u32 = 1;
                b.full_box(b"url ", 0, SAME_FILE, |_| {});
            });
        });
        b.boxed(b"stbl", |b| {
            b.full_box(b"stsd", 0, 0, |b| {
                b.u32(track.sample_entries.len() as u32);
                for entry in &track.sample_entries {
                    let start = b.len();
                    b.extend_from_slice(entry);
                    if hevc == HevcEntry::Hvc1
                        && entry::renames_to_hvc1(track)
                        && let Some(kind) = b.get_mut(start + 4..start + 8)
                    {
                        kind.copy_from_slice(b"hvc1");
                    }
                }
            });
            b.full_box(b"stts", 0, 0, |b| b.u32(0));
            b.full_box(b"stsc", 0, 0, |b| b.u32(0));
            b.full_box(b"stsz", 0, 0, |b| b.u64(0));
            b.full_box(b"stco", 0, 0, |b| b.u32(0));
        });
    });
}
