//! Sample entries. Input: a handler byte, the FourCC, the data of the entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packager::codec::{Config, Handler, SampleEntry};

fuzz_target!(|input: &[u8]| {
    let Some((head, data)) = input.split_first_chunk::<5>() else { return };
    let [handler, fourcc @ ..] = *head;
    let handler = if handler & 1 == 0 { Handler::Video } else { Handler::Audio };
    match Config::parse(&SampleEntry { fourcc, handler, data }) {
        Ok(config) => {
            assert!(config.codecs.is_ascii() && !config.codecs.contains(['"', ',', ' ']));
            if let Some(audio) = config.audio() {
                assert!(audio.sample_rate > 0);
            }
        }
        Err(error) => assert!(error.offset <= data.len(), "{error}"),
    }
});
