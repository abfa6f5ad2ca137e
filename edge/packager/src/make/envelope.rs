//! A body that is encrypted as a whole (RFC 8216bis, 4.4.4.4, METHOD=AES-128).

use core::fmt;
use core::ops::Range;

use crate::aes::{Cbc, Key, padded_bytes};
use crate::segment::recipe::Secret;

/// Encrypts a body from its beginning on, since each block depends on all before it, and gives out a range of it.
pub(super) struct Envelope {
    key: Key,
    /// Gone when the body is whole.
    chain: Option<Cbc>,
    /// Length of the body before encryption.
    bytes: u64,
    /// What of the encrypted body is wanted.
    range: Range<u64>,
    /// Position in the encrypted body of what comes next.
    at: u64,
    /// What was made and is not encrypted.
    clear: Vec<u8>,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("range", &self.range).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Envelope {
    /// Starts the encryption of a body of so many bytes, of which `range` is wanted.
    pub fn new(secret: &Secret, bytes: u64, range: Range<u64>) -> Self {
        let key = Key::new(secret.key.secret().reveal());
        Self { key, chain: Some(Cbc::new(secret.iv.0)), bytes, range, at: 0, clear: Vec::new() }
    }

    /// What of the clear body is needed.
    pub fn wanted(&self) -> Range<u64> {
        let blocks = self.range.end.checked_next_multiple_of(16).unwrap_or(u64::MAX);
        0..if self.range.is_empty() { 0 } else { self.bytes.min(blocks) }
    }

    /// To append what was made of the clear body.
    pub fn clear(&mut self) -> &mut Vec<u8> {
        &mut self.clear
    }

    /// Encrypts what was appended and appends what is wanted of it. `done` says that all that is needed was made.
    pub fn seal(&mut self, done: bool, out: &mut Vec<u8>) {
        let Some(mut chain) = self.chain.take() else { return };
        let sealed = chain.apply(&self.key, &mut self.clear);
        let blocks = self.clear.get(..sealed).unwrap_or_default();
        give(blocks, &mut self.at, &self.range, out);
        self.clear.drain(..sealed);
        if !done {
            self.chain = Some(chain);
        } else if self.range.end > self.at && self.at + 16 == padded_bytes(self.bytes) {
            let mut last = Vec::with_capacity(16);
            chain.finish(&self.key, &self.clear, &mut last);
            give(&last, &mut self.at, &self.range, out);
        }
    }
}

/// Appends the part of `blocks`, which stand at `at`, that is in `range`.
fn give(blocks: &[u8], at: &mut u64, range: &Range<u64>, out: &mut Vec<u8>) {
    let within = |position: u64| usize::try_from(position.saturating_sub(*at)).unwrap_or(usize::MAX).min(blocks.len());
    out.extend_from_slice(blocks.get(within(range.start)..within(range.end)).unwrap_or_default());
    *at += blocks.len() as u64;
}
