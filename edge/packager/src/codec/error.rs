//! What is wrong with a sample entry.

use core::fmt;

use super::{FourCc, rfc6381};

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The track is encrypted (`encv`, `enca`, or a `sinf` box).
    Encrypted,
    /// A codec, or a flavour of one, that is not handled; the FourCC of its sample entry.
    Unsupported(FourCc),
    /// The sample entry breaks its format.
    Malformed,
}

/// A failure: what, where in the sample entry, and which value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The class.
    pub kind: ErrorKind,
    /// Boxes from the sample entry inwards, e.g. `avc1/avcC`.
    pub path: String,
    /// Bytes from the start of the data of the sample entry, that is after its box header.
    pub offset: usize,
    /// What is wrong, with the value.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.path, self.offset)?;
        match self.kind {
            ErrorKind::Encrypted => write!(f, "encrypted: {}", self.what),
            ErrorKind::Unsupported(fourcc) => write!(f, "unsupported `{}`: {}", rfc6381::name(fourcc), self.what),
            ErrorKind::Malformed => f.write_str(&self.what),
        }
    }
}

impl core::error::Error for Error {}

/// What is wrong inside the payload of a box.
#[derive(Debug)]
pub(super) struct Malformed {
    pub offset: usize,
    pub what: String,
}

impl Malformed {
    pub fn new(offset: usize, what: impl Into<String>) -> Self {
        Self { offset, what: what.into() }
    }
}
