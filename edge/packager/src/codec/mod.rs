//! What a sample entry says about its codec ([`Config`]), and which bytes of a sample must stay readable when it is
//! encrypted ([`Scanner`]).

mod aac;
mod ac3;
pub mod ac3_frame;
pub mod adts;
mod av1;
mod av1_frame;
mod av1_header;
mod av1_params;
mod av1_refs;
mod avc;
mod avc_slice;
mod captions;
pub mod eac3_frame;
mod entry;
mod error;
mod flac;
mod hevc;
mod hevc_rps;
mod hevc_slice;
pub mod latm;
pub mod mpeg_audio;
mod nal;
mod opus;
mod parameter_sets;
mod picture;
mod rfc6381;
mod scan;
mod sound;
mod video_headers;
mod vp9;
mod vp9_frame;
mod write;

pub use captions::Captions;
use entry::Entry;
use error::Malformed;
pub use error::{Error, ErrorKind};
pub(crate) use hevc::layer_id;
pub use nal::{Access, NalCodec, Role};
pub use scan::{ScanError, Scanner, Subsample};
pub use video_headers::{HeaderFault, VideoHeaders};

/// Four bytes that name a box or a sample entry.
pub type FourCc = [u8; 4];

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

impl<'a> SampleEntry<'a> {
    /// Payload of the first child box of this type.
    pub(crate) fn child(&self, fourcc: &FourCc) -> Option<&'a [u8]> {
        let entry = match self.handler {
            Handler::Video => Entry::visual(self),
            Handler::Audio => Entry::audio(self),
        };
        entry.ok()?.child(fourcc).map(|child| child.payload)
    }

    /// `objectTypeIndication` of `esds`.
    pub(crate) fn object_type(&self) -> Option<u8> {
        Some(aac::descriptor(self.child(b"esds")?).ok()?.object_type)
    }
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
    /// MPEG-1 and MPEG-2 audio, layer III.
    Mp3,
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
            (Handler::Video, b"avc1" | b"avc3" | b"dva1" | b"dvav") => picture::avc,
            (Handler::Video, b"hvc1" | b"hev1" | b"dvh1" | b"dvhe") => picture::hevc,
            (Handler::Video, b"av01" | b"dav1") => picture::av1,
            (Handler::Video, b"vp09") => picture::vp9,
            (Handler::Audio, b"mp4a") => sound::aac,
            (Handler::Audio, b"ac-3") => sound::ac3,
            (Handler::Audio, b"ec-3") => sound::eac3,
            (Handler::Audio, b"Opus") => sound::opus,
            (Handler::Audio, b"fLaC") => sound::flac,
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
