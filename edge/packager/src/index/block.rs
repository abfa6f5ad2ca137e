//! A block of an index: the samples of one track between two cuts.

use core::ops::Range;

use super::head::{Fragment, SyncLayout, Track};
use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;
use crate::bytes::writer::Writer;
use crate::error::{Error, Result};
use crate::limits;

/// A sample as an output needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// In ticks.
    pub duration: u32,
    /// In ticks; may be negative.
    pub composition_offset: i32,
    /// Whether decoding can start here.
    pub sync: bool,
}

/// A part of a sample, in order: first bytes that stay clear under encryption, then bytes that are protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Bytes that stay clear.
    pub clear: u32,
    /// Bytes that a scheme may protect.
    pub protected: u32,
}

/// Consecutive samples that are consecutive in the source too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Byte range in the source.
    pub range: Range<u64>,
    /// Number of samples.
    pub samples: u32,
}

/// The samples of a fragment, decoded. Kept by the caller and filled again for the next one, so that decoding allocates
/// nothing per sample.
#[derive(Debug, Default)]
pub struct Block {
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// Where their bytes are, in the same order.
    pub extents: Vec<Extent>,
}

/// What a block is written from. All vectors have one element per sample, but `extents` and `stretches`.
#[derive(Debug, Default)]
pub struct Source {
    /// In decoding order; durations and offsets are multiples of the track's unit.
    pub samples: Vec<Sample>,
    /// Where the bytes are.
    pub extents: Vec<Extent>,
    /// The stretches of all samples, one sample after the other.
    pub stretches: Vec<Stretch>,
    /// How many of `stretches` belong to each sample; empty when the track has none.
    pub stretch_counts: Vec<u32>,
}

/// Appends a block to `out`.
pub fn write(track: &Track, source: &Source, out: &mut Vec<u8>) {
    let unit = track.unit.max(1);
    for sample in &source.samples {
        out.varint(u64::from(sample.size));
    }
    if track.constant_duration.is_none() {
        write_runs(out, source.samples.iter().map(|s| u64::from(s.duration / unit)));
    }
    if track.composition {
        source.samples.iter().for_each(|s| out.zigzag(i64::from(s.composition_offset) / i64::from(unit)));
    }
    if track.sync == SyncLayout::Listed {
        write_runs(out, source.samples.iter().map(|s| u64::from(s.sync)));
    }
    out.varint(source.extents.len() as u64);
    let mut at = 0u64;
    for extent in &source.extents {
        out.varint(u64::from(extent.samples));
        out.zigzag(extent.range.start.wrapping_sub(at) as i64);
        at = extent.range.end;
    }
    if track.stretches {
        let mut rest = source.stretches.as_slice();
        for (sample, &count) in source.samples.iter().zip(&source.stretch_counts) {
            let (own, after) = rest.split_at_checked(count as usize).unwrap_or((rest, &[]));
            rest = after;
            write_stretches(out, sample.size, own);
        }
    }
}

/// One varint in the usual case, a single slice: twice the clear bytes, the rest of the sample being protected.
fn write_stretches(out: &mut Vec<u8>, size: u32, stretches: &[Stretch]) {
    if let [only] = stretches
        && u64::from(only.clear) + u64::from(only.protected) == u64::from(size)
    {
        return out.varint(u64::from(only.clear) << 1);
    }
    out.varint((stretches.len() as u64) << 1 | 1);
    for stretch in stretches {
        out.varint(u64::from(stretch.clear));
        out.varint(u64::from(stretch.protected));
    }
}

/// Runs of equal values: length, value, ...
fn write_runs(out: &mut Vec<u8>, values: impl Iterator<Item = u64>) {
    let mut values = values.peekable();
    while let Some(value) = values.next() {
        let mut length = 1u64;
        while values.next_if_eq(&value).is_some() {
            length += 1;
        }
        out.varint(length);
        out.varint(value);
    }
}

impl Block {
    /// Decodes the block of `fragment` into `self`, whose vectors are reused. Stretches are left in `stretches`, still
    /// encoded: [`read_stretches`] reads them when something is to be encrypted.
    ///
    /// # Errors
    /// `BadSource` when the block breaks its format.
    pub fn read<'a>(&mut self, track: &Track, fragment: &Fragment, data: &'a [u8]) -> Result<&'a [u8]> {
        self.samples.clear();
        self.extents.clear();
        let base = fragment.block_offset;
        let bad = |what: &str| Error::bad_source(format!("index: the block at byte {base} has {what}"));
        let short = |e: ShortRead| Error::bad_source(format!("index: the block at byte {base} ends too early, {e}"));
        let mut r = Reader::new(data, base);
        let count = fragment.samples as usize;
        if count > data.len() || count > limits::MAX_SEGMENT_SAMPLES {
            return Err(bad("too many samples"));
        }
        let duration = track.constant_duration.unwrap_or(0);
        let sync = track.sync == SyncLayout::All;
        self.samples.reserve(count);
        let mut total = 0u64;
        for _ in 0..count {
            let size = r.varint().map_err(short)?;
            let size = u32::try_from(size)
                .ok()
                .filter(|s| *s <= limits::MAX_SAMPLE_BYTES)
                .ok_or_else(|| bad("a huge sample"))?;
            total += u64::from(size);
            self.samples.push(Sample { size, duration, composition_offset: 0, sync });
        }
        if total != fragment.bytes {
            return Err(bad("other sizes than the head says"));
        }
        let unit = i64::from(track.unit);
        if track.constant_duration.is_none() {
            read_runs(&mut r, &mut self.samples, |sample, value| {
                sample.duration = value.checked_mul(unit as u64).and_then(|d| d.try_into().ok())?;
                Some(())
            })
            .ok_or_else(|| bad("durations out of range"))?;
        }
        if track.composition {
            for sample in &mut self.samples {
                let offset = r.zigzag().map_err(short)?.checked_mul(unit).and_then(|o| o.try_into().ok());
                sample.composition_offset = offset.ok_or_else(|| bad("a composition offset out of range"))?;
            }
        }
        match track.sync {
            SyncLayout::All => {}
            SyncLayout::First => self.samples.iter_mut().take(1).for_each(|s| s.sync = true),
            SyncLayout::Listed => read_runs(&mut r, &mut self.samples, |sample, value| {
                sample.sync = value == 1;
                Some(())
            })
            .ok_or_else(|| bad("sync runs out of range"))?,
        }
        self.read_extents(&mut r, &bad, &short)?;
        Ok(r.rest())
    }

    fn read_extents(
        &mut self,
        r: &mut Reader<'_>,
        bad: &impl Fn(&str) -> Error,
        short: &impl Fn(ShortRead) -> Error,
    ) -> Result<()> {
        let count = r.varint().map_err(short)?;
        if count > r.left() as u64 {
            return Err(bad("too many extents"));
        }
        let mut rest = self.samples.as_slice();
        let mut at = 0u64;
        for _ in 0..count {
            let samples = r.varint().map_err(short)?;
            let gap = r.zigzag().map_err(short)?;
            let own = usize::try_from(samples).ok().and_then(|n| rest.split_at_checked(n));
            let Some((own, after)) = own.filter(|(own, _)| !own.is_empty()) else {
                return Err(bad("extents that miss samples"));
            };
            rest = after;
            let bytes = own.iter().map(|s| u64::from(s.size)).sum::<u64>();
            let start = at.checked_add_signed(gap).ok_or_else(|| bad("an extent out of range"))?;
            at = start.checked_add(bytes).ok_or_else(|| bad("an extent out of range"))?;
            self.extents.push(Extent { range: start..at, samples: own.len() as u32 });
        }
        if rest.is_empty() { Ok(()) } else { Err(bad("extents that miss samples")) }
    }
}

/// Reads runs that cover `samples` exactly; `None` when they do not, or a value does not fit.
fn read_runs(r: &mut Reader<'_>, samples: &mut [Sample], set: impl Fn(&mut Sample, u64) -> Option<()>) -> Option<()> {
    let mut rest = samples;
    while !rest.is_empty() {
        let length = usize::try_from(r.varint().ok()?).ok().filter(|n| *n > 0)?;
        let value = r.varint().ok()?;
        let (own, after) = rest.split_at_mut_checked(length)?;
        own.iter_mut().try_for_each(|sample| set(sample, value))?;
        rest = after;
    }
    Some(())
}

/// Reads the stretches of the next sample, of `size` bytes, from what [`Block::read`] left. They cover it exactly.
///
/// # Errors
/// `BadSource` when they do not.
pub fn read_stretches(data: &mut Reader<'_>, size: u32, out: &mut Vec<Stretch>) -> Result<()> {
    let bad =
        || Error::bad_source(format!("index: the stretches before byte {} do not cover their sample", data.position()));
    out.clear();
    let mut r = data.clone();
    let first = r.varint().map_err(|_| bad())?;
    if first & 1 == 0 {
        let clear = u32::try_from(first >> 1).ok().filter(|c| *c <= size).ok_or_else(bad)?;
        out.push(Stretch { clear, protected: size - clear });
    } else {
        let count = first >> 1;
        if count > limits::MAX_NAL_UNITS as u64 + 1 {
            return Err(bad());
        }
        let mut left = size;
        for _ in 0..count {
            let mut part = || {
                let bytes = u32::try_from(r.varint().ok()?).ok()?;
                left = left.checked_sub(bytes)?;
                Some(bytes)
            };
            let (clear, protected) = part().zip(part()).ok_or_else(bad)?;
            out.push(Stretch { clear, protected });
        }
        if left != 0 {
            return Err(bad());
        }
    }
    *data = r;
    Ok(())
}
