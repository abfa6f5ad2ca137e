//! Movie fragments (ISO/IEC 14496-12, 8.8): from a `moof` to samples.

use super::boxes::Box;
use super::movie::TrackExtends;
use crate::error::Result;
use crate::limits;
use crate::media::sample::Sample;

/// The samples of one track in one fragment.
#[derive(Debug)]
pub struct TrackFragment {
    /// `track_ID`.
    pub track_id: u32,
    /// Decoding time of the first sample (`tfdt`), in ticks of the track; without it the fragment goes on where the last
    /// one ended.
    pub decode_time: Option<u64>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// Where the fragment stands, for messages.
    pub place: String,
    /// Whether it says where its data are in the file, so that it cannot stand elsewhere (`base-data-offset-present`).
    pub explicit_base: bool,
}

/// Sample flag `sample_is_non_sync_sample` (8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// Reads a `moof`. `room` is how many samples may still be added; `file_bytes` bounds where samples may be.
///
/// # Errors
/// `BadSource` or `Limit`, with box and byte offset.
pub fn read(moof: &Box<'_>, extends: &[TrackExtends], file_bytes: u64, room: usize) -> Result<Vec<TrackFragment>> {
    let mut fragments = Vec::new();
    let mut left = room;
    // Without any base given, a fragment's data follow those of the one before it (8.8.7.1).
    let mut base = moof.offset;
    for traf in moof.children() {
        let traf = traf?;
        if traf.kind.0 != *b"traf" {
            continue;
        }
        if fragments.len() >= limits::MAX_TRACKS {
            return Err(moof.over_limit(format!("more than {} track fragments", limits::MAX_TRACKS)));
        }
        let (fragment, end) = read_track(&traf, moof, extends, file_bytes, base, left)?;
        base = end;
        left -= fragment.samples.len();
        fragments.push(fragment);
    }
    Ok(fragments)
}

fn read_track(
    traf: &Box<'_>,
    moof: &Box<'_>,
    extends: &[TrackExtends],
    file_bytes: u64,
    implicit_base: u64,
    room: usize,
) -> Result<(TrackFragment, u64)> {
    let tfhd = traf.need(b"tfhd")?;
    let (_, flags, mut reader) = tfhd.full()?;
    let track_id = reader.u32().map_err(tfhd.short())?;
    let defaults = extends.iter().find(|e| e.track_id == track_id).copied().unwrap_or_default();
    let explicit_base = if flags & 0x1 != 0 { Some(reader.u64().map_err(tfhd.short())?) } else { None };
    let mut field = |flag: u32, default: u32| {
        if flags & flag != 0 { reader.u32().map_err(tfhd.short()) } else { Ok(default) }
    };
    let description = field(0x2, defaults.description.max(1))?;
    let duration = field(0x8, defaults.duration)?;
    let size = field(0x10, defaults.size)?;
    let sample_flags = field(0x20, defaults.flags)?;
    let base = match explicit_base {
        Some(base) => base,
        None if flags & 0x02_0000 != 0 => moof.offset,
        None => implicit_base,
    };

    let decode_time = match traf.child(b"tfdt")? {
        Some(tfdt) => {
            let (version, _, mut reader) = tfdt.full()?;
            let time = if version == 1 { reader.u64() } else { reader.u32().map(u64::from) };
            Some(time.map_err(tfdt.short())?)
        }
        None => None,
    };

    let mut samples = Vec::new();
    let mut at = base;
    for trun in traf.children() {
        let trun = trun?;
        if trun.kind.0 != *b"trun" {
            continue;
        }
        let (_, flags, mut reader) = trun.full()?;
        let count = reader.u32().map_err(trun.short())? as usize;
        if count > room - samples.len() {
            return Err(trun.over_limit(format!(
                "sample_count {count}: the track has more than {} samples",
                limits::MAX_TRACK_SAMPLES
            )));
        }
        let width = 4 * (flags >> 8 & 0xf).count_ones() as usize;
        if flags & 0x1 != 0 {
            let offset = i64::from(reader.u32().map_err(trun.short())? as i32);
            at = base
                .checked_add_signed(offset)
                .ok_or_else(|| trun.bad(format!("data_offset {offset} leaves the file")))?;
        }
        let first_flags = if flags & 0x4 != 0 { Some(reader.u32().map_err(trun.short())?) } else { None };
        if count.checked_mul(width).is_none_or(|n| n > reader.left()) {
            return Err(
                trun.bad(format!("{count} entries of {width} bytes are announced, {} bytes are there", reader.left()))
            );
        }
        if width == 0 && u64::from(size) * count as u64 > file_bytes {
            return Err(trun.bad(format!("{count} samples of {size} bytes, the file has {file_bytes} bytes")));
        }
        for number in 0..count {
            let mut field = |flag: u32, default: u32| {
                if flags & flag != 0 { reader.u32().map_err(trun.short()) } else { Ok(default) }
            };
            let duration = field(0x100, duration)?;
            let size = field(0x200, size)?;
            let entry_flags = field(0x400, sample_flags)?;
            let composition_offset = field(0x800, 0)? as i32;
            let sample_flags = first_flags.filter(|_| number == 0).unwrap_or(entry_flags);
            if size > limits::MAX_SAMPLE_BYTES {
                return Err(trun.over_limit(format!(
                    "sample {} has {size} bytes, more than {}",
                    number + 1,
                    limits::MAX_SAMPLE_BYTES
                )));
            }
            let end = at.checked_add(u64::from(size)).filter(|end| *end <= file_bytes).ok_or_else(|| {
                trun.bad(format!(
                    "sample {} is at bytes {at}..{}, the file ends at byte {file_bytes}",
                    number + 1,
                    at.saturating_add(u64::from(size))
                ))
            })?;
            let sync = sample_flags & NON_SYNC == 0;
            samples.push(Sample { offset: at, size, duration, composition_offset, sync, description });
            at = end;
        }
    }
    Ok((
        TrackFragment { track_id, decode_time, samples, place: traf.place(), explicit_base: explicit_base.is_some() },
        at,
    ))
}
