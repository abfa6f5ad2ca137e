//! The samples of a stream, taken out of what arrives.

use super::input::{Buffer, Stretch};
use crate::error::{Error, Result};
use crate::segment::recipe::Stream;

/// Goes through the reads of one stream.
#[derive(Debug)]
pub(super) struct Samples {
    stretches: Vec<Stretch>,
    /// Position among the stretches.
    at: usize,
    /// Bytes of the sample that is being put together which are still to come.
    left: Option<u32>,
}

/// What became of a wish for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is there.
    Whole,
    /// More of this input has to arrive first.
    Need(usize),
}

impl Samples {
    pub fn new(_stream: &Stream, stretches: Vec<Stretch>) -> Self {
        Self { stretches, at: 0, left: None }
    }

    /// Where in `input` the next byte is that this stream needs; `None` when it needs none of it any more.
    pub fn needs(&self, input: usize) -> Option<u64> {
        let rest = self.stretches.get(self.at..).unwrap_or_default();
        rest.iter().find(|s| s.input == input).map(|s| s.range.start)
    }

    /// Goes to the first stretch of a section.
    pub fn enter(&mut self, stretch: usize) {
        self.at = stretch;
        self.left = None;
    }

    /// Appends the next sample, of `size` bytes, to `out`; to be called with the same `size` and `out` until it is whole.
    ///
    /// # Errors
    /// `BadSource` when the reads end before the sample does.
    pub fn take(&mut self, size: u32, inputs: &[Buffer], out: &mut Vec<u8>) -> Result<Taken> {
        let mut left = self.left.take().unwrap_or(size);
        while left > 0 {
            let Some(stretch) = self.stretches.get_mut(self.at) else {
                return Err(Error::bad_source("index: the reads of a segment end before its samples do"));
            };
            if stretch.range.is_empty() {
                self.at += 1;
                continue;
            }
            let Some(buffer) = inputs.get(stretch.input) else {
                return Err(Error::internal("a read without an input"));
            };
            let bytes = buffer.view(&stretch.range)?;
            let bytes = bytes.get(..left as usize).unwrap_or(bytes);
            if bytes.is_empty() {
                if buffer.complete() {
                    return Err(Error::bad_source("index: the reads of a segment end before its samples do"));
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
}
