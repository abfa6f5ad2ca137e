//! Segments of WebVTT, gathered into cues of the presentation.

use super::content::Segment;
use super::join::Timeline;
use super::stream::PartId;
use crate::error::{Error, Result};
use crate::limits;
use crate::media::time::Instant;
use crate::text::{self, Document, Placement};

/// Ticks a second of a transport stream's clock, which X-TIMESTAMP-MAP refers to.
const CLOCK: u32 = 90_000;
/// Values that the clock takes.
const WRAP: i64 = 1 << 33;

/// The subtitles of a rendition.
#[derive(Debug, Default)]
pub struct Subtitles {
    /// What was read of the current segment.
    held: Vec<u8>,
    segment: Option<Segment>,
    documents: Vec<Located>,
    bytes: usize,
    cues: usize,
}

#[derive(Debug)]
struct Located {
    segment: usize,
    discontinuity: u32,
    document: Document,
}

impl Subtitles {
    /// A segment begins.
    pub fn begin(&mut self, segment: Segment) {
        self.held.clear();
        self.segment = Some(segment);
    }

    /// Brings the next bytes.
    ///
    /// # Errors
    /// `Limit` when the segment is too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.held.len() + bytes.len() > limits::MAX_TEXT_FILE_BYTES {
            return Err(Error::limit(format!("it has more than {} bytes", limits::MAX_TEXT_FILE_BYTES)));
        }
        if self.bytes > limits::MAX_TEXT_RENDITION_BYTES {
            return Err(Error::limit(format!(
                "with it the rendition has more than {} bytes",
                limits::MAX_TEXT_RENDITION_BYTES
            )));
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// The segment is complete.
    ///
    /// # Errors
    /// With its line: what is no WebVTT.
    pub fn finish_segment(&mut self) -> Result<()> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let document = text::parse(&core::mem::take(&mut self.held))?;
        self.cues = self.cues.saturating_add(document.cues.len());
        // Cues are repeated in the segments that they are shown in; merging takes the copies away later.
        if self.cues > limits::MAX_TEXT_CUES.saturating_mul(4) {
            return Err(Error::limit(format!("more than {} cues in the segments of one rendition", self.cues - 1)));
        }
        self.documents.push(Located { segment: segment.number, discontinuity: segment.discontinuity, document });
        Ok(())
    }

    /// One document in presentation times. `starts` are the beginnings of the segments in milliseconds, as the playlist has
    /// them; `origin` is the time on the joined timeline that is presentation time 0.
    ///
    /// # Errors
    /// `Limit` with too many cues.
    pub fn finish(self, starts: &[u64], timeline: &Timeline, origin: Instant) -> Result<Document> {
        let placed = self.documents.into_iter().map(|located| {
            let id = PartId { discontinuity: located.discontinuity, untagged: 0 };
            let zero = Instant { ticks: 0, timescale: CLOCK };
            let joined = timeline.place(id, zero, false).unwrap_or(0);
            let clock = origin.in_timescale(CLOCK).saturating_sub(joined).rem_euclid(WRAP);
            let segment_start = starts.get(located.segment).copied().unwrap_or(0);
            located.document.placed(Placement { origin: clock.unsigned_abs(), segment_start })
        });
        text::merge(placed.collect::<Vec<_>>())
    }
}
