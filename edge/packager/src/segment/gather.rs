//! Where the samples of a segment are, gathered from the blocks of an index.

use core::ops::Range;
use std::sync::Arc;

use crate::bytes::Reader;
use crate::cenc::subsample::{self, Alignment, Subsample};
use crate::config::SourceObject;
use crate::error::{Error, Result};
use crate::index::Track;
use crate::index::block::{Block, Sample, Stretch, read_stretches};
use crate::index::head::{ElementaryStream, Storage};
use crate::limits;
use crate::media::segmenter::Segment;
use crate::segment::recipe::{Read, Share, Stream};

/// A track and what of the index a segment of it needs.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The track.
    pub track: &'a Track,
    /// Bytes of the index from the block of the segment's first fragment on.
    pub blocks: &'a [u8],
    /// The source files of the asset.
    pub sources: &'a [Arc<SourceObject>],
}

/// The block of one fragment of the segment.
///
/// # Errors
/// `Internal` when `stored` does not hold it.
pub fn fragment_data<'a>(stored: Stored<'a>, segment: &Segment, number: usize) -> Result<&'a [u8]> {
    let base = stored.track.blocks(segment.fragments.clone()).start;
    let fragment = stored.track.fragments.get(number);
    let data = fragment.and_then(|f| {
        let start = usize::try_from(f.block_offset.checked_sub(base)?).ok()?;
        stored.blocks.get(start..)?.get(..f.block_bytes as usize)
    });
    data.ok_or_else(|| Error::internal("the blocks of a segment were not supplied whole"))
}

/// Samples and reads of one track, fragment after fragment. Its vectors are used again by all fragments.
#[derive(Debug, Default)]
pub struct Gathered {
    block: Block,
    /// All samples so far; only kept for a body that is made.
    pub samples: Vec<Sample>,
    /// As [`Stream::annex_b`].
    pub annex_b: Vec<i32>,
    /// As [`Block::sample_aes`].
    pub sample_aes: Vec<u32>,
    /// All reads so far.
    pub reads: Vec<Read>,
    /// How subsamples are aligned; `None` when none are wanted.
    pub alignment: Option<Alignment>,
    /// As [`Stream::subsamples`].
    pub subsamples: Vec<Subsample>,
    /// As [`Stream::subsample_ends`].
    pub subsample_ends: Vec<u32>,
    stretches: Vec<Stretch>,
}

impl Gathered {
    /// Adds the fragments of `group` and calls `each` with every sample of them.
    ///
    /// # Errors
    /// `BadSource` when a block breaks its format.
    pub fn add(
        &mut self,
        stored: Stored<'_>,
        segment: &Segment,
        group: Range<usize>,
        mut each: impl FnMut(&Sample),
    ) -> Result<Share> {
        let (first_sample, first_read) = (self.samples.len(), self.reads.len());
        for number in group {
            let Some(fragment) = stored.track.fragments.get(number) else { continue };
            let block = &mut self.block;
            let rest = block.read(stored.track, fragment, fragment_data(stored, segment, number)?)?;
            block.samples.iter().for_each(&mut each);
            if let Some(alignment) = self.alignment {
                let mut rest = Reader::new(rest, fragment.block_offset);
                for sample in &block.samples {
                    read_stretches(&mut rest, sample.size, &mut self.stretches)?;
                    subsample::split(alignment, &self.stretches, |subsample| self.subsamples.push(subsample));
                    self.subsample_ends.push(u32::try_from(self.subsamples.len()).unwrap_or(u32::MAX));
                }
            }
            self.samples.extend_from_slice(&block.samples);
            self.annex_b.extend_from_slice(&block.annex_b);
            self.sample_aes.extend_from_slice(&block.sample_aes);
            let reads = &mut self.reads;
            match &stored.track.storage {
                Storage::File(source) => {
                    let object = stored.sources.get(usize::from(*source));
                    let object = object.ok_or_else(|| Error::internal("a track of a file that the asset lacks"))?;
                    block.extents.iter().for_each(|extent| push(reads, first_read, object, extent.range.clone()));
                }
                Storage::Objects { .. } => {
                    for extent in &block.extents {
                        block.locate(extent.range.clone(), |object, range| push(reads, first_read, object, range))?;
                    }
                }
                Storage::Transport { .. } => {
                    for packets in &block.packets {
                        let mut skip = Some(packets.skip);
                        block.locate(packets.range.clone(), |object, range| {
                            let skip = skip.take();
                            let samples = if skip.is_some() { packets.samples } else { 0 };
                            reads.push(Read { object: object.clone(), range, pid: packets.pid, skip, samples });
                        })?;
                    }
                }
                Storage::Index => {}
            }
            if reads.len() > limits::MAX_SEGMENT_EXTENTS {
                return Err(Error::limit(format!(
                    "the segment lies in more than {} pieces",
                    limits::MAX_SEGMENT_EXTENTS
                )));
            }
        }
        Ok(Share { samples: first_sample..self.samples.len(), reads: first_read..self.reads.len() })
    }

    /// What was gathered, as a stream of a recipe.
    pub fn stream(self, carriage: Option<ElementaryStream>) -> Stream {
        Stream {
            carriage,
            reads: self.reads,
            samples: self.samples,
            annex_b: self.annex_b,
            subsamples: self.subsamples,
            subsample_ends: self.subsample_ends,
        }
    }
}

/// Appends a read, or lengthens the last one, unless it belongs to what was gathered before `first`.
fn push(reads: &mut Vec<Read>, first: usize, object: &Arc<SourceObject>, range: Range<u64>) {
    match reads.get_mut(first..).and_then(<[Read]>::last_mut) {
        Some(last) if Arc::ptr_eq(&last.object, object) && last.range.end == range.start => last.range.end = range.end,
        _ => reads.push(Read { object: object.clone(), range, pid: 0, skip: None, samples: 0 }),
    }
}
