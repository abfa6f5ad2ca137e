//! `packager::aes` gives what the standards and the `aes` crate give. Every function panics at the first difference.

use std::ops::Range;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use packager::ErrorKind;
use packager::aes::{Cbc, Ctr, Key, Pattern, cbc_chains, padded_bytes};

/// xorshift64*: the same numbers everywhere.
pub struct Random(u64);

impl Random {
    /// Begins from a seed other than 0.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn block(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|n| u8::from_str_radix(&text[n..n + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// The crate's counter mode is written here: only its block function is trusted.
fn expected_ctr(key: &Aes128, counter_block: u128, from: usize, data: &mut [u8]) {
    let (iv, first) = (counter_block >> 64 << 64, counter_block as u64);
    for (n, byte) in data.iter_mut().enumerate() {
        let at = from + n;
        let counter = first.wrapping_add(at as u64 / 16);
        let mut block = (iv | u128::from(counter)).to_be_bytes();
        key.encrypt_block((&mut block).into());
        *byte ^= block[at % 16];
    }
}

fn expected_cbc(key: &Aes128, iv: &[u8; 16], [crypt, skip]: [u8; 2], data: &mut [u8]) {
    let mut chain = *iv;
    for (n, block) in data.chunks_exact_mut(16).enumerate() {
        if n % usize::from(crypt + skip) < usize::from(crypt) {
            chain.iter_mut().zip(block.iter()).for_each(|(c, b)| *c ^= b);
            key.encrypt_block((&mut chain).into());
            block.copy_from_slice(&chain);
        }
    }
}

/// FIPS 197 appendix B and C.1, SP 800-38A F.1.1, F.2.1 and F.5.1.
#[allow(clippy::single_range_in_vec_init, reason = "one chain of many is what is meant")]
pub fn known_answers() {
    let mut block = hex("00112233445566778899aabbccddeeff");
    Key::new(&hex("000102030405060708090a0b0c0d0e0f")).encrypt_block(&mut block);
    assert_eq!(block, hex("69c4e0d86a7b0430d8cdb78070b4c55a"), "FIPS 197 C.1");

    let key = Key::new(&hex("2b7e151628aed2a6abf7158809cf4f3c"));
    let mut block = hex("3243f6a8885a308d313198a2e0370734");
    key.encrypt_block(&mut block);
    assert_eq!(block, hex("3925841d02dc09fbdc118597196a0b32"), "FIPS 197 B");

    let clear: [u8; 64] = hex(concat!(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    ));
    let mut data = clear;
    data.as_chunks_mut().0.iter_mut().for_each(|block| key.encrypt_block(block));
    let ecb: [u8; 64] = hex(concat!(
        "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf",
        "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"
    ));
    assert_eq!(data, ecb, "SP 800-38A F.1.1");

    let iv = hex("000102030405060708090a0b0c0d0e0f");
    let cbc: [u8; 64] = hex(concat!(
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
    ));
    let mut data = clear;
    cbc_chains(&key, &iv, Pattern::ALL, &mut data, &[0..64]).unwrap();
    assert_eq!(data, cbc, "SP 800-38A F.2.1 as one of many chains");
    let mut data = clear;
    assert_eq!(Cbc::new(iv).apply(&key, &mut data), 64);
    assert_eq!(data, cbc, "SP 800-38A F.2.1 as one chain");

    let ctr: [u8; 64] = hex(concat!(
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
    ));
    let mut data = clear;
    Ctr::from_counter_block(hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")).apply(&key, &mut data);
    assert_eq!(data, ctr, "SP 800-38A F.5.1");
}

/// Single blocks under random keys.
pub fn blocks(rounds: usize) {
    let mut random = Random::new(1);
    for _ in 0..rounds {
        let (secret, mut block) = (random.block(), random.block());
        let mut expected = block;
        Aes128::new((&secret).into()).encrypt_block((&mut expected).into());
        Key::new(&secret).encrypt_block(&mut block);
        assert_eq!(block, expected, "key {secret:02x?}");
    }
}

/// Random keys, IVs, lengths and cuts, and counters that carry in every place.
pub fn counter_mode(rounds: usize) {
    let mut random = Random::new(2);
    for round in 0..rounds {
        let secret = random.block();
        let (key, reference) = (Key::new(&secret), Aes128::new((&secret).into()));
        let length = if round % 50 == 0 { 20_000 } else { random.below(1_200) };
        let clear = random.bytes(length);
        let carry = [0, 8, 16, 32, 64][round % 5];
        // Some blocks before the low `carry` bits of the counter wrap; all 64 of them go to zero without a carry.
        let counter = match carry {
            0 => 0,
            64 => (random.below(64) as u64).wrapping_neg(),
            bits => (random.next() >> bits << bits).wrapping_sub(random.below(64) as u64),
        };
        let start = u128::from(random.next()) << 64 | u128::from(counter);
        let mut ctr =
            if counter == 0 { Ctr::new((start >> 64) as u64) } else { Ctr::from_counter_block(start.to_be_bytes()) };
        let mut expected = clear.clone();
        expected_ctr(&reference, start, 0, &mut expected);
        let mut data = clear;
        let (mut rest, mut cuts) = (data.as_mut_slice(), 0);
        while !rest.is_empty() {
            let cut = random.below(rest.len() + 1).max(usize::from(cuts > 20) * rest.len());
            let (now, later) = rest.split_at_mut(cut);
            ctr.apply(&key, now);
            (rest, cuts) = (later, cuts + 1);
        }
        assert!(data == expected, "round {round}: counter block {start:032x}, {length} bytes, {cuts} cuts");
    }
    // A long run in one call: rounds over a counter that goes through all values of its lowest byte many times.
    let secret = random.block();
    for (start, length) in
        [(0_u64, 100_003), (u64::MAX - 1_000, 40_000), (0xffff_fe03, 20_000), (0xff_ffff_ffff, 9_000)]
    {
        let start = u128::from(random.next()) << 64 | u128::from(start);
        let mut data = random.bytes(length);
        let mut expected = data.clone();
        expected_ctr(&Aes128::new((&secret).into()), start, 0, &mut expected);
        Ctr::from_counter_block(start.to_be_bytes()).apply(&Key::new(&secret), &mut data);
        assert!(data == expected, "counter block {start:032x}, {length} bytes");
    }
}

/// Random keys, IVs and patterns over any number of chains of any length, with gaps between them.
pub fn chains(rounds: usize) {
    let mut random = Random::new(3);
    for round in 0..rounds {
        let (secret, iv) = (random.block(), random.block());
        let (key, reference) = (Key::new(&secret), Aes128::new((&secret).into()));
        let pattern = [[1, 9], [1, 0], [5, 5], [2, 3], [1, 1], [15, 15]][round % 6];
        let longest = [20, 70, 400, 3_000][random.below(4)];
        let (mut at, mut ranges) = (random.below(40), Vec::<Range<usize>>::new());
        for _ in 0..random.below(30) {
            let end = at + random.below(longest);
            ranges.push(at..end);
            at = end + random.below(40) * random.below(2);
        }
        let mut data = random.bytes(at);
        let mut expected = data.clone();
        ranges.iter().for_each(|r| expected_cbc(&reference, &iv, pattern, &mut expected[r.clone()]));
        if random.below(2) == 0 {
            ranges.reverse();
        }
        let [crypt, skip] = pattern;
        cbc_chains(&key, &iv, Pattern::new(crypt, skip).unwrap(), &mut data, &ranges).unwrap();
        assert!(data == expected, "round {round}: pattern {pattern:?}, chains {ranges:?}");
    }
}

/// A stream in random pieces, with its padding.
pub fn one_chain(rounds: usize) {
    let mut random = Random::new(4);
    for round in 0..rounds {
        let (secret, iv) = (random.block(), random.block());
        let key = Key::new(&secret);
        let length = random.below(2_000) / (1 + round % 3);
        let clear = random.bytes(length);
        let mut expected = clear.clone();
        expected.resize(padded_bytes(length as u64) as usize, 16 - (length % 16) as u8);
        expected_cbc(&Aes128::new((&secret).into()), &iv, [1, 0], &mut expected);
        let (mut cbc, mut out, mut rest) = (Cbc::new(iv), Vec::new(), clear);
        for _ in 0..random.below(5) {
            let cut = random.below(rest.len() + 1);
            let done = cbc.apply(&key, &mut rest[..cut]);
            assert_eq!(done, cut / 16 * 16);
            out.extend(rest.drain(..done));
        }
        cbc.finish(&key, &rest, &mut out);
        assert!(out == expected, "round {round}: {length} bytes");
    }
}

/// Nothing is encrypted when one chain is not inside of the data, and nothing panics.
#[allow(clippy::reversed_empty_ranges, reason = "a wrong range is what is tried")]
pub fn chains_outside() {
    let key = Key::new(&[7; 16]);
    for wrong in [16..65, 64..32, 65..65, usize::MAX - 16..usize::MAX, 0..usize::MAX] {
        let mut data = [1; 64];
        let error = cbc_chains(&key, &[0; 16], Pattern::ALL, &mut data, &[0..16, wrong.clone()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{wrong:?}");
        assert_eq!(data, [1; 64]);
    }
    assert!(Pattern::new(0, 9).is_none());
}
