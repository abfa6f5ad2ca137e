//! What a sample entry says about its codec ([`Config`]), and which bytes of a sample must stay readable when it is
//! encrypted ([`Scanner`]).

mod aac;
mod ac3;
mod av1;
mod av1_frame;
mod av1_params;
mod avc;
mod avc_slice;
mod captions;
mod entry;
mod error;
mod flac;
mod hevc;
mod hevc_slice;
mod opus;
mod rfc6381;
mod scan;
mod vp9;
mod vp9_frame;

pub use captions::Captions;
use entry::{Child, Entry};
use error::Malformed;
pub use error::{Error, ErrorKind};
pub use scan::{ScanError, Scanner, Subsample};

use crate::bytes::bits;

/// Four bytes that name a box or a sample entry.
pub type FourCc = [u8; 4];

/// Samples of an AC-3 frame, and of an E-AC-3 frame of six blocks.
const AC3_FRAME: u32 = 1536;

/// Whether a track is video or audio; its handler says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `vide`.
    Video,
    /// `soun`.
    Audio,
}

/// A sample entry as it stands in `stsd`.
#[derive(Clone, Copy, Debug)]
pub struct SampleEntry<'a> {
    /// Type of its box.
    pub fourcc: FourCc,
    /// What the track's handler says.
    pub handler: Handler,
    /// What follows the box header: six reserved bytes, data_reference_index, ...
    pub data: &'a [u8],
}

/// The codecs that are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
    /// AAC-LC, HE-AAC and HE-AAC v2.
    Aac,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
    /// Opus.
    Opus,
    /// FLAC.
    Flac,
}

/// What HLS calls VIDEO-RANGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoRange {
    /// Standard dynamic range.
    #[default]
    Sdr,
    /// SMPTE ST 2084.
    Pq,
    /// ARIB STD-B67.
    Hlg,
}

impl VideoRange {
    /// As HLS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sdr => "SDR",
            Self::Pq => "PQ",
            Self::Hlg => "HLG",
        }
    }
}

/// Code points of ITU-T H.273; 2 is unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// `ColourPrimaries`.
    pub primaries: u16,
    /// `TransferCharacteristics`.
    pub transfer: u16,
    /// `MatrixCoefficients`.
    pub matrix: u16,
    /// `VideoFullRangeFlag`.
    pub full_range: bool,
}

impl Colour {
    /// Something other than BT.709 in limited range, or unspecified.
    fn is_special(&self) -> bool {
        self.full_range || [self.primaries, self.transfer, self.matrix].iter().any(|v| !matches!(v, 1 | 2))
    }
}

/// What a Dolby Vision configuration box (`dvcC`, `dvvC`, `dvwC`) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DolbyVision {
    /// `dv_profile`.
    pub profile: u8,
    /// `dv_level`.
    pub level: u8,
    /// `dv_bl_signal_compatibility_id`.
    pub compatibility_id: u8,
}

/// A video track.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// Width in the sample entry, in pixels.
    pub width: u32,
    /// Height in the sample entry.
    pub height: u32,
    /// Width and height after cropping as the sequence parameter set or sequence header has them.
    pub coded_size: Option<(u32, u32)>,
    /// Dynamic range.
    pub range: VideoRange,
    /// From `colr`, else from the bitstream's headers in the sample entry.
    pub colour: Option<Colour>,
    /// `pasp`: horizontal and vertical spacing.
    pub pixel_aspect: Option<(u32, u32)>,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Dolby Vision.
    pub dolby_vision: Option<DolbyVision>,
    /// Value of SUPPLEMENTAL-CODECS, e.g. `dvh1.08.06/db1p`, when the base layer plays by itself.
    pub supplemental_codecs: Option<String>,
    /// Bytes of the length field before each NAL unit, for H.264 and H.265.
    pub nal_length_size: Option<u8>,
}

/// An audio track.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples a second that come out of the decoder; with SBR twice the rate of the core coder.
    pub sample_rate: u32,
    /// Channels that come out of the decoder (the bed, with object audio).
    pub channels: u32,
    /// `channelConfiguration` of ISO/IEC 14496-3, which ISO/IEC 23001-8 (CICP) shares, where the layout is one of them.
    pub channel_configuration: Option<u8>,
    /// AC-3 and E-AC-3: channel locations, ETSI TS 102 366 table E.1.4, bit 15 is Left and bit 0 is LFE.
    pub channel_map: Option<u16>,
    /// E-AC-3 with joint object coding: its complexity index.
    pub joc_complexity: Option<u8>,
    /// Samples of a frame at `sample_rate`, where all frames (but the last) are equally long. HE-AAC: 2048.
    pub samples_per_frame: Option<u32>,
    /// AAC: the AudioSpecificConfig as it is stored.
    pub specific_config: Option<Vec<u8>>,
    /// FLAC: bits of a sample.
    pub bit_depth: Option<u8>,
}

impl Audio {
    /// Value of CHANNELS in HLS: `2`, `6`, `16/JOC`.
    pub fn hls_channels(&self) -> String {
        match self.joc_complexity {
            Some(complexity) => format!("{complexity}/JOC"),
            None => self.channels.to_string(),
        }
    }
}

/// The part that is of video or of audio.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// Video.
    Video(Video),
    /// Audio.
    Audio(Audio),
}

/// What parsing samples starts from.
#[derive(Clone, Debug, PartialEq)]
enum Headers {
    Avc(avc::ParameterSets),
    Hevc(hevc::ParameterSets),
    Av1(Option<Box<av1::Sequence>>),
    None,
}

/// What a sample entry says about its codec.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Type of the sample entry.
    pub fourcc: FourCc,
    /// The codec.
    pub codec: Codec,
    /// RFC 6381 string, e.g. `avc1.64001F`.
    pub codecs: String,
    /// The part that is of video or of audio.
    pub media: Media,
    headers: Headers,
}

impl Config {
    /// Reads a sample entry.
    ///
    /// # Errors
    /// `Encrypted`, `Unsupported` or `Malformed`, with the path of the box, the byte and the value.
    pub fn parse(entry: &SampleEntry<'_>) -> Result<Self, Error> {
        let name = rfc6381::name(entry.fourcc);
        let fail = |kind, what: &str| Error { kind, path: name.clone(), offset: 0, what: what.into() };
        if matches!(&entry.fourcc, b"encv" | b"enca") {
            return Err(fail(ErrorKind::Encrypted, "the sample entry is a protected one"));
        }
        let parse: fn(&Entry<'_>) -> Result<Self, Error> = match (entry.handler, &entry.fourcc) {
            (Handler::Video, b"avc1" | b"avc3" | b"dva1" | b"dvav") => avc_config,
            (Handler::Video, b"hvc1" | b"hev1" | b"dvh1" | b"dvhe") => hevc_config,
            (Handler::Video, b"av01" | b"dav1") => av1_config,
            (Handler::Video, b"vp09") => vp9_config,
            (Handler::Audio, b"mp4a") => aac_config,
            (Handler::Audio, b"ac-3") => ac3_config,
            (Handler::Audio, b"ec-3") => eac3_config,
            (Handler::Audio, b"Opus") => opus_config,
            (Handler::Audio, b"fLaC") => flac_config,
            _ => return Err(fail(ErrorKind::Unsupported(entry.fourcc), "the codec is not handled")),
        };
        let entry = match entry.handler {
            Handler::Video => Entry::visual(entry)?,
            Handler::Audio => Entry::audio(entry)?,
        };
        if let Some(child) = entry.child(b"sinf") {
            let mut error = entry.inside(child, Malformed::new(0, "the sample entry has protection information"));
            error.kind = ErrorKind::Encrypted;
            return Err(error);
        }
        parse(&entry)
    }

    /// The video part.
    pub fn video(&self) -> Option<&Video> {
        match &self.media {
            Media::Video(video) => Some(video),
            Media::Audio(_) => None,
        }
    }

    /// The audio part.
    pub fn audio(&self) -> Option<&Audio> {
        match &self.media {
            Media::Audio(audio) => Some(audio),
            Media::Video(_) => None,
        }
    }
}

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

fn avc_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"avcC")?;
    let in_band = matches!(&entry.fourcc, b"avc3" | b"dvav");
    let record = avc::record(child.payload, in_band).map_err(|fault| entry.inside(child, fault))?;
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

fn hevc_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"hvcC")?;
    let in_band = matches!(&entry.fourcc, b"hev1" | b"dvhe");
    let record = hevc::record(child.payload, in_band).map_err(|fault| entry.inside(child, fault))?;
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

fn av1_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"av1C")?;
    let record = av1::record(child.payload).map_err(|fault| entry.inside(child, fault))?;
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

fn vp9_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"vpcC")?;
    let record = vp9::record(child.payload).map_err(|fault| entry.inside(child, fault))?;
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

fn audio(entry: &Entry<'_>, codec: Codec, codecs: String, audio: Audio) -> Config {
    Config { fourcc: entry.fourcc, codec, codecs, media: Media::Audio(audio), headers: Headers::None }
}

fn aac_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"esds")?;
    let descriptor = aac::descriptor(child.payload).map_err(|fault| entry.inside(child, fault))?;
    let object_type = descriptor.object_type;
    if !matches!(object_type, 0x40 | 0x66..=0x68) {
        let name = match object_type {
            0x69 | 0x6b => " (MPEG-1 or MPEG-2 layer audio, such as MP3)",
            0xa9..=0xac => " (DTS)",
            _ => "",
        };
        return Err(entry.unsupported(child, 4, format!("objectTypeIndication is 0x{object_type:02x}{name}")));
    }
    let s = aac::specific(descriptor.specific).map_err(|e| {
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

fn dolby_config(entry: &Entry<'_>, codec: Codec, codecs: &str, s: ac3::Specific) -> Config {
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

fn ac3_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dac3")?;
    let specific =
        ac3::dac3(child.payload).map_err(|e| entry.inside(child, Malformed::new(0, format!("AC3SpecificBox {e}"))))?;
    Ok(dolby_config(entry, Codec::Ac3, "ac-3", specific))
}

fn eac3_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dec3")?;
    let specific =
        ac3::dec3(child.payload).map_err(|e| entry.inside(child, Malformed::new(0, format!("EC3SpecificBox {e}"))))?;
    Ok(dolby_config(entry, Codec::Eac3, "ec-3", specific))
}

fn opus_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dOps")?;
    let channels = opus::channels(child.payload)
        .map_err(|e| entry.inside(child, Malformed::new(0, format!("OpusSpecificBox {e}"))))?;
    Ok(audio(
        entry,
        Codec::Opus,
        "opus".into(),
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

fn flac_config(entry: &Entry<'_>) -> Result<Config, Error> {
    let child = entry.need(b"dfLa")?;
    let info = flac::stream_info(child.payload)
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
