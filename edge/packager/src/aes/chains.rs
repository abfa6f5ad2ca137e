//! Many short CBC chains in one buffer, as `cbcs` (ISO/IEC 23001-7, 10.4) and SAMPLE-AES make them: each starts again from
//! the same IV, so they do not wait for each other and eight of them run at once.

use core::ops::Range;

use super::{BLOCK_BYTES, Block, Key, LANES, sum};
use crate::error::{Error, ErrorKind, Result};

/// Which blocks of a chain are encrypted (ISO/IEC 23001-7, 9.6 and 10.3): `crypt` blocks, then `skip` clear ones, over and over.
/// A block that is not whole stays clear. The chain goes over the encrypted blocks only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    crypt: u8,
    skip: u8,
}

impl Pattern {
    /// Every whole block.
    pub const ALL: Self = Self { crypt: 1, skip: 0 };
    /// One block of ten: video in `cbcs` and in SAMPLE-AES. SAMPLE-AES of H.264 encrypts only while more than
    /// 16 bytes remain: there the caller takes a byte off the end of each range.
    pub const ONE_OF_TEN: Self = Self { crypt: 1, skip: 9 };

    /// A pattern in blocks of 16 bytes. None when nothing would be encrypted.
    pub fn new(crypt: u8, skip: u8) -> Option<Self> {
        (crypt > 0).then_some(Self { crypt, skip })
    }

    /// How many blocks of `bytes` bytes are encrypted.
    pub fn encrypted_blocks(self, bytes: usize) -> usize {
        let (blocks, crypt) = (bytes / BLOCK_BYTES, usize::from(self.crypt));
        let cycle = crypt + usize::from(self.skip);
        blocks / cycle * crypt + (blocks % cycle).min(crypt)
    }
}

/// A chain that is under way.
#[derive(Clone, Copy)]
struct Lane {
    /// Where the next block to encrypt is.
    at: usize,
    /// Encrypted blocks before clear ones come.
    before_skip: u8,
    /// Blocks still to encrypt.
    blocks: usize,
}

/// Encrypts `chains`, ranges of `data` that do not overlap, in place. Each begins anew from `iv` and from the beginning of
/// the pattern.
///
/// # Errors
///
/// [`ErrorKind::Internal`] when a chain is not inside of `data`; then nothing was encrypted.
pub fn cbc_chains(
    key: &Key,
    iv: &[u8; BLOCK_BYTES],
    pattern: Pattern,
    data: &mut [u8],
    chains: &[Range<usize>],
) -> Result<()> {
    if let Some(chain) = chains.iter().find(|c| c.start > c.end || c.end > data.len()) {
        let message = format!("bytes {chain:?} are to be encrypted, but there are {}", data.len());
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let skip = usize::from(pattern.skip) * BLOCK_BYTES;
    let mut waiting = chains.iter().filter(|c| c.len() >= BLOCK_BYTES);
    let mut lanes = [Lane { at: 0, before_skip: 0, blocks: 0 }; LANES];
    let mut state = [*iv; LANES];
    let mut used = 0;
    loop {
        for (lane, state) in lanes.iter_mut().zip(&mut state).skip(used) {
            let Some(chain) = waiting.next() else { break };
            let blocks = pattern.encrypted_blocks(chain.len());
            (*lane, *state) = (Lane { at: chain.start, before_skip: pattern.crypt, blocks }, *iv);
            used += 1;
        }
        let Some(steps) = lanes.iter().take(used).map(|lane| lane.blocks).min() else { return Ok(()) };
        for _ in 0..steps {
            for (lane, state) in lanes.iter().zip(&mut state).take(used) {
                if let Some(block) = block(data, lane.at) {
                    *state = sum(*state, *block);
                }
            }
            key.0.encrypt_lanes(&mut state, used);
            for (lane, state) in lanes.iter_mut().zip(&state).take(used) {
                if let Some(block) = block(data, lane.at) {
                    *block = *state;
                }
                lane.at += BLOCK_BYTES;
                lane.before_skip -= 1;
                if lane.before_skip == 0 {
                    lane.at += skip;
                    lane.before_skip = pattern.crypt;
                }
            }
        }
        // Chains that are done leave; those that stay move together.
        let before = lanes.into_iter().zip(state).take(used).filter(|(lane, _)| lane.blocks > steps);
        used = 0;
        for ((lane, state), (mut left, chain)) in lanes.iter_mut().zip(&mut state).zip(before) {
            left.blocks -= steps;
            (*lane, *state) = (left, chain);
            used += 1;
        }
    }
}

#[inline(always)]
fn block(data: &mut [u8], at: usize) -> Option<&mut Block> {
    data.get_mut(at..)?.first_chunk_mut()
}
