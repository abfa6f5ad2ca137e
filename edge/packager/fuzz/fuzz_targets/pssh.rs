//! What a key server answers: a `pssh` box, a PlayReady object and its header, a Widevine header, a line of HLS, a fragment
//! of DASH.
#![no_main]

#[path = "../../tests/signals/mod.rs"]
mod signals;

libfuzzer_sys::fuzz_target!(|data: &[u8]| signals::any(data));
