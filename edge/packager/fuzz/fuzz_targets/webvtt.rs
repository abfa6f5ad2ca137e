//! Text in all its forms. Input: a byte that says which, then a file, samples with their lengths, or blocks of an index.
#![no_main]

#[path = "../../tests/cues/mod.rs"]
mod cues;

libfuzzer_sys::fuzz_target!(|data: &[u8]| cues::any(data));
