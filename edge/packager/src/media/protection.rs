//! Which key protects which segments of which track.

use core::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::segmenter::Segment;
use crate::config::{ContentKeys, Iv, KeyUse, Kid, Protection, Scheme, Signalling};
use crate::error::{Error, Result};
use crate::index::Track;
use crate::index::head::Media;
use crate::route::TrackKind;
use crate::sealing::{ContentKey, SealingKey};

/// A content key that was opened, and what players are told about it.
pub struct Key {
    /// Its id.
    pub kid: Kid,
    /// What it protects.
    pub usage: KeyUse,
    /// See [`crate::config::SealedKey::from_second`].
    pub from_second: u32,
    /// See [`crate::config::SealedKey::iv`].
    pub iv: Option<Iv>,
    /// What players are told, one entry for each system.
    pub signalling: Vec<Signalling>,
    secret: ContentKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.iv == other.iv && self.secret == other.secret
    }
}

impl Eq for Key {}

impl Key {
    /// The secret, for a cipher.
    pub(crate) fn secret(&self) -> &ContentKey {
        &self.secret
    }

    fn fits(&self, track: &Track) -> bool {
        let within = |value: u64, low: Option<u64>, high: Option<u64>| {
            low.is_none_or(|low| low <= value) && high.is_none_or(|high| value <= high)
        };
        match (&self.usage, &track.media) {
            (KeyUse::All, Media::Video(_) | Media::Audio(_)) => true,
            (KeyUse::Video { min_pixels, max_pixels }, Media::Video(video)) => {
                within(u64::from(video.width) * u64::from(video.height), *min_pixels, *max_pixels)
            }
            (KeyUse::Audio { min_channels, max_channels }, Media::Audio(audio)) => {
                within(u64::from(audio.channels), min_channels.map(u64::from), max_channels.map(u64::from))
            }
            _ => false,
        }
    }
}

/// The content keys of an asset under one configuration, or of a live endpoint, opened.
#[derive(Debug)]
pub struct Keys {
    /// For which scheme they are.
    pub scheme: Scheme,
    keys: Vec<Arc<Key>>,
    clear_video: bool,
    clear_audio: bool,
    fingerprint: [u8; 8],
}

impl Keys {
    /// Opens the keys of a document.
    ///
    /// # Errors
    /// `BadSource` when one was not sealed for this edge.
    pub fn open(document: &ContentKeys, sealing: &SealingKey) -> Result<Self> {
        let place = document.of.key();
        let open = |sealed: &crate::config::SealedKey| {
            let secret = sealing.open(&place, sealed.kid, &sealed.sealed)?;
            let (kid, usage, from_second, iv) = (sealed.kid, sealed.usage, sealed.from_second, sealed.iv);
            Ok(Arc::new(Key { kid, usage, from_second, iv, signalling: sealed.signalling.clone(), secret }))
        };
        let keys: Vec<Arc<Key>> = document.keys.iter().map(open).collect::<Result<_>>()?;
        let mut hash = Sha256::new();
        hash.update(b"edgepack keys\0");
        for key in &keys {
            hash.update(key.secret.reveal());
            // What is not secret is hashed as it is written; sealing draws other bytes each time.
            let (usage, signalling) = (serde_json::to_vec(&key.usage), serde_json::to_vec(&key.signalling));
            for part in [usage, signalling].into_iter().flatten() {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
            hash.update(key.kid.0);
            hash.update(key.from_second.to_be_bytes());
            hash.update(key.iv.map_or([0; 17], |iv| {
                let mut marked = [1; 17];
                marked[1..].copy_from_slice(&iv.0);
                marked
            }));
        }
        hash.update([u8::from(document.clear_video), u8::from(document.clear_audio)]);
        let hash = hash.finalize();
        let fingerprint = hash.first_chunk().copied().unwrap_or_default();
        let (clear_video, clear_audio) = (document.clear_video, document.clear_audio);
        Ok(Self { scheme: document.scheme, keys, clear_video, clear_audio, fingerprint })
    }

    /// Changes whenever any byte of an output would.
    pub fn fingerprint(&self) -> [u8; 8] {
        self.fingerprint
    }

    /// All keys.
    pub fn all(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        let texts = |s: &Signalling| {
            [&s.pssh, &s.hls, &s.hls_session, &s.dash].into_iter().flatten().map(String::len).sum::<usize>()
        };
        let key = |k: &Arc<Key>| size_of::<Key>() + k.signalling.iter().map(texts).sum::<usize>();
        size_of::<Self>() + self.keys.iter().map(key).sum::<usize>()
    }

    /// The keys of a track, in the order in which they take over; `None` when the track is meant to be in the clear.
    ///
    /// # Errors
    /// `Unsupported` when no key is for it, or two are at the same time.
    pub fn of(&self, track: &Track) -> Result<Option<Vec<Arc<Key>>>> {
        let mut own: Vec<Arc<Key>> = self.keys.iter().filter(|key| key.fits(track)).cloned().collect();
        own.sort_by_key(|key| key.from_second);
        let clear = match track.name.kind {
            TrackKind::Video => self.clear_video,
            TrackKind::Audio => self.clear_audio,
            TrackKind::Text | TrackKind::Metadata => true,
        };
        let refused = |what: String| Err(Error::unsupported(format!("track {}: {what}", track.name)));
        if let Some(pair) = own.windows(2).find(|pair| pair[0].from_second == pair[1].from_second) {
            return refused(format!("the keys {} and {} are both for it", pair[0].kid, pair[1].kid));
        }
        match own.first() {
            None if clear => Ok(None),
            Some(first) if first.from_second == 0 => Ok(Some(own)),
            _ => refused("no content key is for it, and it is not meant to be in the clear".to_owned()),
        }
    }
}

/// How a track is protected.
#[derive(Clone, Debug)]
pub struct TrackProtection {
    /// The scheme.
    pub scheme: Scheme,
    /// From which segment on, counted from 0, which key holds; never empty. The first also describes the track in its
    /// init segment.
    pub keys: Vec<(usize, Arc<Key>)>,
    /// How many segments at the start are in the clear.
    pub clear_segments: usize,
    /// Whether segments name their key in a sample group when it is not that of the init segment.
    pub sample_groups: bool,
}

/// How a segment of a protected track is protected.
#[derive(Clone, Copy, Debug)]
pub struct SegmentProtection<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// Its key; `None` when it is in the clear all the same.
    pub key: Option<&'a Arc<Key>>,
    /// Whether it has to name its key, because the init segment names another.
    pub named: bool,
}

impl TrackProtection {
    /// The protection of a track with these segments by these keys, which ascend and are at least one.
    ///
    /// # Errors
    /// `Internal` without a key.
    pub fn new(protection: &Protection, keys: &[Arc<Key>], timescale: u32, segments: &[Segment]) -> Result<Self> {
        let clear_segments = (protection.clear_lead_segments as usize).min(segments.len());
        let mut from: Vec<(usize, Arc<Key>)> = Vec::new();
        for key in keys {
            let start = u64::from(key.from_second) * u64::from(timescale);
            let first = segments.partition_point(|s| s.start < start);
            match from.last_mut() {
                Some((at, last)) if *at == first => *last = key.clone(),
                _ => from.push((first, key.clone())),
            }
        }
        from.retain(|(at, _)| *at == 0 || *at < segments.len());
        if from.is_empty() {
            return Err(Error::internal("a protected track without a key"));
        }
        let (scheme, sample_groups) = (protection.scheme, !protection.no_key_sample_groups);
        Ok(Self { scheme, keys: from, clear_segments, sample_groups })
    }

    /// How a segment, counted from 0, is protected.
    pub fn segment(&self, segment: usize) -> SegmentProtection<'_> {
        let key = self.key(segment);
        let main = self.keys.first().map(|(_, key)| key.kid);
        let named = self.sample_groups && key.is_some_and(|key| Some(key.kid) != main);
        SegmentProtection { scheme: self.scheme, key, named }
    }

    /// The key of the init segment.
    ///
    /// # Errors
    /// `Internal`, which does not happen.
    pub fn main(&self) -> Result<&Arc<Key>> {
        self.keys.first().map(|(_, key)| key).ok_or_else(|| Error::internal("a protected track without a key"))
    }

    /// Whether whole segments are encrypted, so that no part of one can be read by itself.
    pub fn is_whole(&self) -> bool {
        self.scheme == Scheme::Aes128
    }

    /// The key of a segment, counted from 0; `None` while it is in the clear.
    pub fn key(&self, segment: usize) -> Option<&Arc<Key>> {
        if segment < self.clear_segments {
            return None;
        }
        self.keys.iter().rev().find(|(from, _)| *from <= segment).map(|(_, key)| key)
    }

    /// The segments at which what holds changes: `(first segment, its key or none while in the clear)`, from segment 0 on.
    pub fn changes(&self, segments: usize) -> Vec<(usize, Option<&Arc<Key>>)> {
        let mut changes: Vec<(usize, Option<&Arc<Key>>)> = Vec::new();
        let starts = self.keys.iter().map(|(from, _)| *from).chain([0, self.clear_segments]);
        let mut starts: Vec<usize> = starts.filter(|s| *s < segments.max(1)).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts {
            let key = self.key(start);
            if changes.last().is_none_or(|(_, last)| last.map(|k| k.kid) != key.map(|k| k.kid)) {
                changes.push((start, key));
            }
        }
        changes
    }
}
