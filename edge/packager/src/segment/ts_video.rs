//! Access units of H.264 and H.265 in the byte stream format (annex B of both), as a transport stream carries them
//! (ISO/IEC 13818-1, 2.14 and 2.17): an access unit delimiter, parameter sets where decoding can begin, then the NAL units.

use crate::bytes::Reader;
use crate::codec::{Codec, Config, Handler, SampleEntry, layer_id};
use crate::error::{Error, Result};
use crate::segment::sample_aes;

/// The form that works at the start of an access unit and everywhere else.
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Codecs of video that have a place in a transport stream of HLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
}

/// What a NAL unit is to a writer of transport streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Left out: access unit delimiters, filler data, and layers above the base layer of H.265, which would be streams of their
    /// own.
    Dropped,
    /// Parameter sets, one bit for each kind.
    ParameterSet(u8),
    Other,
}

impl VideoCodec {
    fn role(self, nal: &[u8]) -> Role {
        let Some(&header) = nal.first() else { return Role::Dropped };
        match self {
            Self::Avc => match header & 31 {
                9 | 12 => Role::Dropped,
                7 => Role::ParameterSet(1),
                8 => Role::ParameterSet(2),
                _ => Role::Other,
            },
            Self::Hevc if layer_id(nal) != 0 => Role::Dropped,
            Self::Hevc => match header >> 1 & 63 {
                35 | 38 => Role::Dropped,
                32 => Role::ParameterSet(1),
                33 => Role::ParameterSet(2),
                34 => Role::ParameterSet(4),
                _ => Role::Other,
            },
        }
    }

    /// All kinds of parameter sets that decoding needs.
    fn needed(self) -> u8 {
        match self {
            Self::Avc => 3,
            Self::Hevc => 7,
        }
    }

    /// An access unit delimiter that allows any slice.
    fn delimiter(self) -> &'static [u8] {
        match self {
            Self::Avc => &[0, 0, 0, 1, 0x09, 0xf0],
            Self::Hevc => &[0, 0, 0, 1, 0x46, 0x01, 0x50],
        }
    }
}

/// What is needed to write the samples of one sample entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoStream {
    codec: VideoCodec,
    /// Bytes of the length before each NAL unit of a sample.
    length_size: usize,
    /// With start codes, as they are written before a sync sample.
    parameter_sets: Vec<u8>,
}

impl VideoStream {
    /// Reads a sample entry, a whole box as it is stored.
    ///
    /// # Errors
    /// `Unsupported` for codecs that have no place in a transport stream of HLS, `BadSource` when the box breaks its format.
    pub fn from_sample_entry(entry: &[u8]) -> Result<Self> {
        let (entry, config) = parse(entry, Handler::Video)?;
        let codec = match config.codec {
            Codec::Avc => VideoCodec::Avc,
            Codec::Hevc => VideoCodec::Hevc,
            _ => return Err(no_place(&config)),
        };
        if config.video().and_then(|v| v.dolby_vision).is_some_and(|v| v.compatibility_id == 0) {
            return Err(Error::unsupported(format!(
                "{} has no base layer for other decoders, and HLS has no Dolby Vision in transport streams",
                config.codecs
            )));
        }
        let length_size = usize::from(config.video().and_then(|v| v.nal_length_size).unwrap_or(4));
        let parameter_sets = match codec {
            VideoCodec::Avc => entry.child(b"avcC").and_then(avc_parameter_sets),
            VideoCodec::Hevc => entry.child(b"hvcC").and_then(hevc_parameter_sets),
        };
        Ok(Self { codec, length_size, parameter_sets: parameter_sets.unwrap_or_default() })
    }

    /// The codec.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// Bytes that the access unit of `sample` has in a transport stream: delimiter, parameter sets (before a sync sample that
    /// does not carry all of its own) and NAL units with start codes. What has broken lengths ends before the first NAL unit
    /// that does not fit.
    pub fn access_unit_bytes(&self, sample: &[u8], sync: bool) -> u32 {
        let mut bytes = 0usize;
        self.access_unit(sample, sync, |part| bytes += part.len());
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// The most bytes by which the access unit of `sample` grows under SAMPLE-AES; `None` where that has no form for the codec.
    pub fn sample_aes_growth(&self, sample: &[u8]) -> Option<u32> {
        if self.codec != VideoCodec::Avc {
            return None;
        }
        let growth = self.units(sample).map(sample_aes::growth).fold(0, usize::saturating_add);
        Some(u32::try_from(growth).unwrap_or(u32::MAX))
    }

    /// Gives the bytes of an access unit piece by piece.
    pub(super) fn access_unit(&self, sample: &[u8], sync: bool, mut put: impl FnMut(&[u8])) {
        put(self.codec.delimiter());
        if sync {
            let found = self.units(sample).fold(0, |found, nal| match self.codec.role(nal) {
                Role::ParameterSet(kind) => found | kind,
                _ => found,
            });
            if found != self.codec.needed() {
                put(&self.parameter_sets);
            }
        }
        for nal in self.units(sample) {
            if self.codec.role(nal) != Role::Dropped {
                put(&START_CODE);
                put(nal);
            }
        }
    }

    fn units<'a>(&self, sample: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let size = self.length_size;
        let mut rest = sample;
        core::iter::from_fn(move || {
            let (length, after) = rest.split_at_checked(size)?;
            let length = length.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            let (nal, after) = after.split_at_checked(length)?;
            rest = after;
            Some(nal)
        })
    }
}

/// Takes a stored sample entry apart.
pub(super) fn parse(entry: &[u8], handler: Handler) -> Result<(SampleEntry<'_>, Config)> {
    let sample_entry = split(entry, handler)?;
    let config = Config::parse(&sample_entry).map_err(|error| {
        let message = format!("sample entry: {error}");
        match error.kind {
            crate::codec::ErrorKind::Malformed => Error::bad_source(message),
            crate::codec::ErrorKind::Encrypted | crate::codec::ErrorKind::Unsupported(_) => Error::unsupported(message),
        }
    })?;
    Ok((sample_entry, config))
}

pub(super) fn split(entry: &[u8], handler: Handler) -> Result<SampleEntry<'_>> {
    let short = |e| Error::bad_source(format!("sample entry: {e}"));
    let mut r = Reader::new(entry, 0);
    r.u32().map_err(short)?;
    let fourcc = r.array().map_err(short)?;
    Ok(SampleEntry { fourcc, handler, data: r.rest() })
}

/// Why a codec is refused.
pub(super) fn no_place(config: &Config) -> Error {
    Error::unsupported(format!("{} has no place in an MPEG-2 transport stream of HLS", config.codecs))
}

fn push_unit(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Sequence and picture parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1). What is cut off is
/// left out.
fn avc_parameter_sets(record: &[u8]) -> Option<Vec<u8>> {
    let mut r = Reader::new(record, 0);
    r.take(5).ok()?;
    let mut out = Vec::new();
    for mask in [31, 255] {
        let Ok(count) = r.u8() else { break };
        for _ in 0..count & mask {
            let Some(nal) = r.u16().ok().and_then(|length| r.take(length.into()).ok()) else { return Some(out) };
            push_unit(&mut out, nal);
        }
    }
    Some(out)
}

/// Parameter sets and supplemental information of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1), in the
/// order that decoding needs. What is cut off is left out.
fn hevc_parameter_sets(record: &[u8]) -> Option<Vec<u8>> {
    let mut r = Reader::new(record, 0);
    r.take(22).ok()?;
    // video, sequence, picture parameter sets; then prefix SEI
    let mut kinds: [Vec<u8>; 4] = Default::default();
    let mut arrays = || -> Option<()> {
        for _ in 0..r.u8().ok()? {
            let kind = usize::from(r.u8().ok()? & 63);
            for _ in 0..r.u16().ok()? {
                let length = r.u16().ok()?;
                let nal = r.take(length.into()).ok()?;
                let slot = match kind {
                    32..=34 => kind - 32,
                    39 => 3,
                    _ => continue,
                };
                push_unit(kinds.get_mut(slot)?, nal);
            }
        }
        Some(())
    };
    // Nothing is lost when the record is cut off: what stands before is kept.
    let _ = arrays();
    Some(kinds.concat())
}
