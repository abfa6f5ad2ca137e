//! Counter mode with the first two rounds made from what stays: while only the lowest byte of the counter changes, one byte
//! changes in the first round and one column in the second. The counter is public, so that it may choose what is read.
//!
//! The idea is that of D. J. Bernstein and P. Schwabe, "New AES software speed records" (2008), and of J. Park and D. Lee,
//! "FACE: fast AES CTR mode encryption techniques based on the reuse of repetitive data" (2018).

use zeroize::Zeroize;

use super::bitslice::{BITS, Planes, RoundKeys, add, double, mix_columns, neighbours, to_planes};
use super::circuit::sub_bytes;
use super::vector::Vector;
use crate::aes::{Block, LANES};

/// Where the lowest byte of the counter, byte 15, lies in the first state.
const LOWEST: u8 = 7;
/// Where the column that depends on it lies in the second state, row by row: three ShiftRows are pending.
const COLUMN: [usize; 4] = [0, 13, 10, 7];
/// What a row of that column takes of the byte in row 3.
const SHARE: [u8; 4] = [1, 1, 3, 2];
/// The column of this many batches of eight blocks fits into one register.
const BATCHES: usize = 4;
/// An index that picks zero.
const NOTHING: u8 = 0x80;

/// What depends on the key alone: the change of the column in the second state from lowest byte 0 to each other,
/// packed for four batches, and masks that are hidden from the optimiser.
pub struct Column {
    changes: [Planes<Block>; 256 / LANES / BATCHES],
    gather: Block,
    spread: [Spread; BATCHES],
}

/// From a packed column to a whole state after MixColumns: which bytes are taken once, and which twice.
#[derive(Clone, Copy)]
struct Spread {
    once: Block,
    twice: Block,
}

impl Column {
    /// From the round keys.
    pub fn new<V: Vector>(keys: &RoundKeys) -> Self {
        let lowest = V::load(&[LOWEST; 16]);
        let key = keys.first.key.map(|plane| V::load(&plane).pick(lowest));
        let halves =
            [0, 1].map(|half| sub_bytes(core::array::from_fn(|bit| V::load(&all_values(half, bit)).xor(key[bit]))));
        // The value for byte 0 is in the first bit of each plane.
        let at_zero = halves[0].map(|plane| V::load(&[(plane.store()[0] & 1).wrapping_neg(); 16]));
        let halves = halves.map(|planes| {
            let once: Planes<V> = core::array::from_fn(|bit| planes[bit].xor(at_zero[bit]));
            (once, double(once))
        });
        let changes = core::array::from_fn(|chunk| {
            let (once, twice) = &halves[chunk / 4];
            let taken = |share: u8| {
                V::load(&core::array::from_fn(|at| match SHARE[at % 4] & share {
                    0 => NOTHING,
                    _ => (chunk % 4 * BATCHES + at / 4) as u8,
                }))
            };
            core::array::from_fn(|bit| once[bit].pick(taken(1)).xor(twice[bit].pick(taken(2))).store())
        });
        let gather = core::array::from_fn(|at| COLUMN[at % 4] as u8);
        let spread = core::array::from_fn(Spread::new);
        Self { changes, gather: core::hint::black_box(gather), spread: core::hint::black_box(spread) }
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        self.changes.zeroize();
    }
}

impl Spread {
    fn new(batch: usize) -> Self {
        let mut spread = Self { once: [NOTHING; 16], twice: [NOTHING; 16] };
        for (row, at) in COLUMN.into_iter().enumerate() {
            let from = (batch * 4 + row) as u8;
            // The byte itself doubled, three times for the row above, once for the two others.
            let above: [usize; 4] = core::array::from_fn(|rows| usize::from(neighbours(4 - rows, 0)[at]));
            spread.twice[above[0]] = from;
            spread.twice[above[1]] = from;
            above[1..].iter().for_each(|at| spread.once[*at] = from);
        }
        spread
    }
}

/// The plane in this place of the bytes `128 * half ..` in order: eight in each byte of the plane.
fn all_values(half: usize, place: usize) -> Block {
    core::array::from_fn(|at| match BITS[place] {
        0 => 0xaa,
        1 => 0xcc,
        2 => 0xf0,
        bit => (((half * 16 + at) >> (bit - 3) & 1) as u8).wrapping_neg(),
    })
}

/// Makes encrypted counter blocks, eight at a time.
pub struct Keystream<'k, V> {
    keys: &'k RoundKeys,
    column: &'k Column,
    iv: [u8; 8],
    /// The counter without its lowest byte, and what was made for it: the column and the rest of the state, the latter
    /// after the second round without its key.
    upper: Option<u64>,
    start: Planes<V>,
    rest: Planes<V>,
    /// The counter without its lowest five bits, and what was made for it: SubBytes of the columns, and twice that.
    chunk: Option<u64>,
    once: Planes<V>,
    twice: Planes<V>,
}

impl<'k, V: Vector> Keystream<'k, V> {
    /// The keystream of `iv`.
    #[inline]
    pub fn new(keys: &'k RoundKeys, column: &'k Column, iv: [u8; 8]) -> Self {
        let zero = [V::load(&[0; 16]); 8];
        Self { keys, column, iv, upper: None, start: zero, rest: zero, chunk: None, once: zero, twice: zero }
    }

    /// The encrypted counter blocks `first .. first + 8`; `first` is a multiple of 8.
    #[inline]
    pub fn eight(&mut self, first: u64) -> [V; LANES] {
        if self.chunk != Some(first >> 5) {
            self.next_chunk(first);
        }
        let spread = &self.column.spread[(first >> 3) as usize % BATCHES];
        let (once, twice) = (V::load(&spread.once), V::load(&spread.twice));
        let state =
            core::array::from_fn(|bit| self.rest[bit].xor(self.once[bit].pick(once)).xor(self.twice[bit].pick(twice)));
        self.keys.finish(state)
    }

    #[inline(never)]
    fn next_chunk(&mut self, first: u64) {
        if self.upper != Some(first >> 8) {
            self.next_upper(first);
        }
        let changes = &self.column.changes[(first >> 5) as usize % (256 / LANES / BATCHES)];
        self.once = sub_bytes(add(self.start, changes));
        self.twice = double(self.once);
        self.chunk = Some(first >> 5);
    }

    #[inline(never)]
    fn next_upper(&mut self, first: u64) {
        let [a, b, c, d, e, f, g, h] = self.iv;
        let [i, j, k, l, m, n, o, _] = first.to_be_bytes();
        let block = V::load(&[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, 0]).pick(V::load(&self.keys.order));
        let state = add(self.keys.first.apply(to_planes([block; LANES])), &self.keys.second.key);
        let gather = V::load(&self.column.gather);
        self.start = state.map(|plane| plane.pick(gather));
        let mut others = [0xff; 16];
        COLUMN.iter().for_each(|at| others[*at] = 0);
        let others = V::load(&others);
        let rest = sub_bytes(state).map(|plane| plane.and(others));
        self.rest = mix_columns(rest, &self.keys.second.masks);
        self.upper = Some(first >> 8);
    }
}
