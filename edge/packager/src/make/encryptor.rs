//! Encrypts the samples of a segment, many at a time.

use core::fmt;
use core::ops::Range;

use crate::aes::{self, Ctr, Pattern, cbc_chains};
use crate::cenc::{Cipher, Mode, VIDEO_PATTERN};
use crate::error::{Error, Result};
use crate::segment::recipe::Stream;

/// About how much is encrypted at once. Chains of CBC run side by side, so that more samples at a time go faster.
const BATCH_BYTES: usize = 256 << 10;

/// Samples that wait to be encrypted together.
pub(super) struct Encryptor {
    key: aes::Key,
    mode: Mode,
    pattern: Pattern,
    batch: Vec<u8>,
    /// How much of `batch` are whole samples: what is behind them has to wait for its rest.
    whole: usize,
    /// What of `batch` is protected under CBC.
    chains: Vec<Range<usize>>,
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryptor").field("batch", &self.batch.len()).finish_non_exhaustive()
    }
}

impl Encryptor {
    pub fn new(cipher: &Cipher) -> Self {
        let (crypt, skip) = VIDEO_PATTERN;
        let video = Pattern::new(crypt, skip).unwrap_or(Pattern::ALL);
        let pattern = if matches!(cipher.mode, Mode::Chain { pattern: true, .. }) { video } else { Pattern::ALL };
        let key = aes::Key::new(cipher.key.secret().reveal());
        Self { key, mode: cipher.mode, pattern, batch: Vec::new(), whole: 0, chains: Vec::new() }
    }

    /// Whether it should be emptied before more comes.
    pub fn is_full(&self) -> bool {
        self.whole >= BATCH_BYTES
    }

    /// Where the next sample is to be appended.
    pub fn room(&mut self) -> &mut Vec<u8> {
        &mut self.batch
    }

    /// Takes in the sample that was appended, `number` of `stream`.
    ///
    /// # Errors
    /// `Internal` when its subsamples are missing or reach beyond it.
    pub fn add(&mut self, stream: &Stream, number: usize, bytes: usize) -> Result<()> {
        let lost = || Error::internal("a sample without its subsamples");
        let mut at = self.batch.len().checked_sub(bytes).ok_or_else(lost)?;
        let mut counter = self.mode.sample_iv(number).map(Ctr::new);
        self.whole = self.batch.len();
        let Self { key, batch, chains, .. } = self;
        let mut protect = |range: Range<usize>| match &mut counter {
            Some(counter) => {
                counter.apply(key, batch.get_mut(range).ok_or_else(lost)?);
                Ok(())
            }
            None => {
                chains.push(range);
                Ok(())
            }
        };
        if stream.subsample_ends.is_empty() {
            return protect(at..at + bytes);
        }
        let ends = &stream.subsample_ends;
        let start = number.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied());
        let (start, end) = start.zip(ends.get(number).copied()).ok_or_else(lost)?;
        for subsample in stream.subsamples.get(start as usize..end as usize).ok_or_else(lost)? {
            let from = at + usize::from(subsample.clear);
            at = from + subsample.protected as usize;
            if subsample.protected > 0 {
                protect(from..at)?;
            }
        }
        Ok(())
    }

    /// Encrypts what came and appends it to `out`.
    ///
    /// # Errors
    /// `Internal` when a subsample reaches beyond its sample.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if let Mode::Chain { iv, .. } = self.mode {
            cbc_chains(&self.key, &iv.0, self.pattern, &mut self.batch, &self.chains)?;
            self.chains.clear();
        }
        if out.is_empty() {
            core::mem::swap(out, &mut self.batch);
        } else {
            out.append(&mut self.batch);
        }
        self.whole = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Iv;

    /// A key frame of a high rendition that arrives in pieces: what was there of it went out in the clear, and the body broke off.
    #[test]
    fn a_sample_longer_than_a_batch_waits_until_it_is_whole() {
        let mode = Mode::Chain { iv: Iv([7; 16]), pattern: true };
        let mut encryptor = Encryptor {
            key: aes::Key::new(&[1; 16]),
            mode,
            pattern: Pattern::ALL,
            batch: Vec::new(),
            whole: 0,
            chains: Vec::new(),
        };
        encryptor.room().resize(BATCH_BYTES + 16, 0);
        assert!(!encryptor.is_full());
        encryptor.room().resize(2 * BATCH_BYTES, 0);
        let stream = Stream {
            carriage: None,
            reads: Vec::new(),
            samples: Vec::new(),
            annex_b: Vec::new(),
            subsamples: Vec::new(),
            subsample_ends: Vec::new(),
        };
        encryptor.add(&stream, 0, 2 * BATCH_BYTES).unwrap();
        assert!(encryptor.is_full());
        let mut out = Vec::new();
        encryptor.finish(&mut out).unwrap();
        assert_eq!(out.len(), 2 * BATCH_BYTES);
        assert!(out.chunks(16).all(|block| block != [0; 16]));
        assert!(!encryptor.is_full());
    }
}
