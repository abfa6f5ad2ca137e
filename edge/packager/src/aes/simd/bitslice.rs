//! AES of eight blocks at once: each plane has one bit of all 128 bytes; in a plane, byte `p` has the bits of byte `p` of
//! the eight blocks.
//!
//! The representation is that of E. Kaesper and P. Schwabe, "Faster and timing-attack resistant AES-GCM" (2009). ShiftRows is
//! never done, after A. Adomnicai and T. Peyrin, "Fixslicing AES-like ciphers" (2021): MixColumns takes its bytes from
//! where they would have been, and the round keys lie there too.

use zeroize::Zeroize;

use super::circuit::sub_bytes;
use super::vector::Vector;
use crate::aes::{Block, LANES};

/// Rounds of AES-128.
pub const ROUNDS: usize = 10;
/// ShiftRows that the first state has pending. With these two, the last state has twelve: none, for four give the identity.
const PENDING: usize = 2;

/// Eight planes, each with the bit of all bytes that [`BITS`] has in its place.
pub type Planes<V> = [V; 8];

/// Which bit of a byte each plane holds. A state does not fit into the registers that there are, and in the order of the planes
/// compilers decide what waits on the stack: in this one counter mode is a tenth faster than with the lowest bit first.
pub const BITS: [usize; 8] = [5, 3, 0, 1, 4, 6, 7, 2];

/// Eight blocks to eight planes.
#[inline(always)]
pub fn to_planes<V: Vector>(blocks: [V; LANES]) -> Planes<V> {
    let bits = transpose(blocks);
    BITS.map(|bit| bits[bit])
}

/// Eight planes to eight blocks.
#[inline(always)]
pub fn to_blocks<V: Vector>(planes: Planes<V>) -> [V; LANES] {
    let mut bits = planes;
    for (plane, bit) in planes.into_iter().zip(BITS) {
        bits[bit] = plane;
    }
    transpose(bits)
}

/// Bit `n` of every byte of block `m` and bit `m` of every byte of block `n` change places.
#[inline(always)]
fn transpose<V: Vector>(x: [V; LANES]) -> [V; LANES] {
    let [a, b, c, d, e, f, g, h] = x;
    let mask = V::load(&[0x55; 16]);
    let ((a, b), (c, d)) = (swap(a, b, 1, mask), swap(c, d, 1, mask));
    let ((e, f), (g, h)) = (swap(e, f, 1, mask), swap(g, h, 1, mask));
    let mask = V::load(&[0x33; 16]);
    let ((a, c), (b, d)) = (swap(a, c, 2, mask), swap(b, d, 2, mask));
    let ((e, g), (f, h)) = (swap(e, g, 2, mask), swap(f, h, 2, mask));
    let mask = V::load(&[0x0f; 16]);
    let ((a, e), (b, f)) = (swap(a, e, 4, mask), swap(b, f, 4, mask));
    let ((c, g), (d, h)) = (swap(c, g, 4, mask), swap(d, h, 4, mask));
    [a, b, c, d, e, f, g, h]
}

/// Exchanges the bits of `a` above by `bits` of the mask with those of `b` under the mask.
#[inline(always)]
fn swap<V: Vector>(a: V, b: V, bits: u32, mask: V) -> (V, V) {
    let different = a.right(bits).xor(b).and(mask);
    (a.xor(different.left(bits)), b.xor(different))
}

/// Adds planes in memory.
#[inline(always)]
pub fn add<V: Vector>(x: Planes<V>, key: &Planes<Block>) -> Planes<V> {
    let [a, b, c, d, e, f, g, h] = x;
    let [i, j, k, l, m, n, o, p] = key;
    [
        a.xor(V::load(i)),
        b.xor(V::load(j)),
        c.xor(V::load(k)),
        d.xor(V::load(l)),
        e.xor(V::load(m)),
        f.xor(V::load(n)),
        g.xor(V::load(o)),
        h.xor(V::load(p)),
    ]
}

/// Twice each byte in GF(2^8): bits move up, and the highest comes back as 0x1b.
#[inline(always)]
pub fn double<V: Vector>(x: Planes<V>) -> Planes<V> {
    let [f, d, a, b, e, g, h, c] = x;
    [e, c.xor(h), h, a.xor(h), d.xor(h), f, g, b]
}

/// MixColumns: 2a + 3b + c + d, where b, c and d lie 1, 2 and 3 rows below a.
#[inline(always)]
pub fn mix_columns<V: Vector>(x: Planes<V>, masks: &Masks) -> Planes<V> {
    let (one, two) = (V::load(&masks.one), V::load(&masks.two));
    let [a, b, c, d, e, f, g, h] = x;
    let below =
        [a.pick(one), b.pick(one), c.pick(one), d.pick(one), e.pick(one), f.pick(one), g.pick(one), h.pick(one)];
    let [i, j, k, l, m, n, o, p] = below;
    let pairs = [a.xor(i), b.xor(j), c.xor(k), d.xor(l), e.xor(m), f.xor(n), g.xor(o), h.xor(p)];
    let [q, r, s, t, u, v, w, x] = pairs;
    let [da, db, dc, dd, de, df, dg, dh] = double(pairs);
    [
        i.xor(q.pick(two)).xor(da),
        j.xor(r.pick(two)).xor(db),
        k.xor(s.pick(two)).xor(dc),
        l.xor(t.pick(two)).xor(dd),
        m.xor(u.pick(two)).xor(de),
        n.xor(v.pick(two)).xor(df),
        o.xor(w.pick(two)).xor(dg),
        p.xor(x.pick(two)).xor(dh),
    ]
}

/// Where MixColumns finds the bytes one and two rows below, while some ShiftRows are pending.
#[derive(Clone, Copy)]
pub struct Masks {
    one: Block,
    two: Block,
}

/// Index of the byte that lies `rows` below and `columns` to the right, for each of 16 bytes.
pub const fn neighbours(rows: usize, columns: usize) -> Block {
    let mut mask = [0; 16];
    let mut at = 0;
    while at < 16 {
        mask[at] = ((at + rows) % 4 + 4 * ((at / 4 + columns) % 4)) as u8;
        at += 1;
    }
    mask
}

/// `block` where it lies while `pending` ShiftRows were not done.
pub fn unshift(block: Block, pending: usize) -> Block {
    let mut out = [0; 16];
    for (at, byte) in block.iter().enumerate() {
        let (row, column) = (at % 4, at / 4);
        if let Some(place) = out.get_mut(row + 4 * ((column + pending * row) % 4)) {
            *place = *byte;
        }
    }
    out
}

/// The key that is added before a round, and how the round mixes columns.
pub struct Round {
    pub key: Planes<Block>,
    pub masks: Masks,
}

/// The round keys as planes. Masks are hidden from the optimiser: shuffles by known masks become permutations of two
/// operands on hosts with AVX-512, which are a quarter slower.
pub struct RoundKeys {
    pub first: Round,
    pub second: Round,
    /// Rounds 3 to 9.
    pub middle: [Round; ROUNDS - 3],
    /// What is added before and after the last round.
    pub last: [Planes<Block>; 2],
    /// Brings a block into the order of the first state.
    pub order: Block,
}

impl RoundKeys {
    /// From the keys of FIPS 197, each but the first with 0x63 added to all bytes.
    pub fn new<V: Vector>(keys: &[Block; ROUNDS + 1]) -> Self {
        let planes = |round: usize| {
            let key = keys.get(round).copied().unwrap_or_default();
            to_planes([V::load(&unshift(key, round + PENDING)); LANES]).map(V::store)
        };
        let round = |round: usize| {
            // MixColumns comes after this round's own ShiftRows.
            let shifts = (round + PENDING + 1) % 4;
            let masks = Masks { one: neighbours(1, shifts), two: neighbours(2, 2 * shifts) };
            Round { key: planes(round), masks: core::hint::black_box(masks) }
        };
        Self {
            first: round(0),
            second: round(1),
            middle: core::array::from_fn(|n| round(n + 2)),
            last: [planes(ROUNDS - 1), planes(ROUNDS)],
            order: core::hint::black_box(unshift(core::array::from_fn(|at| at as u8), PENDING)),
        }
    }

    /// Eight blocks from the state after round 2 without its key.
    #[inline(always)]
    pub fn finish<V: Vector>(&self, mut x: Planes<V>) -> [V; LANES] {
        let mut rounds = &self.middle[..];
        while let [round, later @ ..] = rounds {
            x = round.apply(x);
            // Hidden, so that keys are loaded from fixed distances: loops that count get an addition for each load.
            rounds = core::hint::black_box(later);
        }
        let [before, after] = &self.last;
        to_blocks(add(sub_bytes(add(x, before)), after))
    }

    /// Encrypts eight blocks.
    #[inline]
    pub fn encrypt<V: Vector>(&self, blocks: &mut [Block; LANES]) {
        let order = V::load(&self.order);
        let x = to_planes(blocks.map(|block| V::load(&block).pick(order)));
        *blocks = self.finish(self.second.apply(self.first.apply(x))).map(V::store);
    }
}

impl Round {
    /// From a state without its key to the next without its key. The key comes first, so that no register holds it for
    /// the length of the round.
    #[inline(always)]
    pub fn apply<V: Vector>(&self, x: Planes<V>) -> Planes<V> {
        mix_columns(sub_bytes(add(x, &self.key)), &self.masks)
    }
}

impl Drop for RoundKeys {
    fn drop(&mut self) {
        self.last.zeroize();
        for round in [&mut self.first, &mut self.second].into_iter().chain(&mut self.middle) {
            round.key.zeroize();
        }
    }
}
