//! What a body is made from.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::SourceObject;
use crate::index::block::Sample;
use crate::index::head::ElementaryStream;

/// From what a body is made, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The tracks whose samples it holds.
    pub streams: Vec<Stream>,
    /// What the samples are written into.
    pub program: Program,
    /// In the order of the output.
    pub sections: Vec<Section>,
    /// Length of the output in bytes.
    pub bytes: u64,
}

/// A track in a recipe.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    /// How the samples lie in what is read: out of a transport stream, or as they are stored.
    pub carriage: Option<ElementaryStream>,
    /// What is read, in the order of the samples.
    pub reads: Vec<Read>,
    /// In decoding order.
    pub samples: Vec<Sample>,
    /// For each sample, its size as a NAL unit byte stream minus its stored size; empty when all are 0.
    pub annex_b: Vec<i32>,
}

/// A stretch of an object that samples are taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which object.
    pub object: Arc<SourceObject>,
    /// Byte range in it.
    pub range: Range<u64>,
    /// With a transport stream: the packet identifier.
    pub pid: u16,
    /// With a transport stream: bytes of the elementary stream to pass over. `None`: it goes on with the read before.
    pub skip: Option<u32>,
}

/// A stretch of the output that is made from reads of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it begins in the output.
    pub start: u64,
    /// Bytes of ours that it begins with.
    pub head: Bytes,
    /// What it takes of each stream, in the order of [`Recipe::streams`].
    pub shares: Vec<Share>,
}

/// What a section takes of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Which of its samples.
    pub samples: Range<usize>,
    /// Which of its reads.
    pub reads: Range<usize>,
}

/// What samples are written into.
#[derive(Debug, PartialEq, Eq)]
pub enum Program {
    /// One stream: after the head of a section, its samples one after the other.
    Plain,
}

impl Recipe {
    /// About how many bytes of memory it holds. An object that several reads name counts once for each run of them.
    pub fn memory(&self) -> usize {
        let streams = self.streams.iter().map(|stream| {
            let mut objects = 0;
            let mut last: Option<&Arc<SourceObject>> = None;
            for read in &stream.reads {
                if !last.is_some_and(|last| Arc::ptr_eq(last, &read.object)) {
                    objects += read.object.memory();
                }
                last = Some(&read.object);
            }
            size_of::<Stream>()
                + objects
                + size_of_val(stream.reads.as_slice())
                + size_of_val(stream.samples.as_slice())
                + size_of_val(stream.annex_b.as_slice())
        });
        let sections =
            self.sections.iter().map(|s| size_of::<Section>() + s.head.len() + size_of_val(s.shares.as_slice()));
        size_of::<Self>() + streams.sum::<usize>() + sections.sum::<usize>()
    }
}
