//! The `aes` crate behind the interface of this module: instructions of the processor where it has them.

use ::aes::Aes128Enc;
use ::aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use super::{Block, LANES, sum};

/// The round keys. Cleared by the crate when dropped.
pub struct Schedule(Aes128Enc);

impl Schedule {
    /// Expands a key.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(Aes128Enc::new(key.into()))
    }

    /// Encrypts one block.
    #[inline]
    pub fn encrypt_block(&self, block: &mut Block) {
        self.0.encrypt_block(block.into());
    }

    /// Encrypts the first `used` blocks; the rest is undefined afterwards.
    #[inline]
    pub fn encrypt_lanes(&self, blocks: &mut [Block; LANES], used: usize) {
        let used = blocks.get_mut(..used).unwrap_or_default();
        self.0.encrypt_blocks(Array::cast_slice_from_core_mut(used));
    }

    /// Goes on with a CBC chain over whole blocks.
    pub fn encrypt_chain(&self, chain: &mut Block, blocks: &mut [Block]) {
        for block in blocks {
            *chain = sum(*chain, *block);
            self.encrypt_block(chain);
            *block = *chain;
        }
    }

    /// The keystream of `iv`.
    pub fn keystream(&self, iv: [u8; 8]) -> Keystream<'_> {
        Keystream { schedule: self, iv }
    }
}

/// Makes encrypted counter blocks, eight at a time.
pub struct Keystream<'k> {
    schedule: &'k Schedule,
    iv: [u8; 8],
}

impl Keystream<'_> {
    /// The encrypted counter blocks `first .. first + 8`; `first` is a multiple of 8, so no counter wraps between them.
    #[inline]
    pub fn eight(&mut self, first: u64) -> [Block; LANES] {
        let [a, b, c, d, e, f, g, h] = self.iv;
        let mut blocks = core::array::from_fn(|lane| {
            let [i, j, k, l, m, n, o, p] = (first | lane as u64).to_be_bytes();
            [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
        });
        self.schedule.encrypt_lanes(&mut blocks, LANES);
        blocks
    }
}
