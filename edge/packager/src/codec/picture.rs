//! Sample entries of video.

use super::entry::{Child, Entry};
use super::error::{Error, Malformed};
use super::{Codec, Colour, Config, DolbyVision, Headers, Media, Video, VideoRange, rfc6381};
use crate::bytes::bits;

/// What the codec's own headers say of the pictures.
struct Pictures {
    coded_size: Option<(u32, u32)>,
    colour: Option<Colour>,
    bit_depth: u8,
    nal_length_size: Option<u8>,
}

fn video(entry: &Entry<'_>, pictures: Pictures) -> Result<Video, Error> {
    let colour = colr(entry).or(pictures.colour);
    // An unspecified transfer in `colr` leaves the word to the bitstream.
    let transfer = colr(entry).map(|c| c.transfer).filter(|t| !matches!(t, 0 | 2 | 3));
    let range = match transfer.or(pictures.colour.map(|c| c.transfer)) {
        Some(16) => VideoRange::Pq,
        Some(18) => VideoRange::Hlg,
        _ => VideoRange::Sdr,
    };
    let pasp = entry.child(b"pasp").map(|child| {
        let mut r = bits::Bits::new(child.payload);
        Ok((r.bits(32)?, r.bits(32)?))
    });
    let mut video = Video {
        width: entry.fields.width,
        height: entry.fields.height,
        coded_size: pictures.coded_size,
        range,
        colour,
        // Spacings of 0 say nothing; a cut-off box says nothing either.
        pixel_aspect: pasp.and_then(|p: bits::Result<_>| p.ok()).filter(|(h, v)| *h > 0 && *v > 0),
        bit_depth: pictures.bit_depth,
        dolby_vision: None,
        supplemental_codecs: None,
        nal_length_size: pictures.nal_length_size,
    };
    for fourcc in [b"dvcC", b"dvvC", b"dvwC"] {
        if let Some(child) = entry.child(fourcc) {
            let dolby_vision = dolby_vision(child).map_err(|e| {
                entry.inside(child, Malformed::new(child.payload.len(), format!("DOVIDecoderConfigurationRecord {e}")))
            })?;
            video.dolby_vision = Some(dolby_vision);
            break;
        }
    }
    if let Some(dolby_vision) = &video.dolby_vision {
        let brand = match dolby_vision.compatibility_id {
            1 => "db1p",
            2 => "db2g",
            4 => "db4h",
            _ => "",
        };
        let supplement = match &entry.fourcc {
            b"avc1" => b"dva1",
            b"avc3" => b"dvav",
            b"hvc1" => b"dvh1",
            b"hev1" => b"dvhe",
            b"av01" => b"dav1",
            _ => b"    ",
        };
        if !brand.is_empty() && supplement != b"    " {
            video.supplemental_codecs = Some(format!("{}/{brand}", rfc6381::dolby_vision(*supplement, dolby_vision)));
        }
    }
    if entry.fourcc.starts_with(b"dv") || entry.fourcc == *b"dav1" {
        // Profile 5 and its like have no transfer code of their own: the signal is PQ unless it is compatible with HLG.
        if let Some(v) = &video.dolby_vision {
            video.range = if v.compatibility_id == 4 { VideoRange::Hlg } else { VideoRange::Pq };
        }
    }
    Ok(video)
}

/// `colr` of type `nclx` or QuickTime's `nclc`.
fn colr(entry: &Entry<'_>) -> Option<Colour> {
    entry.children.iter().filter(|c| c.fourcc == *b"colr").find_map(|child| {
        let nclx = child.payload.starts_with(b"nclx");
        if !nclx && !child.payload.starts_with(b"nclc") {
            return None;
        }
        let mut r = bits::Bits::new(child.payload);
        let mut read = || -> bits::Result<Colour> {
            r.skip(32)?;
            let (primaries, transfer, matrix) = (r.bits(16)? as u16, r.bits(16)? as u16, r.bits(16)? as u16);
            Ok(Colour { primaries, transfer, matrix, full_range: nclx && r.flag()? })
        };
        read().ok()
    })
}

fn dolby_vision(child: &Child<'_>) -> bits::Result<DolbyVision> {
    let mut r = bits::Bits::new(child.payload);
    r.skip(16)?;
    let (profile, level) = (r.bits(7)? as u8, r.bits(6)? as u8);
    r.skip(3)?;
    Ok(DolbyVision { profile, level, compatibility_id: r.bits(4)? as u8 })
}

/// The codec string of a Dolby Vision sample entry is its own, when the configuration is there.
fn codecs(entry: &Entry<'_>, video: &Video, base: String) -> String {
    match &video.dolby_vision {
        Some(v) if entry.fourcc.starts_with(b"dv") || entry.fourcc == *b"dav1" => {
            rfc6381::dolby_vision(entry.fourcc, v)
        }
        _ => base,
    }
}

/// `avcC` and what stands beside it.
pub(super) fn avc(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"avcC")?;
    let in_band = matches!(&entry.fourcc, b"avc3" | b"dvav");
    let record = super::avc::record(child.payload, in_band).map_err(|fault| entry.inside(child, fault))?;
    let video = video(
        entry,
        Pictures {
            coded_size: record.sps.as_ref().map(|s| (s.width, s.height)),
            colour: record.sps.as_ref().and_then(|s| s.colour),
            bit_depth: record.sps.as_ref().map_or(8, |s| s.bit_depth),
            nal_length_size: Some(record.length_size),
        },
    )?;
    let base = rfc6381::avc(entry.fourcc, record.profile, record.compatibility, record.level);
    Ok(Config {
        fourcc: entry.fourcc,
        codec: Codec::Avc,
        codecs: codecs(entry, &video, base),
        media: Media::Video(video),
        headers: Headers::Avc(record.sets),
    })
}

/// `hvcC` and what stands beside it.
pub(super) fn hevc(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"hvcC")?;
    let in_band = matches!(&entry.fourcc, b"hev1" | b"dvhe");
    let record = super::hevc::record(child.payload, in_band).map_err(|fault| entry.inside(child, fault))?;
    let video = video(
        entry,
        Pictures {
            coded_size: record.sps.as_ref().map(|s| (s.width, s.height)),
            colour: record.sps.as_ref().and_then(|s| s.colour),
            bit_depth: record.sps.as_ref().map_or(record.bit_depth, |s| s.bit_depth),
            nal_length_size: Some(record.length_size),
        },
    )?;
    let base = rfc6381::hevc(entry.fourcc, &record);
    Ok(Config {
        fourcc: entry.fourcc,
        codec: Codec::Hevc,
        codecs: codecs(entry, &video, base),
        media: Media::Video(video),
        headers: Headers::Hevc(record.sets),
    })
}

/// `av1C` and what stands beside it.
pub(super) fn av1(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"av1C")?;
    let record = super::av1::record(child.payload).map_err(|fault| entry.inside(child, fault))?;
    let sequence = record.sequence;
    let video = video(
        entry,
        Pictures {
            coded_size: sequence.as_ref().map(|s| (s.max_frame_width, s.max_frame_height)),
            colour: sequence.as_ref().map(|s| s.colour),
            bit_depth: record.bit_depth,
            nal_length_size: None,
        },
    )?;
    let base = rfc6381::av1(
        entry.fourcc,
        &rfc6381::Av1 {
            profile: record.profile,
            level: record.level,
            tier: record.tier,
            bit_depth: record.bit_depth,
            monochrome: record.monochrome,
            chroma: record.chroma,
            colour: sequence.as_ref().map(|s| s.colour).or(video.colour),
        },
    );
    Ok(Config {
        fourcc: entry.fourcc,
        codec: Codec::Av1,
        codecs: codecs(entry, &video, base),
        media: Media::Video(video),
        headers: Headers::Av1(sequence.map(Box::new)),
    })
}

/// `vpcC` and what stands beside it.
pub(super) fn vp9(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"vpcC")?;
    let record = super::vp9::record(child.payload).map_err(|fault| entry.inside(child, fault))?;
    let video = video(
        entry,
        Pictures { coded_size: None, colour: Some(record.colour), bit_depth: record.bit_depth, nal_length_size: None },
    )?;
    Ok(Config {
        fourcc: entry.fourcc,
        codec: Codec::Vp9,
        codecs: rfc6381::vp9(entry.fourcc, &record),
        media: Media::Video(video),
        headers: Headers::None,
    })
}
