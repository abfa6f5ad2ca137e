//! Which bytes of a sample stay clear when it is encrypted (ISO/IEC 23001-7 clause 9.5.2): everything but the data of
//! slices (H.264, H.265), tiles (AV1) or frames after their uncompressed header (VP9).

use core::fmt;

use super::captions::{Captions, Gatherer};
use super::{Codec, Config, Headers, av1_frame, avc, avc_slice, hevc, hevc_slice, vp9_frame};
use crate::bytes::bits;
use crate::limits::{MAX_NAL_UNITS, MAX_SAMPLE_BYTES};

/// A stretch of a sample: clear bytes, then bytes that may be encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subsample {
    /// Bytes that stay as they are.
    pub clear: u32,
    /// Bytes after them that may be encrypted; 0 only in the last subsample.
    pub protected: u32,
}

/// A sample that is not scanned at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// The sample has more bytes than [`MAX_SAMPLE_BYTES`].
    TooLarge(usize),
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(f, "sample of {bytes} bytes, above the limit of {MAX_SAMPLE_BYTES}"),
        }
    }
}

impl core::error::Error for ScanError {}

/// Walks the samples of a track in decoding order and keeps what later ones refer to.
#[derive(Clone, Debug)]
pub struct Scanner {
    state: State,
    captions: Gatherer,
    broken: u32,
}

#[derive(Clone, Debug)]
enum State {
    Avc { length_size: usize, sets: avc::ParameterSets },
    Hevc { length_size: usize, sets: hevc::ParameterSets },
    Av1(Box<av1_frame::Frames>),
    Vp9(vp9_frame::Frames),
    Whole,
}

impl Scanner {
    /// Starts a track.
    pub fn new(config: &Config) -> Self {
        let length_size = usize::from(config.video().and_then(|v| v.nal_length_size).unwrap_or(4));
        let state = match &config.headers {
            Headers::Avc(sets) => State::Avc { length_size, sets: sets.clone() },
            Headers::Hevc(sets) => State::Hevc { length_size, sets: sets.clone() },
            Headers::Av1(sequence) => State::Av1(Box::new(av1_frame::Frames::new(sequence.clone()))),
            Headers::None if config.codec == Codec::Vp9 => State::Vp9(vp9_frame::Frames::default()),
            Headers::None => State::Whole,
        };
        Self { state, captions: Gatherer::default(), broken: 0 }
    }

    /// How many units could not be read so far: their bytes count as clear.
    pub fn broken(&self) -> u32 {
        self.broken
    }

    /// The captions that were found so far (H.264 and H.265).
    pub fn captions(&self) -> Captions {
        self.captions.found()
    }

    /// Replaces what is in `out` by the subsamples of `sample`, in order; their sum is its length. Audio samples are
    /// protected as a whole.
    ///
    /// # Errors
    /// [`ScanError::TooLarge`]. What cannot be read inside a sample is no error: see [`Self::broken`].
    pub fn scan(&mut self, sample: &[u8], out: &mut Vec<Subsample>) -> Result<(), ScanError> {
        out.clear();
        if u32::try_from(sample.len()).map_or(true, |bytes| bytes > MAX_SAMPLE_BYTES) {
            return Err(ScanError::TooLarge(sample.len()));
        }
        let mut runs = Runs { out, clear: 0 };
        let Self { state, captions, broken } = self;
        match state {
            State::Avc { length_size, sets } => {
                let size = *length_size;
                nal_units(sample, size, &mut runs, broken, |nal| avc_unit(nal, sets, captions));
            }
            State::Hevc { length_size, sets } => {
                let size = *length_size;
                nal_units(sample, size, &mut runs, broken, |nal| hevc_unit(nal, sets, captions));
            }
            State::Av1(frames) => frames.scan(sample, &mut runs, broken),
            State::Vp9(frames) => frames.scan(sample, &mut runs, broken),
            State::Whole => runs.protected(sample.len()),
        }
        runs.finish();
        Ok(())
    }
}

/// Gathers subsamples; neighbouring clear bytes become one.
pub(super) struct Runs<'a> {
    out: &'a mut Vec<Subsample>,
    clear: u32,
}

impl Runs<'_> {
    pub fn clear(&mut self, bytes: usize) {
        self.clear = self.clear.saturating_add(bytes as u32);
    }

    pub fn protected(&mut self, bytes: usize) {
        if bytes > 0 {
            self.out.push(Subsample { clear: self.clear, protected: bytes as u32 });
            self.clear = 0;
        }
    }

    fn finish(self) {
        if self.clear > 0 {
            self.out.push(Subsample { clear: self.clear, protected: 0 });
        }
    }
}

/// Cuts a sample into NAL units. `unit` gives the bytes of the unit that stay clear, or none for all.
fn nal_units(
    sample: &[u8],
    length_size: usize,
    runs: &mut Runs<'_>,
    broken: &mut u32,
    mut unit: impl FnMut(&[u8]) -> bits::Result<Option<usize>>,
) {
    let mut rest = sample;
    for _ in 0..MAX_NAL_UNITS {
        if rest.is_empty() {
            return;
        }
        let Some((nal, after)) = split_unit(rest, length_size) else { break };
        runs.clear(length_size);
        let header = unit(nal).unwrap_or_else(|_| {
            *broken = broken.saturating_add(1);
            None
        });
        let header = header.unwrap_or(nal.len()).min(nal.len());
        runs.clear(header);
        runs.protected(nal.len() - header);
        rest = after;
    }
    if !rest.is_empty() {
        *broken = broken.saturating_add(1);
        runs.clear(rest.len());
    }
}

fn split_unit(data: &[u8], length_size: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_at_checked(length_size)?;
    let length = length.iter().fold(0u32, |n, &b| (n << 8) | u32::from(b));
    rest.split_at_checked(length as usize)
}

fn avc_unit(nal: &[u8], sets: &mut avc::ParameterSets, captions: &mut Gatherer) -> bits::Result<Option<usize>> {
    match nal.first().map(|b| b & 31) {
        Some(1 | 5) => return avc_slice::header_bytes(nal, sets).map(Some),
        Some(6) => captions.sei(nal, 1),
        Some(7) => sets.set_sps(avc::Sps::parse(nal)?),
        Some(8) => sets.set_pps(avc::Pps::parse(nal)?),
        _ => {}
    }
    Ok(None)
}

fn hevc_unit(nal: &[u8], sets: &mut hevc::ParameterSets, captions: &mut Gatherer) -> bits::Result<Option<usize>> {
    if hevc::layer_id(nal) != 0 {
        return Ok(None);
    }
    match nal.first().map(|b| (b >> 1) & 63) {
        Some(0..=9 | 16..=21) => return hevc_slice::header_bytes(nal, sets).map(Some),
        Some(33) => sets.set_sps(hevc::Sps::parse(nal)?),
        Some(34) => sets.set_pps(hevc::Pps::parse(nal)?),
        Some(39) => captions.sei(nal, 2),
        _ => {}
    }
    Ok(None)
}
