//! Sixteen bytes in a register, and the few things that are done with them.

use crate::aes::Block;

/// Sixteen bytes. Byte 0 is the least significant.
pub trait Vector: Copy {
    /// From memory.
    fn load(bytes: &Block) -> Self;
    /// To memory.
    fn store(self) -> Block;
    /// Sum in GF(2).
    fn xor(self, other: Self) -> Self;
    /// Product in GF(2).
    fn and(self, other: Self) -> Self;
    /// Each half of 8 bytes shifted left by so many bits.
    fn left(self, bits: u32) -> Self;
    /// Each half of 8 bytes shifted right by so many bits, with zeros from above.
    fn right(self, bits: u32) -> Self;
    /// For each index the byte of `self` at that place; zero where the index is 128 or more. No index lies between 16 and 127:
    /// there the instructions of processors differ.
    fn pick(self, indices: Self) -> Self;
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::*;

    use super::{Block, Vector};

    impl Vector for v128 {
        #[inline(always)]
        fn load(bytes: &Block) -> Self {
            let bits = u128::from_le_bytes(*bytes);
            u64x2(bits as u64, (bits >> 64) as u64)
        }

        #[inline(always)]
        fn store(self) -> Block {
            let (low, high) = (u64x2_extract_lane::<0>(self), u64x2_extract_lane::<1>(self));
            (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
        }

        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            v128_xor(self, other)
        }

        #[inline(always)]
        fn and(self, other: Self) -> Self {
            v128_and(self, other)
        }

        #[inline(always)]
        fn left(self, bits: u32) -> Self {
            u64x2_shl(self, bits)
        }

        #[inline(always)]
        fn right(self, bits: u32) -> Self {
            u64x2_shr(self, bits)
        }

        #[inline(always)]
        fn pick(self, indices: Self) -> Self {
            i8x16_relaxed_swizzle(self, indices)
        }
    }
}

/// Stands in for the register where there is none, so that the algorithms are tested on every machine.
#[cfg(not(target_arch = "wasm32"))]
impl Vector for u128 {
    fn load(bytes: &Block) -> Self {
        Self::from_le_bytes(*bytes)
    }

    fn store(self) -> Block {
        self.to_le_bytes()
    }

    fn xor(self, other: Self) -> Self {
        self ^ other
    }

    fn and(self, other: Self) -> Self {
        self & other
    }

    fn left(self, bits: u32) -> Self {
        let half = |half: Self| Self::from((half as u64) << bits);
        half(self >> 64) << 64 | half(self)
    }

    fn right(self, bits: u32) -> Self {
        let half = |half: Self| Self::from((half as u64) >> bits);
        half(self >> 64) << 64 | half(self)
    }

    fn pick(self, indices: Self) -> Self {
        let bytes = self.to_le_bytes();
        let picked = indices.to_le_bytes().map(|index| {
            debug_assert!(!(16..128).contains(&index), "what is picked by {index} is not the same everywhere");
            bytes.get(usize::from(index)).copied().unwrap_or(0)
        });
        Self::from_le_bytes(picked)
    }
}
