//! What a job answers: everything but the bytes of media is here, and the length of everything is known.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::SourceObject;
use crate::limits;
use crate::segment::recipe::Recipe;

/// Changes when the same request would give other bytes; part of every entity tag.
pub const FORMAT_VERSION: u32 = 3;

/// How long an answer may be kept by caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheClass {
    /// The URL names these bytes for ever.
    Immutable,
    /// A manifest of a finished asset: replaced only by an administrator.
    VodManifest,
    /// A manifest of a live channel: another one replaces it soon.
    LiveManifest {
        /// For how many seconds it may be kept.
        seconds: u32,
    },
}

/// A stretch of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes made here.
    Bytes(Bytes),
    /// Bytes of a source as they are stored.
    Source {
        /// Which object.
        object: Arc<SourceObject>,
        /// Byte range in it.
        range: Range<u64>,
    },
    /// Bytes that are made from bytes of sources while they are sent.
    Made {
        /// From what, and how.
        recipe: Arc<Recipe>,
        /// Which bytes of what the recipe makes.
        range: Range<u64>,
    },
}

impl Part {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Source { range, .. } | Self::Made { range, .. } => range.end.saturating_sub(range.start),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `range` of this part; positions are relative to its start and clamped to it.
    fn slice(&self, range: Range<u64>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(start as usize..end as usize)),
            Self::Source { object, range } => {
                Self::Source { object: object.clone(), range: range.start + start..range.start + end }
            }
            Self::Made { recipe, range } => {
                Self::Made { recipe: recipe.clone(), range: range.start + start..range.start + end }
            }
        }
    }
}

/// An answer. Its entity tag and length hold for the whole body, whatever range is then taken of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Media type.
    pub content_type: &'static str,
    /// How long caches may keep it.
    pub cache: CacheClass,
    /// Strong entity tag, with its quotes.
    pub etag: String,
    /// The body, in order.
    pub parts: Vec<Part>,
}

impl Response {
    /// Length of the body in bytes.
    pub fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(Part::is_empty)
    }

    /// The parts that make up `range` of the body (clamped to it), without the empty ones.
    pub fn slice(&self, range: Range<u64>) -> Vec<Part> {
        let mut at = 0u64;
        let mut parts = Vec::new();
        for part in &self.parts {
            let (start, end) = (at, at + part.len());
            at = end;
            let wanted = range.start.max(start)..range.end.min(end);
            if wanted.start < wanted.end {
                parts.push(part.slice(wanted.start - start..wanted.end - start));
            }
        }
        parts
    }
}

/// One thing to do, in order, to send a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Send {
    /// Send these bytes.
    Bytes(Bytes),
    /// Ask a source for `range`, and of what comes send only `keep`, in between sending `Bytes` that are listed in `keep`.
    Read {
        /// Which object.
        object: Arc<SourceObject>,
        /// The one byte range to ask for.
        range: Range<u64>,
        /// What to send while it arrives: ascending stretches of the source, and bytes of ours between them.
        keep: Vec<Keep>,
    },
    /// Send what a [`crate::make::Maker`] makes.
    Make {
        /// From what, and how.
        recipe: Arc<Recipe>,
        /// Which bytes of it.
        range: Range<u64>,
    },
}

/// What to do while one read of a source arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Send these bytes before going on.
    Bytes(Bytes),
    /// Send this stretch of the source (absolute positions); what comes before it is dropped.
    Range(Range<u64>),
}

/// Turns parts into the fewest reads: stretches of one source that ascend with gaps of at most
/// [`limits::MAX_READ_GAP`] become one read, even when bytes of ours stand between them.
pub fn plan(parts: Vec<Part>) -> Vec<Send> {
    let mut plan: Vec<Send> = Vec::new();
    // Bytes that follow a read wait here until it is known whether that read goes on after them.
    let mut pending: Vec<Bytes> = Vec::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) if bytes.is_empty() => {}
            Part::Bytes(bytes) => match plan.last() {
                Some(Send::Read { .. }) => pending.push(bytes),
                _ => plan.push(Send::Bytes(bytes)),
            },
            Part::Source { range, .. } if range.is_empty() => {}
            Part::Made { range, .. } if range.is_empty() => {}
            Part::Made { recipe, range } => {
                plan.extend(pending.drain(..).map(Send::Bytes));
                plan.push(Send::Make { recipe, range });
            }
            Part::Source { object, range } => {
                if let Some(Send::Read { object: last, range: read, keep }) = plan.last_mut()
                    && (Arc::ptr_eq(last, &object) || *last == object)
                    && range.start >= read.end
                    && range.start - read.end <= limits::MAX_READ_GAP
                {
                    match keep.last_mut() {
                        Some(Keep::Range(kept)) if kept.end == range.start && pending.is_empty() => {
                            kept.end = range.end
                        }
                        _ => {
                            keep.extend(pending.drain(..).map(Keep::Bytes));
                            keep.push(Keep::Range(range.clone()));
                        }
                    }
                    read.end = range.end;
                } else {
                    plan.extend(pending.drain(..).map(Send::Bytes));
                    plan.push(Send::Read { object, range: range.clone(), keep: vec![Keep::Range(range)] });
                }
            }
        }
    }
    plan.extend(pending.into_iter().map(Send::Bytes));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Part {
        Part::Bytes(Bytes::from_static(text.as_bytes()))
    }

    fn object(path: &str) -> Arc<SourceObject> {
        Arc::new(SourceObject { path: path.into(), bytes: 1 << 20, etag: None })
    }

    fn source(range: Range<u64>) -> Part {
        Part::Source { object: object("a"), range }
    }

    #[test]
    fn one_segment_is_one_read() {
        let parts =
            vec![bytes("moof"), source(100..200), source(200..250), bytes("moof2"), source(300..400), bytes("end")];
        let plan = plan(parts);
        assert_eq!(
            plan,
            vec![
                Send::Bytes(Bytes::from_static(b"moof")),
                Send::Read {
                    object: object("a"),
                    range: 100..400,
                    keep: vec![Keep::Range(100..250), Keep::Bytes(Bytes::from_static(b"moof2")), Keep::Range(300..400)],
                },
                Send::Bytes(Bytes::from_static(b"end")),
            ]
        );
    }

    #[test]
    fn far_or_backward_stretches_are_reads_of_their_own() {
        let far = 200 + limits::MAX_READ_GAP + 1;
        let reads = |parts| plan(parts).iter().filter(|s| matches!(s, Send::Read { .. })).count();
        assert_eq!(reads(vec![source(100..200), source(far..far + 1)]), 2);
        assert_eq!(reads(vec![source(100..200), source(0..50)]), 2);
        assert_eq!(reads(vec![source(100..200), Part::Source { object: object("b"), range: 200..300 }]), 2);
    }

    #[test]
    fn any_slice_is_the_slice_of_the_whole() {
        let media: Vec<u8> = (0..=255).collect();
        let flat = |parts: &[Part]| -> Vec<u8> {
            parts
                .iter()
                .flat_map(|part| match part {
                    Part::Bytes(bytes) => bytes.to_vec(),
                    Part::Source { range, .. } | Part::Made { range, .. } => {
                        media[range.start as usize..range.end as usize].to_vec()
                    }
                })
                .collect()
        };
        let response = Response {
            content_type: "video/mp4",
            cache: CacheClass::Immutable,
            etag: "\"x\"".into(),
            parts: vec![bytes("head"), source(10..20), bytes(""), source(30..31), bytes("tail")],
        };
        let whole = flat(&response.parts);
        assert_eq!(whole.len() as u64, response.len());
        for start in 0..whole.len() {
            for end in start..=whole.len() {
                assert_eq!(flat(&response.slice(start as u64..end as u64)), whole[start..end]);
            }
        }
        assert_eq!(flat(&response.slice(5..1000)), whole[5..]);
    }
}
