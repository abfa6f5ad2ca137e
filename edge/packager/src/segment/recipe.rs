//! What a body is made from.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::aes::padded_bytes;
use crate::cenc::Cipher;
use crate::cenc::subsample::Subsample;
use crate::config::{Iv, SourceObject};
use crate::index::block::Sample;
use crate::index::head::ElementaryStream;
use crate::media::protection::Key;
use crate::segment::ts::{self, AudioStream, Before, Tag, Unit};

/// From what a body is made, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The tracks whose samples it holds.
    pub streams: Vec<Stream>,
    /// What the samples are written into.
    pub program: Program,
    /// In the order of the output.
    pub sections: Vec<Section>,
    /// Length of the output in bytes, before it is encrypted as a whole.
    pub bytes: u64,
    /// With what the whole output is encrypted (METHOD=AES-128: CBC mode with the padding of PKCS #7), if it is.
    pub envelope: Option<Secret>,
}

/// A content key and an initialisation vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The key.
    pub key: Arc<Key>,
    /// The initialisation vector.
    pub iv: Iv,
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
    /// The subsamples of all samples, one sample after the other, when it is encrypted.
    pub subsamples: Vec<Subsample>,
    /// Where in `subsamples` those of each sample end; empty when samples are encrypted as a whole, or not at all.
    pub subsample_ends: Vec<u32>,
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
    /// With a transport stream: how many samples are in it and the reads that go on with it.
    pub samples: u32,
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
    /// The same, with the samples encrypted.
    Protected(Cipher),
    /// One stream: after the head of a section, its frames as packed audio has them.
    Packed {
        /// How they are written.
        stream: AudioStream,
        /// With what they are encrypted (METHOD=SAMPLE-AES), if they are.
        sample_aes: Option<Secret>,
    },
    /// A transport stream of one or two streams, video and audio, and timed metadata. Each section is a fragment.
    Transport(Box<Transport>),
}

/// A transport stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its streams.
    pub program: ts::Program,
    /// With what samples are encrypted (METHOD=SAMPLE-AES), if they are.
    pub sample_aes: Option<Secret>,
    /// One for each sample of the first stream.
    pub video: Vec<Unit>,
    /// One for each sample of the second stream.
    pub audio: Vec<Unit>,
    /// Timed metadata.
    pub tags: Vec<Tag>,
    /// One for each of `tags`: its bytes.
    pub messages: Vec<Bytes>,
    /// What each section has beside its samples.
    pub fragments: Vec<Fragment>,
}

/// What a section of a transport stream has beside its samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The time for which it has the clock; see [`ts::Fragment::span`].
    pub span: Range<i64>,
    /// Which tags are in it.
    pub tags: Range<usize>,
    /// What stands before it in the title.
    pub before: Before,
}

impl Recipe {
    /// Length of the output in bytes.
    pub fn length(&self) -> u64 {
        if self.envelope.is_some() { padded_bytes(self.bytes) } else { self.bytes }
    }

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
                + size_of_val(stream.subsamples.as_slice())
                + size_of_val(stream.subsample_ends.as_slice())
        });
        let sections =
            self.sections.iter().map(|s| size_of::<Section>() + s.head.len() + size_of_val(s.shares.as_slice()));
        let program = match &self.program {
            Program::Plain | Program::Protected(_) | Program::Packed { .. } => 0,
            Program::Transport(t) => {
                size_of_val(t.video.as_slice())
                    + size_of_val(t.audio.as_slice())
                    + size_of_val(t.fragments.as_slice())
                    + t.messages.iter().map(|m| m.len() + size_of::<Tag>()).sum::<usize>()
            }
        };
        size_of::<Self>() + streams.sum::<usize>() + sections.sum::<usize>() + program
    }
}
