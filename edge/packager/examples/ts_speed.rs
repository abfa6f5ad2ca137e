//! How fast transport stream segments are written, in the clear and under SAMPLE-AES: a segment of six seconds at about
//! 5 Mbit/s, over and over.
//!
//! ```text
//! cargo run --release -p packager --example ts_speed
//! ```

#![allow(clippy::disallowed_methods, reason = "what measures has a clock")]

use std::error::Error;
use std::time::Instant;

use packager::config::{ContentKeys, Iv, KeyUse, KeysOf, Kid, Scheme, SealedKey, keys_key};
use packager::media::protection::Keys;
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use packager::segment::recipe::Secret;
use packager::segment::sample_aes::SampleAes;
use packager::segment::ts::{
    self, Audio, AudioStream, Before, Fragment, Muxer, Next, Order, Program, Unit, VideoStream,
};

fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), kind.as_slice(), content].concat()
}

/// Some key.
fn secret() -> Result<Secret, Box<dyn Error>> {
    let (sealing, kid, iv) = (SealingKey::new([3; 32]), Kid([1; 16]), Iv([2; 16]));
    let sealed = sealing.seal(&keys_key("g", "a", "c"), kid, &ContentKey::new([5; 16]), [7; NONCE_BYTES])?;
    let key = SealedKey { kid, usage: KeyUse::All, from_second: 0, iv: Some(iv), sealed, signalling: Vec::new() };
    let document = ContentKeys {
        of: KeysOf::asset("g", "a", "c"),
        scheme: Scheme::SampleAes,
        keys: vec![key],
        clear_video: false,
        clear_audio: false,
    };
    let keys = Keys::open(&document, &sealing)?;
    let key = keys.all().first().ok_or("no key")?.clone();
    Ok(Secret { key, iv })
}

fn main() -> Result<(), Box<dyn Error>> {
    let sps = [0x67, 0x64, 0x00, 0x0a, 0xac, 0xd9, 0x5f, 0x88, 0x88, 0xc0, 0x44];
    let pps = [0x68, 0xeb, 0xe3, 0xcb];
    let record = [&[1, 0x64, 0, 10, 0xff, 0xe1, 0, 11][..], &sps, &[1, 0, 4], &pps].concat();
    let video = VideoStream::from_sample_entry(&boxed(b"avc1", &[vec![0; 78], boxed(b"avcC", &record)].concat()))?;
    let config = [&[4, 17, 0x40][..], &[0; 12], &[5, 2, 0x11, 0x90]].concat();
    let stream = [&[0, 0, 0, 0, 3, 22, 0, 0, 0][..], &config].concat();
    let audio = AudioStream::from_sample_entry(&boxed(b"mp4a", &[vec![0; 28], boxed(b"esds", &stream)].concat()))?;

    // 150 frames at 25 a second in groups of two seconds, and AAC of 128 kbit/s.
    let sample = |number: usize| -> Vec<u8> {
        let size: u32 = if number.is_multiple_of(50) { 120_000 } else { 22_500 };
        let header = if number.is_multiple_of(50) { 0x65 } else { 0x41 };
        let mut sample = size.to_be_bytes().to_vec();
        sample.push(header);
        sample.extend((1..size).map(|n| (n % 251) as u8 + 4));
        sample
    };
    let samples: Vec<Vec<u8>> = (0..150).map(sample).collect();
    let unit = |(number, sample): (usize, &Vec<u8>)| {
        let (dts, sync) = (number as i64 * 3_600, number.is_multiple_of(50));
        let size = video.access_unit_bytes(sample, sync);
        let spare = ts::sample_aes_packets(size, video.sample_aes_growth(sample).unwrap_or(0));
        Unit { size, dts, pts: dts + 7_200, sync, spare }
    };
    let video_units: Vec<Unit> = samples.iter().enumerate().map(unit).collect();
    let frames = vec![0x21; 341 * 300];
    let audio_units: Vec<Unit> = (0..281)
        .map(|number| Unit { size: 341, dts: number * 1_920, pts: number * 1_920, sync: true, spare: 0 })
        .collect();
    let program =
        Program { video: Some(video), audio: Some(Audio { stream: audio, language: None }), ..Program::default() };

    for secret in [None, Some(secret()?)] {
        let mut out = Vec::new();
        let (mut written, started) = (0, Instant::now());
        for round in 0..1_000 {
            out.clear();
            let mut muxer = Muxer::new(
                program.clone(),
                Before { segments: round, ..Before::default() },
                secret.as_ref().map(SampleAes::new),
            );
            muxer.psi(&mut out);
            for cut in 0..3 {
                let from = cut as i64 * 180_000;
                let pick = |unit: &Unit| (from..from + 180_000).contains(&unit.dts);
                let audio_start = audio_units.iter().take_while(|u| u.dts < from).count();
                let audio_end = audio_start + audio_units.iter().filter(|u| pick(u)).count();
                let fragment = Fragment {
                    span: from..from + 180_000,
                    video: &video_units[cut * 50..cut * 50 + 50],
                    audio: &audio_units[audio_start..audio_end],
                    id3: &[],
                };
                let mut order = Order::new(&program);
                while let Some(next) = order.next(&fragment) {
                    let bytes = match &next {
                        Next::Video { unit, .. } => &samples[cut * 50 + unit][..],
                        Next::Audio { units, .. } => &frames[..341 * units.len()],
                        Next::Id3(_) | Next::Clock(_) => &[],
                    };
                    muxer.write(&next, &fragment, bytes, &mut out)?;
                }
            }
            written += out.len();
        }
        let elapsed = started.elapsed().as_secs_f64();
        let how = if secret.is_some() { "under SAMPLE-AES" } else { "in the clear" };
        println!("written {how}: {} bytes a segment, {:.2} GB/s", out.len(), written as f64 / elapsed / 1e9);
    }

    let (mut counted, started) = (0, Instant::now());
    for _ in 0..20_000 {
        counted += ts::video_packets(&video_units, &(0..540_000)).payload;
        counted += ts::audio_packets(&audio, &audio_units, None).payload;
    }
    let units = 20_000 * (video_units.len() + audio_units.len());
    println!("counted: {counted} packets, {:.0} ns a unit", started.elapsed().as_secs_f64() * 1e9 / units as f64);
    Ok(())
}
