//! Frames of sound, and ID3 tags.

use packager::ErrorKind;
use packager::source::transport::EsCodec;

use crate::build::{Mux, SOUND, adts};
use crate::learn::{self, Learned, Rendition};

fn read(mux: &Mux) -> Rendition {
    let rendition = learn::learn(&[(false, &mux.out)], &[77]).unwrap();
    learn::check_extraction(&mux.out, &rendition, "by hand");
    rendition
}

fn content(number: u8, bytes: usize) -> Vec<u8> {
    vec![number; bytes]
}

fn numbers(frames: &[Learned]) -> Vec<u8> {
    frames.iter().map(|f| f.data[0]).collect()
}

fn aac() -> Mux {
    Mux::new(&[(0x0f, SOUND, &[0x0a, 4, b'd', b'e', b'u', 3])])
}

#[test]
fn frames_count_from_the_last_one_with_a_time() {
    let frames: Vec<Vec<u8>> = (0..9).map(|n| adts(3, 2, n % 3 == 2, &content(n, 100 + usize::from(n)))).collect();
    let mut mux = aac();
    mux.pes(SOUND, 9000, &frames[..3].concat());
    // Two frames and a part; the time is that of the first frame that begins in the PES packet.
    let part = &frames[5][..60];
    mux.pes(SOUND, 14_760, &[&frames[3..5].concat(), part].concat());
    mux.pes(SOUND, 20_520, &[&frames[5][60..], &frames[6]].concat());
    mux.pes_in(SOUND, 50, (None, None), &frames[7..].concat());
    let found = read(&mux);
    let ours = &found.frames[0];
    assert_eq!(numbers(ours), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let times: Vec<_> = ours.iter().map(|f| (f.pts, f.offset_samples)).collect();
    let [a, b, c] = [9000, 14_760, 20_520];
    assert_eq!(times, [(a, 0), (a, 1024), (a, 2048), (b, 0), (b, 1024), (b, 2048), (c, 0), (c, 1024), (c, 2048)]);
    assert!(ours.iter().all(|f| f.duration_samples == 1024 && f.place.run == 0 && f.sync));
    let stream = &found.streams[0];
    assert_eq!((stream.language.as_deref(), stream.audio_description), (Some("deu"), true));
    assert_eq!(stream.configs[0].config.audio().unwrap().specific_config, Some(vec![0x11, 0x90]));
}

#[test]
fn a_change_is_believed_when_two_frames_say_it() {
    let mut mux = aac();
    mux.pes(SOUND, 9000, &[adts(3, 2, false, &content(0, 90)), adts(3, 2, false, &content(1, 90))].concat());
    // One header that is damaged is no change.
    mux.pes(SOUND, 12_840, &[adts(4, 2, false, &content(2, 90)), adts(3, 2, false, &content(3, 90))].concat());
    mux.pes(SOUND, 16_680, &[adts(3, 1, false, &content(4, 90)), adts(3, 1, false, &content(5, 90))].concat());
    mux.pes(SOUND, 20_520, &[adts(3, 2, false, &content(6, 90)), adts(3, 2, false, &content(7, 90))].concat());
    let found = read(&mux);
    let ours = &found.frames[0];
    assert_eq!(numbers(ours), [0, 1, 3, 4, 5, 6, 7]);
    assert_eq!(ours.iter().map(|f| f.config).collect::<Vec<_>>(), [0, 0, 0, 1, 1, 0, 0]);
    let channels: Vec<_> = found.streams[0].configs.iter().map(|c| c.config.audio().unwrap().channels).collect();
    assert_eq!(channels, [2, 1]);
    // The frame after the one that was left out is where it would have been.
    assert_eq!((ours[2].pts, ours[2].offset_samples, ours[2].place.run), (12_840, 1024, 1));
}

#[test]
fn lost_frames_leave_their_time() {
    let frames: Vec<u8> = (0..12).flat_map(|n| adts(3, 2, false, &content(n, 139))).collect();
    let mut mux = aac();
    mux.pes(SOUND, 9000, &frames);
    // Of 146 bytes each: the third and fourth packet hold frames 2 to 4 and parts of their neighbours.
    mux.out.drain(4 * 188..6 * 188);
    let found = read(&mux);
    let ours = &found.frames[0];
    assert_eq!(numbers(ours), [0, 1, 5, 6, 7, 8, 9, 10, 11]);
    let offsets: Vec<_> = ours.iter().map(|f| f.offset_samples / 1024).collect();
    assert_eq!(offsets, [0, 1, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(ours.iter().map(|f| f.place.run).collect::<Vec<_>>(), [0, 0, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn channels_that_are_not_numbered_are_refused() {
    let mut mux = aac();
    mux.pes(SOUND, 9000, &[adts(3, 0, false, &content(0, 90)), adts(3, 0, false, &content(1, 90))].concat());
    let error = learn::learn(&[(false, &mux.out)], &[188]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("segment 1 packet 2 PID 0x101: channel_configuration is 0"), "{error}");
}

#[test]
fn sound_across_segments() {
    let frames: Vec<u8> = (0..6).flat_map(|n| adts(3, 2, false, &content(n, 300))).collect();
    let mut mux = aac();
    mux.pes(SOUND, 9000, &frames);
    for packets in 3..mux.out.len() / 188 {
        let (first, second) = mux.out.split_at(packets * 188);
        let found = learn::learn(&[(false, first), (false, second)], &[188]).unwrap();
        assert_eq!(numbers(&found.frames[0]), [0, 1, 2, 3, 4, 5], "{packets} packets");
        learn::check_extraction(&mux.out, &found, "two segments");
        // What a discontinuity cuts in two is gone, and nothing is known before the next PES packet.
        let found = learn::learn(&[(false, first), (true, second)], &[188]).unwrap();
        let whole = (packets * 184 - 2 * 184 - 14) / 307;
        assert_eq!(numbers(&found.frames[0]).len(), whole, "{packets} packets");
    }
}

#[test]
fn tags_may_span_pes_packets() {
    let tag = |number: u8, bytes: usize| {
        let size = [0, 0, (bytes >> 7) as u8, bytes as u8 & 0x7f];
        [b"ID3\x04\0\0".as_slice(), &size, &content(number, bytes)].concat()
    };
    let tags = [tag(1, 20), tag(2, 30), tag(3, 700)];
    let mut mux = Mux::new(&[(0x15, SOUND, &[0x26, 7, 0xff, 0xff, b'I', b'D', b'3', b' ', 0xff])]);
    mux.pes(SOUND, 9000, &tags[..2].concat());
    mux.pes(SOUND, 90_000, &tags[2][..300]);
    mux.pes_in(SOUND, 184, (None, None), &tags[2][300..]);
    let found = read(&mux);
    assert_eq!(found.streams[0].codec, EsCodec::Id3);
    let ours: Vec<_> = found.frames[0].iter().map(|f| (f.pts, f.offset_samples, f.data.clone())).collect();
    let [a, b, c] = tags;
    assert_eq!(ours, [(9000, 0, a), (9000, 0, b), (90_000, 0, c)]);
}

/// A sync frame of E-AC-3: stream type, substream, channel mode, channel map of a dependent one.
fn eac3(stream_type: u8, substream: u8, acmod: u8, map: Option<u16>) -> Vec<u8> {
    let words = 32u16;
    let mut bits =
        format!("{:016b}{stream_type:02b}{substream:03b}{:011b}0011{acmod:03b}0{:05b}000000", 0x0b77, words - 1, 16);
    if stream_type == 1 {
        bits += &map.map_or("0".into(), |m| format!("1{m:016b}"));
    }
    // No mixing metadata, no informational metadata, no additional information.
    bits += "000";
    let mut frame = vec![substream + 1; usize::from(words) * 2];
    for (at, bit) in bits.bytes().enumerate() {
        frame[at / 8] = frame[at / 8] & !(0x80 >> (at % 8)) | (bit - b'0') << (7 - at % 8);
    }
    frame
}

#[test]
fn substreams_that_depend_are_in_the_same_sample() {
    // Rear surround pair: bit 6 of the channel map, from the most significant one.
    let unit = [eac3(0, 0, 7, None), eac3(1, 0, 2, Some(0x8000 >> 6))].concat();
    let mut mux = Mux::new(&[(0x87, SOUND, &[])]);
    mux.pes(SOUND, 9000, &unit.repeat(2));
    mux.pes(SOUND, 14_760, &unit);
    let found = read(&mux);
    assert_eq!(found.frames[0].iter().map(|f| f.data.clone()).collect::<Vec<_>>(), [unit.clone(), unit.clone(), unit]);
    assert_eq!(
        found.frames[0].iter().map(|f| (f.pts, f.offset_samples)).collect::<Vec<_>>(),
        [(9000, 0), (9000, 1536), (14_760, 0)]
    );
    let audio = found.streams[0].configs[0].config.audio().unwrap().clone();
    assert_eq!((audio.channels, audio.channel_map, audio.sample_rate), (7, Some(0xfa00), 48_000));
}

#[test]
fn latm_holds_the_frames_of_adts() {
    let path = |name: &str| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transport").join(name);
    let [adts, latm] = ["aac_adts.ts", "aac_latm.ts"].map(|name| {
        let bytes = std::fs::read(path(name)).unwrap();
        let found = learn::learn(&[(false, &bytes)], &[188]).unwrap();
        learn::check_extraction(&bytes, &found, name);
        found
    });
    assert_eq!((adts.streams[0].codec, latm.streams[0].codec), (EsCodec::AacAdts, EsCodec::AacLatm));
    assert!(adts.frames[0].len() > 40);
    assert_eq!(adts.frames[0].len(), latm.frames[0].len());
    for (index, (a, b)) in adts.frames[0].iter().zip(&latm.frames[0]).enumerate() {
        assert!(a.data == b.data && a.duration_samples == b.duration_samples, "frame {index}");
        // PES packets begin at different frames.
        let time = |f: &Learned| f.pts as i64 + i64::from(f.offset_samples) * 90_000 / 44_100;
        assert!((time(a) - time(b)).abs() <= 1, "frame {index}");
    }
    assert_eq!(adts.streams[0].configs[0].config, latm.streams[0].configs[0].config);
}

#[test]
fn replicated_bands_are_seen_in_the_frames() {
    for path in crate::shared() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let low = name == "oneSecond.ts";
        if !name.starts_with("heaac_v") && !low {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let found = learn::learn(&[(false, &bytes)], &[188]).unwrap();
        let stream = found.streams.iter().find(|s| s.codec == EsCodec::AacAdts).unwrap();
        let config = &stream.configs[0].config;
        let rate = config.audio().unwrap().sample_rate;
        assert_eq!((config.codecs.as_str(), rate), if low { ("mp4a.40.2", 22_050) } else { ("mp4a.40.5", 48_000) });
        let samples = if low { 1024 } else { 2048 };
        assert!(found.frames.iter().flatten().all(|f| [0, samples].contains(&f.duration_samples)), "{name}");
    }
}
