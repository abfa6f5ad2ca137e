//! What the samples of a segment are encrypted with.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::Iv;
use crate::media::protection::Key;
use crate::route::{TrackKind, TrackName};

/// Blocks that cbcs encrypts and passes over in the slices of video (ISO/IEC 23001-7, 10.4.2). Sound is encrypted whole.
pub const VIDEO_PATTERN: (u8, u8) = (1, 9);

/// A key and how it is applied to the samples of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// The key.
    pub key: Arc<Key>,
    /// How it is applied.
    pub mode: Mode,
}

/// How samples are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// cenc. The initialisation vector of a sample is `first` plus its number in the segment, exclusive or `mask`.
    Counter {
        /// That of the first sample of the segment, before the mask.
        first: u64,
        /// Of the key and the title.
        mask: u64,
    },
    /// cbcs. Every subsample begins anew.
    Chain {
        /// The constant initialisation vector.
        iv: Iv,
        /// Whether only one block of ten is encrypted: video.
        pattern: bool,
    },
}

impl Mode {
    /// The initialisation vector of a sample of the segment under cenc; nothing under cbcs, where it is constant.
    pub fn sample_iv(&self, number: usize) -> Option<u64> {
        match self {
            Self::Counter { first, mask } => Some(first.wrapping_add(number as u64) ^ mask),
            Self::Chain { .. } => None,
        }
    }
}

/// Where the initialisation vectors of a track begin and what they are mixed with: `(first, mask)`.
///
/// Under one key no two samples may have the same vector (ISO/IEC 23001-7, 9.5.2). Tracks of a title have 16 bits of their
/// own, the samples of a track 48; the mask is made from the key and from `salt`, which tells titles apart: what was
/// indexed, so that a title whose media were replaced under the same key has other vectors too.
pub fn counter_base(key: &Key, salt: &str, track: TrackName) -> (u64, u64) {
    let mut hash = Sha256::new();
    hash.update(b"edgepack cenc iv\0");
    hash.update(key.secret().reveal());
    hash.update(salt.as_bytes());
    let mask = hash.finalize().iter().take(8).fold(0, |mask, byte| mask << 8 | u64::from(*byte));
    let kind: u64 = match track.kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 1,
        TrackKind::Text => 2,
        TrackKind::Metadata => 3,
    };
    // There are at most `limits::MAX_TRACKS` tracks, far below 2^14.
    ((kind << 14 | u64::from(track.ordinal & 0x3fff)) << 48, mask)
}
