//! AES-128 (FIPS 197), only encrypting: counter mode, many CBC chains at once, and one long CBC chain.
//!
//! Native builds use the `aes` crate and with it the processor's AES instructions. WebAssembly has none, so what runs at
//! the edge is an implementation of our own on 128-bit SIMD; without `simd128` the crate is used there too.
//! Constant-time everywhere: no secret ever chooses an address or a branch.

mod cbc;
mod chains;
mod ctr;
mod portable;

pub use cbc::{Cbc, padded_bytes};
pub use chains::{Pattern, cbc_chains};
pub use ctr::Ctr;

use portable as cipher;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 16;
/// Blocks that are encrypted at once.
const LANES: usize = 8;

/// What AES encrypts at once.
type Block = [u8; BLOCK_BYTES];

/// An expanded content key. It has no `Debug`, and its memory is cleared when it is dropped.
pub struct Key(cipher::Schedule);

impl Key {
    /// Expands a key of 128 bits.
    pub fn new(key: &[u8; 16]) -> Self {
        Self(cipher::Schedule::new(key))
    }

    /// Encrypts one block in place.
    pub fn encrypt_block(&self, block: &mut [u8; BLOCK_BYTES]) {
        self.0.encrypt_block(block);
    }
}

/// The sum (exclusive or) of two blocks.
#[inline(always)]
fn sum(a: Block, b: Block) -> Block {
    (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).to_ne_bytes()
}
