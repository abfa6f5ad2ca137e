//! The registers' algorithms on a stand-in for the register, on every machine.

use ::aes::Aes128;
use ::aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::*;

fn crate_block(key: &Block, mut block: Block) -> Block {
    Aes128::new(key.into()).encrypt_block((&mut block).into());
    block
}

/// Different in every byte, from a number.
fn bytes(seed: usize) -> Block {
    crate_block(&[0x5a; 16], (seed as u128).to_be_bytes())
}

/// FIPS 197, figure 7, from the definition: the inverse, and the affine map.
fn sub_byte(byte: u8) -> u8 {
    let multiply = |a: u8, b: u8| {
        (0..8)
            .filter(|bit| b >> bit & 1 == 1)
            .fold(0, |sum, bit| sum ^ (0..bit).fold(a, |a, _| a << 1 ^ if a & 0x80 != 0 { 0x1b } else { 0 }))
    };
    let inverse = (0..=255).find(|other| multiply(byte, *other) == 1).unwrap_or(0);
    (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn))
}

#[test]
fn both_s_boxes_have_every_value() {
    assert_eq!([0x00, 0x01, 0x53, 0xff].map(sub_byte), [0x63, 0x7c, 0xed, 0x16]);
    for half in 0..2 {
        let blocks: [Block; LANES] =
            core::array::from_fn(|n| core::array::from_fn(|at| (half * 128 + n * 16 + at) as u8));
        let planes = bitslice::to_planes(blocks.map(|block| u128::load(&block)));
        let sliced = bitslice::to_blocks(circuit::sub_bytes(planes)).map(u128::store);
        for (block, sliced) in blocks.iter().zip(sliced) {
            let expected = block.map(|byte| sub_byte(byte) ^ 0x63);
            assert_eq!(sliced, expected);
            assert_eq!(permute::sub_bytes::<u128>(block), expected);
        }
    }
}

/// FIPS 197, appendix A.1.
#[test]
fn key_expansion() {
    let keys = expand(&0x2b7e1516_28aed2a6_abf71588_09cf4f3c_u128.to_be_bytes());
    assert_eq!(u128::from_be_bytes(keys[1]), 0xa0fafe17_88542cb1_23a33939_2a6c7605);
    assert_eq!(u128::from_be_bytes(keys[9]), 0xac7766f3_19fadc21_28d12941_575c006e);
    assert_eq!(u128::from_be_bytes(keys[10]), 0xd014f9a8_c9ee2589_e13f0cc8_b6630ca6);
}

#[test]
fn eight_blocks_and_one_equal_the_crate() {
    for round in 0..200 {
        let key = bytes(round);
        let blocks: [Block; LANES] = core::array::from_fn(|lane| bytes(1_000 + round * LANES + lane));
        let expected = blocks.map(|block| crate_block(&key, block));
        let schedule = Schedule::new(&key);
        for used in [1, FEW, FEW + 1, LANES] {
            let mut data = blocks;
            schedule.encrypt_lanes(&mut data, used);
            assert_eq!(data[..used], expected[..used], "{round}, {used} lanes");
        }
    }
}

#[test]
fn the_counter_carries() {
    for round in 0..20 {
        let (key, iv) = (bytes(round), bytes(round + 50));
        let [iv @ .., _, _, _, _, _, _, _, _] = iv;
        let schedule = Schedule::new(&key);
        let mut keystream = schedule.keystream(iv);
        for start in [0, 0xff00, 0xffff_ff00, u64::MAX - 0x1ff, 0x1234_5678_9abc_de00] {
            for batch in 0..70 {
                let first = u64::wrapping_add(start, batch * 8);
                let mut blocks = [[0; 16]; LANES];
                keystream.add(first, &mut blocks);
                for (lane, block) in blocks.into_iter().enumerate() {
                    let mut counter = [0; 16];
                    counter[..8].copy_from_slice(&iv);
                    counter[8..].copy_from_slice(&(first + lane as u64).to_be_bytes());
                    assert_eq!(block, crate_block(&key, counter), "{first:x} + {lane}");
                }
            }
        }
    }
}

#[test]
fn a_chain_goes_on() {
    let (key, iv) = (bytes(7), bytes(8));
    let clear: [Block; 40] = core::array::from_fn(bytes);
    let (mut chain, mut data, mut expected) = (iv, clear, iv);
    let schedule = Schedule::new(&key);
    let (one, two) = data.split_at_mut(13);
    schedule.encrypt_chain(&mut chain, one);
    schedule.encrypt_chain(&mut chain, two);
    for (clear, data) in clear.into_iter().zip(data) {
        expected = crate_block(&key, sum(clear, expected));
        assert_eq!(data, expected);
    }
    assert_eq!(chain, expected);
}
