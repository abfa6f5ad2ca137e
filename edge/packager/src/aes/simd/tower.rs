//! GF(2^8) as pairs over GF(2^4), and the tables of 16 entries that an inversion by lookups in registers needs. All of it is
//! computed when this is compiled, from the fields alone.
//!
//! The inversion is that of M. Hamburg, "Accelerating AES with vector permute instructions" (2009). With `A` chosen so that
//! y^2 + Ay + A has no root in GF(2^4) and `T` one of its roots above, a byte is k + iT and its norm is N = k^2 + Aki + Ai^2. With
//! j = i + k, 1 / (1/i + A/k) + j is N / (k + Ai) and 1 / (1/j + A/k) + i is N / (k + Aj); linear combinations of the two
//! inverses of these are the inverse of the byte. A division by zero gives an index that picks zero.

use crate::aes::Block;

/// Picks zero, also after any index below 16 was added.
const INFINITY: u8 = 0x80;
const A: u8 = find_a();
/// The root of the polynomial of AES among the pairs: what x becomes.
const X: u8 = find_x();

/// A linear map of bytes in two halves: what the lower and the upper four bits become.
#[derive(Clone, Copy)]
pub struct Halves {
    pub low: Block,
    pub high: Block,
}

/// 1/n.
pub const INVERSE: Block = inverses(1);
/// A/n.
pub const A_OVER: Block = inverses(A);
/// From bytes of AES to pairs, the upper four bits k.
pub const ENTER: Halves = enter();
/// SubBytes without 0x63, as pairs, by the two results of the inversion.
pub const ONCE: Halves = leave(1, true);
/// Twice that.
pub const TWICE: Halves = leave(2, true);
/// SubBytes without 0x63, as bytes of AES.
pub const LAST: Halves = leave(1, false);

/// The product in GF(2^bits) modulo `polynomial`.
const fn multiply(mut a: u8, b: u8, bits: u32, polynomial: u16) -> u8 {
    let (mut product, mut bit) = (0, 0);
    while bit < bits {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        let twice = (a as u16) << 1;
        a = (if twice >> bits == 1 { twice ^ polynomial } else { twice }) as u8;
        bit += 1;
    }
    product
}

const fn small(a: u8, b: u8) -> u8 {
    multiply(a, b, 4, 0x13)
}

const fn aes(a: u8, b: u8) -> u8 {
    multiply(a, b, 8, 0x11b)
}

/// 1/n in GF(2^4): n^14.
const fn small_inverse(n: u8) -> u8 {
    let (mut power, mut times) = (1, 0);
    while times < 14 {
        power = small(power, n);
        times += 1;
    }
    power
}

/// The product of two pairs.
const fn pairs(a: u8, b: u8) -> u8 {
    let ((k, i), (l, j)) = ((a >> 4, a & 15), (b >> 4, b & 15));
    let both = small(A, small(i, j));
    (small(k, l) ^ both) << 4 | small(k, j) ^ small(i, l) ^ both
}

const fn find_a() -> u8 {
    let mut a = 1;
    loop {
        let (mut y, mut roots) = (0, 0);
        while y < 16 {
            if small(y, y) ^ small(a, y) ^ a == 0 {
                roots += 1;
            }
            y += 1;
        }
        if roots == 0 {
            return a;
        }
        a += 1;
    }
}

const fn find_x() -> u8 {
    let mut x = 2;
    loop {
        let two = pairs(x, x);
        let three = pairs(two, x);
        let four = pairs(two, two);
        if pairs(four, four) ^ four ^ three ^ x ^ 0x10 == 0 {
            return x;
        }
        x += 1;
    }
}

const fn inverses(numerator: u8) -> Block {
    let mut table = [INFINITY; 16];
    let mut n = 1;
    while n < 16 {
        table[n as usize] = small(numerator, small_inverse(n));
        n += 1;
    }
    table
}

/// A byte of AES as a pair.
const fn to_pair(byte: u8) -> u8 {
    let (mut pair, mut power, mut bit) = (0, 0x10, 0);
    while bit < 8 {
        if byte >> bit & 1 == 1 {
            pair ^= power;
        }
        power = pairs(power, X);
        bit += 1;
    }
    pair
}

/// A pair as a byte of AES.
const fn to_byte(pair: u8) -> u8 {
    let mut byte = 0;
    while to_pair(byte) != pair {
        byte += 1;
    }
    byte
}

const fn enter() -> Halves {
    let mut halves = Halves { low: [0; 16], high: [0; 16] };
    let mut n = 0;
    while n < 16 {
        halves.low[n as usize] = to_pair(n);
        halves.high[n as usize] = to_pair(n << 4);
        n += 1;
    }
    halves
}

/// The linear part of the affine map of SubBytes (FIPS 197, 5.1.1).
const fn affine(byte: u8) -> u8 {
    byte ^ byte.rotate_left(1) ^ byte.rotate_left(2) ^ byte.rotate_left(3) ^ byte.rotate_left(4)
}

/// What the two results of the inversion, given as their inverses, add to the outcome, `factor` times.
const fn leave(factor: u8, as_pairs: bool) -> Halves {
    let mut halves = Halves { low: [0; 16], high: [0; 16] };
    let over_a = small_inverse(A);
    let mut n = 1;
    while n < 16 {
        // With u = (k + Ai)/N and v = (k + Aj)/N, u + v = Ak/N, and the inverse is the conjugate over the norm: u + (i/N)T.
        let value = small_inverse(n);
        let by_v = small(value, small(over_a, over_a));
        let by_u = small(value, over_a) ^ by_v;
        let (u, v) = (aes(affine(to_byte(value << 4 | by_u)), factor), aes(affine(to_byte(by_v)), factor));
        halves.low[n as usize] = if as_pairs { to_pair(u) } else { u };
        halves.high[n as usize] = if as_pairs { to_pair(v) } else { v };
        n += 1;
    }
    halves
}
