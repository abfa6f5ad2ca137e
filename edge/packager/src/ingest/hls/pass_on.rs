//! Fragments that can be passed on as they are stored: their boundaries are where the title is cut, and nothing in them has
//! to be written anew.

use core::ops::Range;

use super::layout::StoredFragments;
use crate::index::head::Stored;
use crate::ingest::plan::Track;

/// How the fragments of a track are passed on.
#[derive(Clone, Debug)]
pub struct PassedOn {
    /// What the initialization section says.
    pub stored: Stored,
    /// For each cut the boxes up to the next one, in the space of the rendition's objects; empty where there are no samples.
    pub ranges: Vec<Range<u64>>,
}

/// Decides for a track that has been cut, and prepares its times: they stay as stored, and an edit list says where the
/// presentation begins. `unbroken`: the source has one part, and no sample of it was dropped.
pub fn pass_on(track: &mut Track, stored: &StoredFragments, unbroken: bool) -> Option<PassedOn> {
    let defaults = stored.defaults?;
    let samples = &track.media.samples;
    let only = matches!(track.entries.as_slice(), [_]) && samples.iter().all(|s| s.description == 1);
    if !unbroken || !only || track.dropped > 0 || defaults.description != 1 {
        return None;
    }
    let ranges = boxes(track, stored)?;
    let first = samples.first()?;
    let composed =
        i64::try_from(track.media.first_decode_time).ok()?.checked_add(i64::from(first.composition_offset))?;
    if track.is_video() {
        // Players differ in what they make of a long edit; a delay of pictures by a few frames is common.
        let skipped = composed.checked_sub(i64::try_from(track.decode_time).ok()?)?;
        if !(0..=i64::from(track.media.timescale)).contains(&skipped) {
            return None;
        }
        track.edit_media_time = skipped.unsigned_abs();
        track.decode_time = track.media.first_decode_time;
        track.composition_as_stored = true;
    } else if track.decode_time != track.media.first_decode_time || samples.iter().any(|s| s.composition_offset != 0) {
        return None;
    }
    Some(PassedOn { stored: defaults, ranges })
}

/// The boxes of each cut; `None` when a cut is inside a fragment, or boxes do not follow each other.
fn boxes(track: &Track, stored: &StoredFragments) -> Option<Vec<Range<u64>>> {
    let mut fragments = stored.fragments.iter().peekable();
    let mut ranges = Vec::with_capacity(track.cuts.len());
    let ends = track.cuts.iter().skip(1).copied().chain([track.media.samples.len()]);
    for (first, end) in track.cuts.iter().copied().zip(ends) {
        if first == end {
            ranges.push(0..0);
            continue;
        }
        if fragments.peek()?.first != first {
            return None;
        }
        let mut range: Option<Range<u64>> = None;
        while let Some(fragment) = fragments.next_if(|f| f.first < end) {
            if fragment.range.is_empty() {
                return None;
            }
            match &mut range {
                None => range = Some(fragment.range.clone()),
                Some(range) if range.end == fragment.range.start => range.end = fragment.range.end,
                Some(_) => return None,
            }
        }
        let range = range?;
        let sample = track.media.samples.get(first)?;
        // The first sample comes first, so that it can be pointed at together with what describes it.
        if sample.offset < range.start || sample.offset.checked_add(u64::from(sample.size))? > range.end {
            return None;
        }
        ranges.push(range);
    }
    fragments.next().is_none().then_some(ranges)
}
