//! Audio frames as transport streams and packed audio carry them: ADTS before each frame of AAC (ISO/IEC 14496-3, 1.A.2),
//! everything else as it is stored.

use core::ops::Range;

use crate::bytes::bits::{self, Bits};
use crate::codec::ac3_frame::Ac3;
use crate::codec::{Codec, Config, Handler, SampleEntry};
use crate::error::{Error, Result};
use crate::segment::audio_setup::AudioSetup;
use crate::segment::sample_aes::FRAME_CLEAR;
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

/// Bytes that the element below has at most: 15 elements of each of four kinds, 7 and 3 of two others, mixdowns, and the
/// element's number.
const MAX_CONFIG_BYTES: usize = 64;

/// A `program_config_element` as it stands in a frame (ISO/IEC 14496-3, 4.4.1.1): ADTS has no other way to say which
/// loudspeakers the channels are for when `channel_configuration` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProgramConfig {
    bytes: [u8; MAX_CONFIG_BYTES],
    bits: usize,
}

impl ProgramConfig {
    const NONE: Self = Self { bytes: [0; MAX_CONFIG_BYTES], bits: 0 };

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.bits.div_ceil(8)).unwrap_or_default()
    }

    /// Reads the element that an AudioSpecificConfig has. It is aligned there and here to different places, so it is copied
    /// bit by bit; the comment at its end is left out.
    fn read(r: &mut Bits<'_>) -> bits::Result<Self> {
        const ID_PCE: u32 = 5;
        let mut this = Self::NONE;
        this.push(ID_PCE, 3)?;
        // element_instance_tag, object_type, sampling_frequency_index
        this.copy(r, 10)?;
        let (front, side, back) = (this.copy(r, 4)?, this.copy(r, 4)?, this.copy(r, 4)?);
        let (lfe, associated, coupling) = (this.copy(r, 2)?, this.copy(r, 3)?, this.copy(r, 4)?);
        for mixdown in [4, 4, 3] {
            if this.copy(r, 1)? == 1 {
                this.copy(r, mixdown)?;
            }
        }
        for (count, bits) in [(front + side + back, 5), (lfe + associated, 4), (coupling, 5)] {
            for _ in 0..count {
                this.copy(r, bits)?;
            }
        }
        // byte_alignment, then comment_field_bytes
        this.bits = this.bits.next_multiple_of(8) + 8;
        Ok(this)
    }

    fn copy(&mut self, r: &mut Bits<'_>, count: u32) -> bits::Result<u32> {
        let value = r.bits(count)?;
        self.push(value, count)?;
        Ok(value)
    }

    fn push(&mut self, value: u32, count: u32) -> bits::Result<()> {
        for bit in (0..count).rev() {
            let byte = self.bytes.get_mut(self.bits / 8).ok_or(bits::Error::Range)?;
            *byte |= ((value >> bit & 1) as u8) << (7 - self.bits % 8);
            self.bits += 1;
        }
        Ok(())
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
    /// MPEG audio of layer 1 to 3.
    Mp3 {
        /// MPEG-2 (ISO/IEC 13818-3), which has the rates below 32 kHz, rather than MPEG-1 (ISO/IEC 11172-3).
        low_rate: bool,
    },
}

/// What is needed to write the samples of one sample entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioStream {
    codec: AudioCodec,
    config: ProgramConfig,
    setup: Option<AudioSetup>,
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
            return Ok(Self {
                config: ProgramConfig::NONE,
                setup: None,
                codec: AudioCodec::Mp3 { low_rate: sample_rate(&stored).is_some_and(|rate| rate < 32_000) },
            });
        }
        let (_, config) = parse(entry, Handler::Audio)?;
        let codec = match config.codec {
            Codec::Aac => return Ok(Self { setup: AudioSetup::from_sample_entry(&stored, &config), ..aac(&config)? }),
            Codec::Ac3 => AudioCodec::Ac3,
            Codec::Eac3 => AudioCodec::Eac3,
            _ => return Err(no_place(&config)),
        };
        Ok(Self { codec, config: ProgramConfig::NONE, setup: AudioSetup::from_sample_entry(&stored, &config) })
    }

    /// The codec.
    pub fn codec(&self) -> AudioCodec {
        self.codec
    }

    /// Bytes written before each frame.
    pub fn header_bytes(&self) -> usize {
        match self.codec {
            AudioCodec::Aac(_) => ADTS_BYTES + self.config.bytes().len(),
            AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Mp3 { .. } => 0,
        }
    }

    /// What SAMPLE-AES says of it; `None` where it has no form for it.
    pub fn setup(&self) -> Option<&AudioSetup> {
        self.setup.as_ref()
    }

    /// Gives the ranges of a frame in its written form that SAMPLE-AES encrypts, as far as they are whole blocks: of AAC all
    /// but its header and 16 bytes, of AC-3 and E-AC-3 all but 16 bytes of every sync frame.
    pub(super) fn encrypted(&self, frame: &[u8], mut put: impl FnMut(Range<usize>)) {
        let mut at = 0;
        let header = match self.codec {
            AudioCodec::Aac(_) => ADTS_BYTES,
            AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Mp3 { .. } => 0,
        };
        while let Some(rest) = frame.get(at..).filter(|rest| !rest.is_empty()) {
            let own = match self.codec {
                AudioCodec::Ac3 | AudioCodec::Eac3 => sync_frame_bytes(rest),
                AudioCodec::Aac(_) | AudioCodec::Mp3 { .. } => None,
            };
            // What cannot be read is taken for one frame.
            let end = at + own.filter(|own| (1..=rest.len()).contains(own)).unwrap_or(rest.len());
            let start = at + header + FRAME_CLEAR;
            if start < end {
                put(start..end);
            }
            at = end;
        }
    }

    /// Gives the bytes of a frame in their written form.
    pub(super) fn frame(&self, frame: &[u8], mut put: impl FnMut(&[u8])) {
        if let AudioCodec::Aac(adts) = self.codec {
            let config = self.config.bytes();
            put(&adts.header(config.len() + frame.len()));
            put(config);
        }
        put(frame);
    }
}

/// Length of the sync frame of AC-3 or E-AC-3 that `data` begins with (ETSI TS 102 366, 4.4.1 and E.1.2.2). A stream of one may
/// have frames of the other.
fn sync_frame_bytes(data: &[u8]) -> Option<usize> {
    const MAX_AC3_BSID: u8 = 10;
    let [0x0b, 0x77, high, low, _, bsid, ..] = data else { return None };
    if bsid >> 3 <= MAX_AC3_BSID {
        return Ac3::parse(data).ok().map(|frame| frame.bytes);
    }
    Some((usize::from(high & 7) << 8 | usize::from(*low)) * 2 + 2)
}

/// `samplerate` of a sample entry, without its fraction.
fn sample_rate(entry: &SampleEntry<'_>) -> Option<u16> {
    entry.data.get(24..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// What an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) says of the core coder, as far as ADTS can.
fn aac(config: &Config) -> Result<AudioStream> {
    let cannot = |what: String| Error::unsupported(format!("{}: {what}, which ADTS cannot say", config.codecs));
    let audio = config.audio();
    if audio.and_then(|a| a.samples_per_frame).is_some_and(|samples| samples % 1024 != 0) {
        return Err(cannot("frames of 960 samples".into()));
    }
    let mut r = Bits::new(audio.and_then(|a| a.specific_config.as_deref()).unwrap_or_default());
    let mut read = || -> bits::Result<(u32, u32, u32, ProgramConfig)> {
        let object = object_type(&mut r)?;
        let (index, rate) = frequency(&mut r)?;
        let channels = r.bits(4)?;
        if channels > 0 {
            return Ok((index, rate, channels, ProgramConfig::NONE));
        }
        if matches!(object, 5 | 29) {
            frequency(&mut r)?;
            object_type(&mut r)?;
        }
        // GASpecificConfig: frameLengthFlag, dependsOnCoreCoder with its delay, extensionFlag
        r.skip(1)?;
        if r.flag()? {
            r.skip(14)?;
        }
        r.skip(1)?;
        Ok((index, rate, channels, ProgramConfig::read(&mut r)?))
    };
    let (index, rate, channels, program_config) =
        read().map_err(|e| Error::bad_source(format!("{}: AudioSpecificConfig {e}", config.codecs)))?;
    let index = match index {
        15 => SAMPLE_RATES.iter().position(|known| *known == rate).map(|at| at as u32),
        index => Some(index),
    };
    let index = index.ok_or_else(|| cannot(format!("a rate of {rate} Hz")))?;
    if channels > 7 {
        return Err(cannot(format!("channel configuration {channels}")));
    }
    let adts = Adts { profile: 1, sampling_frequency_index: index as u8, channel_configuration: channels as u8 };
    Ok(AudioStream { codec: AudioCodec::Aac(adts), config: program_config, setup: None })
}

fn object_type(r: &mut Bits<'_>) -> bits::Result<u32> {
    let object = r.bits(5)?;
    Ok(if object == 31 { 32 + r.bits(6)? } else { object })
}

/// An index, and the rate itself where the index is 15.
fn frequency(r: &mut Bits<'_>) -> bits::Result<(u32, u32)> {
    let index = r.bits(4)?;
    Ok((index, if index == 15 { r.bits(24)? } else { 0 }))
}
