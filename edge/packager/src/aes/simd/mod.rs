//! AES-128 on registers of 128 bits, for WebAssembly.
//!
//! Eight blocks at once are bitsliced ([`bitslice`], [`circuit`], [`counter`]); one block alone goes through lookups in
//! registers ([`permute`], [`tower`]). Nothing secret chooses an address or a branch.

mod bitslice;
mod circuit;
mod counter;
mod permute;
mod tower;
mod vector;

#[cfg(test)]
mod tests;

use zeroize::Zeroize;

use self::bitslice::ROUNDS;
use self::counter::Column;
use self::vector::Vector;
use super::{Block, LANES};

#[cfg(target_arch = "wasm32")]
type Register = core::arch::wasm32::v128;
#[cfg(not(target_arch = "wasm32"))]
type Register = u128;

/// Up to so many blocks, one after the other is faster than eight at once.
const FEW: usize = 2;

/// The round keys in the forms of both ways, each cleared when dropped.
pub struct Schedule {
    planes: bitslice::RoundKeys,
    column: Column,
    single: permute::RoundKeys,
}

/// Makes encrypted counter blocks, eight at a time.
pub struct Keystream<'k>(counter::Keystream<'k, Register>);

impl Schedule {
    /// Expands a key (FIPS 197, 5.2).
    pub fn new(key: &[u8; 16]) -> Self {
        let mut keys = expand(key);
        for byte in keys.iter_mut().skip(1).flatten() {
            *byte ^= 0x63;
        }
        let planes = bitslice::RoundKeys::new::<Register>(&keys);
        let column = Column::new::<Register>(&planes);
        let single = permute::RoundKeys::new::<Register>(&keys);
        keys.zeroize();
        Self { planes, column, single }
    }

    /// Encrypts one block.
    #[inline]
    pub fn encrypt_block(&self, block: &mut Block) {
        *block = self.single.encrypt(Register::load(block)).store();
    }

    /// Encrypts the first `used` blocks; the rest is undefined afterwards.
    #[inline]
    pub fn encrypt_lanes(&self, blocks: &mut [Block; LANES], used: usize) {
        if used <= FEW {
            blocks.iter_mut().take(used).for_each(|block| self.encrypt_block(block));
        } else {
            self.planes.encrypt::<Register>(blocks);
        }
    }

    /// Goes on with a CBC chain over whole blocks.
    pub fn encrypt_chain(&self, chain: &mut Block, blocks: &mut [Block]) {
        let mut state = Register::load(chain);
        for block in blocks {
            state = self.single.encrypt(state.xor(Register::load(block)));
            *block = state.store();
        }
        *chain = state.store();
    }

    /// The keystream of `iv`.
    pub fn keystream(&self, iv: [u8; 8]) -> Keystream<'_> {
        Keystream(counter::Keystream::new(&self.planes, &self.column, iv))
    }
}

impl Keystream<'_> {
    /// Adds the encrypted counter blocks `first .. first + 8`; `first` is a multiple of 8. A function of its own, so that registers
    /// are given out here as they were when this was measured, whoever calls it.
    #[inline(never)]
    pub fn add(&mut self, first: u64, blocks: &mut [Block; LANES]) {
        for (block, mask) in blocks.iter_mut().zip(self.0.eight(first)) {
            *block = Register::load(block).xor(mask).store();
        }
    }
}

/// The sum (exclusive or) of two blocks.
#[inline(always)]
pub fn sum(a: Block, b: Block) -> Block {
    Register::load(&a).xor(Register::load(&b)).store()
}

fn expand(key: &Block) -> [Block; ROUNDS + 1] {
    let mut last = *key;
    let mut power: u8 = 1;
    let mut keys = [last; ROUNDS + 1];
    for key in keys.iter_mut().skip(1) {
        let [.., a, b, c, d] = last;
        let [a, b, c, d, ..] = permute::sub_bytes::<Register>(&[b, c, d, a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut word = [a ^ 0x63 ^ power, b ^ 0x63, c ^ 0x63, d ^ 0x63];
        for old in last.as_chunks_mut::<4>().0 {
            for (sum, old) in word.iter_mut().zip(old) {
                *sum ^= *old;
                *old = *sum;
            }
        }
        *key = last;
        power = power << 1 ^ if power & 0x80 != 0 { 0x1b } else { 0 };
    }
    last.zeroize();
    keys
}
