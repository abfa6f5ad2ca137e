//! Counter mode as ISO/IEC 23001-7 uses it (`cenc`, clause 9.1): the upper half of the counter block stays, the lower
//! half counts blocks as a big-endian number of 64 bits that wraps to zero without a carry into the upper half.

use zeroize::Zeroize;

use super::cipher::Keystream;
use super::{BLOCK_BYTES, Block, Key, LANES, sum};

/// Bytes of keystream that are made at once.
const BATCH_BYTES: usize = LANES * BLOCK_BYTES;

/// The place in the keystream of one sample. It goes on over the protected runs of the sample, also inside a block.
pub struct Ctr {
    iv: [u8; 8],
    /// Number of the first block that was not made yet, a multiple of [`LANES`].
    next: u64,
    /// What was made last; the first `used` bytes of it are behind us.
    batch: [Block; LANES],
    used: usize,
}

impl Ctr {
    /// A keystream from block 0 of an IV of 8 bytes: the upper half of the counter block, big-endian.
    pub fn new(iv: u64) -> Self {
        Self { iv: iv.to_be_bytes(), next: 0, batch: [[0; BLOCK_BYTES]; LANES], used: BATCH_BYTES }
    }

    /// A keystream from a whole counter block, which is what an IV of 16 bytes is.
    pub fn from_counter_block(block: [u8; BLOCK_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, counter @ ..] = block;
        let counter = u64::from_be_bytes(counter);
        let lane = counter % LANES as u64;
        let mut ctr = Self::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        ctr.next = counter - lane;
        // Batches begin at multiples of eight; what comes before the counter is stepped over when the batch is made.
        ctr.used = BATCH_BYTES + lane as usize * BLOCK_BYTES;
        ctr
    }

    /// Encrypts or decrypts `data` in place and moves on. All calls of one keystream take the same key.
    pub fn apply(&mut self, key: &Key, data: &mut [u8]) {
        let rest = self.spend(data);
        if rest.is_empty() {
            return;
        }
        let mut keystream = key.0.keystream(self.iv);
        let rest = if self.used > BATCH_BYTES {
            self.refill(&mut keystream);
            self.spend(rest)
        } else {
            rest
        };
        let (batches, rest) = rest.as_chunks_mut::<BATCH_BYTES>();
        for batch in batches {
            let (blocks, _) = batch.as_chunks_mut::<BLOCK_BYTES>();
            for (block, mask) in blocks.iter_mut().zip(keystream.eight(self.next)) {
                *block = sum(*block, mask);
            }
            self.next = self.next.wrapping_add(LANES as u64);
        }
        if !rest.is_empty() {
            self.refill(&mut keystream);
            self.spend(rest);
        }
    }

    /// Makes the next batch, after the last was used up.
    fn refill(&mut self, keystream: &mut Keystream<'_>) {
        self.batch = keystream.eight(self.next);
        self.next = self.next.wrapping_add(LANES as u64);
        self.used -= BATCH_BYTES;
    }

    /// Uses what is left of the last batch; gives back what it was not enough for.
    fn spend<'d>(&mut self, data: &'d mut [u8]) -> &'d mut [u8] {
        let left = self.batch.as_flattened().get(self.used..).unwrap_or_default();
        let (now, later) = data.split_at_mut(left.len().min(data.len()));
        now.iter_mut().zip(left).for_each(|(byte, mask)| *byte ^= mask);
        self.used += now.len();
        later
    }
}

impl Drop for Ctr {
    fn drop(&mut self) {
        self.batch.zeroize();
    }
}
