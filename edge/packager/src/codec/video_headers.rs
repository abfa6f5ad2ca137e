//! Parameter sets of an elementary stream, gathered into sample entries: all sets whose identifiers do not contradict each
//! other are one configuration; a contradiction begins another at the next picture where decoding can start.

use super::avc_slice::{PictureId, is_intra};
use super::nal::recovery_frames;
use super::write::Visual;
use super::{NalCodec, avc, hevc};
use crate::bytes::bits::{Bits, Error, Result};
use crate::bytes::writer::Writer;
use crate::limits::{MAX_SAMPLE_ENTRIES, MAX_SAMPLE_ENTRY_BYTES};

/// Room in a sample entry for what is not parameter sets.
const ENTRY_ROOM: usize = 1024;
/// NAL unit types, H.264.
const AVC_SPS: u8 = 7;
const AVC_PPS: u8 = 8;
const AVC_SPS_EXTENSION: u8 = 13;
/// NAL unit types, H.265.
const HEVC_VPS: u8 = 32;
const HEVC_SPS: u8 = 33;
const HEVC_PPS: u8 = 34;

/// A parameter set as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Set {
    kind: u8,
    id: u32,
    nal: Vec<u8>,
}

type Sets = Vec<Set>;

fn find(sets: &[Set], like: &Set) -> Option<usize> {
    sets.iter().position(|s| s.kind == like.kind && s.id == like.id)
}

fn bytes(sets: &[Set]) -> usize {
    sets.iter().map(|s| s.nal.len() + 2).sum()
}

/// Why a parameter set or a configuration is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// It cannot be read.
    Broken(Error),
    /// A sample entry would pass [`MAX_SAMPLE_ENTRY_BYTES`].
    TooMany,
    /// The stream has more than [`MAX_SAMPLE_ENTRIES`] configurations.
    TooManyConfigurations,
}

impl From<Error> for HeaderFault {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// The headers of one video stream.
#[derive(Clone, Debug)]
pub struct VideoHeaders {
    codec: NalCodec,
    /// What slices of H.264 refer to now.
    live: avc::ParameterSets,
    configs: Vec<Sets>,
    current: Option<usize>,
    /// Sets that contradict the current configuration, or belong to none yet.
    incoming: Sets,
    /// Something else begins: sets before it count only if it brings none.
    fresh: bool,
    picture: Option<PictureId>,
}

impl VideoHeaders {
    /// Starts a stream.
    pub fn new(codec: NalCodec) -> Self {
        let (live, configs, incoming) = Default::default();
        Self { codec, live, configs, current: None, incoming, fresh: false, picture: None }
    }

    /// Something else begins in the stream.
    pub fn discontinuity(&mut self) {
        self.fresh = true;
        self.incoming.clear();
        self.picture = None;
    }

    /// Takes a parameter set. Gives whether the sample entry of the current configuration has changed.
    ///
    /// # Errors
    /// Why it is left out.
    pub fn parameter_set(&mut self, nal: &[u8]) -> Result<bool, HeaderFault> {
        let Some(set) = self.read(nal)? else { return Ok(false) };
        let current = self.current.filter(|_| !self.fresh).and_then(|index| self.configs.get_mut(index));
        if let Some(current) = current {
            match find(current, &set).and_then(|at| current.get(at)) {
                Some(known) if *known == set => {
                    // What was said in between is taken back.
                    self.incoming.retain(|s| s.kind != set.kind || s.id != set.id);
                    return Ok(false);
                }
                Some(_) => {}
                None => {
                    if bytes(current) + set.nal.len() + ENTRY_ROOM > MAX_SAMPLE_ENTRY_BYTES {
                        return Err(HeaderFault::TooMany);
                    }
                    current.push(set);
                    return Ok(true);
                }
            }
        }
        self.incoming.retain(|s| s.kind != set.kind || s.id != set.id);
        if bytes(&self.incoming) + set.nal.len() + ENTRY_ROOM > MAX_SAMPLE_ENTRY_BYTES {
            return Err(HeaderFault::TooMany);
        }
        self.incoming.push(set);
        Ok(false)
    }

    fn read(&mut self, nal: &[u8]) -> Result<Option<Set>> {
        let first = nal.first().copied().unwrap_or(0);
        let (kind, id) = match self.codec {
            NalCodec::Avc => match first & 31 {
                AVC_SPS => {
                    let sps = avc::Sps::parse(nal)?;
                    let id = sps.id;
                    self.live.set_sps(sps);
                    (AVC_SPS, id)
                }
                AVC_PPS => {
                    let pps = avc::Pps::parse(nal)?;
                    let id = pps.id;
                    self.live.set_pps(pps);
                    (AVC_PPS, id)
                }
                AVC_SPS_EXTENSION => {
                    let mut r = Bits::nal(nal);
                    r.byte()?;
                    (AVC_SPS_EXTENSION, r.ue_max(31)?)
                }
                _ => return Ok(None),
            },
            NalCodec::Hevc => match first >> 1 & 63 {
                HEVC_VPS => {
                    let mut r = Bits::nal(nal);
                    r.skip(16)?;
                    (HEVC_VPS, r.bits(4)?)
                }
                HEVC_SPS => (HEVC_SPS, hevc::Sps::parse(nal)?.id),
                HEVC_PPS => (HEVC_PPS, hevc::Pps::parse(nal)?.id),
                _ => return Ok(None),
            },
        };
        Ok(Some(Set { kind, id, nal: nal.to_vec() }))
    }

    /// Whether an SEI NAL unit says that decoding recovers at once.
    pub fn recovers(&self, nal: &[u8]) -> bool {
        self.codec == NalCodec::Avc && recovery_frames(nal) == Some(0)
    }

    /// Whether a slice is of type I.
    pub fn intra(&self, nal: &[u8]) -> bool {
        self.codec == NalCodec::Avc && is_intra(nal) == Ok(true)
    }

    /// Looks at the first slice of a picture. Gives whether it is the second field of the frame whose first field came
    /// before it.
    pub fn second_field(&mut self, nal: &[u8]) -> bool {
        if self.codec == NalCodec::Hevc {
            return false;
        }
        let picture = PictureId::parse(nal, &self.live).ok();
        let second = picture.zip(self.picture).is_some_and(|(this, first)| this.completes(&first));
        self.picture = picture.filter(|_| !second);
        second
    }

    /// A picture begins. Gives the number of its configuration, if there is one yet, and whether its sample entry is new
    /// or has changed. Only where decoding can start (`access`) may it be another one than before.
    ///
    /// # Errors
    /// `TooManyConfigurations`.
    pub fn picture(&mut self, access: bool) -> Result<Option<(usize, bool)>, HeaderFault> {
        let unchanged = self.current.map(|index| (index, false));
        if !access {
            return Ok(unchanged);
        }
        let alone = core::mem::take(&mut self.fresh) && self.complete(&self.incoming);
        if self.incoming.is_empty() {
            return Ok(unchanged);
        }
        let mut wanted = core::mem::take(&mut self.incoming);
        if let Some(old) = self.current.filter(|_| !alone).and_then(|index| self.configs.get(index)) {
            let rest: Sets = old.iter().filter(|s| find(&wanted, s).is_none()).cloned().collect();
            wanted.extend(rest);
        }
        if !self.complete(&wanted) || bytes(&wanted) + ENTRY_ROOM > MAX_SAMPLE_ENTRY_BYTES {
            self.incoming = wanted;
            return Ok(unchanged);
        }
        let agrees = |config: &Sets| {
            let known = |set: &Set| find(config, set).and_then(|at| config.get(at));
            let sps = |set: &&Set| matches!(set.kind, AVC_SPS | HEVC_SPS);
            wanted.iter().all(|set| known(set).is_none_or(|k| k == set))
                && wanted.iter().filter(sps).any(|set| known(set).is_some())
        };
        let (index, changed) = match self.configs.iter().position(agrees) {
            Some(index) => {
                let config = self.configs.get_mut(index);
                let before = config.as_ref().map_or(0, |c| c.len());
                let after = config.map_or(0, |config| {
                    let new: Sets = wanted.into_iter().filter(|set| find(config, set).is_none()).collect();
                    if bytes(config) + bytes(&new) + ENTRY_ROOM <= MAX_SAMPLE_ENTRY_BYTES {
                        config.extend(new);
                    }
                    config.len()
                });
                (index, after != before)
            }
            None if self.configs.len() >= MAX_SAMPLE_ENTRIES => return Err(HeaderFault::TooManyConfigurations),
            None => {
                self.configs.push(wanted);
                (self.configs.len() - 1, true)
            }
        };
        self.current = Some(index);
        Ok(Some((index, changed)))
    }

    fn complete(&self, sets: &[Set]) -> bool {
        let needed: &[u8] = match self.codec {
            NalCodec::Avc => &[AVC_SPS, AVC_PPS],
            NalCodec::Hevc => &[HEVC_VPS, HEVC_SPS, HEVC_PPS],
        };
        needed.iter().all(|kind| sets.iter().any(|s| s.kind == *kind))
    }

    /// The sample entry of a configuration, `avc1` or `hvc1`.
    ///
    /// # Errors
    /// When there is no such configuration, or it cannot be written.
    pub fn sample_entry(&self, config: usize) -> Result<Vec<u8>> {
        let sets = self.configs.get(config).ok_or(Error::Range)?;
        match self.codec {
            NalCodec::Avc => avc_entry(sets),
            NalCodec::Hevc => hevc_entry(sets),
        }
    }
}

fn of_kind(sets: &[Set], kind: u8) -> impl Iterator<Item = &Set> + Clone {
    sets.iter().filter(move |s| s.kind == kind)
}

fn nal_units<'a>(b: &mut Vec<u8>, sets: impl Iterator<Item = &'a Set>) {
    for set in sets {
        b.u16(set.nal.len().min(u16::MAX.into()) as u16);
        b.extend_from_slice(&set.nal);
    }
}

/// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 5.3.3.1).
fn avc_entry(sets: &[Set]) -> Result<Vec<u8>> {
    /// Room of `numOfSequenceParameterSets`.
    const MAX_SPS: usize = 31;
    /// Room of `numOfPictureParameterSets`.
    const MAX_PPS: usize = 255;
    let sps = avc::Sps::parse(&of_kind(sets, AVC_SPS).next().ok_or(Error::Range)?.nal)?;
    let list = |kind, max| of_kind(sets, kind).take(max);
    let entry = Visual {
        fourcc: *b"avc1",
        width: sps.width,
        height: sps.height,
        pixel_aspect: sps.pixel_aspect,
        colour: sps.colour,
    };
    Ok(entry.write(|b| {
        b.boxed(b"avcC", |b| {
            b.push(1);
            b.extend(sps.profile);
            b.push(0xff);
            b.push(0xe0 | list(AVC_SPS, MAX_SPS).count() as u8);
            nal_units(b, list(AVC_SPS, MAX_SPS));
            b.push(list(AVC_PPS, MAX_PPS).count() as u8);
            nal_units(b, list(AVC_PPS, MAX_PPS));
            let [profile_idc, ..] = sps.profile;
            if avc::HIGH_PROFILES.contains(&profile_idc) {
                b.push(0xfc | sps.chroma_format_idc as u8);
                b.push(0xf8 | sps.bit_depth.saturating_sub(8));
                b.push(0xf8 | sps.bit_depth_chroma.saturating_sub(8));
                b.push(list(AVC_SPS_EXTENSION, MAX_PPS).count() as u8);
                nal_units(b, list(AVC_SPS_EXTENSION, MAX_PPS));
            }
        });
    }))
}

/// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 8.3.3.1).
fn hevc_entry(sets: &[Set]) -> Result<Vec<u8>> {
    /// `general_profile_space` to `general_level_idc`.
    const GENERAL_BYTES: usize = 12;
    let nal = &of_kind(sets, HEVC_SPS).next().ok_or(Error::Range)?.nal;
    let sps = hevc::Sps::parse(nal)?;
    let mut r = Bits::nal(nal);
    r.skip(24)?;
    let mut general = [0; GENERAL_BYTES];
    for byte in &mut general {
        *byte = r.byte()?;
    }
    let entry = Visual {
        fourcc: *b"hvc1",
        width: sps.width,
        height: sps.height,
        pixel_aspect: sps.pixel_aspect,
        colour: sps.colour,
    };
    Ok(entry.write(|b| {
        b.boxed(b"hvcC", |b| {
            b.push(1);
            b.extend(general);
            // min_spatial_segmentation_idc 0 and parallelismType 0: not known.
            b.u16(0xf000);
            b.push(0xfc);
            b.push(0xfc | sps.chroma_format_idc as u8);
            b.push(0xf8 | sps.bit_depth.saturating_sub(8));
            b.push(0xf8 | sps.bit_depth_chroma.saturating_sub(8));
            // avgFrameRate and constantFrameRate are not known; lengthSizeMinusOne is 3.
            b.u16(0);
            b.push(sps.max_sub_layers << 3 | u8::from(sps.temporal_id_nesting) << 2 | 3);
            let kinds = [HEVC_VPS, HEVC_SPS, HEVC_PPS];
            b.push(kinds.len() as u8);
            for kind in kinds {
                b.push(0x80 | kind);
                b.u16(of_kind(sets, kind).count().min(u16::MAX.into()) as u16);
                nal_units(b, of_kind(sets, kind));
            }
        });
    }))
}
