//! One segment that was pushed.

use crate::error::{Error, Result};
use crate::ingest::hls::content::{Content, Segment};
use crate::ingest::hls::stream::Stream;
use crate::limits;
use crate::media::time::Instant;
use crate::mp4::movie::Handler;
use crate::source::edit;
use crate::source::hls::{Container, Space};

/// Reads one segment from front to back.
#[derive(Debug)]
pub struct Reader {
    path: String,
    bytes: u64,
    etag: Option<String>,
    container: Container,
    content: Content,
    space: Space,
    at: u64,
}

/// A segment that was read, and can be made part of a position.
#[derive(Debug)]
pub struct Checked {
    pub(super) content: Content,
    pub(super) space: Space,
    start: Instant,
    end: Instant,
    wraps: bool,
    video: bool,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
}

impl Reader {
    /// Starts with the object at `path`, which has so many bytes and this entity tag, and has to be a segment of
    /// `container`: [`Container::Transport`] or [`Container::Fragments`].
    pub fn new(path: String, bytes: u64, etag: Option<String>, container: Container) -> Self {
        Self { path, bytes, etag, container, content: Content::default(), space: Space::default(), at: 0 }
    }

    /// Brings the whole initialization section of a segment of movie fragments, before the segment.
    ///
    /// # Errors
    /// With box and byte: what cannot be read; `Unsupported` when the media are encrypted.
    pub fn initialization(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        let base = self.space.open(path, length, None).base;
        let segment =
            Segment { number: 0, base, range: 0..length, discontinuity: 0, has_map: true, initialization: true };
        self.content.begin(segment, bytes)?;
        self.content.push(bytes)?;
        self.content.finish_segment()
    }

    /// Brings the next bytes of the segment; at least 200 at once as long as there are so many.
    ///
    /// # Errors
    /// What the container refuses, with the place.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.at == 0 {
            let found = Container::of(bytes).map_err(|what| Error::bad_source(format!("it is {what}")))?;
            if found != self.container {
                return Err(Error::bad_source(format!("it is {found}, the channel takes {}", self.container)));
            }
            let base = self.space.open(&self.path, self.bytes, self.etag.as_deref()).base;
            let segment = Segment {
                number: 0,
                base,
                range: 0..self.bytes,
                discontinuity: 0,
                has_map: self.container == Container::Fragments,
                initialization: false,
            };
            self.content.begin(segment, bytes)?;
        }
        self.at = self.at.saturating_add(bytes.len() as u64);
        self.content.push(bytes)
    }

    /// All bytes have been brought.
    ///
    /// # Errors
    /// `BadSource` when it is cut off, has no media, no sync sample, or times that cannot be; `Unsupported` for a codec that
    /// is not handled.
    pub fn finish(mut self) -> Result<Checked> {
        if self.at != self.bytes {
            return Err(Error::upstream(format!("{} bytes came of an object of {}", self.at, self.bytes)));
        }
        self.content.finish_segment()?;
        self.content.finish()?;
        let mut warnings = self.content.take_warnings();
        let streams = self.content.streams();
        warnings.extend(streams.iter().flat_map(|s| s.warnings.iter().cloned()));
        warnings.truncate(limits::MAX_WARNINGS);
        let lasting = || streams.iter().filter(|s| s.media.handler != Handler::Text && !s.media.samples.is_empty());
        let Some(reference) = lasting().find(|s| s.is_video()).or(lasting().next()) else {
            let what = if warnings.is_empty() { "nothing in it can be played".to_owned() } else { warnings.join("; ") };
            return Err(Error::bad_source(what));
        };
        let (start, end) = presented(reference)?;
        let timescale = reference.media.timescale;
        let seconds = end.saturating_sub(start) / i64::from(timescale.max(1));
        if seconds > i64::from(limits::MAX_POSITION_SECONDS) {
            return Err(Error::bad_source(format!("it lasts {seconds} s, more than {}", limits::MAX_POSITION_SECONDS)));
        }
        let (video, wraps) = (reference.is_video(), reference.transport.is_some());
        let at = |ticks| Instant { ticks, timescale };
        Ok(Checked { start: at(start), end: at(end), wraps, video, warnings, content: self.content, space: self.space })
    }
}

impl Checked {
    /// When its first picture, or sound where there is none, is presented, by the clock of the encoder.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When its last picture, or sound, ends.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// Whether that clock is one of 33 bits at 90 kHz.
    pub fn wraps(&self) -> bool {
        self.wraps
    }

    /// Whether it has pictures.
    pub fn has_video(&self) -> bool {
        self.video
    }
}

/// When the first sync sample of pictures, or the first sample, is presented, and when the last one ends, in ticks. Encoders that
/// begin late say so in an edit list, and let their fragments begin with 0.
fn presented(stream: &Stream) -> Result<(i64, i64)> {
    let bad = |what: &str| Err(Error::bad_source(what.to_owned()));
    if stream.parts.len() > 1 {
        return bad("its times jump inside the segment");
    }
    let Some(part) = stream.parts.first() else { return bad("nothing in it can be played") };
    let media = &stream.media;
    let (placement, _) = edit::place(&media.edits, media.movie_timescale, media.timescale);
    let mut time = part.start.saturating_add(placement.delay).saturating_sub(placement.media_time);
    let (mut start, mut end) = (None, i64::MIN);
    for sample in &stream.media.samples {
        let presented = time.saturating_add(i64::from(sample.composition_offset));
        if sample.sync || !stream.is_video() {
            start = start.or(Some(presented));
        }
        time = time.saturating_add(i64::from(sample.duration));
        end = end.max(presented.saturating_add(i64::from(sample.duration)));
    }
    match start {
        Some(start) if end > start => Ok((start, end)),
        Some(_) => bad("its pictures or sounds last no time"),
        None => bad("it has no key frame"),
    }
}
