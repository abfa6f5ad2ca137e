//! Transport streams and packed audio under AES-128 and SAMPLE-AES: what was encrypted is decrypted by other means, and is what
//! is served in the clear.

#![allow(clippy::disallowed_methods, reason = "a test may read files and run ffmpeg")]

#[path = "ts_out/check.rs"]
mod check;
#[path = "ts_encrypted/crafted.rs"]
mod crafted;
#[path = "ts_encrypted/decrypt.rs"]
mod decrypt;
mod drive;
#[path = "ts_encrypted/ffmpeg.rs"]
mod ffmpeg;
#[path = "ts_encrypted/site.rs"]
mod site;
#[path = "ts_out/title.rs"]
mod title;

use check::Reader;
use decrypt::Secret;
use packager::ErrorKind;
use packager::config::{KeyUse, Scheme};
use site::{ASSETS, Asset};

const IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const KEY: u8 = 0x5a;
const SECRET: Secret = Secret { key: [KEY; 16], iv: IV };

fn one_key(iv: Option<[u8; 16]>) -> Vec<drive::TestKey> {
    vec![(KeyUse::All, KEY, iv)]
}

#[test]
fn aes_128_is_the_clear_segment_in_an_envelope() {
    let mut numbered = 0;
    for (asset, separate) in ASSETS.iter().flat_map(|asset| [(asset, false), (asset, true)]) {
        let asset = Asset::ingest(asset);
        let clear = asset.site(2, separate, None);
        for (iv, lead) in [(Some(IV), 0), (None, 0), (None, 1)] {
            let sealed = asset.site(2, separate, Some((Scheme::Aes128, lead, &one_key(iv))));
            assert!(!sealed.paths().any(|path| path.ends_with("iframes.m3u8")), "parts of these cannot be read");
            for playlist in clear.playlists() {
                let segments = clear.segments(&playlist);
                assert_eq!(segments.len(), sealed.segments(&playlist).len());
                for (place, (number, path)) in segments.into_iter().enumerate() {
                    let (before, after) = (&clear.bodies[&path], &sealed.bodies[&path]);
                    if place < lead as usize || path.ends_with(".vtt") {
                        assert!(before == after, "{path} is in the clear");
                        continue;
                    }
                    assert_eq!(after.len(), (before.len() / 16 + 1) * 16);
                    let secret = Secret { iv: iv.unwrap_or((number as u128).to_be_bytes()), ..SECRET };
                    assert!(secret.body(after).as_ref() == Some(before), "{path}");
                    assert!(Secret { key: [1; 16], ..secret }.body(after).as_ref() != Some(before));
                    numbered += usize::from(iv.is_none() && number != place + 1);
                }
            }
        }
    }
    assert!(numbered > 0, "some playlist begins with a gap");
}

#[test]
fn sample_aes_decrypts_to_the_clear_streams() {
    let (mut streams, mut frames, mut larger) = (std::collections::BTreeSet::new(), 0, 0);
    for (asset, separate) in ASSETS.iter().flat_map(|asset| [(asset, false), (asset, true)]) {
        let asset = Asset::ingest(asset);
        let clear = asset.site(2, separate, None);
        for lead in [0, 1] {
            let sealed = match asset.try_site(2, separate, Some((Scheme::SampleAes, lead, &one_key(Some(IV))))) {
                Ok(site) => site,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unsupported);
                    assert!(asset.name.contains("hevc") || asset.name.contains("mp3"), "{}: {error}", asset.name);
                    assert!(error.message().contains("SAMPLE-AES"), "{error}");
                    continue;
                }
            };
            for playlist in sealed.playlists() {
                let segments = sealed.segments(&playlist);
                let (mut whole, mut wanted) = (Reader::default(), Reader::default());
                for (place, (_, path)) in segments.into_iter().enumerate() {
                    let (before, after) = (&clear.bodies[&path], &sealed.bodies[&path]);
                    if path.ends_with(".vtt") {
                        assert!(before == after);
                        continue;
                    }
                    if !path.ends_with(".ts") {
                        let (tag, own) = site::packed(after);
                        let (time, clear_frames) = site::packed(before);
                        if place < lead as usize {
                            assert!(before == after, "{path} is in the clear");
                            continue;
                        }
                        assert!(tag.time == time.time && tag.setup.is_some() && time.setup.is_none());
                        let opened = if path.ends_with(".aac") { SECRET.adts(own) } else { SECRET.sync_frames(own) };
                        assert!(own != clear_frames && opened == clear_frames, "{path}");
                        frames += 1;
                        continue;
                    }
                    let first = whole.pes.len();
                    whole.segment(after);
                    wanted.segment(before);
                    let types: Vec<u8> = whole.streams.iter().map(|s| s.stream_type).collect();
                    if place < lead as usize {
                        assert!(before == after || asset.name.contains("mp3"), "{path} is in the clear");
                        wanted.pes.retain(|pes| whole.streams.iter().any(|s| s.pid == pes.pid));
                        continue;
                    }
                    assert!(types.iter().all(|t| matches!(t, 0xdb | 0xcf | 0xc1 | 0xc2 | 0x15)), "{types:x?}");
                    assert!(types.len() == wanted.streams.len() || asset.name.contains("mp3"), "{types:x?}");
                    larger += usize::from(after.len() > before.len());
                    // Only MP3 is left out.
                    wanted.pes.retain(|pes| whole.streams.iter().any(|s| s.pid == pes.pid));
                    streams.extend(types);
                    assert_eq!(whole.pes.len(), wanted.pes.len());
                    let other = Secret { key: [1; 16], ..SECRET };
                    for (own, clear) in whole.pes[first..].iter().zip(&wanted.pes[first..]) {
                        let stream = whole.streams.iter().find(|s| s.pid == own.pid).expect("it is in the PMT");
                        assert_eq!((own.pid, own.pts, own.dts, own.pcr), (clear.pid, clear.pts, clear.dts, clear.pcr));
                        assert!(SECRET.pes(stream, own) == clear.payload, "{path} {:x}", own.pid);
                        if stream.stream_type != 0x15 && clear.payload.len() > 400 {
                            assert!(own.payload != clear.payload, "nothing is in the clear");
                            assert!(other.pes(stream, own) != clear.payload, "another key is of no use");
                        }
                    }
                }
                if !whole.pes.is_empty() {
                    whole.check_clock();
                }
            }
        }
    }
    println!("stream types {streams:x?}, {frames} packed segments, {larger} segments that grew");
    assert_eq!(streams.into_iter().filter(|t| *t != 0x15).collect::<Vec<_>>(), [0xc1, 0xc2, 0xcf, 0xdb]);
    assert!(frames > 20 && larger > 0);
}

#[test]
fn key_frames_under_sample_aes_lie_where_the_playlist_says() {
    for names in ASSETS {
        let asset = Asset::ingest(names);
        let Ok(site) = asset.try_site(6, false, Some((Scheme::SampleAes, 1, &one_key(Some(IV))))) else { continue };
        for playlist in site.paths().filter(|path| path.ends_with("iframes.m3u8")) {
            let mut frames = 0;
            for (path, range) in site.ranges(playlist) {
                let segment = &site.bodies[&path];
                let mut reader = Reader::default();
                reader.segment(&[&segment[..376], &segment[range]].concat());
                assert_eq!((reader.pes.len(), reader.pes[0].random_access), (1, true));
                let mut whole = Reader::default();
                whole.segment(segment);
                assert!(whole.of(0x100).any(|pes| pes.payload == reader.pes[0].payload));
                frames += 1;
            }
            assert!(frames > 0);
        }
    }
}

#[test]
fn a_range_is_a_slice_of_the_whole() {
    let asset = Asset::ingest(ASSETS[0]);
    for (scheme, iv) in [(Scheme::Aes128, None), (Scheme::SampleAes, Some(IV))] {
        for separate in [false, true] {
            let site = asset.site(2, separate, Some((scheme, 0, &one_key(iv))));
            let mut checked = 0;
            for (path, response) in &site.made {
                let whole = &site.bodies[path];
                let length = whole.len() as u64;
                let ends =
                    [1, 15, 16, 17, 376, length / 3, length / 2 + 1, length - 17, length - 16, length - 1, length];
                for start in [0, 1, 16, 188, 1000, length / 2, length - 16, length - 1] {
                    for end in ends.into_iter().filter(|end| *end > start) {
                        let bytes = asset.bytes_of(&response.slice(start..end));
                        assert!(bytes == whole[start as usize..end as usize], "{path} {start}..{end}");
                        checked += 1;
                    }
                }
            }
            assert!(checked > 70, "{checked}");
        }
    }
}

#[test]
fn the_program_map_says_what_is_encrypted_and_how() {
    let descriptors = |name: &str| {
        let asset = Asset::ingest(ASSETS.iter().find(|names| names.contains(&name)).expect("an asset of the test"));
        let site = asset.site(6, false, Some((Scheme::SampleAes, 0, &one_key(Some(IV)))));
        let mut reader = Reader::default();
        let ts = site.paths().find(|path| path.ends_with("/1.ts")).expect("a segment").to_owned();
        reader.segment(&site.bodies[&ts]);
        reader.streams.iter().map(|s| (s.stream_type, s.descriptors.clone())).collect::<Vec<_>>()
    };
    let aac = descriptors("small/h264_aac.mp4");
    assert_eq!(aac[0], (0xdb, b"\x0f\x04zavc".to_vec()));
    assert_eq!(aac[1].0, 0xcf);
    assert_eq!(aac[1].1[..6], *b"\x0f\x04aacd");
    let setup = &aac[1].1[6..];
    assert_eq!((setup[0], &setup[2..14]), (5, &b"apadzaac\0\0\x01\x05"[..]));
    assert_eq!(setup[14..16], [0x11, 0x90], "AAC-LC, 48 kHz, stereo");
}

#[test]
fn what_shares_a_stream_shares_a_key() {
    let asset = Asset::ingest(ASSETS[0]);
    let video = KeyUse::Video { min_pixels: None, max_pixels: None };
    let audio = KeyUse::Audio { min_channels: None, max_channels: None };
    for (scheme, iv) in [(Scheme::Aes128, None), (Scheme::SampleAes, Some(IV))] {
        let two = [(video, 1, iv), (audio, 2, iv)];
        let error = asset.try_site(6, false, Some((scheme, 0, &two))).err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("audio_separation"), "{error}");
        assert!(asset.try_site(6, true, Some((scheme, 0, &two))).is_ok());
        // The same key by two names in the document is no refusal.
        let same = [(video, 2, iv), (audio, 2, iv)];
        assert!(asset.try_site(6, false, Some((scheme, 0, &same))).is_ok());
    }
}
