//! From an HLS multivariant playlist and its segments to a sidecar index: a sans-IO state machine like
//! [`super::Indexer`], which reads all renditions side by side so that the latency of a storage hides.

mod cmaf;
pub(super) mod content;
mod cuts;
pub(super) mod finish;
mod join;
pub mod layout;
mod offers;
pub mod pass_on;
pub(super) mod rendition;
pub(super) mod select;
pub(super) mod stream;
mod tags;
mod text;
mod ts;

use bytes::Bytes;

use super::IndexedAsset;
use crate::config::is_storage_path;
use crate::error::{Error, Result};
use crate::limits;
use crate::m3u8::{Media, Multivariant};
use rendition::Rendition;
use select::Wanted;

/// What to do next.
#[derive(Debug)]
pub enum HlsStep {
    /// Read these, in any order and all at once if possible, and supply each as soon as it comes; then step again. Empty
    /// while nothing more can be asked for before answers come.
    Read(Vec<Read>),
    /// The index is made.
    Done(IndexedAsset),
}

/// A read of an object of the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// For [`PlaylistIndexer::supply`].
    pub id: u32,
    /// Storage path.
    pub path: String,
    /// First byte. A playlist may name bytes past the end of an object: the answer then is its length, and no bytes.
    pub start: u64,
    /// At most so many bytes, at least one; fewer come only at the end of the object.
    pub bytes: u64,
    /// The entity tag that the object still has to have.
    pub etag: Option<String>,
}

/// What became of a [`Read`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// It was read.
    Object {
        /// What was read.
        bytes: Bytes,
        /// Length of the whole object.
        object_bytes: u64,
        /// Its entity tag, if the storage has one.
        etag: Option<String>,
    },
    /// There is no such object.
    NotFound,
    /// Its entity tag is another one now.
    Changed,
}

/// How far an ingest has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f64,
    /// Segments that have been read, over all renditions.
    pub segments_done: usize,
    /// Segments of all renditions; 0 until the playlists have been read.
    pub segments_total: usize,
}

/// Indexes one asset whose source is a multivariant playlist.
///
/// First the playlist, then the media playlists that it names, then all of their segments.
#[derive(Debug)]
pub struct PlaylistIndexer {
    path: String,
    phase: Phase,
    next_id: u32,
    /// Reads that wait for an answer, and what they are for.
    waiting: Vec<(Read, usize)>,
    progress: Progress,
}

#[derive(Debug)]
enum Phase {
    Multivariant(Option<Multivariant>),
    Playlists { multivariant: Multivariant, wanted: Vec<Wanted>, media: Vec<Option<Media>>, asked: bool },
    Segments { multivariant: Multivariant, wanted: Vec<Wanted>, renditions: Vec<Rendition> },
    Over,
}

impl PlaylistIndexer {
    /// Starts with the multivariant playlist at `path`.
    ///
    /// # Errors
    /// `BadSource` when `path` is not one of a storage.
    pub fn new(path: String) -> Result<Self> {
        if !is_storage_path(&path) {
            return Err(Error::bad_source(format!("{path:?} is not a storage path")));
        }
        let phase = Phase::Multivariant(None);
        Ok(Self { path, phase, next_id: 0, waiting: Vec::new(), progress: Progress::default() })
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, naming playlist, line and segment. After an error or `Done` there is nothing
    /// more to do.
    pub fn step(&mut self) -> Result<HlsStep> {
        loop {
            match core::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Multivariant(None) => {
                    let first = self.waiting.is_empty().then(|| (Read::playlist(&self.path), 0));
                    self.phase = Phase::Multivariant(None);
                    return Ok(self.ask(first));
                }
                Phase::Multivariant(Some(multivariant)) => {
                    let wanted = select::wanted(&multivariant)?;
                    let media = wanted.iter().map(|_| None).collect();
                    self.phase = Phase::Playlists { multivariant, wanted, media, asked: false };
                }
                Phase::Playlists { multivariant, wanted, media, asked } => {
                    if media.iter().any(Option::is_none) {
                        let reads: Vec<_> =
                            wanted.iter().enumerate().map(|(n, w)| (Read::playlist(&w.path), n)).collect();
                        self.phase = Phase::Playlists { multivariant, wanted, media, asked: true };
                        return Ok(self.ask(if asked { Vec::new() } else { reads }));
                    }
                    let media: Vec<Media> = media.into_iter().flatten().collect();
                    select::check(&multivariant, &wanted, &media)?;
                    self.progress.segments_total = media.iter().map(|m| m.segments.len()).sum();
                    let texts = wanted.iter().map(|w| w.is_text(&multivariant));
                    let renditions = media.into_iter().zip(texts).map(|(m, text)| Rendition::new(m, text)).collect();
                    self.phase = Phase::Segments { multivariant, wanted, renditions };
                }
                Phase::Segments { multivariant, wanted, mut renditions } => {
                    let mut reads = Vec::new();
                    for (number, rendition) in renditions.iter_mut().enumerate() {
                        if self.waiting.iter().all(|(_, of)| *of != number) {
                            reads.extend(rendition.wanted().map(|read| (read, number)));
                        }
                    }
                    if reads.is_empty() && self.waiting.is_empty() {
                        return finish::finish(&multivariant, &wanted, renditions).map(HlsStep::Done);
                    }
                    self.phase = Phase::Segments { multivariant, wanted, renditions };
                    return Ok(self.ask(reads));
                }
                Phase::Over => return Err(Error::internal("this indexer is finished")),
            }
        }
    }

    /// Brings the answer to a read.
    ///
    /// # Errors
    /// As [`Self::step`]; `Upstream` when more or less came than was asked for.
    pub fn supply(&mut self, id: u32, answer: Answer) -> Result<()> {
        let at = self.waiting.iter().position(|(read, _)| read.id == id);
        let Some(at) = at else { return Err(Error::internal(format!("no read {id} was asked for"))) };
        let (read, of) = self.waiting.swap_remove(at);
        let supplied = match &mut self.phase {
            Phase::Multivariant(playlist) => playlist_bytes(&read, answer)
                .and_then(|bytes| Multivariant::read(&read.path, &bytes))
                .map(|read| *playlist = Some(read)),
            Phase::Playlists { multivariant, wanted, media, .. } => {
                let line = wanted.get(of).map_or(0, |w| w.line);
                let place = format!("{}: line {line}", multivariant.path);
                let bytes = playlist_bytes(&read, answer).map_err(|e| e.context(place));
                bytes.and_then(|bytes| Media::read(&read.path, &bytes)).map(|read| {
                    if let Some(slot) = media.get_mut(of) {
                        *slot = Some(read);
                    }
                })
            }
            Phase::Segments { renditions, .. } => {
                let Some(rendition) = renditions.get_mut(of) else { return Ok(()) };
                let before = rendition.segments_done();
                let supplied = rendition.supply(&read, answer);
                self.progress.segments_done += rendition.segments_done() - before;
                supplied
            }
            Phase::Over => Err(Error::internal("nothing was asked for")),
        };
        if supplied.is_err() {
            self.phase = Phase::Over;
        }
        supplied
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let fraction = match (&self.phase, self.progress.segments_total) {
            (Phase::Over, _) => 1.0,
            (_, 0) => 0.0,
            (_, total) => self.progress.segments_done as f64 / total as f64,
        };
        Progress { fraction, ..self.progress }
    }

    fn ask(&mut self, reads: impl IntoIterator<Item = (Read, usize)>) -> HlsStep {
        let mut asked = Vec::new();
        for (mut read, of) in reads {
            read.id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            asked.push(read.clone());
            self.waiting.push((read, of));
        }
        HlsStep::Read(asked)
    }
}

impl Read {
    /// A whole playlist, and one byte more than it may have.
    fn playlist(path: &str) -> Self {
        Self { id: 0, path: path.to_owned(), start: 0, bytes: limits::MAX_PLAYLIST_BYTES as u64 + 1, etag: None }
    }
}

fn playlist_bytes(read: &Read, answer: Answer) -> Result<Bytes> {
    match answer {
        Answer::Object { bytes, object_bytes, .. } if bytes.len() as u64 == object_bytes.min(read.bytes) => Ok(bytes),
        Answer::Object { bytes, object_bytes, .. } => {
            Err(Error::upstream(format!("{}: {} bytes came of an object of {object_bytes}", read.path, bytes.len())))
        }
        Answer::NotFound => Err(Error::bad_source(format!("{}: there is no such playlist in the storage", read.path))),
        Answer::Changed => Err(Error::bad_source(format!("{}: the playlist changed while it was read", read.path))),
    }
}
