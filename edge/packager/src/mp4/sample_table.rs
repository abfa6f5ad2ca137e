//! The sample table of a track (ISO/IEC 14496-12, 8.5 to 8.7): from its boxes to samples in decoding order.

use super::boxes::Box;
use crate::bytes::Reader;
use crate::error::Result;
use crate::limits;
use crate::media::sample::Sample;

/// What a sample table yields.
#[derive(Debug, Default)]
pub struct Table {
    /// In decoding order; the first has decoding time 0.
    pub samples: Vec<Sample>,
    /// What looked wrong, but could be mended.
    pub warnings: Vec<String>,
}

/// Reads the tables of an `stbl` box. `file_bytes` bounds what a table may claim.
///
/// # Errors
/// `BadSource` or `Limit`, with box and byte offset.
pub fn read(stbl: &Box<'_>, file_bytes: u64) -> Result<Table> {
    let sizes = Sizes::read(stbl)?;
    let mut table = Table::default();
    if sizes.count() == 0 {
        return Ok(table);
    }
    if sizes.count() > limits::MAX_TRACK_SAMPLES {
        return Err(stbl.over_limit(format!("{} samples are more than {}", sizes.count(), limits::MAX_TRACK_SAMPLES)));
    }
    if let Sizes::Constant { size, count } = &sizes
        && u64::from(*size) * *count as u64 > file_bytes
    {
        return Err(stbl.bad(format!("stsz says {count} samples of {size} bytes, the file has {file_bytes} bytes")));
    }
    let stts = stbl.need(b"stts")?;
    let mut durations = Runs::read(&stts)?;
    let ctts = stbl.child(b"ctts")?;
    let mut compositions = ctts.as_ref().map(Runs::read).transpose()?;
    let stss = stbl.child(b"stss")?;
    let mut syncs = stss.as_ref().map(Syncs::read).transpose()?;
    let mut chunks = Chunks::read(stbl)?;

    let mut total = 0u64;
    for number in 0..sizes.count() {
        let size = sizes.get(number);
        if size > limits::MAX_SAMPLE_BYTES {
            return Err(stbl.over_limit(format!(
                "sample {} has {size} bytes, more than {}",
                number + 1,
                limits::MAX_SAMPLE_BYTES
            )));
        }
        let Some((offset, description)) = chunks.place(size) else {
            return Err(stbl.bad(format!("stsc and stco place only {number} of {} samples", sizes.count())));
        };
        let end = offset.checked_add(u64::from(size)).filter(|end| *end <= file_bytes);
        if end.is_none() {
            return Err(stbl.bad(format!(
                "sample {} is at bytes {offset}..{}, the file ends at byte {file_bytes}",
                number + 1,
                offset.saturating_add(u64::from(size))
            )));
        }
        total = total.saturating_add(u64::from(size));
        if total > file_bytes {
            return Err(stbl.bad(format!(
                "the samples up to number {} have {total} bytes, the file has {file_bytes}",
                number + 1
            )));
        }
        let Some(duration) = durations.next() else {
            return Err(stts.bad(format!("it gives a duration to {number} of {} samples", sizes.count())));
        };
        table.samples.push(Sample {
            offset,
            size,
            duration,
            // Version 0 is unsigned by the letter, but writers put negative numbers there too.
            composition_offset: compositions.as_mut().and_then(Runs::next).unwrap_or(0) as i32,
            sync: syncs.as_mut().is_none_or(|s| s.contains(number)),
            description,
        });
    }
    mend_durations(&mut table);
    Ok(table)
}

/// A duration past 2^31 is a negative number from a writer whose decoding times went back; it counts as 0 there.
fn mend_durations(table: &mut Table) {
    let mut mended = 0usize;
    for sample in &mut table.samples {
        if sample.duration > i32::MAX as u32 {
            sample.duration = 0;
            mended += 1;
        }
    }
    if mended > 0 {
        table.warnings.push(format!("{mended} samples have a negative duration in stts and were given 0"));
    }
}

/// `stsz` or `stz2` (8.7.3).
enum Sizes<'a> {
    Constant { size: u32, count: usize },
    Words(&'a [[u8; 4]]),
    Halves(&'a [[u8; 2]]),
    Bytes(&'a [u8]),
    Nibbles { bytes: &'a [u8], count: usize },
}

impl<'a> Sizes<'a> {
    fn read(stbl: &Box<'a>) -> Result<Self> {
        if let Some(stsz) = stbl.child(b"stsz")? {
            let (_, _, mut reader) = stsz.full()?;
            let size = reader.u32().map_err(stsz.short())?;
            let count = reader.u32().map_err(stsz.short())? as usize;
            if size != 0 {
                return Ok(Self::Constant { size, count });
            }
            return table(&stsz, &reader, count, 4).map(|b| Self::Words(b.as_chunks().0));
        }
        let Some(stz2) = stbl.child(b"stz2")? else {
            return Err(stbl.bad("it has neither an stsz nor an stz2 box"));
        };
        let (_, _, mut reader) = stz2.full()?;
        let field = reader.u32().map_err(stz2.short())? & 0xff;
        let count = reader.u32().map_err(stz2.short())? as usize;
        match field {
            16 => table(&stz2, &reader, count, 2).map(|b| Self::Halves(b.as_chunks().0)),
            8 => table(&stz2, &reader, count, 1).map(Self::Bytes),
            4 => table(&stz2, &reader, count.div_ceil(2), 1).map(|bytes| Self::Nibbles { bytes, count }),
            other => Err(stz2.bad(format!("field_size {other} is none of 4, 8, 16"))),
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Constant { count, .. } | Self::Nibbles { count, .. } => *count,
            Self::Words(words) => words.len(),
            Self::Halves(halves) => halves.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// 0 past the end, which the caller never asks for.
    fn get(&self, at: usize) -> u32 {
        match self {
            Self::Constant { size, .. } => *size,
            Self::Words(words) => words.get(at).map_or(0, |w| u32::from_be_bytes(*w)),
            Self::Halves(halves) => halves.get(at).map_or(0, |h| u32::from(u16::from_be_bytes(*h))),
            Self::Bytes(bytes) => bytes.get(at).map_or(0, |b| u32::from(*b)),
            Self::Nibbles { bytes, .. } => {
                bytes.get(at / 2).map_or(0, |b| u32::from(if at.is_multiple_of(2) { b >> 4 } else { b & 15 }))
            }
        }
    }
}

/// The `count` entries of `width` bytes that a box announces.
fn table<'a>(parent: &Box<'a>, reader: &Reader<'a>, count: usize, width: usize) -> Result<&'a [u8]> {
    let bytes = count.checked_mul(width).and_then(|n| reader.rest().get(..n));
    bytes.ok_or_else(|| {
        parent.bad(format!("{count} entries of {width} bytes are announced, {} bytes are there", reader.left()))
    })
}

/// `stts` or `ctts` (8.6.1): values for runs of samples.
struct Runs<'a> {
    entries: core::slice::Iter<'a, [u8; 8]>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(parent: &Box<'a>) -> Result<Self> {
        let (_, _, mut reader) = parent.full()?;
        let count = reader.u32().map_err(parent.short())? as usize;
        Ok(Self { entries: table(parent, &reader, count, 8)?.as_chunks().0.iter(), left: 0, value: 0 })
    }

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let [a, b, c, d, value @ ..] = self.entries.next()?;
            self.left = u32::from_be_bytes([*a, *b, *c, *d]);
            self.value = u32::from_be_bytes(*value);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// `stss` (8.6.2). Numbers should ascend; where they do not, those that went back are not seen.
struct Syncs<'a> {
    entries: core::iter::Peekable<core::slice::Iter<'a, [u8; 4]>>,
}

impl<'a> Syncs<'a> {
    fn read(stss: &Box<'a>) -> Result<Self> {
        let (_, _, mut reader) = stss.full()?;
        let count = reader.u32().map_err(stss.short())? as usize;
        Ok(Self { entries: table(stss, &reader, count, 4)?.as_chunks().0.iter().peekable() })
    }

    /// Whether the sample `number`, counted from 0, is listed. Must be asked in ascending order.
    fn contains(&mut self, number: usize) -> bool {
        let wanted = number as u64 + 1;
        while self.entries.next_if(|e| u64::from(u32::from_be_bytes(**e)) < wanted).is_some() {}
        self.entries.peek().is_some_and(|e| u64::from(u32::from_be_bytes(**e)) == wanted)
    }
}

/// `stsc` with `stco` or `co64` (8.7.4, 8.7.5): where samples are.
struct Chunks<'a> {
    offsets: Offsets<'a>,
    /// Chunk number from 1, samples a chunk, sample entry.
    runs: core::iter::Peekable<core::slice::Iter<'a, [u8; 12]>>,
    samples_per_chunk: u32,
    description: u32,
    next_chunk: u32,
    left: u32,
    at: u64,
}

enum Offsets<'a> {
    Words(core::slice::Iter<'a, [u8; 4]>),
    Longs(core::slice::Iter<'a, [u8; 8]>),
}

impl<'a> Chunks<'a> {
    fn read(stbl: &Box<'a>) -> Result<Self> {
        let offsets = if let Some(stco) = stbl.child(b"stco")? {
            let (_, _, mut reader) = stco.full()?;
            let count = reader.u32().map_err(stco.short())? as usize;
            Offsets::Words(table(&stco, &reader, count, 4)?.as_chunks().0.iter())
        } else if let Some(co64) = stbl.child(b"co64")? {
            let (_, _, mut reader) = co64.full()?;
            let count = reader.u32().map_err(co64.short())? as usize;
            Offsets::Longs(table(&co64, &reader, count, 8)?.as_chunks().0.iter())
        } else {
            return Err(stbl.bad("it has neither an stco nor a co64 box"));
        };
        let stsc = stbl.need(b"stsc")?;
        let (_, _, mut reader) = stsc.full()?;
        let count = reader.u32().map_err(stsc.short())? as usize;
        let runs = table(&stsc, &reader, count, 12)?.as_chunks().0.iter().peekable();
        Ok(Self { offsets, runs, samples_per_chunk: 0, description: 1, next_chunk: 1, left: 0, at: 0 })
    }

    /// Where the next sample is, and its sample entry counted from 1.
    fn place(&mut self, size: u32) -> Option<(u64, u32)> {
        while self.left == 0 {
            self.at = match &mut self.offsets {
                Offsets::Words(words) => u64::from(u32::from_be_bytes(*words.next()?)),
                Offsets::Longs(longs) => u64::from_be_bytes(*longs.next()?),
            };
            let chunk = self.next_chunk;
            while let Some([_, _, _, _, e, f, g, h, description @ ..]) =
                self.runs.next_if(|[a, b, c, d, ..]| u32::from_be_bytes([*a, *b, *c, *d]) <= chunk)
            {
                self.samples_per_chunk = u32::from_be_bytes([*e, *f, *g, *h]);
                self.description = u32::from_be_bytes(*description);
            }
            self.left = self.samples_per_chunk;
            self.next_chunk = chunk.checked_add(1)?;
        }
        self.left -= 1;
        let offset = self.at;
        self.at = offset.checked_add(u64::from(size))?;
        Some((offset, self.description))
    }
}
