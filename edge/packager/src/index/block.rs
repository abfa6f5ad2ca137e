//! A block of an index: the samples of one track between two cuts.

use core::ops::Range;
use std::sync::Arc;

use super::head::{Fragment, Storage, SyncLayout, Track};
use crate::bytes::Reader;
use crate::bytes::reader::ShortRead;
use crate::bytes::writer::Writer;
use crate::config::{SourceObject, is_storage_path};
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

/// An object of the source, and where it stands in the space that all objects of the rendition form one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Position of its first byte in that space.
    pub base: u64,
    /// The object.
    pub object: Arc<SourceObject>,
}

/// Packets of a transport stream that hold consecutive samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketRange {
    /// The samples' packet identifier.
    pub pid: u16,
    /// Whole packets, in the space of the objects.
    pub range: Range<u64>,
    /// Bytes of the elementary stream between the first payload and the first sample.
    pub skip: u32,
    /// Number of samples.
    pub samples: u32,
}

/// The samples of a fragment, decoded. Kept by the caller and filled again for the next one, so that decoding allocates
/// nothing per sample.
#[derive(Debug, Default)]
pub struct Block {
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// Where their bytes are, in the same order; empty for a transport stream.
    pub extents: Vec<Extent>,
    /// Which packets hold them, for a transport stream.
    pub packets: Vec<PacketRange>,
    /// The objects that `extents` and `packets` are in, ascending; empty when the track is in a file.
    pub objects: Vec<Object>,
    /// For each sample, its size as a NAL unit byte stream minus its stored size; empty when the track has none.
    pub annex_b: Vec<i32>,
    /// For each sample, how many packets of a transport stream it takes more under SAMPLE-AES; empty when the track has none.
    pub sample_aes: Vec<u32>,
    /// Position of the fragment as it is stored, if it can be passed on; its length is [`Fragment::stored_bytes`].
    pub stored: Option<u64>,
}

/// What a block is written from. Durations and composition offsets are multiples of the track's unit.
#[derive(Debug, Default)]
pub struct Source {
    /// The samples and where they are.
    pub block: Block,
    /// The stretches of all samples, one sample after the other.
    pub stretches: Vec<Stretch>,
    /// How many of `stretches` belong to each sample; empty when the track has none.
    pub stretch_counts: Vec<u32>,
}

/// Appends a block to `out`.
pub fn write(track: &Track, source: &Source, out: &mut Vec<u8>) {
    let unit = track.unit.max(1);
    let Block { samples, extents, packets, objects, annex_b, sample_aes, stored } = &source.block;
    for sample in samples {
        out.varint(u64::from(sample.size));
    }
    if track.constant_duration.is_none() {
        write_runs(out, samples.iter().map(|s| u64::from(s.duration / unit)));
    }
    if track.composition {
        samples.iter().for_each(|s| out.zigzag(i64::from(s.composition_offset) / i64::from(unit)));
    }
    if track.sync == SyncLayout::Listed {
        write_runs(out, samples.iter().map(|s| u64::from(s.sync)));
    }
    if track.annex_b {
        write_runs(out, annex_b.iter().map(|delta| zigzag(i64::from(*delta))));
    }
    if track.grows() {
        write_runs(out, sample_aes.iter().copied().map(u64::from));
    }
    if !matches!(track.storage, Storage::File(_) | Storage::Index) {
        write_objects(out, track.storage.prefix(), objects);
    }
    let mut at = 0u64;
    if let Storage::Transport { .. } = track.storage {
        out.varint(packets.len() as u64);
        for packets in packets {
            out.varint(u64::from(packets.samples));
            out.varint(u64::from(packets.pid));
            out.zigzag(packets.range.start.wrapping_sub(at) as i64);
            out.varint(packets.range.end.saturating_sub(packets.range.start));
            out.varint(u64::from(packets.skip));
            at = packets.range.end;
        }
    } else {
        out.varint(extents.len() as u64);
        for extent in extents {
            out.varint(u64::from(extent.samples));
            out.zigzag(extent.range.start.wrapping_sub(at) as i64);
            at = extent.range.end;
        }
    }
    if track.stored.is_some() {
        out.varint(stored.unwrap_or(0));
    }
    if track.stretches {
        let mut rest = source.stretches.as_slice();
        for (sample, &count) in samples.iter().zip(&source.stretch_counts) {
            let (own, after) = rest.split_at_checked(count as usize).unwrap_or((rest, &[]));
            rest = after;
            write_stretches(out, sample.size, own);
        }
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn write_objects(out: &mut Vec<u8>, prefix: &str, objects: &[Object]) {
    out.varint(objects.len() as u64);
    let mut at = 0u64;
    for Object { base, object } in objects {
        out.varint(base.saturating_sub(at));
        out.varint(object.bytes);
        out.blob(object.path.strip_prefix(prefix).unwrap_or(&object.path).as_bytes());
        out.blob(object.etag.as_deref().unwrap_or_default().as_bytes());
        at = base.saturating_add(object.bytes);
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
        self.packets.clear();
        self.annex_b.clear();
        self.sample_aes.clear();
        self.stored = None;
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
        if track.annex_b {
            self.annex_b.resize(count, 0);
            read_runs(&mut r, &mut self.annex_b, |delta, value| {
                let value = (value >> 1) as i64 ^ -((value & 1) as i64);
                *delta = value.try_into().ok()?;
                Some(())
            })
            .ok_or_else(|| bad("a change of size out of range"))?;
        }
        if track.grows() {
            self.sample_aes.resize(count, 0);
            read_runs(&mut r, &mut self.sample_aes, |packets, value| {
                *packets = value.try_into().ok()?;
                Some(())
            })
            .ok_or_else(|| bad("packets for SAMPLE-AES out of range"))?;
        }
        match &track.storage {
            Storage::Index => {}
            Storage::File(_) => self.read_extents(&mut r, &bad, &short)?,
            Storage::Objects { prefix } => {
                self.read_objects(&mut r, prefix, &bad)?;
                self.read_extents(&mut r, &bad, &short)?;
            }
            Storage::Transport { prefix, .. } => {
                self.read_objects(&mut r, prefix, &bad)?;
                self.read_packets(&mut r).ok_or_else(|| bad("packets out of range"))?;
            }
        }
        if track.stored.is_some() {
            self.stored = Some(r.varint().map_err(short)?);
        }
        Ok(r.rest())
    }

    fn read_objects(&mut self, r: &mut Reader<'_>, prefix: &str, bad: &impl Fn(&str) -> Error) -> Result<()> {
        let count = r.varint().ok().filter(|n| *n <= limits::MAX_FRAGMENT_OBJECTS as u64);
        let count = count.ok_or_else(|| bad("too many objects"))?;
        let mut objects = core::mem::take(&mut self.objects).into_iter().peekable();
        let mut at = 0u64;
        for _ in 0..count {
            let (base, object) = read_object(r, prefix, at).ok_or_else(|| bad("an object out of range"))?;
            at = base.saturating_add(object.bytes);
            // Fragments of one source segment name the same object: it is kept once.
            while objects.next_if(|known| known.base < base).is_some() {}
            let object = match objects.peek() {
                Some(known) if known.base == base && *known.object == object => known.object.clone(),
                _ => Arc::new(object),
            };
            self.objects.push(Object { base, object });
        }
        Ok(())
    }

    fn read_packets(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let count = r.varint().ok().filter(|n| *n <= r.left() as u64)?;
        let mut left = self.samples.len() as u64;
        let mut at = 0u64;
        for _ in 0..count {
            let samples = u32::try_from(r.varint().ok()?).ok()?;
            left = left.checked_sub(u64::from(samples))?;
            let pid = u16::try_from(r.varint().ok()?).ok().filter(|pid| *pid < 0x1fff)?;
            let start = at.checked_add_signed(r.zigzag().ok()?)?;
            at = start.checked_add(r.varint().ok()?)?;
            let skip = r.varint().ok()?.try_into().ok()?;
            self.packets.push(PacketRange { pid, range: start..at, skip, samples });
        }
        (left == 0).then_some(())
    }

    /// Splits a range of the space of the objects into ranges of objects.
    ///
    /// # Errors
    /// `BadSource` when no object is there.
    pub fn locate(&self, range: Range<u64>, mut found: impl FnMut(&Arc<SourceObject>, Range<u64>)) -> Result<()> {
        let mut at = range.start;
        let first = self.objects.partition_point(|o| o.base <= at).saturating_sub(1);
        for Object { base, object } in self.objects.get(first..).unwrap_or_default() {
            let end = range.end.min(base.saturating_add(object.bytes));
            if at >= range.end || *base > at {
                break;
            }
            if end > at {
                found(object, at - base..end - base);
                at = end;
            }
        }
        if at < range.end {
            return Err(Error::bad_source(format!(
                "index: no object of the source has the bytes {at} to {}",
                range.end
            )));
        }
        Ok(())
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

fn read_object(r: &mut Reader<'_>, prefix: &str, at: u64) -> Option<(u64, SourceObject)> {
    let base = at.checked_add(r.varint().ok()?)?;
    let bytes = r.varint().ok()?;
    base.checked_add(bytes)?;
    let mut text = || {
        let length = usize::try_from(r.varint().ok()?).ok()?;
        core::str::from_utf8(r.take(length).ok()?).ok()
    };
    let path = [prefix, text()?].concat();
    let etag = text().map(|tag| (!tag.is_empty()).then(|| tag.to_owned()))?;
    is_storage_path(&path).then_some((base, SourceObject { path, bytes, etag }))
}

/// Reads runs that cover `samples` exactly; `None` when they do not, or a value does not fit.
fn read_runs<T>(r: &mut Reader<'_>, samples: &mut [T], set: impl Fn(&mut T, u64) -> Option<()>) -> Option<()> {
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
