//! How the samples of a track lie in what is stored.

use core::ops::Range;

use crate::index::head::{ElementaryStream, Stored};

/// How the samples of a track lie in a transport stream.
#[derive(Debug)]
pub struct Transport {
    /// What has to be taken apart.
    pub stream: ElementaryStream,
    /// One for each sample.
    pub places: Vec<Place>,
}

/// Where a sample lies in a transport stream.
#[derive(Clone, Debug)]
pub struct Place {
    /// Packet identifier.
    pub pid: u16,
    /// Whole packets in the space of the rendition's objects.
    pub packets: Range<u64>,
    /// Bytes of the elementary stream from the first payload to the sample.
    pub skip: u32,
    /// Whether it follows the sample before it with nothing in between.
    pub follows: bool,
}

/// How fragments of a track are stored.
#[derive(Debug)]
pub struct StoredFragments {
    /// What an initialization section has to say for them; `None` when no single one can.
    pub defaults: Option<Stored>,
    /// In order.
    pub fragments: Vec<StoredFragment>,
}

/// A `moof` and the `mdat` after it.
#[derive(Clone, Debug)]
pub struct StoredFragment {
    /// The first sample of the track in it.
    pub first: usize,
    /// Both boxes, in the space of the rendition's objects; empty when they cannot be moved.
    pub range: Range<u64>,
}
