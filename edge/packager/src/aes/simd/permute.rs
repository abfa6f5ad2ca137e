//! AES of one block, for chains that wait for each block: lookups in registers, after M. Hamburg, "Accelerating AES with
//! vector permute instructions" (2009). The state stays in the tower of fields between the rounds.

use zeroize::Zeroize;

use super::bitslice::{ROUNDS, neighbours, unshift};
use super::tower::{A_OVER, ENTER, Halves, INVERSE, LAST, ONCE, TWICE};
use super::vector::Vector;
use crate::aes::Block;

/// The round keys, all but the last as pairs, and masks that are hidden from the optimiser.
pub struct RoundKeys {
    keys: [Block; ROUNDS + 1],
    /// The rows one and three below, by the ShiftRows that are pending after the round, modulo 4.
    below: [[Block; 2]; 4],
    /// The order of the last state, where two ShiftRows are pending.
    last: Block,
}

/// The two results of the inversion of each byte, as inverses.
#[inline(always)]
fn invert<V: Vector>(x: V) -> [V; 2] {
    let (low, inverse) = (V::load(&[0x0f; 16]), V::load(&INVERSE));
    let (i, k) = (x.and(low), x.right(4).and(low));
    let j = i.xor(k);
    let a_over_k = V::load(&A_OVER).pick(k);
    let by_i = inverse.pick(inverse.pick(i).xor(a_over_k)).xor(j);
    let by_j = inverse.pick(inverse.pick(j).xor(a_over_k)).xor(i);
    [by_i, by_j]
}

#[inline(always)]
fn look_up<V: Vector>(table: &Halves, [low, high]: [V; 2]) -> V {
    V::load(&table.low).pick(low).xor(V::load(&table.high).pick(high))
}

#[inline(always)]
fn enter<V: Vector>(x: V) -> V {
    let low = V::load(&[0x0f; 16]);
    look_up(&ENTER, [x.and(low), x.right(4).and(low)])
}

/// SubBytes without 0x63, for the key expansion.
pub fn sub_bytes<V: Vector>(bytes: &Block) -> Block {
    look_up(&LAST, invert(enter(V::load(bytes)))).store()
}

impl RoundKeys {
    /// From the keys of FIPS 197, each but the first with 0x63 added to all bytes.
    pub fn new<V: Vector>(keys: &[Block; ROUNDS + 1]) -> Self {
        let mut pending = 0;
        let keys = keys.map(|key| {
            let key = unshift(key, pending);
            pending += 1;
            if pending > ROUNDS { key } else { enter(V::load(&key)).store() }
        });
        let below = core::array::from_fn(|shifts| [neighbours(1, shifts), neighbours(3, 3 * shifts)]);
        let last = unshift(core::array::from_fn(|at| at as u8), 2);
        Self { keys, below: core::hint::black_box(below), last: core::hint::black_box(last) }
    }

    /// Encrypts one block.
    #[inline(always)]
    pub fn encrypt<V: Vector>(&self, block: V) -> V {
        let mut x = enter(block).xor(V::load(&self.keys[0]));
        for round in 1..ROUNDS {
            let inverted = invert(x);
            let [one, three] = &self.below[round % 4];
            let one = V::load(one);
            // 2a + 3b + c + d is the sum of 2a + b, of the same a row below, and of d.
            let once = look_up(&ONCE, inverted);
            let sum = look_up(&TWICE, inverted).xor(once.pick(one));
            let key = V::load(&self.keys[round]);
            x = sum.xor(sum.pick(one)).xor(once.pick(V::load(three)).xor(key));
        }
        look_up(&LAST, invert(x)).xor(V::load(&self.keys[ROUNDS])).pick(V::load(&self.last))
    }
}

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}
