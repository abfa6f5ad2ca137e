//! AES against the `aes` and `ctr` crates in one process, natively and inside WebAssembly: that it gives the same, and how fast.
//!
//! ```text
//! cargo build --profile edge --target wasm32-wasip1 -p packager --example aes_speed
//! wasmtime run target/wasm32-wasip1/edge/examples/aes_speed.wasm check
//! wasmtime run target/wasm32-wasip1/edge/examples/aes_speed.wasm speed
//! ```
//!
//! `check` takes a second and fails at the first difference; `speed` checks first, then prints a table.

#![allow(clippy::disallowed_methods, reason = "what measures has a clock")]

#[path = "../tests/aes/proof.rs"]
mod proof;

use std::ops::Range;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::CtrCore;
use ctr::flavors::Ctr64BE;
use packager::aes::{Cbc, Ctr, Key, Pattern, cbc_chains};

/// Each side is measured so often, by turns; the best counts.
const ROUNDS: usize = 300;
/// The clock is read once in at least this time.
const SPAN: Duration = Duration::from_micros(500);

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    assert!(["check", "speed"].contains(&mode.as_str()), "usage: aes_speed check | speed");
    proof::known_answers();
    proof::blocks(300);
    proof::counter_mode(300);
    proof::chains(150);
    proof::one_chain(100);
    proof::chains_outside();
    let simd = if cfg!(target_feature = "simd128") { "simd128" } else { "the crate on both sides" };
    println!("equal to the aes crate and to the known answers ({} {simd})", std::env::consts::ARCH);
    if mode == "speed" {
        speed();
    }
}

fn speed() {
    let mut random = proof::Random::new(9);
    let secret = [0x42; 16];
    let (key, reference) = (Key::new(&secret), Aes128::new((&secret).into()));
    let mut data = random.bytes(1 << 20);
    println!("{:<34}{:>10}{:>10}{:>8}", "MB/s of media", "crate", "ours", "ratio");

    for bytes in [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20] {
        let mut iv = 0;
        let data = &mut data[..bytes];
        row(
            &format!("CTR, samples of {bytes} bytes"),
            bytes,
            data,
            |data| crate_ctr(&reference, data),
            |data| {
                iv += 1;
                Ctr::new(iv).apply(&key, data);
            },
        );
    }
    let iv = [7; 16];
    let every = |bytes: usize, of: usize| -> Vec<Range<usize>> {
        (0..of / bytes).map(|n| n * bytes..(n + 1) * bytes).collect()
    };
    for (name, pattern, skip, bytes) in [
        ("1:9, 100 chains of 10000 bytes", Pattern::ONE_OF_TEN, 9, 10_000),
        ("1:9, 10 chains of 100000 bytes", Pattern::ONE_OF_TEN, 9, 100_000),
        ("1:9, 1 chain of 1000000 bytes", Pattern::ONE_OF_TEN, 9, 1_000_000),
        ("all, 2500 chains of 400 bytes", Pattern::ALL, 0, 400),
    ] {
        let chains = every(bytes, 1_000_000);
        let ours = |data: &mut [u8]| cbc_chains(&key, &iv, pattern, data, &chains).expect("inside");
        row(name, 1_000_000, &mut data[..1_000_000], |data| crate_cbc(&reference, skip, data, &chains), ours);
    }
    let whole = every(65_536, 65_536);
    let ours = |data: &mut [u8]| {
        Cbc::new(iv).apply(&key, data);
    };
    row("all, one chain", 65_536, &mut data[..65_536], |data| crate_cbc(&reference, 0, data, &whole), ours);

    let expansions = |_: &mut [u8]| drop(std::hint::black_box(Key::new(std::hint::black_box(&secret))));
    let theirs = |_: &mut [u8]| {
        std::hint::black_box(Aes128::new(std::hint::black_box(&secret).into()));
    };
    let [theirs, ours] = best(&mut data, theirs, expansions);
    println!("key expansion: crate {:.0} ns, ours {:.0} ns", theirs * 1e9, ours * 1e9);
}

fn row(name: &str, bytes: usize, data: &mut [u8], theirs: impl FnMut(&mut [u8]), ours: impl FnMut(&mut [u8])) {
    let [theirs, ours] = best(data, theirs, ours).map(|seconds| bytes as f64 / seconds / 1e6);
    println!("{name:<34}{theirs:>10.0}{ours:>10.0}{:>8.2}", ours / theirs);
}

/// One of the two that are measured.
struct Side<'f> {
    call: &'f mut dyn FnMut(&mut [u8]),
    calls: u32,
    best: f64,
}

/// Seconds that each side takes for one call at best.
fn best(data: &mut [u8], mut theirs: impl FnMut(&mut [u8]), mut ours: impl FnMut(&mut [u8])) -> [f64; 2] {
    let mut sides =
        [Side { call: &mut theirs, calls: 1, best: f64::MAX }, Side { call: &mut ours, calls: 1, best: f64::MAX }];
    for _ in 0..ROUNDS {
        for side in &mut sides {
            let start = Instant::now();
            (0..side.calls).for_each(|_| (side.call)(data));
            let took = start.elapsed();
            side.best = side.best.min(took.as_secs_f64() / f64::from(side.calls));
            if took < SPAN {
                side.calls *= 2;
            }
        }
    }
    sides.map(|side| side.best)
}

fn crate_ctr(key: &Aes128, data: &mut [u8]) {
    let core = CtrCore::<_, Ctr64BE>::inner_iv_init(key, &[1; 16].into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
}

fn crate_cbc(key: &Aes128, skip: usize, data: &mut [u8], chains: &[Range<usize>]) {
    for chain in chains {
        let mut state = [7; 16];
        for block in data[chain.clone()].as_chunks_mut::<16>().0.iter_mut().step_by(skip + 1) {
            state = (u128::from_ne_bytes(state) ^ u128::from_ne_bytes(*block)).to_ne_bytes();
            key.encrypt_block((&mut state).into());
            *block = state;
        }
    }
}
