//! One input of a channel: which of the segments that it was sent belong together.

use std::collections::{BTreeMap, HashMap};

use packager::ingest::live::{Checked, Set};
use packager::m3u8::{Media, Multivariant};
use packager::media::time::Instant;

use super::line::{self, Offer};
use crate::db::uploads::{Upload, UploadKind};

/// Sets of an input that wait: a minute of two-second segments. Older ones are given up.
pub const MAX_SETS: usize = 32;
/// Segments of a playlist that have to be there before a media playlist counts as the only one.
const ALONE_SEGMENTS: usize = 2;
/// By how much the segments of a set may differ in length, nanoseconds: sound does not end with the pictures. An encoder that
/// could not push a segment puts its pictures into the next one of that rendition.
const LENGTH_TOLERANCE_NS: i64 = 500_000_000;
/// Sound begins at most by this part of a position before or after its pictures.
const SOUND_PARTS: i64 = 2;

/// An input.
#[derive(Debug, Default)]
pub struct Input {
    /// 0 or 1.
    number: usize,
    multivariant: Option<(i64, Multivariant)>,
    playlists: BTreeMap<String, (i64, Media)>,
    /// Names of the media playlists, once these are known.
    renditions: Vec<String>,
    /// Segments that no playlist has named yet, by row.
    waiting: BTreeMap<i64, Upload>,
    /// Initialization sections by name, each with its rows ascending.
    inits: HashMap<String, BTreeMap<i64, Upload>>,
    sets: Vec<OpenSet>,
}

/// The segments of some or all renditions for one time.
#[derive(Debug)]
struct OpenSet {
    key: i64,
    pieces: Vec<Option<Piece>>,
    since_ms: i64,
    ready_ms: i64,
    discontinuity: bool,
}

/// A segment of a rendition.
#[derive(Debug)]
pub struct Piece {
    /// Its row.
    pub upload: i64,
    /// When it was acknowledged.
    pub received_ms: i64,
    /// What is in it.
    pub checked: Checked,
    /// Whether the playlist says that time breaks before it.
    pub discontinuity: bool,
}

/// A segment whose rendition is known.
#[derive(Debug)]
pub struct Named {
    /// The segment.
    pub upload: Upload,
    /// Position among the media playlists.
    pub rendition: usize,
    /// Its initialization section.
    pub init: Option<Upload>,
    /// See [`Piece::discontinuity`].
    pub discontinuity: bool,
}

/// A set that is taken.
#[derive(Debug)]
pub struct Taken {
    /// Rows of its segments.
    pub uploads: Vec<i64>,
    /// Rows of segments that last longer than the others.
    pub unfit: Vec<i64>,
    /// For each media playlist its segment.
    pub segments: Vec<Option<Checked>>,
    /// When it begins and ends by the clock of the encoder.
    pub start: Instant,
    /// See `start`.
    pub end: Instant,
}

impl Input {
    /// The input `number`, 0 or 1, of which nothing is known.
    pub fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    /// What the encoder says of its renditions; `None` when it has one media playlist alone.
    pub fn multivariant(&self) -> Option<&Multivariant> {
        self.multivariant.as_ref().map(|(_, m)| m)
    }

    /// EXT-X-TARGETDURATION, the highest of all playlists; 0 when there is none.
    pub fn target_seconds(&self) -> u64 {
        self.playlists.values().map(|(_, media)| media.target_duration).max().unwrap_or(0)
    }

    /// Whether all of its playlists say that nothing will follow.
    pub fn is_ended(&self) -> bool {
        let mut named = self.renditions.iter().map(|name| self.playlists.get(name));
        !self.renditions.is_empty() && named.all(|found| found.is_some_and(|(_, media)| media.ended))
    }

    /// Whether a playlist is known as it is.
    pub fn knows_playlist(&self, upload: &Upload) -> bool {
        let known = match upload.kind {
            UploadKind::Multivariant => self.multivariant.as_ref().map(|(id, _)| *id),
            _ => self.playlists.get(&upload.name).map(|(id, _)| *id),
        };
        known == Some(upload.id)
    }

    /// Takes a playlist as it is now. Sets of renditions that are no longer there are given up: their rows are answered.
    pub fn set_playlist(&mut self, upload: &Upload) -> Vec<i64> {
        let body = upload.body.as_deref().unwrap_or_default();
        if upload.kind == UploadKind::Multivariant {
            if let Ok(multivariant) = Multivariant::read(&upload.name, body) {
                self.multivariant = Some((upload.id, multivariant));
            }
        } else {
            // One without segments is of an encoder that has just begun.
            let media = Media::read_live(&upload.name, body).unwrap_or_default();
            self.playlists.insert(upload.name.clone(), (upload.id, media));
        }
        let renditions = match &self.multivariant {
            Some((_, multivariant)) => Set::playlists(multivariant).unwrap_or_default(),
            None => match self.playlists.iter().next().filter(|_| self.playlists.len() == 1) {
                Some((name, (_, media))) if media.segments.len() >= ALONE_SEGMENTS || media.ended => vec![name.clone()],
                _ => Vec::new(),
            },
        };
        if renditions == self.renditions {
            return Vec::new();
        }
        self.renditions = renditions;
        self.sets.drain(..).flat_map(OpenSet::into_uploads).collect()
    }

    /// Takes an upload that is acknowledged.
    pub fn add(&mut self, upload: Upload) {
        match upload.kind {
            UploadKind::Init => {
                self.inits.entry(upload.name.clone()).or_default().insert(upload.id, upload);
            }
            _ => {
                self.waiting.insert(upload.id, upload);
            }
        }
    }

    /// The next segment whose rendition is known. It is read, and comes back by [`Self::insert`].
    pub fn next_named(&mut self) -> Option<Named> {
        let (id, named) = self.waiting.iter().find_map(|(id, upload)| Some((*id, self.name(upload)?)))?;
        let upload = self.waiting.remove(&id)?;
        let (rendition, init, discontinuity) = named;
        Some(Named { upload, rendition, init, discontinuity })
    }

    fn name(&self, upload: &Upload) -> Option<(usize, Option<Upload>, bool)> {
        self.renditions.iter().enumerate().find_map(|(rendition, name)| {
            let (_, media) = self.playlists.get(name)?;
            let segment = media.segments.iter().find(|s| s.path == upload.name)?;
            let init = match segment.map.and_then(|map| media.maps.get(map)) {
                // The section that was sent last before the segment, or the first that is known.
                Some(map) => {
                    let rows = self.inits.get(&map.path)?;
                    let before = rows.range(..upload.id).next_back().or_else(|| rows.first_key_value());
                    Some(before.map(|(_, init)| init.clone())?)
                }
                None => None,
            };
            Some((rendition, init, segment.discontinuity))
        })
    }

    /// Takes a segment that was read. Answers the rows of what is given up for it.
    pub fn insert(&mut self, rendition: usize, piece: Piece, position_ms: i64) -> Vec<i64> {
        let near = |set: &OpenSet| {
            let Some(other) = set.reference() else { return false };
            let near = other.checked.start().nanoseconds();
            let apart = line::unwrapped(piece.checked.start(), piece.checked.wraps(), near).saturating_sub(near);
            let both = piece.checked.has_video() && other.checked.has_video();
            let most = if both { line::TOLERANCE_NS } else { position_ms.saturating_mul(1_000_000) / SOUND_PARTS };
            apart.abs() <= most
        };
        let free = |set: &OpenSet| set.pieces.get(rendition).is_some_and(Option::is_none);
        let set = match self.sets.iter().position(|set| free(set) && near(set)) {
            Some(at) => at,
            None => {
                let mut pieces = Vec::new();
                pieces.resize_with(self.renditions.len(), || None);
                self.sets.push(OpenSet {
                    key: piece.upload,
                    pieces,
                    since_ms: piece.received_ms,
                    ready_ms: piece.received_ms,
                    discontinuity: false,
                });
                self.sets.len() - 1
            }
        };
        if let Some(set) = self.sets.get_mut(set) {
            set.ready_ms = set.ready_ms.max(piece.received_ms);
            set.since_ms = set.since_ms.min(piece.received_ms);
            set.discontinuity |= piece.discontinuity;
            if let Some(place) = set.pieces.get_mut(rendition) {
                *place = Some(piece);
            }
        }
        self.sets.sort_by_key(|set| set.key);
        let over = self.sets.len().saturating_sub(MAX_SETS);
        self.sets.drain(..over).flat_map(OpenSet::into_uploads).collect()
    }

    /// What it has, in the order in which it came. Sound alone does not say when the pictures beside it begin.
    pub fn offers(&self) -> impl Iterator<Item = Offer> {
        self.sets.iter().filter_map(|set| {
            let reference = set.reference()?;
            let fits = |piece: &Option<Piece>| piece.as_ref().is_some_and(|p| p.fits(reference));
            let missing = set.pieces.iter().filter(|p| !fits(p)).count();
            (missing == 0 || reference.checked.has_video()).then(|| Offer {
                key: set.key,
                input: self.number,
                start: reference.checked.start(),
                end: reference.checked.end(),
                wraps: reference.checked.wraps(),
                missing,
                since_ms: set.since_ms,
                ready_ms: set.ready_ms,
                discontinuity: set.discontinuity,
            })
        })
    }

    /// Takes a set out.
    pub fn take(&mut self, key: i64) -> Option<Taken> {
        let at = self.sets.iter().position(|set| set.key == key)?;
        let set = self.sets.remove(at);
        let reference = set.reference()?;
        let (start, end) = (reference.checked.start(), reference.checked.end());
        let fits: Vec<bool> =
            set.pieces.iter().map(|piece| piece.as_ref().is_some_and(|p| p.fits(reference))).collect();
        let (mut uploads, mut unfit) = (Vec::new(), Vec::new());
        for (piece, fits) in set.pieces.iter().zip(&fits) {
            let rows = if *fits { &mut uploads } else { &mut unfit };
            rows.extend(piece.as_ref().map(|p| p.upload));
        }
        let segments = set.pieces.into_iter().zip(fits).map(|(p, fits)| p.filter(|_| fits).map(|p| p.checked));
        Some(Taken { uploads, unfit, segments: segments.collect(), start, end })
    }

    /// Forgets segments that came before `before_ms` and that no playlist names; answers their rows.
    pub fn stale(&mut self, before_ms: i64) -> Vec<i64> {
        let old = |upload: &Upload| upload.received_ms < before_ms;
        let rows: Vec<i64> = self.waiting.values().filter(|u| old(u)).map(|u| u.id).collect();
        self.waiting.retain(|_, upload| !old(upload));
        rows
    }

    /// Forgets initialization sections that newer ones of the same name have replaced; answers their rows. A segment that is
    /// still to come may need the last but one.
    pub fn spare_inits(&mut self) -> Vec<i64> {
        const KEPT: usize = 4;
        let mut spare = Vec::new();
        for rows in self.inits.values_mut() {
            while rows.len() > KEPT {
                spare.extend(rows.pop_first().map(|(id, _)| id));
            }
        }
        spare
    }
}

impl Piece {
    fn length_ns(&self) -> i64 {
        self.checked.end().nanoseconds().saturating_sub(self.checked.start().nanoseconds())
    }

    /// Whether it can be beside `reference`.
    fn fits(&self, reference: &Self) -> bool {
        self.length_ns().saturating_sub(reference.length_ns()) <= LENGTH_TOLERANCE_NS
    }
}

impl OpenSet {
    /// The segment whose times count: the first one with pictures, else the first; but not one that is much longer than another.
    fn reference(&self) -> Option<&Piece> {
        let pieces = || self.pieces.iter().flatten();
        let video = || pieces().filter(|p| p.checked.has_video());
        match video().min_by_key(|p| p.length_ns()) {
            Some(shortest) => video().find(|p| p.fits(shortest)),
            None => pieces().next(),
        }
    }

    fn into_uploads(self) -> Vec<i64> {
        self.pieces.into_iter().flatten().map(|p| p.upload).collect()
    }
}
