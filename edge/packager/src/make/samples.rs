//! The samples of a stream, taken out of what arrives.

use super::input::{Buffer, Stretch};
use crate::error::{Error, Result};
use crate::index::head::ElementaryStream;
use crate::segment::recipe::Stream;
use crate::source::transport::{EsCodec, Extractor};

/// Goes through the reads of one stream.
#[derive(Debug)]
pub(super) struct Samples {
    carriage: Option<EsCodec>,
    stretches: Vec<Stretch>,
    /// Position among the stretches.
    at: usize,
    /// As stored: bytes of the sample that is being put together which are still to come.
    left: Option<u32>,
    /// Out of a transport stream: what takes the samples out of the current run of stretches.
    run: Option<Run>,
}

/// Stretches of one PID that follow each other, and the samples in them.
#[derive(Debug)]
struct Run {
    extractor: Extractor,
    samples: u32,
}

/// What became of a wish for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is there.
    Whole,
    /// More of this input has to arrive first.
    Need(usize),
}

fn codec(stream: ElementaryStream) -> EsCodec {
    match stream {
        ElementaryStream::Avc => EsCodec::Avc,
        ElementaryStream::Hevc => EsCodec::Hevc,
        ElementaryStream::Adts => EsCodec::AacAdts,
        ElementaryStream::Latm => EsCodec::AacLatm,
        ElementaryStream::Ac3 => EsCodec::Ac3,
        ElementaryStream::Eac3 => EsCodec::Eac3,
        ElementaryStream::Mp3 => EsCodec::Mp3,
    }
}

fn ended() -> Error {
    Error::bad_source("index: the reads of a segment end before its samples do")
}

impl Samples {
    pub fn new(stream: &Stream, stretches: Vec<Stretch>) -> Self {
        Self { carriage: stream.carriage.map(codec), stretches, at: 0, left: None, run: None }
    }

    /// Where in `input` the first byte is that this stream still needs; `None` when it needs none of it any more.
    pub fn needs(&self, input: usize) -> Option<u64> {
        // Runs of packets may overlap: the end of one frame and the start of the next share a packet.
        let rest = self.stretches.get(self.at..).unwrap_or_default();
        rest.iter().filter(|s| s.input == input && !s.range.is_empty()).map(|s| s.range.start).min()
    }

    /// Goes to the first stretch of a section.
    pub fn enter(&mut self, stretch: usize) {
        self.at = stretch;
        self.left = None;
        self.run = None;
    }

    /// Appends the next sample, of `size` bytes, to `out`; to be called with the same `size` and `out` until it is whole.
    ///
    /// # Errors
    /// `BadSource` when the reads end before the sample does, or hold something else.
    pub fn take(&mut self, size: u32, inputs: &[Buffer], out: &mut Vec<u8>) -> Result<Taken> {
        match self.carriage {
            None => self.stored(size, inputs, out),
            Some(codec) => self.carried(codec, size, inputs, out),
        }
    }

    fn stored(&mut self, size: u32, inputs: &[Buffer], out: &mut Vec<u8>) -> Result<Taken> {
        let mut left = self.left.take().unwrap_or(size);
        while left > 0 {
            let stretch = self.stretches.get_mut(self.at).ok_or_else(ended)?;
            if stretch.range.is_empty() {
                self.at += 1;
                continue;
            }
            let buffer = inputs.get(stretch.input).ok_or_else(|| Error::internal("a read without an input"))?;
            let bytes = buffer.view(&stretch.range)?;
            let bytes = bytes.get(..left as usize).unwrap_or(bytes);
            if bytes.is_empty() {
                if buffer.complete() {
                    return Err(ended());
                }
                self.left = Some(left);
                return Ok(Taken::Need(stretch.input));
            }
            out.extend_from_slice(bytes);
            stretch.range.start += bytes.len() as u64;
            left -= bytes.len() as u32;
        }
        Ok(Taken::Whole)
    }

    fn carried(&mut self, codec: EsCodec, size: u32, inputs: &[Buffer], out: &mut Vec<u8>) -> Result<Taken> {
        if self.run.as_ref().is_none_or(|run| run.samples == 0) {
            self.begin(codec)?;
        }
        let Self { run, stretches, at, .. } = self;
        let run = run.as_mut().ok_or_else(ended)?;
        while !run.extractor.next(size, out)? {
            let stretch = stretches.get_mut(*at).ok_or_else(ended)?;
            if stretch.range.is_empty() {
                match stretches.get(*at + 1) {
                    Some(next) if next.skip.is_none() => *at += 1,
                    _ => run.extractor.finish(),
                }
                continue;
            }
            let buffer = inputs.get(stretch.input).ok_or_else(|| Error::internal("a read without an input"))?;
            let bytes = buffer.view(&stretch.range)?;
            if bytes.is_empty() {
                return if buffer.complete() { Err(ended()) } else { Ok(Taken::Need(stretch.input)) };
            }
            run.extractor.push(bytes)?;
            stretch.range.start += bytes.len() as u64;
        }
        run.samples -= 1;
        Ok(Taken::Whole)
    }

    /// Goes to the next run that has samples.
    fn begin(&mut self, codec: EsCodec) -> Result<()> {
        if self.run.take().is_some() {
            self.at += 1;
        }
        let rest = self.stretches.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|s| s.skip.is_some() && s.samples > 0).ok_or_else(ended)?;
        let stretch = self.stretches.get(self.at).ok_or_else(ended)?;
        let extractor = Extractor::new(stretch.pid, codec, stretch.skip.unwrap_or(0));
        self.run = Some(Run { extractor, samples: stretch.samples });
        Ok(())
    }
}
