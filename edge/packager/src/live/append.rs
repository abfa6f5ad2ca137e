//! Putting heads of consecutive positions together.

use core::fmt;
use core::ops::Range;

use crate::index::head::Media;
use crate::index::{Fragment, Head, Track};

/// Why positions cannot be in one period: what differs, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change(String);

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends the positions of `next` to those of `head`, when they can be in one period: the tracks, their names, times,
/// codecs and sample entries have to be the same. Blocks are taken to lie in the order in which heads say it, so those of
/// the result are where they would be when all were written anew.
///
/// # Errors
/// What differs; `head` is then as it was.
pub fn append(head: &mut Head, next: &Head) -> Result<(), Change> {
    check(head, next)?;
    join(head, next, 0..next.cuts.len());
    Ok(())
}

/// Whether the tracks of two heads are the same.
///
/// # Errors
/// What differs.
pub fn check(head: &Head, next: &Head) -> Result<(), Change> {
    if head.alone != next.alone {
        return Err(Change("one of the heads has fragments that do not stand alone".to_owned()));
    }
    if head.tracks.len() != next.tracks.len() {
        return Err(Change(format!("{} tracks become {}", head.tracks.len(), next.tracks.len())));
    }
    head.tracks.iter().zip(&next.tracks).try_for_each(|(a, b)| same(a, b))
}

fn same(a: &Track, b: &Track) -> Result<(), Change> {
    let name = a.name;
    let changed = |what: &str, from: &dyn fmt::Display, to: &dyn fmt::Display| {
        Err(Change(format!("track {name}: {what} changes from {from} to {to}")))
    };
    if a.name != b.name {
        return Err(Change(format!("track {name} becomes {}", b.name)));
    }
    if a.timescale != b.timescale {
        return changed("the timescale", &a.timescale, &b.timescale);
    }
    if a.codec != b.codec {
        return changed("the codec", &a.codec, &b.codec);
    }
    if let (Media::Video(old), Media::Video(new)) = (&a.media, &b.media)
        && (old.width, old.height) != (new.width, new.height)
    {
        let size = |width, height| format!("{width}x{height}");
        return changed("the picture", &size(old.width, old.height), &size(new.width, new.height));
    }
    if a.sample_entries != b.sample_entries {
        return Err(Change(format!("track {name}: the sample entry changes")));
    }
    if a.storage != b.storage {
        return Err(Change(format!("track {name}: its samples are stored in another way")));
    }
    let flags = |t: &Track| {
        let numbers = (t.unit, t.edit_media_time, t.constant_duration, t.reorder, t.sync, t.stored);
        let marks = (t.composition, t.closed, t.stretches, t.annex_b, t.transport, t.sample_aes, t.hidden, t.default);
        (numbers, marks)
    };
    let texts = |t: &Track| {
        let named = (t.language.clone(), t.language_code, t.label.clone(), t.role.clone());
        (named, t.supplemental_codec.clone())
    };
    if flags(a) != flags(b) || a.media != b.media || texts(a) != texts(b) {
        return Err(Change(format!("track {name}: what is known of it changes")));
    }
    Ok(())
}

/// Appends some fragments of `next` to `head`, whose tracks are the same; the blocks follow each other.
pub(super) fn join(head: &mut Head, next: &Head, cuts: Range<usize>) {
    head.cuts.extend_from_slice(next.cuts.get(cuts.clone()).unwrap_or_default());
    for (track, other) in head.tracks.iter_mut().zip(&next.tracks) {
        track.end = end(other, cuts.end);
        let mut at = track.fragments.last().map_or(0, |f| f.block_offset + u64::from(f.block_bytes));
        for fragment in other.fragments.get(cuts.clone()).unwrap_or_default() {
            track.fragments.push(Fragment { block_offset: at, ..*fragment });
            at += u64::from(fragment.block_bytes);
        }
    }
}

/// Some fragments of a head as a head of their own, whose blocks follow each other, in each track from 0 on.
pub(super) fn slice(head: &Head, cuts: Range<usize>) -> Head {
    let tracks = head.tracks.iter().map(|track| {
        let fragments = Vec::with_capacity(cuts.len());
        // The rest is cheap to copy; the fragments are not.
        Track { fragments, pieces: Vec::new(), ..described(track) }
    });
    let mut out = Head { alone: head.alone, cuts: Vec::with_capacity(cuts.len()), tracks: tracks.collect() };
    join(&mut out, head, cuts);
    out
}

/// A track without its fragments.
fn described(track: &Track) -> Track {
    Track {
        name: track.name,
        storage: track.storage.clone(),
        timescale: track.timescale,
        unit: track.unit,
        edit_media_time: track.edit_media_time,
        end: track.end,
        constant_duration: track.constant_duration,
        composition: track.composition,
        reorder: track.reorder,
        sync: track.sync,
        closed: track.closed,
        stretches: track.stretches,
        annex_b: track.annex_b,
        transport: track.transport,
        sample_aes: track.sample_aes,
        stored: track.stored,
        hidden: track.hidden,
        default: track.default,
        sample_entries: track.sample_entries.clone(),
        codec: track.codec.clone(),
        supplemental_codec: track.supplemental_codec.clone(),
        language: track.language.clone(),
        language_code: track.language_code,
        label: track.label.clone(),
        role: track.role.clone(),
        average_bitrate: track.average_bitrate,
        peak_bitrate: track.peak_bitrate,
        media: track.media.clone(),
        fragments: Vec::new(),
        pieces: Vec::new(),
    }
}

/// Presentation time at which what is before a cut ends, in ticks.
fn end(track: &Track, cut: usize) -> u64 {
    if cut < track.fragments.len() { track.start(cut) } else { track.end }
}
