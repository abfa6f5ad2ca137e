//! Text in all its forms. Input: a byte that says which, then a file, samples with their lengths,
//! blocks of an index, or a file beside one with sound.
#![no_main]

#[path = "../../tests/cues/mod.rs"]
mod cues;

libfuzzer_sys::fuzz_target!(|data: &[u8]| cues::any(data));
