//! A rendition is read from its first segment to its last.

use super::demultiplexer::Demultiplexer;
use super::warnings::{Spot, Warnings};
use super::{ElementaryStream, EsCodec, EsConfig, Frame, Place};
use crate::codec::{Config, Handler, SampleEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::ts::sync::Sync;

/// Reads one rendition: its segments in order.
#[derive(Clone, Debug)]
pub struct TransportReader {
    sync: Sync,
    demultiplexer: Demultiplexer,
}

impl Default for TransportReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TransportReader {
    /// Starts before the first segment.
    pub fn new() -> Self {
        Self { sync: Sync::default(), demultiplexer: Demultiplexer::default() }
    }

    /// A segment begins, also the first one. `discontinuity` as the playlist says: frames that are not yet whole end here,
    /// times, continuity counters and program tables may start anew.
    ///
    /// # Errors
    /// As [`Self::push`], of the segment before.
    pub fn segment(&mut self, discontinuity: bool, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        if self.demultiplexer.has_begun() {
            self.end_segment(sink)?;
        }
        let position = self.sync.position();
        self.demultiplexer.begin_segment(position);
        if discontinuity { self.demultiplexer.reset(true, sink) } else { Ok(()) }
    }

    /// Takes bytes of the segment, in any chunking. Frames come as soon as they are whole.
    ///
    /// # Errors
    /// `BadSource` when this is no transport stream of 188-byte packets or has no program; `Unsupported` when it is
    /// encrypted or its sound cannot be put into MP4; `Limit`. Each with the segment, and with packet and PID.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let Self { sync, demultiplexer } = self;
        demultiplexer.begin_first();
        let pushed = sync.push(bytes, &mut |found| demultiplexer.found(&found, sink));
        pushed.map_err(|error| demultiplexer.place(error))
    }

    /// The last segment is over: gives the last frames.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        self.demultiplexer.begin_first();
        self.end_segment(sink)?;
        self.demultiplexer.reset(false, sink)?;
        self.demultiplexer.leave_out_empty();
        Ok(())
    }

    fn end_segment(&mut self, sink: &mut impl FnMut(Frame<'_>)) -> Result<()> {
        let Self { sync, demultiplexer } = self;
        let ended = sync.end_segment(&mut |found| demultiplexer.found(&found, sink));
        let left = ended.map_err(|error| demultiplexer.place(error))?;
        if left > 0 {
            demultiplexer.warn("the segment ends with bytes that are no whole packet");
            demultiplexer.reset(false, sink)?;
        }
        demultiplexer.end_segment()
    }

    /// The streams that were found, in the order in which they were found; the number of a stream is its place here. A
    /// stream may be without frames.
    pub fn streams(&self) -> &[ElementaryStream] {
        self.demultiplexer.streams()
    }

    /// What was wrong and did not stop reading: a line for each kind, with its number and its first places.
    pub fn warnings(&self) -> Vec<String> {
        self.demultiplexer.warnings()
    }
}

/// What carvers report to.
pub(super) struct Context<'a, F> {
    pub number: usize,
    pub pid: u16,
    pub info: &'a mut ElementaryStream,
    pub warnings: &'a mut Warnings,
    pub spot: Spot,
    pub sink: &'a mut F,
}

impl<F: FnMut(Frame<'_>)> Context<'_, F> {
    pub fn give(&mut self, frame: Frame<'_>) {
        self.info.frames += 1;
        let place = Place { pid: self.pid, ..frame.place };
        (self.sink)(Frame { stream: self.number, place, ..frame });
    }

    pub fn warn(&mut self, what: &str) {
        self.warnings.add(what, 1, self.spot);
    }

    pub fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(what)
    }

    pub fn limit(&self, what: &str) -> Error {
        Error::limit(what)
    }
}

impl EsConfig {
    pub(super) fn new(sample_entry: Vec<u8>, codec: EsCodec) -> Result<Self> {
        let handler = if codec.is_video() { Handler::Video } else { Handler::Audio };
        let parts = sample_entry.get(4..8).and_then(|f| f.first_chunk()).zip(sample_entry.get(8..));
        let (fourcc, data) = parts.ok_or_else(|| Error::internal("a sample entry without a header"))?;
        let config = Config::parse(&SampleEntry { fourcc: *fourcc, handler, data })
            .map_err(|error| Error::new(ErrorKind::Unsupported, error.to_string()))?;
        Ok(Self { sample_entry: sample_entry.into(), config })
    }
}
