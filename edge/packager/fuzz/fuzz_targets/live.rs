#![no_main]

#[path = "../../tests/channel/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::live(data));
