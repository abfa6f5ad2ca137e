//! Audio frames as transport streams and packed audio carry them: ADTS before each frame of AAC (ISO/IEC 14496-3, 1.A.2),
//! everything else as it is stored.

use crate::bytes::bits::{self, Bits};
use crate::codec::{Codec, Config, Handler};
use crate::error::{Error, Result};
use crate::segment::ts_video::{no_place, parse, split};

/// Rates that an ADTS header has a number for.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// What the ADTS headers of a track have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adts {
    /// `profile_ObjectType`: the audio object type minus 1. Always 1, AAC-LC; of HE-AAC it is the core, and decoders find the
    /// extension in the frames.
    pub profile: u8,
    /// `sampling_frequency_index` of the core coder.
    pub sampling_frequency_index: u8,
    /// `channel_configuration` of the core coder.
    pub channel_configuration: u8,
}

/// Bytes of an ADTS header without a CRC.
pub const ADTS_BYTES: usize = 7;
/// `aac_frame_length` has 13 bits.
const MAX_ADTS_FRAME: usize = 0x1fff;

impl Adts {
    /// The header of a frame of `size` bytes. Frames of more than 8184 bytes, which AAC does not have, get the largest number.
    pub fn header(self, size: usize) -> [u8; ADTS_BYTES] {
        let length = size.saturating_add(ADTS_BYTES).min(MAX_ADTS_FRAME) as u64;
        // syncword; MPEG-4, layer 0, no CRC
        let fixed = 0xfff1 << 12
            | u64::from(self.profile) << 10
            | u64::from(self.sampling_frequency_index) << 6
            | u64::from(self.channel_configuration) << 2;
        const VARIABLE_RATE: u64 = 0x7ff;
        let bits = fixed << 28 | length << 13 | VARIABLE_RATE << 2;
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes
    }
}

/// Codecs of audio that have a place in a transport stream of HLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioCodec {
    /// AAC.
    Aac(Adts),
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
    /// MPEG-1 or MPEG-2 audio of layer 1 to 3.
    Mp3,
}

/// What is needed to write the samples of one sample entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioStream {
    codec: AudioCodec,
}

impl AudioStream {
    /// Reads a sample entry, a whole box as it is stored.
    ///
    /// # Errors
    /// `Unsupported` for codecs that have no place in a transport stream of HLS and for AAC that ADTS cannot describe,
    /// `BadSource` when the box breaks its format.
    pub fn from_sample_entry(entry: &[u8]) -> Result<Self> {
        let stored = split(entry, Handler::Audio)?;
        let mpeg_1_or_2 = stored.fourcc == *b"mp4a" && matches!(stored.object_type(), Some(0x69 | 0x6b));
        if mpeg_1_or_2 || stored.fourcc == *b".mp3" {
            return Ok(Self { codec: AudioCodec::Mp3 });
        }
        let (_, config) = parse(entry, Handler::Audio)?;
        let codec = match config.codec {
            Codec::Aac => AudioCodec::Aac(adts(&config)?),
            Codec::Ac3 => AudioCodec::Ac3,
            Codec::Eac3 => AudioCodec::Eac3,
            _ => return Err(no_place(&config)),
        };
        Ok(Self { codec })
    }

    /// The codec.
    pub fn codec(&self) -> AudioCodec {
        self.codec
    }

    /// Bytes written before each frame.
    pub fn header_bytes(&self) -> usize {
        match self.codec {
            AudioCodec::Aac(_) => ADTS_BYTES,
            AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Mp3 => 0,
        }
    }

    /// Gives the bytes of a frame in their written form.
    pub(super) fn frame(&self, frame: &[u8], mut put: impl FnMut(&[u8])) {
        if let AudioCodec::Aac(adts) = self.codec {
            put(&adts.header(frame.len()));
        }
        put(frame);
    }
}

/// What an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) says of the core coder, as far as ADTS can.
fn adts(config: &Config) -> Result<Adts> {
    let cannot = |what: String| Error::unsupported(format!("{}: {what}, which ADTS cannot say", config.codecs));
    let audio = config.audio();
    if audio.and_then(|a| a.samples_per_frame).is_some_and(|samples| samples % 1024 != 0) {
        return Err(cannot("frames of 960 samples".into()));
    }
    let specific = audio.and_then(|a| a.specific_config.as_deref()).unwrap_or_default();
    let mut r = Bits::new(specific);
    let mut read = || -> bits::Result<(u32, u32, u32)> {
        // The object type of the core coder has been looked at where the sample entry was read.
        if r.bits(5)? == 31 {
            r.skip(6)?;
        }
        let index = r.bits(4)?;
        let rate = if index == 15 { r.bits(24)? } else { 0 };
        Ok((index, rate, r.bits(4)?))
    };
    let (index, rate, channels) =
        read().map_err(|e| Error::bad_source(format!("{}: AudioSpecificConfig {e}", config.codecs)))?;
    let index = match index {
        15 => SAMPLE_RATES.iter().position(|known| *known == rate).map(|at| at as u32),
        index => Some(index),
    };
    let index = index.ok_or_else(|| cannot(format!("a rate of {rate} Hz")))?;
    if channels == 0 {
        return Err(cannot("channels given by a program_config_element".into()));
    }
    if channels > 7 {
        return Err(cannot(format!("channel configuration {channels}")));
    }
    Ok(Adts { profile: 1, sampling_frequency_index: index as u8, channel_configuration: channels as u8 })
}
