//! From stored media to a sidecar index, once per asset: the sans-IO state machine that an ingest job drives.

use core::ops::Range;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::index::Head;
use crate::limits;
use crate::source::mp4::SourceTrack;
use assemble::{Contents, Details};
use plan::Plan;
use scan::{Scan, Scanned};
use source::{Content, SourceReader};
use subtitles::Subtitles;
use texts::TextScan;

mod assemble;
mod cutting;
mod entries;
pub mod hls;
mod language;
pub mod live;
mod metadata;
mod places;
mod plan;
mod scan;
mod source;
mod subtitles;
mod texts;

/// What an operator says about a source. Of a file with sound or picture it is about those, and text tracks beside them in
/// the file are described by the file alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// BCP 47 tag; else what the media says.
    pub language: Option<String>,
    /// Name shown in a player's menu; else made from the language.
    pub label: Option<String>,
    /// A value of `urn:mpeg:dash:role:2011`, e.g. `main`, `alternate`, `commentary`, `dub`, `description`.
    pub role: Option<String>,
    /// Of subtitles: shown also to whom chose none, when they are in the language of the audio.
    pub forced: bool,
    /// Among the tracks of its kind the one that players start with.
    pub default: bool,
}

/// A stored media file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Name for messages.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// What the operator says about it.
    pub description: Description,
}

/// What to do next.
#[derive(Debug)]
pub enum IngestStep {
    /// Read this range and supply it.
    Read {
        /// Position among the source files.
        source: usize,
        /// Never empty, never past the end of the file.
        range: Range<u64>,
    },
    /// The index is made.
    Done(IndexedAsset),
}

/// A finished index and what it found.
#[derive(Debug)]
pub struct IndexedAsset {
    /// The sidecar index; see `docs/index.md`.
    pub index: Vec<u8>,
    /// Length of its head.
    pub head_bytes: u64,
    /// Presentation length in milliseconds.
    pub duration_ms: u64,
    /// The tracks, in the order of the index.
    pub tracks: Vec<TrackSummary>,
    /// What was left out or looks wrong, for people.
    pub warnings: Vec<String>,
}

impl IndexedAsset {
    /// An index that was made in another way, with what it has for people.
    ///
    /// # Errors
    /// `BadSource` when it breaks its format.
    pub fn open(index: Vec<u8>, head_bytes: u64) -> Result<Self> {
        let head = usize::try_from(head_bytes).ok().and_then(|length| index.get(..length));
        let head = head.ok_or_else(|| Error::bad_source("index: it is shorter than its head"))?;
        let head = Head::read(head, index.len() as u64)?;
        Ok(assemble::sealed(&head, index, head_bytes))
    }
}

/// A track, for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TrackSummary {
    /// Name in URLs, `v0`, `a0`, ...
    pub name: String,
    /// Position of the source that it is in, if it is in one as it is.
    pub source: Option<usize>,
    /// `video`, `audio`, `text` or `metadata`.
    pub kind: &'static str,
    /// RFC 6381 codec string.
    pub codec: String,
    /// Average bits a second.
    pub average_bitrate: u64,
    /// Most bits a second over one cut interval (about a second or a group of pictures).
    pub peak_bitrate: u64,
    /// Width and height in samples, for video.
    pub width: Option<u32>,
    /// See `width`.
    pub height: Option<u32>,
    /// Frames a second, for video.
    pub frame_rate: Option<f64>,
    /// `SDR`, `PQ` or `HLG`, for video.
    pub video_range: Option<&'static str>,
    /// For audio, as HLS writes it, e.g. `2`, `6`, `16/JOC`.
    pub channels: Option<String>,
    /// Samples a second, for audio.
    pub sample_rate: Option<u32>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Name shown to viewers.
    pub label: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// Number of samples (frames, cues).
    pub samples: u64,
}

/// Indexes one asset: a ladder of source files, each with one or more tracks.
///
/// First the boxes of every file are read, then the video samples, whose slice headers the index records.
#[derive(Debug)]
pub struct Indexer {
    files: Vec<SourceFile>,
    warnings: Vec<String>,
    /// Files of subtitles that have been read.
    subtitles: Vec<Subtitles>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Boxes { source: usize, reader: SourceReader, media: Vec<(usize, SourceTrack)> },
    Samples(Box<Scan>),
    Texts(Box<Texts>),
    Over,
}

/// Everything but the text has been read.
#[derive(Debug)]
struct Texts {
    plan: Plan,
    scanned: Vec<Scanned>,
    scan: TextScan,
}

impl Indexer {
    /// Starts with all sources of the asset.
    ///
    /// # Errors
    /// `Limit` with too many sources, `BadSource` without any or for an empty one.
    pub fn new(sources: Vec<SourceFile>) -> Result<Self> {
        if sources.len() > limits::MAX_SOURCES {
            return Err(Error::limit(format!("{} sources are more than {}", sources.len(), limits::MAX_SOURCES)));
        }
        if let Some(empty) = sources.iter().find(|s| s.bytes == 0) {
            return Err(Error::bad_source(format!("{}: the file is empty", empty.path)));
        }
        let Some(first) = sources.first() else { return Err(Error::bad_source("the asset has no source")) };
        let phase = Phase::Boxes { source: 0, reader: SourceReader::new(first)?, media: Vec::new() };
        Ok(Self { files: sources, warnings: Vec::new(), subtitles: Vec::new(), phase })
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, naming the file, box and byte offset. After an error or `Done` there is
    /// nothing more to do.
    pub fn step(&mut self) -> Result<IngestStep> {
        loop {
            match core::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Boxes { source, reader, mut media } => {
                    if let Some(range) = reader.wanted() {
                        self.phase = Phase::Boxes { source, reader, media };
                        return Ok(IngestStep::Read { source, range });
                    }
                    let path = self.files.get(source).map(|f| f.path.clone()).unwrap_or_default();
                    match reader.finish().map_err(|e| e.context(&path))? {
                        Content::Tracks(tracks, warnings) => {
                            self.warnings.extend(warnings.into_iter().map(|w| format!("{path}: {w}")));
                            media.extend(tracks.into_iter().map(|t| (source, t)));
                        }
                        Content::Subtitles(document) => {
                            // A file beside the media counts from the start of the title, wherever its media times begin.
                            self.warnings.extend(document.warnings.iter().map(|w| format!("{path}: {w}")));
                            let description = self.files.get(source).map(|f| f.description.clone());
                            let description = description.unwrap_or_default();
                            self.subtitles.push(Subtitles { path, document, description });
                        }
                    }
                    self.phase = match self.files.get(source + 1) {
                        Some(next) => Phase::Boxes { source: source + 1, reader: SourceReader::new(next)?, media },
                        None => {
                            let plan = plan::make(&self.files, media, &mut self.warnings)?;
                            Phase::Samples(Box::new(Scan::new(plan)))
                        }
                    };
                }
                Phase::Samples(mut scan) => {
                    if let Some((source, range)) = scan.wanted() {
                        self.phase = Phase::Samples(scan);
                        return Ok(IngestStep::Read { source, range });
                    }
                    let (plan, scanned) = scan.finish();
                    let scan = TextScan::new(&plan);
                    self.phase = Phase::Texts(Box::new(Texts { plan, scanned, scan }));
                }
                Phase::Texts(mut texts) => {
                    if let Some((source, range)) = texts.scan.wanted(&texts.plan) {
                        self.phase = Phase::Texts(texts);
                        return Ok(IngestStep::Read { source, range });
                    }
                    return self.finish(*texts).map(IngestStep::Done);
                }
                Phase::Over => return Err(Error::internal("this indexer is finished")),
            }
        }
    }

    /// Brings the bytes of the range that `step` asked for.
    ///
    /// # Errors
    /// As [`Self::step`]; `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, bytes: Bytes) -> Result<()> {
        let wanted = match &mut self.phase {
            Phase::Boxes { source, reader, .. } => reader.wanted().map(|range| (*source, range)),
            Phase::Samples(scan) => scan.wanted(),
            Phase::Texts(texts) => texts.scan.wanted(&texts.plan),
            Phase::Over => None,
        };
        let Some((source, range)) = wanted else { return Err(Error::internal("nothing was asked for")) };
        let path = self.files.get(source).map_or("", |f| f.path.as_str());
        if bytes.len() as u64 != range.end - range.start {
            return Err(Error::upstream(format!("{path}: {} bytes came for the range {range:?}", bytes.len())));
        }
        let supplied = match &mut self.phase {
            Phase::Boxes { source, reader, .. } => {
                let file_bytes = self.files.get(*source).map_or(0, |f| f.bytes);
                reader.supply(bytes, file_bytes)
            }
            Phase::Samples(scan) => scan.supply(&bytes),
            Phase::Texts(texts) => texts.scan.supply(&texts.plan, &bytes),
            Phase::Over => Ok(()),
        };
        supplied.map_err(|e| e.context(path))
    }

    /// How much is done, 0 to 1.
    pub fn progress(&self) -> f64 {
        // Reading boxes is quick unless a file has many fragments; the samples are nearly all of the bytes.
        const BOXES: f64 = 0.1;
        match &self.phase {
            Phase::Boxes { source, reader, .. } => {
                (*source as f64 + reader.progress()) / self.files.len() as f64 * BOXES
            }
            Phase::Samples(scan) => BOXES + (1.0 - BOXES) * scan.progress(),
            Phase::Texts(_) | Phase::Over => 1.0,
        }
    }

    fn finish(&mut self, texts: Texts) -> Result<IndexedAsset> {
        let Texts { plan, scanned, scan } = texts;
        let texts = scan.finish();
        let mut warnings = core::mem::take(&mut self.warnings);
        let details = plan.tracks.iter().zip(scanned).zip(texts).map(|((track, scanned), text)| {
            let file = self.files.get(track.source);
            let details = Details::of_file(track.source, file, scanned);
            let beside = plan.tracks.iter().any(|t| t.source == track.source && !t.is_text());
            let description = match track.is_text() && beside {
                true => Description::default(),
                false => details.description,
            };
            Details { text, description, ..details }
        });
        let mut subtitles = core::mem::take(&mut self.subtitles);
        subtitles.iter_mut().for_each(|s| s.fit(&plan, &mut warnings));
        let contents = Contents {
            files: &self.files,
            plan: &plan,
            details: details.collect(),
            subtitles,
            events: Vec::new(),
            alone: false,
        };
        let mut asset = assemble::write(contents, &mut warnings)?;
        asset.warnings = limit_warnings(warnings);
        Ok(asset)
    }
}

/// The first warnings, and how many more there are.
fn limit_warnings(mut warnings: Vec<String>) -> Vec<String> {
    if warnings.len() > limits::MAX_WARNINGS {
        let more = warnings.len() - limits::MAX_WARNINGS;
        warnings.truncate(limits::MAX_WARNINGS);
        warnings.push(format!("and {more} more"));
    }
    warnings
}
