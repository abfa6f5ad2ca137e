//! A progressive or fragmented MP4 file, read by ranges: which tracks it has and where their samples are.

use core::ops::Range;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::limits;
use crate::media::sample::Sample;
use crate::mp4::boxes::{Box, FourCc, Header};
use crate::mp4::movie::{Edit, Handler, Movie, Track, TrackExtends};
use crate::mp4::{fragment, sample_table};

/// How much is read when only a header is wanted: most `moof` boxes fit, and so do small files whole.
const WINDOW_BYTES: u64 = 64 << 10;

/// A track as its file has it, with owned tables.
#[derive(Debug)]
pub struct SourceTrack {
    /// `track_ID`.
    pub id: u32,
    /// What it holds.
    pub handler: Handler,
    /// Ticks a second of the media.
    pub timescale: u32,
    /// Ticks a second of the edit durations.
    pub movie_timescale: u32,
    /// Language by ISO 639-2/T or BCP 47.
    pub language: Option<String>,
    /// Name of the handler.
    pub name: Option<String>,
    /// Presentation matrix.
    pub matrix: [u32; 9],
    /// Edits, in order.
    pub edits: Vec<Edit>,
    /// Sample entries, whole boxes.
    pub sample_entries: Vec<OwnedEntry>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// Decoding time of the first sample, in ticks.
    pub first_decode_time: u64,
    /// Whether the samples came in fragments.
    pub fragmented: bool,
    /// Sum of all durations, in ticks.
    pub duration: u64,
}

/// A sample entry with its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEntry {
    /// Its type.
    pub kind: FourCc,
    /// The box.
    pub bytes: Bytes,
    /// Length of its header.
    pub header: usize,
    /// Where it starts in the file.
    pub offset: u64,
}

/// Walks over a file box by box.
#[derive(Debug)]
pub struct FileReader {
    file_bytes: u64,
    at: u64,
    boxes: usize,
    window: (u64, Bytes),
    wanted: Range<u64>,
    movie_seen: bool,
    fragmented: bool,
    extends: Vec<TrackExtends>,
    tracks: Vec<SourceTrack>,
    total: u64,
    warnings: Vec<String>,
}

impl FileReader {
    /// Starts a file of this length.
    pub fn new(file_bytes: u64) -> Self {
        Self {
            file_bytes,
            at: 0,
            boxes: 0,
            window: (0, Bytes::new()),
            wanted: 0..WINDOW_BYTES.min(file_bytes),
            movie_seen: false,
            fragmented: false,
            extends: Vec::new(),
            tracks: Vec::new(),
            total: 0,
            warnings: Vec::new(),
        }
    }

    /// The next range to read; `None` when the file is understood.
    pub fn wanted(&self) -> Option<Range<u64>> {
        (!self.wanted.is_empty()).then(|| self.wanted.clone())
    }

    /// How far the walk has come, 0 to 1.
    pub fn progress(&self) -> f64 {
        if self.file_bytes == 0 { 1.0 } else { self.at.min(self.file_bytes) as f64 / self.file_bytes as f64 }
    }

    /// Brings the bytes of [`Self::wanted`].
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, with box and byte offset.
    pub fn supply(&mut self, bytes: Bytes) -> Result<()> {
        self.window = (self.wanted.start, bytes);
        self.wanted = 0..0;
        while self.at < self.file_bytes {
            let left = self.file_bytes - self.at;
            let Some(head) = self.view(self.at, left.min(Header::MAX_LENGTH as u64)) else {
                self.wanted = self.at..self.at + left.min(WINDOW_BYTES);
                return Ok(());
            };
            if left < 8 || (self.boxes > 0 && head.iter().all(|b| *b == 0)) {
                self.warn(format!("{left} bytes after the last box, from byte {}, are no box", self.at));
                break;
            }
            let header = Header::read(&head, self.at, "")?;
            let size = header.size.unwrap_or(left);
            let memory = match &header.kind.0 {
                b"moov" => Some(limits::MAX_MOOV_BYTES),
                b"moof" => Some(limits::MAX_MOOF_BYTES),
                _ => None,
            };
            if size > left {
                return Err(Error::bad_source(format!(
                    "{} at byte {}: box size {size} runs past the end of the file at byte {}",
                    header.kind, self.at, self.file_bytes
                )));
            }
            self.boxes += 1;
            if self.boxes > limits::MAX_TOP_LEVEL_BOXES {
                return Err(Error::limit(format!("more than {} boxes at the top level", limits::MAX_TOP_LEVEL_BOXES)));
            }
            if let Some(limit) = memory {
                if size > limit {
                    return Err(Error::limit(format!(
                        "{} at byte {}: box size {size} is above {limit}",
                        header.kind, self.at
                    )));
                }
                let Some(whole) = self.view(self.at, size) else {
                    self.boxes -= 1;
                    self.wanted = self.at..self.at + size.max(left.min(WINDOW_BYTES));
                    return Ok(());
                };
                let content = whole.get(usize::from(header.length)..).unwrap_or_default();
                let top = Box::top(header.kind, self.at, self.at + u64::from(header.length), content);
                if header.kind.0 == *b"moov" { self.movie(&top)? } else { self.fragment(&top)? }
            }
            self.at += size;
            if self.movie_seen && !self.fragmented {
                break;
            }
        }
        self.at = self.file_bytes;
        Ok(())
    }

    /// The tracks and warnings, once nothing more is wanted.
    ///
    /// # Errors
    /// `BadSource` when there was no `moov`.
    pub fn finish(self) -> Result<(Vec<SourceTrack>, Vec<String>)> {
        if !self.movie_seen {
            return Err(Error::bad_source(format!(
                "no moov box in {} bytes: not an MP4 file, or one that was cut off",
                self.file_bytes
            )));
        }
        Ok((self.tracks, self.warnings))
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < limits::MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// A stretch of the window, when all of it is there.
    fn view(&self, at: u64, length: u64) -> Option<Bytes> {
        let start = usize::try_from(at.checked_sub(self.window.0)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.window.1.len()).then(|| self.window.1.slice(start..end))
    }

    fn movie(&mut self, moov: &Box<'_>) -> Result<()> {
        if self.movie_seen {
            self.warn(format!("{}: a second movie header was left out", moov.place()));
            return Ok(());
        }
        self.movie_seen = true;
        let movie = Movie::read(moov)?;
        self.fragmented = movie.fragmented;
        self.extends = movie.extends;
        for (id, handler) in movie.other_tracks {
            self.warn(format!("track {id} was left out: its handler {handler} is neither sound nor picture nor text"));
        }
        if movie.tracks.is_empty()
            && let Some(reason) = movie.broken_tracks.first()
        {
            return Err(Error::bad_source(reason.clone()));
        }
        for reason in movie.broken_tracks {
            self.warn(format!("a track was left out: {reason}"));
        }
        let chapters: Vec<u32> = movie.tracks.iter().flat_map(|t| t.chapters.iter().copied()).collect();
        for track in movie.tracks {
            let text = track.handler == Handler::Text;
            if text && chapters.contains(&track.id) {
                self.warn(format!("track {} was left out: it names the chapters of another track", track.id));
                continue;
            }
            let table = match sample_table::read(&track.sample_table, self.file_bytes) {
                Err(error) if text => {
                    self.warn(format!("track {} was left out: {error}", track.id));
                    continue;
                }
                table => table.map_err(|e| e.context(format!("track {}", track.id)))?,
            };
            for warning in &table.warnings {
                self.warn(format!("track {}: {warning}", track.id));
            }
            self.tracks.push(SourceTrack::new(track, movie.timescale, table.samples));
        }
        Ok(())
    }

    fn fragment(&mut self, moof: &Box<'_>) -> Result<()> {
        if !self.movie_seen {
            return Err(moof.bad("a movie fragment stands before the moov box"));
        }
        let room = limits::MAX_TRACK_SAMPLES - self.tracks.iter().map(|t| t.samples.len()).max().unwrap_or(0);
        for fragment in fragment::read(moof, &self.extends, self.file_bytes, room)? {
            self.total = self.total.saturating_add(fragment.samples.iter().map(|s| u64::from(s.size)).sum());
            if self.total > self.file_bytes {
                return Err(
                    moof.bad(format!("the samples so far have {} bytes, the file has {}", self.total, self.file_bytes))
                );
            }
            let Some(track) = self.tracks.iter_mut().find(|t| t.id == fragment.track_id) else { continue };
            if track.samples.len() + fragment.samples.len() > limits::MAX_TRACK_SAMPLES {
                return Err(moof.over_limit(format!(
                    "track {} has more than {} samples",
                    track.id,
                    limits::MAX_TRACK_SAMPLES
                )));
            }
            if let Some(warning) = track.append(fragment)? {
                self.warn(warning);
            }
        }
        Ok(())
    }
}

impl SourceTrack {
    pub(super) fn new(track: Track<'_>, movie_timescale: u32, samples: Vec<Sample>) -> Self {
        let entries = track.sample_entries.iter().map(|e| OwnedEntry {
            kind: e.kind,
            bytes: Bytes::copy_from_slice(e.bytes),
            header: e.header,
            offset: e.offset,
        });
        Self {
            id: track.id,
            handler: track.handler,
            timescale: track.timescale,
            movie_timescale,
            sample_entries: entries.collect(),
            language: track.extended_language.or(track.language),
            name: track.name,
            matrix: track.matrix,
            edits: track.edits,
            duration: samples.iter().map(|s| u64::from(s.duration)).sum(),
            samples,
            first_decode_time: 0,
            fragmented: false,
        }
    }

    /// Adds a fragment. A gap before it lengthens the sample before it, an overlap shortens it, so that every decoding
    /// time is the one the file gives.
    fn append(&mut self, fragment: fragment::TrackFragment) -> Result<Option<String>> {
        self.fragmented = true;
        if fragment.samples.is_empty() {
            return Ok(None);
        }
        let mut warning = None;
        if self.samples.is_empty() {
            self.first_decode_time = fragment.decode_time.unwrap_or(0);
            if self.first_decode_time > i64::MAX as u64 / 4 {
                return Err(Error::bad_source(format!(
                    "{}: baseMediaDecodeTime {} is out of range",
                    fragment.place, self.first_decode_time
                )));
            }
        } else if let Some(time) = fragment.decode_time
            && let Some(sample) = self.samples.last_mut()
        {
            let (id, place) = (self.id, &fragment.place);
            let gap = i128::from(time) - i128::from(self.first_decode_time + self.duration);
            match u32::try_from(i128::from(sample.duration) + gap).ok().filter(|d| *d <= i32::MAX as u32) {
                Some(duration) => {
                    self.duration = self.duration - u64::from(sample.duration) + u64::from(duration);
                    sample.duration = duration;
                    if gap.unsigned_abs() > u128::from(self.timescale) {
                        warning = Some(format!(
                            "track {id}: {place}: decoding time jumps by {gap} ticks of 1/{} s",
                            self.timescale
                        ));
                    }
                }
                None => {
                    warning = Some(format!(
                        "track {id}: {place}: decoding time {time} is {gap} ticks off; the fragment was put at the end"
                    ));
                }
            }
        }
        self.duration += fragment.samples.iter().map(|s| u64::from(s.duration)).sum::<u64>();
        self.samples.extend(fragment.samples);
        Ok(warning)
    }
}
