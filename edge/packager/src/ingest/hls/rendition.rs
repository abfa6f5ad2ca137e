//! One media playlist and its segments, read from front to back.

use core::ops::Range;

use bytes::Bytes;

use super::content::{Content, Segment};
use super::{Answer, Read};
use crate::error::{Error, Result};
use crate::limits;
use crate::m3u8::Media;
use crate::source::hls::Space;

/// How much of a segment is read at once: a few seconds of a high rendition, so that memory stays bounded.
const WINDOW_BYTES: u64 = 4 << 20;

/// A rendition while it is read.
#[derive(Debug)]
pub struct Rendition {
    /// Its playlist.
    pub media: Media,
    /// Its objects.
    pub space: Space,
    /// What came out of its segments.
    pub content: Content,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
    /// Which segment comes next, or is being read.
    segment: usize,
    /// EXT-X-DISCONTINUITY tags so far.
    discontinuity: u32,
    /// Initialization section that has been read.
    map: Option<usize>,
    open: Option<Open>,
    /// EXT-X-DISCONTINUITY tags up to the last segment that was read.
    last_discontinuity: u32,
    /// Where the last read was, for messages.
    last_place: String,
    /// Whether it holds subtitles; a segment of those may be empty.
    text: bool,
}

/// What is being read.
#[derive(Debug)]
struct Open {
    what: What,
    path: String,
    line: usize,
    /// Byte range; its end is known once the object has answered.
    start: u64,
    end: Option<u64>,
    at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Map(usize),
    Segment,
}

impl Rendition {
    /// Starts a rendition, of subtitles or not.
    pub fn new(media: Media, text: bool) -> Self {
        Self {
            media,
            space: Space::default(),
            content: Content::default(),
            warnings: Vec::new(),
            segment: 0,
            discontinuity: 0,
            map: None,
            open: None,
            last_discontinuity: 0,
            last_place: String::new(),
            text,
        }
    }

    /// When each segment begins by the playlist, in milliseconds.
    pub fn segment_starts(&self) -> Vec<u64> {
        let mut micros = 0u64;
        let start = |segment: &crate::m3u8::Segment| {
            let start = micros / 1000;
            micros = micros.saturating_add(segment.duration);
            start
        };
        self.media.segments.iter().map(start).collect()
    }

    /// How many of its segments are done.
    pub fn segments_done(&self) -> usize {
        self.segment
    }

    /// The next read; `None` when all segments are done. Asking again changes nothing.
    pub fn wanted(&mut self) -> Option<Read> {
        while self.open.is_none() {
            let segment = self.media.segments.get(self.segment)?;
            if segment.gap {
                self.pass_over_gap();
                continue;
            }
            let map = segment.map.filter(|m| self.map != Some(*m)).and_then(|m| Some((m, self.media.maps.get(m)?)));
            self.open = Some(match map {
                Some((number, map)) => Open::new(What::Map(number), &map.path, map.line, map.range.as_ref()),
                None => Open::new(What::Segment, &segment.path, segment.line, segment.range.as_ref()),
            });
        }
        let open = self.open.as_mut()?;
        let known = self.space.known(&open.path);
        if open.end.is_none() {
            open.end = known.map(|o| o.bytes);
        }
        let end = open.end.unwrap_or(u64::MAX);
        let bytes = WINDOW_BYTES.min(end.saturating_sub(open.at)).max(1);
        Some(Read { id: 0, path: open.path.clone(), start: open.at, bytes, etag: known.and_then(|o| o.etag.clone()) })
    }

    fn pass_over_gap(&mut self) {
        let Some(segment) = self.media.segments.get(self.segment) else { return };
        if segment.discontinuity {
            self.discontinuity += 1;
        }
        self.content.expect_hole(segment.duration);
        if self.warnings.len() < limits::MAX_WARNINGS {
            self.warnings.push(format!(
                "{}: line {}: {}: the playlist says that this segment is missing (EXT-X-GAP); it was left out",
                self.media.path, segment.line, segment.path
            ));
        }
        self.segment += 1;
    }

    /// Brings what [`Self::wanted`] asked for.
    ///
    /// # Errors
    /// With playlist, line and path: `BadSource` when the object is missing, empty, or is not what it should be; what the
    /// content refuses.
    pub fn supply(&mut self, read: &Read, answer: Answer) -> Result<()> {
        let Some(open) = &self.open else { return Err(Error::internal("nothing was asked for")) };
        let place = open.place(&self.media.path);
        if open.what == What::Segment && open.at == open.start && matches!(answer, Answer::Object { .. }) {
            let tagged = self.media.segments.get(self.segment).is_some_and(|s| s.discontinuity);
            let count = self.discontinuity + u32::from(tagged);
            let discontinuity = core::mem::replace(&mut self.last_discontinuity, count) != count;
            let before = self.last_place.clone();
            self.content.end_segment(discontinuity).map_err(|e| e.context(before))?;
        }
        let taken = match answer {
            Answer::Object { bytes, object_bytes, etag } => self.take(read, &bytes, object_bytes, etag.as_deref()),
            Answer::NotFound => Err(Error::bad_source("there is no such object in the storage")),
            Answer::Changed => Err(Error::bad_source("the object changed while it was read")),
        };
        self.last_place.clone_from(&place);
        taken.map_err(|e| e.context(place))
    }

    /// All segments have been read.
    ///
    /// # Errors
    /// What is wrong at the end of the last one, with its place.
    pub fn finish(&mut self) -> Result<()> {
        self.content.finish().map_err(|e| e.context(&self.last_place))?;
        let streams = self.content.streams();
        if streams.is_empty() {
            return Ok(());
        }
        let mut found = vec![false; self.media.segments.len()];
        for start in streams.iter().flat_map(|s| &s.starts) {
            if let Some(found) = found.get_mut(start.segment) {
                *found = true;
            }
        }
        let lost = self.media.segments.iter().zip(found).filter(|(s, found)| !found && !s.gap);
        for (segment, _) in lost.take(limits::MAX_WARNINGS) {
            let (path, line) = (&self.media.path, segment.line);
            self.warnings.push(format!("{path}: line {line}: segment {}: nothing in it can be played", segment.path));
        }
        Ok(())
    }

    fn take(&mut self, read: &Read, bytes: &Bytes, object_bytes: u64, etag: Option<&str>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some(known) = self.space.known(&open.path)
            && (known.bytes != object_bytes || known.etag.as_deref() != etag)
        {
            return Err(Error::bad_source("the object changed while it was read"));
        }
        if self.text && object_bytes == 0 {
            self.open = None;
            self.segment += 1;
            return Ok(());
        }
        let end = open.end.unwrap_or(object_bytes);
        let wanted = read.bytes.min(object_bytes.saturating_sub(read.start));
        if end > object_bytes || open.start >= end {
            return Err(if object_bytes == 0 {
                Error::bad_source("it is empty")
            } else {
                Error::bad_source(format!(
                    "the playlist wants bytes {}..{end} of it, the object has {object_bytes}",
                    open.start
                ))
            });
        }
        if bytes.len() as u64 != wanted {
            return Err(Error::upstream(format!(
                "{} bytes came for the range {}..{}",
                bytes.len(),
                read.start,
                read.start + wanted
            )));
        }
        let first = open.at == open.start;
        let base = self.space.open(&open.path, object_bytes, etag).base;
        let range = open.start..end;
        let is_map = open.what != What::Segment;
        open.end = Some(end);
        open.at += wanted;
        let done = open.at >= end;
        if first {
            self.begin(base, range, is_map, bytes)?;
        }
        self.content.push(bytes)?;
        if done {
            self.content.finish_segment()?;
            match self.open.take().map(|o| o.what) {
                Some(What::Map(number)) => self.map = Some(number),
                _ => self.segment += 1,
            }
        }
        Ok(())
    }

    fn begin(&mut self, base: u64, range: Range<u64>, initialization: bool, bytes: &Bytes) -> Result<()> {
        let Some(segment) = self.media.segments.get(self.segment) else { return Ok(()) };
        if !initialization && segment.discontinuity {
            self.discontinuity += 1;
        }
        let begun = Segment {
            number: self.segment,
            base,
            range,
            discontinuity: self.discontinuity,
            has_map: segment.map.is_some(),
            initialization,
        };
        self.content.begin(begun, bytes)
    }

    /// All warnings, with the playlist in front of those of its tracks.
    pub fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = core::mem::take(&mut self.media.warnings);
        warnings.append(&mut self.warnings);
        let path = &self.media.path;
        warnings.extend(self.content.take_warnings().into_iter().map(|w| format!("{path}: {w}")));
        warnings.truncate(limits::MAX_WARNINGS);
        warnings
    }
}

impl Open {
    fn place(&self, playlist: &str) -> String {
        let what = if self.what == What::Segment { "segment" } else { "initialization section" };
        format!("{playlist}: line {}: {what} {}", self.line, self.path)
    }

    fn new(what: What, path: &str, line: usize, range: Option<&Range<u64>>) -> Self {
        let start = range.map_or(0, |r| r.start);
        Self { what, path: path.to_owned(), line, start, end: range.map(|r| r.end), at: start }
    }
}
