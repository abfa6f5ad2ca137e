//! What all positions of a period have in common.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::index::head::Media;
use crate::index::{Head, Track};
pub use crate::ingest::hls::finish::Owner;
use crate::route::TrackKind;

/// The tracks of a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// As the first position has them, without fragments.
    tracks: Vec<Track>,
    /// Where they come from.
    owners: Owners,
    /// Where the position before ended, in decoding time, in ticks of each track.
    ends: Vec<u64>,
}

/// Where the tracks of a head come from, in its order; what the index itself holds comes from none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners(Vec<Option<(usize, char, usize)>>);

impl Owners {
    pub(super) fn new(owners: &[Owner], tracks: usize) -> Self {
        let kind = |owner: &Owner| match owner.kind {
            TrackKind::Video => 'v',
            TrackKind::Audio => 'a',
            TrackKind::Text => 't',
            TrackKind::Metadata => 'm',
        };
        let mut own: Vec<_> = owners.iter().map(|o| Some((o.rendition, kind(o), o.place))).collect();
        own.resize(tracks, None);
        Self(own)
    }

    fn owner(&self, track: usize) -> Option<Owner> {
        let (rendition, kind, place) = self.0.get(track).copied().flatten()?;
        let kind = match kind {
            'v' => TrackKind::Video,
            'a' => TrackKind::Audio,
            't' => TrackKind::Text,
            _ => TrackKind::Metadata,
        };
        Some(Owner { rendition, kind, place })
    }
}

impl Layout {
    /// The layout after a position: its head, where its tracks come from, and where they end.
    ///
    /// # Errors
    /// `Internal` when these do not belong together.
    pub fn new(head: &Head, owners: Owners, ends: Vec<u64>) -> Result<Self> {
        if owners.0.len() != head.tracks.len() || ends.len() != head.tracks.len() {
            return Err(Error::internal("a head of other tracks"));
        }
        let bare = |track: &Track| Track { fragments: Vec::new(), pieces: Vec::new(), ..track.clone() };
        Ok(Self { tracks: head.tracks.iter().map(bare).collect(), owners, ends })
    }

    /// Where its tracks come from.
    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Where its tracks end, in decoding time, in ticks of each.
    pub fn ends(&self) -> &[u64] {
        &self.ends
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The track that comes from `owner`.
    pub(super) fn find(&self, owner: Option<Owner>) -> Option<usize> {
        (0..self.tracks.len()).find(|n| self.owners.owner(*n) == owner)
    }

    pub(super) fn owner(&self, track: usize) -> Option<Owner> {
        self.owners.owner(track)
    }

    /// Where a track ended.
    pub(super) fn end(&self, track: usize, timescale: u32) -> Option<u64> {
        let own = self.tracks.get(track).filter(|t| t.timescale == timescale)?;
        self.ends.get(track).copied().filter(|_| own.media != Media::Metadata)
    }
}

/// What makes a period end: in words, how `next` differs from what its period has; `None` when it goes on.
pub(super) fn difference(known: &Track, next: &Track) -> Option<String> {
    let name = known.name;
    if known.codec != next.codec {
        return Some(format!("the codec of track {name} was {}, it is {} now", known.codec, next.codec));
    }
    if let (Media::Video(a), Media::Video(b)) = (&known.media, &next.media)
        && (a.width, a.height) != (b.width, b.height)
    {
        return Some(format!("track {name} had {}x{} pixels, it has {}x{} now", a.width, a.height, b.width, b.height));
    }
    let flags =
        |t: &Track| (t.storage.clone(), t.sync, t.stretches, t.annex_b, t.transport, t.sample_aes, t.composition);
    if known.timescale != next.timescale || known.sample_entries != next.sample_entries || flags(known) != flags(next) {
        return Some(format!("the sample entry of track {name} changed"));
    }
    if next.reorder > known.reorder {
        return Some(format!("pictures of track {name} are reordered further than before"));
    }
    None
}
