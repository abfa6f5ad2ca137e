//! AAC: the elementary stream descriptor (ISO/IEC 14496-1 clause 7.2.6) and AudioSpecificConfig (ISO/IEC 14496-3 clause
//! 1.6.2.1), with explicit and backward-compatible signalling of SBR and PS.

use super::Malformed;
use crate::bytes::bits::{Bits, Error, Result};

const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Descriptors inside descriptors, and beside each other, that are looked at.
const MAX_DESCRIPTORS: usize = 32;

/// What an `esds` box holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Descriptor<'a> {
    /// `objectTypeIndication`: 0x40 for MPEG-4 audio.
    pub object_type: u8,
    /// DecoderSpecificInfo, empty when absent.
    pub specific: &'a [u8],
    /// Where it starts in the payload of the box.
    pub specific_offset: usize,
}

/// Reads the payload of `esds`.
pub(super) fn descriptor(data: &[u8]) -> Result<Descriptor<'_>, Malformed> {
    let mut r = Bits::new(data);
    let early = |e: Error| Malformed::new(data.len(), format!("ES_Descriptor {e}"));
    r.skip(32).map_err(early)?;
    let mut object_type = None;
    for _ in 0..MAX_DESCRIPTORS {
        if r.rest().is_empty() {
            break;
        }
        let start = r.touched();
        let tag = r.byte().map_err(early)?;
        let length = length(&mut r).map_err(early)?;
        match tag {
            3 => {
                r.skip(16).map_err(early)?;
                let (depends, url, ocr) =
                    (r.flag().map_err(early)?, r.flag().map_err(early)?, r.flag().map_err(early)?);
                r.skip(5).map_err(early)?;
                if depends {
                    r.skip(16).map_err(early)?;
                }
                if url {
                    let bytes = r.byte().map_err(early)?;
                    r.take(bytes.into()).map_err(early)?;
                }
                if ocr {
                    r.skip(16).map_err(early)?;
                }
            }
            4 => {
                object_type = Some(r.byte().map_err(early)?);
                r.take(12).map_err(early)?;
            }
            5 => {
                let specific_offset = r.touched();
                // Some writers give a length past the end of the box; what is there is what counts.
                let specific = r.rest().get(..length).unwrap_or(r.rest());
                let object_type = object_type.ok_or_else(|| {
                    Malformed::new(start, "DecoderSpecificInfo stands before DecoderConfigDescriptor")
                })?;
                return Ok(Descriptor { object_type, specific, specific_offset });
            }
            _ => {
                r.take(length).map_err(early)?;
            }
        }
    }
    let object_type = object_type.ok_or_else(|| Malformed::new(4, "there is no DecoderConfigDescriptor"))?;
    Ok(Descriptor { object_type, specific: &[], specific_offset: data.len() })
}

fn length(r: &mut Bits<'_>) -> Result<usize> {
    let mut length = 0;
    for _ in 0..4 {
        let byte = r.byte()?;
        length = (length << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(length)
}

/// What an AudioSpecificConfig says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Specific {
    /// `audioObjectType` of the core coder, 2 for AAC-LC.
    pub core: u32,
    /// Spectral band replication is signalled.
    pub sbr: bool,
    /// Parametric stereo is signalled.
    pub ps: bool,
    /// Rate of what comes out of the decoder.
    pub sample_rate: u32,
    /// `channelConfiguration`.
    pub channel_configuration: u32,
    /// Channels of what comes out of the decoder.
    pub channels: u32,
    /// Samples of a frame at `sample_rate`.
    pub samples_per_frame: u32,
}

/// Reads an AudioSpecificConfig.
pub(super) fn specific(data: &[u8]) -> Result<Specific> {
    specific_bits(&mut Bits::new(data), true)
}

/// Reads an AudioSpecificConfig from bits. `bounded` says that nothing follows it, so what does is its extension.
pub(super) fn specific_bits(r: &mut Bits<'_>, bounded: bool) -> Result<Specific> {
    let mut object = object_type(r)?;
    let core_rate = sample_rate(r)?;
    let channel_configuration = r.bits(4)?;
    let (mut sbr, mut ps, mut output_rate) = (false, false, None);
    let explicit = matches!(object, 5 | 29);
    if explicit {
        (sbr, ps) = (true, object == 29);
        output_rate = Some(sample_rate(r)?);
        object = object_type(r)?;
    }
    let mut frame = 1024;
    let mut channels = match channel_configuration {
        1..=6 => channel_configuration,
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        _ => 0,
    };
    if matches!(object, 1..=4 | 6 | 7 | 17 | 19 | 20) {
        if r.flag()? {
            frame = 960;
        }
        if r.flag()? {
            r.skip(14)?;
        }
        let extension = r.flag()?;
        if channel_configuration == 0 {
            channels = program_config(r)?;
        }
        if object == 6 || object == 20 {
            r.skip(3)?;
        }
        if extension {
            if matches!(object, 17 | 19 | 20) {
                r.skip(3)?;
            }
            r.flag()?;
        }
        // The extension is optional, and data that only looks like one is common: what cannot be read is not there.
        if bounded
            && !explicit
            && let Ok((has_sbr, rate, has_ps)) = sync_extension(r)
        {
            (sbr, ps, output_rate) = (has_sbr, has_ps, rate);
        }
    }
    let sample_rate = output_rate.unwrap_or(core_rate);
    if ps && channels == 1 {
        channels = 2;
    }
    // With SBR a frame of 1024 samples at the core rate becomes 2048 at the output rate, unless SBR works downsampled.
    let doubled = sbr && sample_rate == core_rate.saturating_mul(2);
    let samples_per_frame = if doubled { frame * 2 } else { frame };
    Ok(Specific { core: object, sbr, ps, sample_rate, channel_configuration, channels, samples_per_frame })
}

fn object_type(r: &mut Bits<'_>) -> Result<u32> {
    let object = r.bits(5)?;
    Ok(if object == 31 { 32 + r.bits(6)? } else { object })
}

/// What a `samplingFrequencyIndex` stands for.
pub(super) fn sample_rate_of(index: u8) -> Option<u32> {
    SAMPLE_RATES.get(usize::from(index)).copied()
}

fn sample_rate(r: &mut Bits<'_>) -> Result<u32> {
    let index = r.bits(4)?;
    let rate = if index == 15 { r.bits(24)? } else { *SAMPLE_RATES.get(index as usize).ok_or(Error::Range)? };
    if rate == 0 { Err(Error::Range) } else { Ok(rate) }
}

/// The backward-compatible `syncExtensionType` part: SBR, its rate, PS.
fn sync_extension(r: &mut Bits<'_>) -> Result<(bool, Option<u32>, bool)> {
    if r.bits(11)? != 0x2b7 || object_type(r)? != 5 || !r.flag()? {
        return Ok((false, None, false));
    }
    let rate = sample_rate(r)?;
    let mut ps = || -> Result<bool> { Ok(r.bits(11)? == 0x548 && r.flag()?) };
    Ok((true, Some(rate), ps().unwrap_or(false)))
}

/// `program_config_element` (clause 4.4.1.1): gives the number of channels.
fn program_config(r: &mut Bits<'_>) -> Result<u32> {
    r.skip(4 + 2 + 4)?;
    let (front, side, back) = (r.bits(4)?, r.bits(4)?, r.bits(4)?);
    let (lfe, associated, coupling) = (r.bits(2)?, r.bits(3)?, r.bits(4)?);
    for bits in [4, 4, 3] {
        if r.flag()? {
            r.skip(bits)?;
        }
    }
    let mut channels = lfe;
    for _ in 0..front + side + back {
        channels += if r.flag()? { 2 } else { 1 };
        r.skip(4)?;
    }
    r.skip(4 * (lfe + associated) + 5 * coupling)?;
    r.align();
    let comment = r.byte()?;
    r.take(comment.into())?;
    Ok(channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_complexity() {
        let s = specific(&[0x12, 0x10]).unwrap();
        assert_eq!((s.core, s.sample_rate, s.channels, s.sbr, s.samples_per_frame), (2, 44_100, 2, false, 1024));
        let s = specific(&[0x11, 0xb0, 0x56, 0xe5, 0x00]).unwrap();
        assert_eq!((s.core, s.sample_rate, s.channels, s.sbr), (2, 48_000, 6, false));
    }

    #[test]
    fn high_efficiency_explicit() {
        // AOT 5, 24 kHz core, one channel, 48 kHz output, AOT 2.
        let s = specific(&[0x2b, 0x09, 0x88, 0x00]).unwrap();
        assert_eq!((s.core, s.sbr, s.ps, s.sample_rate, s.samples_per_frame), (2, true, false, 48_000, 2048));
        // AOT 29: one channel comes out as two.
        let s = specific(&[0xeb, 0x09, 0x88, 0x00]).unwrap();
        assert_eq!((s.sbr, s.ps, s.channels), (true, true, 2));
    }

    #[test]
    fn high_efficiency_backward_compatible() {
        let s = specific(&[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap();
        assert_eq!((s.core, s.sbr, s.ps, s.sample_rate, s.channels), (2, true, false, 48_000, 2));
        let s = specific(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]).unwrap();
        assert_eq!((s.core, s.sbr, s.ps, s.sample_rate, s.channels), (2, true, true, 48_000, 2));
    }

    #[test]
    fn broken() {
        assert_eq!(specific(&[0x12]), Err(Error::End));
        assert_eq!(specific(&[0x16, 0x90]), Err(Error::Range), "sampling frequency index 13 is reserved");
        assert!(descriptor(&[0; 4]).is_err());
    }
}
