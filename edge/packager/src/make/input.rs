//! Bytes of objects as they arrive, kept until no stream needs them.

use core::ops::Range;
use std::sync::Arc;

use crate::config::SourceObject;
use crate::error::{Error, Result};
use crate::limits;
use crate::segment::recipe::{Read, Stream};

/// A stretch of an object that is read once, from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Which object.
    pub object: Arc<SourceObject>,
    /// Byte range in it.
    pub range: Range<u64>,
}

/// What a stream reads, as stretches of inputs.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Position among the inputs.
    pub input: usize,
    /// Byte range in its object.
    pub range: Range<u64>,
    /// As [`Read::pid`].
    pub pid: u16,
    /// As [`Read::skip`].
    pub skip: Option<u32>,
    /// As [`Read::samples`].
    pub samples: u32,
}

/// Joins the reads of all streams into the fewest inputs: what overlaps or is near in one object is read once.
///
/// A stream has to go through an input forwards; where its reads go back, an input of its own begins.
pub(super) fn join(streams: &[Stream], wanted: &[Range<usize>]) -> (Vec<Input>, Vec<Vec<Stretch>>) {
    struct Claim<'a> {
        read: &'a Read,
        pass: usize,
        stream: usize,
        number: usize,
    }
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for (stream, (reads, wanted)) in streams.iter().map(|s| &s.reads).zip(wanted).enumerate() {
        let (mut pass, mut last) = (0, None::<&Read>);
        for (number, read) in reads.get(wanted.clone()).unwrap_or_default().iter().enumerate() {
            if last.is_some_and(|l| same(l, read) && read.range.start < l.range.start) {
                pass += 1;
            }
            last = Some(read);
            claims.push(Claim { read, pass, stream, number });
        }
    }
    let mut stretches: Vec<Vec<Option<Stretch>>> = wanted.iter().map(|w| vec![None; w.len()]).collect();
    claims.sort_by(|a, b| {
        let key = |c: &Claim<'_>| (c.pass, c.read.range.start);
        a.read.object.path.cmp(&b.read.object.path).then(key(a).cmp(&key(b)))
    });
    let mut inputs: Vec<(Input, usize)> = Vec::new();
    for claim in &claims {
        let range = claim.read.range.clone();
        match inputs.last_mut() {
            Some((input, pass))
                if *pass == claim.pass
                    && (Arc::ptr_eq(&input.object, &claim.read.object) || *input.object == *claim.read.object)
                    && range.start <= input.range.end.saturating_add(limits::MAX_READ_GAP) =>
            {
                input.range.end = input.range.end.max(range.end);
            }
            _ => inputs.push((Input { object: claim.read.object.clone(), range: range.clone() }, claim.pass)),
        }
        let slot = stretches.get_mut(claim.stream).and_then(|s| s.get_mut(claim.number));
        if let Some(slot) = slot {
            let Read { pid, skip, samples, .. } = *claim.read;
            *slot = Some(Stretch { input: inputs.len() - 1, range, pid, skip, samples });
        }
    }
    let inputs = inputs.into_iter().map(|(input, _)| input).collect();
    (inputs, stretches.into_iter().map(|s| s.into_iter().flatten().collect()).collect())
}

fn same(a: &Read, b: &Read) -> bool {
    Arc::ptr_eq(&a.object, &b.object) || a.object == b.object
}

/// What has arrived of an input and may still be needed.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Position in the object of the first byte that is kept.
    start: u64,
    end: u64,
    data: Vec<u8>,
}

impl Buffer {
    pub fn new(input: &Input) -> Self {
        Self { start: input.range.start, end: input.range.end, data: Vec::new() }
    }

    /// What is there of `range`, from its start on; empty when nothing is yet.
    ///
    /// # Errors
    /// `BadSource` when it was given up already: the index names bytes out of order.
    pub fn view(&self, range: &Range<u64>) -> Result<&[u8]> {
        let gone = || Error::bad_source("index: the reads of a segment are out of order");
        let from = usize::try_from(range.start.checked_sub(self.start).ok_or_else(gone)?).unwrap_or(usize::MAX);
        let to = usize::try_from(range.end.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.data.len());
        Ok(self.data.get(from..to).unwrap_or_default())
    }

    /// Takes in what arrived, and gives back an empty vector to read into. Nothing is copied when all before was given up.
    ///
    /// # Errors
    /// `Upstream` when more comes than was asked for.
    pub fn supply(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let room = self.end.saturating_sub(self.start).saturating_sub(self.data.len() as u64);
        if bytes.len() as u64 > room {
            return Err(Error::upstream("the origin sent more than it was asked for"));
        }
        if self.data.is_empty() {
            core::mem::swap(&mut self.data, &mut bytes);
        } else {
            self.data.append(&mut bytes);
        }
        Ok(bytes)
    }

    /// Whether everything of the input has come.
    pub fn complete(&self) -> bool {
        self.start + self.data.len() as u64 >= self.end
    }

    /// Gives up what is before `position`, when that is worth moving the rest.
    pub fn release(&mut self, position: u64) {
        let free = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.data.len());
        if free * 2 >= self.data.len() && free > 0 {
            self.data.drain(..free);
            self.start += free as u64;
        }
    }
}
