//! Sample entries: what real encoders wrote, entries put together by hand for layouts that are rare, and broken ones.
#![allow(missing_docs, reason = "a test program has no public interface")]
#![allow(clippy::disallowed_methods, reason = "tests read fixtures")]

#[path = "codec/mp4.rs"]
mod mp4;

use std::path::Path;

use packager::codec::{Audio, Codec, Config, Error, ErrorKind, FourCc, Handler, SampleEntry, Video, VideoRange};

fn parse(fourcc: &FourCc, handler: Handler, data: &[u8]) -> Result<Config, Error> {
    Config::parse(&SampleEntry { fourcc: *fourcc, handler, data })
}

fn bx(fourcc: &FourCc, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 8).to_be_bytes(), &fourcc[..], payload].concat()
}

/// VisualSampleEntry of 640 x 360.
fn visual(children: &[Vec<u8>]) -> Vec<u8> {
    let mut data = vec![0; 78];
    data[7] = 1;
    data[24..28].copy_from_slice(&[640u16.to_be_bytes(), 360u16.to_be_bytes()].concat());
    data.extend(children.concat());
    data
}

/// AudioSampleEntry of a QuickTime version, two channels at 44.1 kHz.
fn sound(version: u16, more: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut data = vec![0; 28];
    data[8..10].copy_from_slice(&version.to_be_bytes());
    data[17] = 2;
    data[19] = 16;
    data[24..26].copy_from_slice(&44_100u16.to_be_bytes());
    data.extend(more);
    data.extend(children.concat());
    data
}

/// avcC of a Main profile stream, 1280 x 720, as x264 writes it.
fn avcc() -> Vec<u8> {
    let sps = [0x67, 0x4d, 0x40, 0x1f, 0xe8, 0x80, 0x28, 0x02, 0xdd, 0x80];
    let mut payload = vec![1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, sps.len() as u8];
    payload.extend(sps);
    payload.extend([1, 0, 4, 0x68, 0xeb, 0xec, 0xb2]);
    payload
}

/// esds with this objectTypeIndication and AudioSpecificConfig.
fn esds(object_type: u8, specific: &[u8]) -> Vec<u8> {
    let n = specific.len() as u8;
    let mut payload = vec![0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 23 + n, 0, 1, 0, 4, 15 + n, object_type, 0x15];
    payload.extend([0; 11]);
    payload.extend([5, n]);
    payload.extend(specific);
    payload.extend([6, 1, 2]);
    bx(b"esds", &payload)
}

fn video(config: &Config) -> &Video {
    config.video().unwrap()
}

fn audio(config: &Config) -> &Audio {
    config.audio().unwrap()
}

#[test]
fn real_encoders() {
    // Read by hand from the bytes of the configuration boxes; the DASH muxer of ffmpeg agrees where it knows them.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec");
    for (name, codec, codecs, size, bit_depth) in [
        ("slices/avc_cabac_b", Codec::Avc, "avc1.64000A", (128, 96), 8),
        ("slices/avc_baseline_refs", Codec::Avc, "avc1.42C00A", (128, 96), 8),
        ("slices/avc_cavlc_10_422_fade", Codec::Avc, "avc1.7A000A", (128, 96), 10),
        ("slices/hevc_wpp", Codec::Hevc, "hvc1.1.6.L60.90", (256, 192), 8),
        ("slices/hevc_weighted", Codec::Hevc, "hev1.1.6.L30.90", (128, 96), 8),
        ("slices/hevc_main10_444", Codec::Hevc, "hev1.4.10.L30.9C.8", (128, 96), 10),
        ("frames/av1_aom", Codec::Av1, "av01.0.00M.08", (128, 96), 8),
        ("frames/av1_aom_grain_10", Codec::Av1, "av01.0.00M.10", (128, 96), 10),
        ("frames/av1_aom_screen_444", Codec::Av1, "av01.1.00M.08.0.000.02.02.02.0", (128, 96), 8),
        ("frames/vp9_altref", Codec::Vp9, "vp09.00.10.08", (128, 96), 8),
        ("frames/vp9_profile_2", Codec::Vp9, "vp09.02.10.10", (128, 96), 10),
    ] {
        let file = std::fs::read(folder.join(name).with_extension("mp4")).unwrap();
        let track = mp4::tracks(&file).remove(0);
        let config = parse(&track.fourcc, track.handler, &track.entry).unwrap();
        assert_eq!((config.codec, config.codecs.as_str()), (codec, codecs), "{name}");
        let v = video(&config);
        assert_eq!((v.width, v.height, v.bit_depth, v.range), (size.0, size.1, bit_depth, VideoRange::Sdr), "{name}");
        assert!(v.coded_size.is_none_or(|coded| coded == size), "{name}");
    }
}

#[test]
fn avc_with_everything_around() {
    let colr = bx(b"colr", b"nclx\x00\x09\x00\x10\x00\x09\x80");
    let pasp = bx(b"pasp", &[0, 0, 0, 4, 0, 0, 0, 3]);
    let data = visual(&[bx(b"avcC", &avcc()), bx(b"????", b"kept"), colr, pasp, vec![0; 4]]);
    let config = parse(b"avc1", Handler::Video, &data).unwrap();
    assert_eq!(config.codecs, "avc1.4D401F");
    let v = video(&config);
    assert_eq!((v.width, v.height, v.coded_size), (640, 360, Some((1280, 720))));
    assert_eq!((v.range, v.pixel_aspect, v.nal_length_size), (VideoRange::Pq, Some((4, 3)), Some(4)));
    assert!(v.colour.unwrap().full_range);
}

#[test]
fn parameter_sets_may_come_in_the_samples_of_avc3_only() {
    let empty = bx(b"avcC", &[1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]);
    let config = parse(b"avc3", Handler::Video, &visual(std::slice::from_ref(&empty))).unwrap();
    assert_eq!((config.codecs.as_str(), video(&config).coded_size), ("avc3.64001F", None));
    let error = parse(b"avc1", Handler::Video, &visual(&[empty])).unwrap_err();
    assert_eq!((error.kind, error.path.as_str(), error.offset), (ErrorKind::Malformed, "avc1/avcC", 78 + 8 + 5));
}

#[test]
fn dolby_vision() {
    // Profile 8, level 6, rpu and base layer present, compatibility id 1.
    let dvvc = |compatibility: u8| bx(b"dvvC", &[&[1, 0, 0x10, 0x35, compatibility << 4][..], &[0; 19]].concat());
    let config = parse(b"avc1", Handler::Video, &visual(&[bx(b"avcC", &avcc()), dvvc(1)])).unwrap();
    let v = video(&config);
    assert_eq!(v.dolby_vision.map(|d| (d.profile, d.level, d.compatibility_id)), Some((8, 6, 1)));
    assert_eq!(v.supplemental_codecs.as_deref(), Some("dva1.08.06/db1p"));
    let config = parse(b"dva1", Handler::Video, &visual(&[bx(b"avcC", &avcc()), dvvc(0)])).unwrap();
    assert_eq!((config.codecs.as_str(), video(&config).supplemental_codecs.as_deref()), ("dva1.08.06", None));
    assert_eq!(video(&config).range, VideoRange::Pq);
}

#[test]
fn sound_descriptions_of_quicktime() {
    let aac = esds(0x40, &[0x12, 0x10]);
    let check = |data: &[u8]| {
        let config = parse(b"mp4a", Handler::Audio, data).unwrap();
        assert_eq!(config.codecs, "mp4a.40.2");
        let a = audio(&config);
        assert_eq!((a.sample_rate, a.channels, a.samples_per_frame), (44_100, 2, Some(1024)));
        assert_eq!(a.specific_config.as_deref(), Some(&[0x12, 0x10][..]));
        assert_eq!(a.hls_channels(), "2");
    };
    check(&sound(0, &[], std::slice::from_ref(&aac)));
    let version_1 = [0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let wave = bx(b"wave", &[bx(b"frma", b"mp4a"), aac.clone(), vec![0, 0, 0, 8, 0, 0, 0, 0]].concat());
    check(&sound(1, &version_1, &[wave.clone(), bx(b"chan", &[0; 12])]));
    // ISO files number their entries 1 too, without the fields of QuickTime.
    check(&sound(1, &[], std::slice::from_ref(&aac)));
    let mut version_2 = vec![0, 0, 0, 72];
    version_2.extend(44_100f64.to_be_bytes());
    version_2.extend([0, 0, 0, 2, 0x7f, 0, 0, 0]);
    version_2.extend([0; 16]);
    check(&sound(2, &version_2, &[wave]));
}

#[test]
fn high_efficiency_aac() {
    let parse_aac = |object, specific: &[u8]| {
        parse(b"mp4a", Handler::Audio, &sound(0, &[], &[esds(object, specific)])).map(|c| c.codecs)
    };
    assert_eq!(parse_aac(0x40, &[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap(), "mp4a.40.5");
    assert_eq!(parse_aac(0x40, &[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80]).unwrap(), "mp4a.40.29");
    assert_eq!(parse_aac(0x40, &[0x2b, 0x09, 0x88, 0x00]).unwrap(), "mp4a.40.5");
    assert_eq!(parse_aac(0x67, &[0x12, 0x10]).unwrap(), "mp4a.67");
    let dts = parse_aac(0xa9, &[]).unwrap_err();
    assert_eq!((dts.kind, dts.path.as_str()), (ErrorKind::Unsupported(*b"mp4a"), "mp4a/esds"));
    assert!(dts.to_string().contains("0xa9"), "{dts}");
    let usac = parse_aac(0x40, &[0xf9, 0x46, 0x43, 0x22]).unwrap_err();
    assert_eq!(usac.kind, ErrorKind::Unsupported(*b"mp4a"));
    assert_eq!(parse_aac(0x40, &[0x12]).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn other_sound() {
    let layer_3 = |object| {
        let config = parse(b"mp4a", Handler::Audio, &sound(0, &[], &[esds(object, &[])])).unwrap();
        assert_eq!((config.codec, audio(&config).samples_per_frame), (Codec::Mp3, Some(1152)));
        config.codecs
    };
    assert_eq!((layer_3(0x6b).as_str(), layer_3(0x69).as_str()), ("mp4a.6B", "mp4a.69"));
    let dec3 = bx(b"dec3", &[0x18, 0x00, 0x20, 0x0f, 0x00, 0x01, 0x10]);
    let config = parse(b"ec-3", Handler::Audio, &sound(0, &[], &[dec3])).unwrap();
    let a = audio(&config);
    assert_eq!((config.codecs.as_str(), a.hls_channels().as_str(), a.channels), ("ec-3", "16/JOC", 6));
    assert_eq!((a.channel_map, a.channel_configuration), (Some(0xf801), Some(6)));
    let dops = bx(b"dOps", &[0, 2, 1, 0x38, 0, 0, 0xac, 0x44, 0, 0, 0]);
    let config = parse(b"Opus", Handler::Audio, &sound(0, &[], &[dops])).unwrap();
    assert_eq!((config.codecs.as_str(), audio(&config).sample_rate), ("Opus", 48_000));
}

#[test]
fn what_is_not_handled_is_named() {
    for fourcc in [b"encv", b"enca"] {
        assert_eq!(parse(fourcc, Handler::Video, &[]).unwrap_err().kind, ErrorKind::Encrypted);
    }
    let error = parse(b"avc1", Handler::Video, &visual(&[bx(b"avcC", &avcc()), bx(b"sinf", &[])])).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (ErrorKind::Encrypted, "avc1/sinf"));
    for fourcc in [b"vvc1", b"mp4v", b"ac-4", b".mp3", b"alac", b"sowt", b"mett", b"vp08"] {
        for handler in [Handler::Video, Handler::Audio] {
            let error = parse(fourcc, handler, &visual(&[])).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported(*fourcc));
        }
    }
    assert_eq!(parse(b"avc1", Handler::Audio, &[]).unwrap_err().kind, ErrorKind::Unsupported(*b"avc1"));
}

#[test]
fn broken_entries_say_where() {
    let place = |fourcc: &FourCc, handler, data: &[u8]| {
        let error = parse(fourcc, handler, data).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
        (error.path, error.offset)
    };
    assert_eq!(place(b"avc1", Handler::Video, &[0; 20]), ("avc1".into(), 20));
    assert_eq!(place(b"hvc1", Handler::Video, &visual(&[])), ("hvc1".into(), 78));
    let long = visual(&[bx(b"pasp", &[0; 8]), vec![0, 0, 1, 0, b'a', b'v', b'c', b'C']]);
    assert_eq!(place(b"avc1", Handler::Video, &long), ("avc1/avcC".into(), 78 + 16));
    // A parameter set that says more bytes than there are.
    let mut cut = avcc();
    cut[7] = 200;
    assert_eq!(place(b"avc1", Handler::Video, &visual(&[bx(b"avcC", &cut)])), ("avc1/avcC".into(), 78 + 8 + 8));
    let tiny = visual(&[vec![0, 0, 0, 3, b'a', b'b', b'c', b'd']]);
    assert_eq!(place(b"avc1", Handler::Video, &tiny), ("avc1/abcd".into(), 78));
    assert_eq!(place(b"vp09", Handler::Video, &visual(&[bx(b"vpcC", &[1, 0])])).0, "vp09/vpcC");
    assert_eq!(place(b"av01", Handler::Video, &visual(&[bx(b"av1C", &[0x81])])).0, "av01/av1C");
}

#[test]
fn a_fault_at_the_end_of_a_box_lies_in_the_box() {
    // Found by fuzzing: numOfPictureParameterSets is the last byte of avcC.
    let mut cut = avcc();
    cut.truncate(19);
    let data = visual(&[bx(b"avcC", &cut)]);
    assert_eq!(parse(b"avc1", Handler::Video, &data).unwrap_err().offset, data.len());
}

#[test]
fn every_cut_of_a_real_entry_is_refused_or_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codec");
    for name in ["slices/hevc_wpp", "frames/av1_aom", "frames/vp9_altref", "slices/avc_tff"] {
        let file = std::fs::read(folder.join(name).with_extension("mp4")).unwrap();
        let track = mp4::tracks(&file).remove(0);
        for length in 0..track.entry.len() {
            if let Err(error) = parse(&track.fourcc, track.handler, &track.entry[..length]) {
                assert!(error.offset <= length, "{error}");
            }
        }
    }
}
