//! Samples of a track. Input: a handler byte, the FourCC, and chunks with 16-bit lengths: the data of the sample entry,
//! then samples.
#![no_main]

use libfuzzer_sys::fuzz_target;
use packager::codec::{Config, Handler, SampleEntry, Scanner};

fn chunk<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
    let (chunk, after) = after.split_at(length);
    *rest = after;
    Some(chunk)
}

fuzz_target!(|input: &[u8]| {
    let Some((head, mut rest)) = input.split_first_chunk::<5>() else { return };
    let [handler, fourcc @ ..] = *head;
    let handler = if handler & 1 == 0 { Handler::Video } else { Handler::Audio };
    let Some(data) = chunk(&mut rest) else { return };
    let Ok(config) = Config::parse(&SampleEntry { fourcc, handler, data }) else { return };
    let mut scanner = Scanner::new(&config);
    let mut out = Vec::new();
    while let Some(sample) = chunk(&mut rest) {
        if scanner.scan(sample, &mut out).is_err() {
            continue;
        }
        let sum: u64 = out.iter().map(|s| u64::from(s.clear) + u64::from(s.protected)).sum();
        assert_eq!(sum, sample.len() as u64);
        if let Some((_, all_but_last)) = out.split_last() {
            assert!(all_but_last.iter().all(|s| s.protected > 0));
        }
    }
    assert!(scanner.captions().channels().count() <= 4);
    assert!(scanner.captions().services().count() <= 63);
});
