//! Apple's sample encryption of transport streams and packed audio (METHOD=SAMPLE-AES; "MPEG-2 Stream Encryption Format for
//! HTTP Live Streaming"): AES-128 in CBC mode over parts of slices and of audio frames, each of which begins anew from the
//! same initialisation vector.
//!
//! Of H.264 one block of ten is encrypted, in slices as they are stored, emulation prevention bytes included; then emulation
//! prevention is applied once more over the whole result. So sizes depend on ciphertext, and yet they have to be known
//! before it is: [`growth`] bounds by how much a slice may grow.

use core::fmt;
use core::ops::Range;

use crate::aes::{Key, Pattern, cbc_chains};
use crate::error::Result;
use crate::segment::recipe::Secret;
use crate::segment::ts_audio::AudioStream;
use crate::segment::ts_video::VideoStream;

/// Slices up to this size stay clear.
const MAX_CLEAR_SLICE: usize = 48;
/// Bytes at the start of a slice that stay clear.
const SLICE_CLEAR: usize = 32;
/// From one encrypted block of a slice to the next.
const SLICE_STRIDE: usize = 160;
/// Bytes of a block.
const BLOCK: usize = 16;
/// Bytes after the header of an audio frame that stay clear.
pub const FRAME_CLEAR: usize = 16;

/// Emulation prevention bytes that are allowed for inside of encrypted blocks, which are as good as random.
///
/// In a block there are 14 places that have both bytes before them in the block too; each needs such a byte with a
/// probability of 2^-22 (two zeros, and at most 3). After one, the next is 2^-15.7 away or less likely: what was found to be
/// at most 3 may be the first zero of the next. For a count X over n blocks this makes E\[2^(10 X)\] at most
/// (1 + 14 * 2^-12 / (1 - 2^-5.7))^n < 2^(0.0051 n), and so P(X > 9 + floor(n / 1024)) is below
/// 2^(0.0051 n - 10 (9 + n / 1024)) <= 2^-90 for a slice: 2^-65 for a title of 33 million slices. Slices are counted one by one,
/// because equal ones become equal ciphertexts.
const SLACK: usize = 9;
/// So many blocks for another byte.
const SLACK_BLOCKS: usize = 1024;

/// The most bytes by which a NAL unit grows when it is encrypted and emulation prevention is applied to it again.
///
/// Certain are the places in clear bytes; they are counted in the stored unit. Possible are those over the edges of encrypted
/// blocks, one at each edge at most, since two neighbouring places cannot both get a byte: before a block where the last clear
/// byte is 0, after it where the first clear byte is at most 3. What is left is chance, see [`SLACK`].
pub fn growth(nal: &[u8]) -> usize {
    if !is_encrypted(nal) {
        return 0;
    }
    let (mut grown, mut at) = (0, 2);
    while let Some(byte) = nal.get(at) {
        if *byte > 3 {
            at += 3;
            continue;
        }
        grown += usize::from(nal.get(at - 2..at) == Some(&[0, 0]));
        at += 1;
    }
    let mut blocks = 0;
    let mut at = SLICE_CLEAR;
    while let Some(after) = nal.get(at + BLOCK) {
        grown += usize::from(nal.get(at - 1) == Some(&0)) + usize::from(*after <= 3);
        blocks += 1;
        at += SLICE_STRIDE;
    }
    grown + SLACK + blocks / SLACK_BLOCKS
}

/// Whether a NAL unit of H.264 is a slice that is encrypted.
fn is_encrypted(nal: &[u8]) -> bool {
    nal.len() > MAX_CLEAR_SLICE && nal.first().is_some_and(|header| matches!(header & 31, 1 | 5))
}

/// Appends a NAL unit with emulation prevention (ITU-T H.264, 7.4.1).
fn prevent_emulation(nal: &[u8], out: &mut Vec<u8>) {
    // Nothing before `from` counts: a byte was put in there.
    let (mut from, mut at) = (0, 2);
    while let Some(byte) = nal.get(at) {
        if *byte > 3 {
            at += 3;
        } else if nal.get(at - 2..at) == Some(&[0, 0]) {
            out.extend_from_slice(nal.get(from..at).unwrap_or_default());
            out.push(3);
            from = at;
            at += 2;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(nal.get(from..).unwrap_or_default());
}

/// Encrypts what goes into PES packets and packed audio. Its buffers are used again.
pub struct SampleAes {
    key: Key,
    iv: [u8; 16],
    chains: Vec<Range<usize>>,
    plain: Vec<u8>,
    written: Vec<u8>,
}

impl fmt::Debug for SampleAes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleAes").finish_non_exhaustive()
    }
}

impl SampleAes {
    /// Encrypts under this key.
    pub fn new(secret: &Secret) -> Self {
        let key = Key::new(secret.key.secret().reveal());
        Self { key, iv: secret.iv.0, chains: Vec::new(), plain: Vec::new(), written: Vec::new() }
    }

    /// The access unit of a sample of H.264.
    ///
    /// # Errors
    /// `Internal`, which does not happen.
    pub(super) fn access_unit(&mut self, stream: &VideoStream, sample: &[u8], sync: bool) -> Result<&[u8]> {
        let Self { key, iv, chains, plain, written } = self;
        plain.clear();
        chains.clear();
        written.clear();
        // Everything else that is put begins with a start code, whose first byte is no slice's.
        stream.access_unit(sample, sync, |part| {
            if is_encrypted(part) {
                // A last block that nothing follows stays clear.
                chains.push(plain.len() + SLICE_CLEAR..plain.len() + part.len() - 1);
            }
            plain.extend_from_slice(part);
        });
        cbc_chains(key, iv, Pattern::ONE_OF_TEN, plain, chains)?;
        let mut from = 0;
        for chain in chains {
            let slice = chain.start - SLICE_CLEAR..chain.end + 1;
            written.extend_from_slice(plain.get(from..slice.start).unwrap_or_default());
            prevent_emulation(plain.get(slice.clone()).unwrap_or_default(), written);
            from = slice.end;
        }
        written.extend_from_slice(plain.get(from..).unwrap_or_default());
        Ok(written)
    }

    /// Begins a group of audio frames.
    pub(crate) fn begin(&mut self) {
        self.plain.clear();
        self.chains.clear();
    }

    /// Adds a frame to the group.
    pub(crate) fn frame(&mut self, stream: &AudioStream, frame: &[u8]) {
        let Self { chains, plain, .. } = self;
        let start = plain.len();
        stream.frame(frame, |part| plain.extend_from_slice(part));
        stream.encrypted(plain.get(start..).unwrap_or_default(), |range| {
            chains.push(start + range.start..start + range.end);
        });
    }

    /// The group.
    ///
    /// # Errors
    /// `Internal`, which does not happen.
    pub(crate) fn end(&mut self) -> Result<&[u8]> {
        cbc_chains(&self.key, &self.iv, Pattern::ALL, &mut self.plain, &self.chains)?;
        Ok(&self.plain)
    }
}
