//! The CMAF header (init segment) of a track: ISO/IEC 23000-19, 7.3.1.

use bytes::Bytes;

use super::auxiliary::write_description;
use crate::bytes::writer::Writer;
use crate::config::{Iv, Kid, PackageType, Scheme};
use crate::error::{Error, Result};
use crate::index::head::{Media, Stored, Text, TextFormat};
use crate::index::{Track, entry};
use crate::mp4::movie::IDENTITY_MATRIX;
use crate::segment::wvtt;

/// Which name HEVC sample entries get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HevcEntry {
    /// As stored.
    Stored,
    /// `hvc1`, as Apple's players demand, when all parameter sets are in the sample entry.
    Hvc1,
}

impl HevcEntry {
    /// That of an output.
    pub fn of(package_type: PackageType) -> Self {
        match package_type {
            PackageType::Hls | PackageType::Cmaf => Self::Hvc1,
            PackageType::Dash => Self::Stored,
        }
    }
}

/// The one track of a CMAF file has this id.
pub const TRACK_ID: u32 = 1;

/// Which sample entry of a protected track describes the samples of its clear segments.
pub const CLEAR_DESCRIPTION: u32 = 2;

/// What the header of a protected track says.
#[derive(Clone, Debug)]
pub struct Protection {
    /// The scheme.
    pub scheme: Scheme,
    /// `default_KID`.
    pub kid: Kid,
    /// `default_constant_IV`, with cbcs.
    pub iv: Option<Iv>,
    /// Whole `pssh` boxes for the `moov`.
    pub pssh: Vec<Vec<u8>>,
    /// Whether some segments are in the clear.
    pub clear_lead: bool,
}

/// What a header is made of.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    track: &'a Track,
    hevc: HevcEntry,
    description: u32,
    protection: Option<&'a Protection>,
    /// What the fragments of the source need to be passed on as they are stored; encrypted ones are not.
    stored: Option<Stored>,
}

/// Makes the CMAF header of a track for a period in which this sample entry, counted from 1, describes its samples.
///
/// # Errors
/// `Internal` for a sample entry that is no box.
pub fn write(track: &Track, hevc: HevcEntry, description: u32, protection: Option<&Protection>) -> Result<Bytes> {
    let stored = track.stored.filter(|_| protection.is_none());
    let header = Header { track, hevc, description, protection, stored };
    let track_id = stored.map_or(TRACK_ID, |s| s.track_id);
    let mut entries = Vec::with_capacity(1024);
    sample_entries(&mut entries, header)?;
    let mut out = Vec::with_capacity(1024 + entries.len());
    out.boxed(b"ftyp", |b| {
        b.extend_from_slice(b"iso6");
        b.u32(0);
        b.extend_from_slice(b"iso6");
        // With video the edit list is folded into the composition offsets, which is what cmf2 asks for.
        let folded = track.is_video() && track.edit_media_time == 0;
        b.extend_from_slice(if folded { b"cmf2" } else { b"cmfc" });
        if folded {
            b.extend_from_slice(b"cmfc");
        }
        b.extend_from_slice(b"dash");
    });
    out.boxed(b"moov", |b| {
        movie_header(b, track, track_id);
        b.boxed(b"trak", |b| {
            track_header(b, track, track_id);
            if track.edit_media_time > 0 {
                edit_list(b, track);
            }
            b.boxed(b"mdia", |b| media(b, track, &entries));
        });
        b.boxed(b"mvex", |b| {
            b.full_box(b"mehd", 1, 0, |b| b.u64(track.end));
            let trex = match stored {
                Some(s) => [s.track_id, s.description, s.duration, s.size, s.flags],
                None => [TRACK_ID, 1, 0, 0, 0],
            };
            b.full_box(b"trex", 0, 0, |b| trex.iter().for_each(|v| b.u32(*v)));
        });
        protection.iter().flat_map(|p| &p.pssh).for_each(|pssh| b.extend_from_slice(pssh));
    });
    Ok(out.into())
}

fn movie_header(out: &mut Vec<u8>, track: &Track, track_id: u32) {
    out.full_box(b"mvhd", 0, 0, |b| {
        // creation, modification, timescale, duration: unknown here, mehd has it
        [0, 0, track.timescale, 0].iter().for_each(|v| b.u32(*v));
        b.u32(0x0001_0000);
        b.u16(0x0100);
        b.extend_from_slice(&[0; 10]);
        IDENTITY_MATRIX.iter().for_each(|v| b.u32(*v));
        b.extend_from_slice(&[0; 24]);
        b.u32(track_id.saturating_add(1));
    });
}

fn track_header(out: &mut Vec<u8>, track: &Track, track_id: u32) {
    const ENABLED_IN_MOVIE_AND_PREVIEW: u32 = 7;
    out.full_box(b"tkhd", 0, ENABLED_IN_MOVIE_AND_PREVIEW, |b| {
        [0, 0, track_id, 0, 0].iter().for_each(|v| b.u32(*v));
        b.extend_from_slice(&[0; 8]);
        // layer, alternate group, volume, reserved
        let (volume, matrix) = match &track.media {
            Media::Video(video) => (0, &video.matrix),
            Media::Audio(_) => (0x0100, &IDENTITY_MATRIX),
            Media::Text(_) | Media::Metadata => (0, &IDENTITY_MATRIX),
        };
        [0, 0, volume, 0].iter().for_each(|v| b.u16(*v));
        matrix.iter().for_each(|v| b.u32(*v));
        let (width, height) = match &track.media {
            Media::Video(video) => {
                let (across, down) = (u64::from(video.aspect.0.max(1)), u64::from(video.aspect.1.max(1)));
                let width = ((u64::from(video.width) << 16) * across / down).min(u64::from(u32::MAX));
                (width as u32, video.height.min(0xffff) << 16)
            }
            Media::Audio(_) | Media::Text(_) | Media::Metadata => (0, 0),
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

fn media(out: &mut Vec<u8>, track: &Track, sample_entries: &[u8]) {
    out.full_box(b"mdhd", 0, 0, |b| {
        [0, 0, track.timescale, 0].iter().for_each(|v| b.u32(*v));
        let packed = track.language_code.iter().fold(0, |p, l| p << 5 | u16::from(l.wrapping_sub(0x60) & 31));
        b.u16(packed);
        b.u16(0);
    });
    let (handler, name) = match &track.media {
        Media::Video(_) => (b"vide", "VideoHandler\0"),
        Media::Audio(_) => (b"soun", "SoundHandler\0"),
        Media::Text(Text { format: TextFormat::Webvtt { .. }, .. }) => (b"text", "TextHandler\0"),
        Media::Text(_) | Media::Metadata => (b"subt", "SubtitleHandler\0"),
    };
    out.full_box(b"hdlr", 0, 0, |b| {
        b.u32(0);
        b.extend_from_slice(handler);
        b.extend_from_slice(&[0; 12]);
        b.extend_from_slice(name.as_bytes());
    });
    out.boxed(b"minf", |b| {
        match &track.media {
            Media::Video(_) => b.full_box(b"vmhd", 0, 1, |b| b.extend_from_slice(&[0; 8])),
            Media::Audio(_) => b.full_box(b"smhd", 0, 0, |b| b.u32(0)),
            Media::Text(Text { format: TextFormat::Webvtt { .. }, .. }) => b.full_box(b"nmhd", 0, 0, |_| {}),
            Media::Text(_) | Media::Metadata => b.full_box(b"sthd", 0, 0, |_| {}),
        }
        b.boxed(b"dinf", |b| {
            b.full_box(b"dref", 0, 0, |b| {
                b.u32(1);
                const SAME_FILE: u32 = 1;
                b.full_box(b"url ", 0, SAME_FILE, |_| {});
            });
        });
        b.boxed(b"stbl", |b| {
            b.full_box(b"stsd", 0, 0, |b| b.extend_from_slice(sample_entries));
            b.full_box(b"stts", 0, 0, |b| b.u32(0));
            b.full_box(b"stsc", 0, 0, |b| b.u32(0));
            b.full_box(b"stsz", 0, 0, |b| b.u64(0));
            b.full_box(b"stco", 0, 0, |b| b.u32(0));
        });
    });
}

/// What stands in `stsd`: how many sample entries, and the sample entries.
fn sample_entries(out: &mut Vec<u8>, header: Header<'_>) -> Result<()> {
    let Header { track, protection, .. } = header;
    if let Media::Text(Text { format: TextFormat::Webvtt { header }, .. }) = &track.media {
        // Cues are stored in the index, without a sample entry.
        out.u32(1);
        let label = &track.name.to_string();
        out.extend_from_slice(&wvtt::sample_entry(wvtt::Description { header, label }));
        return Ok(());
    }
    // Fragments that are passed on as stored count the sample entries as their source does.
    let one = header.description.saturating_sub(1) as usize;
    let chosen = if header.stored.is_some() { 0..track.sample_entries.len() } else { one..one + 1 };
    let chosen = track.sample_entries.get(chosen).unwrap_or_default();
    let clear_too = protection.is_some_and(|p| p.clear_lead);
    out.u32(if clear_too { CLEAR_DESCRIPTION } else { chosen.len() as u32 });
    if let Some(protection) = protection {
        chosen.iter().try_for_each(|entry| protected_entry(out, header, entry, protection))?;
        if !clear_too {
            return Ok(());
        }
    }
    chosen.iter().for_each(|entry| clear_entry(out, header, entry));
    Ok(())
}

fn clear_entry(out: &mut Vec<u8>, header: Header<'_>, entry: &[u8]) {
    let start = out.len();
    out.extend_from_slice(entry);
    if let Some(format) = out.get_mut(start + 4..start + 8) {
        format.copy_from_slice(&format_of(header, entry));
    }
}

/// What kind of sample entry it is.
fn format_of(header: Header<'_>, entry: &[u8]) -> [u8; 4] {
    if header.hevc == HevcEntry::Hvc1 && entry::renames_to_hvc1(header.track) {
        return *b"hvc1";
    }
    entry.get(4..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default()
}

/// The sample entry as `encv` or `enca` (ISO/IEC 14496-12, 8.12; ISO/IEC 23001-7, 4): its boxes, and at the end what it was and how
/// it is protected.
fn protected_entry(out: &mut Vec<u8>, header: Header<'_>, entry: &[u8], protection: &Protection) -> Result<()> {
    let kind = if header.track.is_video() { b"encv" } else { b"enca" };
    let boxes = entry.get(8..).ok_or_else(|| Error::internal("a sample entry that is no box"))?;
    let Protection { scheme, kid, iv, .. } = protection;
    out.boxed(kind, |b| {
        b.extend_from_slice(boxes);
        b.boxed(b"sinf", |b| {
            b.boxed(b"frma", |b| b.extend_from_slice(&format_of(header, entry)));
            b.full_box(b"schm", 0, 0, |b| {
                b.extend_from_slice(if *scheme == Scheme::Cenc { b"cenc" } else { b"cbcs" });
                const VERSION_1_0: u32 = 0x1_0000;
                b.u32(VERSION_1_0);
            });
            b.boxed(b"schi", |b| {
                // Version 1 is the one with a pattern.
                let version = u8::from(*scheme != Scheme::Cenc);
                b.full_box(b"tenc", version, 0, |b| {
                    b.push(0);
                    write_description(b, *scheme, header.track.is_video(), *kid, *iv);
                });
            });
        });
    });
    Ok(())
}
