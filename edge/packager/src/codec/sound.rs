//! Sample entries of audio.

use super::entry::Entry;
use super::error::{Error, Malformed};
use super::{Audio, Codec, Config, Headers, Media};

/// Samples of an AC-3 frame, and of an E-AC-3 frame of six blocks.
const AC3_FRAME: u32 = 1536;
/// Samples of a layer III frame of MPEG-1; at the low rates of MPEG-2 it has half of them.
const MP3_FRAME: u32 = 1152;
/// The lowest rate of MPEG-1 audio.
const MPEG_1_RATE: u32 = 32_000;

fn audio(entry: &Entry<'_>, codec: Codec, codecs: String, audio: Audio) -> Config {
    Config { fourcc: entry.fourcc, codec, codecs, media: Media::Audio(audio), headers: Headers::None }
}

/// `esds`.
pub(super) fn aac(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"esds")?;
    let descriptor = super::aac::descriptor(child.payload).map_err(|fault| entry.inside(child, fault))?;
    let object_type = descriptor.object_type;
    if matches!(object_type, 0x69 | 0x6b) && entry.fields.sample_rate > 0 {
        return Ok(mp3(entry, object_type));
    }
    if !matches!(object_type, 0x40 | 0x66..=0x68) {
        let name = match object_type {
            0x69 | 0x6b => " (MPEG-1 or MPEG-2 layer audio, such as MP3) without a sampling rate",
            0xa9..=0xac => " (DTS)",
            _ => "",
        };
        return Err(entry.unsupported(child, 4, format!("objectTypeIndication is 0x{object_type:02x}{name}")));
    }
    let s = super::aac::specific(descriptor.specific).map_err(|e| {
        entry.inside(child, Malformed::new(descriptor.specific_offset, format!("AudioSpecificConfig {e}")))
    })?;
    if s.core != 2 {
        let what = format!("audioObjectType is {}; AAC-LC (2), HE-AAC (5) and HE-AAC v2 (29) are handled", s.core);
        return Err(entry.unsupported(child, descriptor.specific_offset, what));
    }
    let codecs = match (object_type, s.ps, s.sbr) {
        (0x40, true, _) => "mp4a.40.29".into(),
        (0x40, false, true) => "mp4a.40.5".into(),
        (0x40, false, false) => "mp4a.40.2".into(),
        _ => format!("mp4a.{object_type:02X}"),
    };
    // Configurations that are reserved, or say nothing: the sample entry's own count is the best there is.
    let channels = if s.channels == 0 { entry.fields.channels } else { s.channels };
    let channel_configuration = match s.channel_configuration {
        _ if s.ps => Some(2),
        c @ (1..=7 | 11..=14) => Some(c as u8),
        _ => None,
    };
    Ok(audio(
        entry,
        Codec::Aac,
        codecs,
        Audio {
            sample_rate: s.sample_rate,
            channels,
            channel_configuration,
            channel_map: None,
            joc_complexity: None,
            samples_per_frame: Some(s.samples_per_frame),
            specific_config: Some(descriptor.specific.to_vec()),
            bit_depth: None,
        },
    ))
}

/// Layer III of MPEG-1, or of MPEG-2 with its low sampling rates.
fn mp3(entry: &Entry<'_>, object_type: u8) -> Config {
    let sample_rate = entry.fields.sample_rate;
    let channels = entry.fields.channels;
    audio(
        entry,
        Codec::Mp3,
        format!("mp4a.{object_type:02X}"),
        Audio {
            sample_rate,
            channels,
            channel_configuration: match channels {
                c @ 1..=2 => Some(c as u8),
                _ => None,
            },
            channel_map: None,
            joc_complexity: None,
            samples_per_frame: Some(if sample_rate < MPEG_1_RATE { MP3_FRAME / 2 } else { MP3_FRAME }),
            specific_config: None,
            bit_depth: None,
        },
    )
}

/// `ChannelConfiguration` of ISO/IEC 23001-8 for a map of channel locations.
fn cicp(channel_map: u16) -> Option<u8> {
    Some(match channel_map {
        0x4000 => 1,
        0xa000 => 2,
        0xe000 => 3,
        0xe100 => 4,
        0xf800 => 5,
        0xf801 => 6,
        0xa100 => 9,
        0xb800 => 10,
        0xfa01 => 12,
        0xf811 => 14,
        _ => return None,
    })
}

fn dolby_config(entry: &Entry<'_>, codec: Codec, codecs: &str, s: super::ac3::Specific) -> Config {
    audio(
        entry,
        codec,
        codecs.into(),
        Audio {
            sample_rate: s.sample_rate,
            channels: s.channels,
            channel_configuration: cicp(s.channel_map),
            channel_map: Some(s.channel_map),
            joc_complexity: s.joc_complexity,
            samples_per_frame: Some(AC3_FRAME),
            specific_config: None,
            bit_depth: None,
        },
    )
}

/// `dac3`.
pub(super) fn ac3(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dac3")?;
    let specific = super::ac3::dac3(child.payload)
        .map_err(|e| entry.inside(child, Malformed::new(0, format!("AC3SpecificBox {e}"))))?;
    Ok(dolby_config(entry, Codec::Ac3, "ac-3", specific))
}

/// `dec3`.
pub(super) fn eac3(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dec3")?;
    let specific = super::ac3::dec3(child.payload)
        .map_err(|e| entry.inside(child, Malformed::new(0, format!("EC3SpecificBox {e}"))))?;
    Ok(dolby_config(entry, Codec::Eac3, "ec-3", specific))
}

/// `dOps`.
pub(super) fn opus(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dOps")?;
    let channels = super::opus::channels(child.payload)
        .map_err(|e| entry.inside(child, Malformed::new(0, format!("OpusSpecificBox {e}"))))?;
    Ok(audio(
        entry,
        Codec::Opus,
        "Opus".into(),
        Audio {
            // A decoder gives 48 kHz whatever the encoder was given.
            sample_rate: 48_000,
            channels,
            channel_configuration: match channels {
                c @ 1..=2 => Some(c as u8),
                _ => None,
            },
            channel_map: None,
            joc_complexity: None,
            samples_per_frame: None,
            specific_config: None,
            bit_depth: None,
        },
    ))
}

/// `dfLa`.
pub(super) fn flac(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dfLa")?;
    let info = super::flac::stream_info(child.payload)
        .map_err(|e| entry.inside(child, Malformed::new(0, format!("STREAMINFO {e}"))))?;
    Ok(audio(
        entry,
        Codec::Flac,
        "fLaC".into(),
        Audio {
            sample_rate: info.sample_rate,
            channels: info.channels,
            channel_configuration: match info.channels {
                c @ 1..=2 => Some(c as u8),
                _ => None,
            },
            channel_map: None,
            joc_complexity: None,
            samples_per_frame: info.block_size,
            specific_config: None,
            bit_depth: Some(info.bit_depth),
        },
    ))
}
