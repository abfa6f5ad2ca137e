//! Playlists as operators write them, and as nobody should.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

use std::fs;
use std::path::Path;

use packager::ErrorKind;
use packager::m3u8::{InstreamId, Media, Multivariant, RenditionKind};

/// What operators of the service write, word for word in form: PROGRAM-ID, audio codec first, a sub-folder.
const MULTIVARIANT: &str = "#EXTM3U
#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=2493700,CODECS=\"mp4a.40.2,avc1.64001e\"
hd/index.m3u8
#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=1093700,CODECS=\"mp4a.40.2,avc1.64001e\"
sd/index.m3u8
";

const MEDIA: &str = "#EXTM3U
#EXT-X-VERSION:3
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-TARGETDURATION:17
#EXTINF:15.5,
1.ts
#EXTINF:16.666,
2.ts
#EXT-X-DISCONTINUITY
#EXTINF:2.533,
3.ts
#EXT-X-ENDLIST
";

fn multivariant(text: &str) -> Result<Multivariant, String> {
    Multivariant::read("shows/1/main.m3u8", text.as_bytes()).map_err(|e| e.to_string())
}

fn media(text: &str) -> Result<Media, String> {
    Media::read("shows/1/hd/index.m3u8", text.as_bytes()).map_err(|e| e.to_string())
}

#[test]
fn playlists_of_operators() {
    let playlist = multivariant(MULTIVARIANT).unwrap();
    let variants: Vec<_> = playlist.variants.iter().map(|v| (v.line, v.path.as_str(), v.bandwidth)).collect();
    assert_eq!(variants, [(3, "shows/1/hd/index.m3u8", 2_493_700), (5, "shows/1/sd/index.m3u8", 1_093_700)]);
    let playlist = media(MEDIA).unwrap();
    let segments: Vec<_> = playlist.segments.iter().map(|s| (s.line, s.duration, s.discontinuity)).collect();
    assert_eq!(segments, [(6, 15_500_000, false), (8, 16_666_000, false), (11, 2_533_000, true)]);
    assert_eq!(playlist.segments[2].path, "shows/1/hd/3.ts");
    assert_eq!((playlist.target_duration, playlist.duration()), (17, 34_699_000));
}

#[test]
fn carriage_returns_byte_order_marks_and_missing_last_newlines() {
    let text = format!("\u{feff}{}", MULTIVARIANT.replace('\n', "\r\n"));
    assert_eq!(multivariant(&text).unwrap(), multivariant(MULTIVARIANT).unwrap());
    assert_eq!(media(MEDIA.trim_end()).unwrap(), media(MEDIA).unwrap());
}

#[test]
fn renditions() {
    let text = "#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English, 5.1\",LANGUAGE=\"en\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\",FORCED=NO,URI=\"a/en.m3u8\"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"de\",LANGUAGE=\"de\",FORCED=\"YES\",CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound\",URI=\"s/de.m3u8\"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID=\"c\",NAME=\"CC\",LANGUAGE=\"\",INSTREAM-ID=\"SERVICE3\"
#EXT-X-MEDIA:TYPE=HOLOGRAM,GROUP-ID=\"h\",NAME=\"x\"
#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=wide,FRAME-RATE=fast,AUDIO=\"a\",SUBTITLES=\"s\",CLOSED-CAPTIONS=NONE
v.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"
";
    let playlist = multivariant(text).unwrap();
    let [audio, subtitles, captions] = playlist.renditions.as_slice() else { panic!("{playlist:?}") };
    assert_eq!((audio.kind, audio.name.as_str()), (RenditionKind::Audio, "English, 5.1"));
    assert_eq!(audio.path.as_deref(), Some("shows/1/a/en.m3u8"));
    assert!(audio.default && audio.autoselect && !audio.forced);
    assert!(subtitles.forced && subtitles.characteristics.len() == 2);
    assert_eq!((captions.instream_id, captions.language.as_deref()), (Some(InstreamId::Cea708(3)), None));
    let [variant] = playlist.variants.as_slice() else { panic!("{playlist:?}") };
    assert_eq!((variant.audio.as_deref(), variant.closed_captions.as_deref()), (Some("a"), None));
}

#[test]
fn byte_ranges_and_maps() {
    let text = "#EXTM3U
#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"720@0\"
#EXTINF:4
#EXT-X-BYTERANGE:1000@720
all.mp4
#EXTINF:4.0000005,title, with comma
#EXT-X-BYTERANGE:500
all.mp4
#EXT-X-MAP:URI=\"other.mp4\"
#EXT-X-GAP
#EXTINF:.5,
other1.m4s
#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"720@0\"
#EXTINF:1,
last.m4s
#EXT-X-ENDLIST";
    let playlist = media(text).unwrap();
    let ranges: Vec<_> = playlist.segments.iter().map(|s| s.range.clone()).collect();
    assert_eq!(ranges, [Some(720..1720), Some(1720..2220), None, None]);
    let maps: Vec<_> = playlist.segments.iter().map(|s| s.map).collect();
    assert_eq!(maps, [Some(0), Some(0), Some(1), Some(0)]);
    assert_eq!((playlist.maps[0].range.clone(), playlist.maps[1].range.clone()), (Some(0..720), None));
    assert_eq!(
        playlist.segments.iter().map(|s| s.duration).collect::<Vec<_>>(),
        [4_000_000, 4_000_001, 500_000, 1_000_000]
    );
    assert!(playlist.segments[2].gap && !playlist.segments[3].gap);
}

#[test]
fn refusals_of_multivariant_playlists_name_the_line() {
    let refused = |text: &str| multivariant(text).unwrap_err();
    let with = |line: &str| format!("#EXTM3U\n{line}\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n");
    for (text, wanted) in [
        (MEDIA.to_owned(), "line 3: EXT-X-MEDIA-SEQUENCE makes this a media playlist"),
        (String::new(), "shows/1/main.m3u8: the playlist is empty"),
        ("\u{feff} \n".into(), "the playlist is empty"),
        ("hello".into(), "line 1: a playlist begins with #EXTM3U"),
        ("#EXTM3U\n".into(), "lists no variant"),
        (with("#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\""), "line 2: the media are encrypted (METHOD=AES-128)"),
        (with("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\""), "line 2: EXT-X-DEFINE"),
        (with("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\""), "line 2: EXT-X-MEDIA has no NAME"),
        (
            with("#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"a\",NAME=\"x\""),
            "line 2: EXT-X-MEDIA with TYPE=SUBTITLES has no URI",
        ),
        (
            with("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"../../../x\""),
            "line 2: \"../../../x\" leads out",
        ),
        (with("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",DEFAULT=MAYBE"), "line 2: EXT-X-MEDIA cannot be read"),
        (with("#EXT-X-STREAM-INF:BANDWIDTH=1"), "line 2: EXT-X-STREAM-INF has no URI after it"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1".into(), "line 2: EXT-X-STREAM-INF has no URI after it"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=fast\nv.m3u8".into(), "line 2: EXT-X-STREAM-INF needs a BANDWIDTH"),
        (
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://cdn/v.m3u8".into(),
            "line 3: \"https://cdn/v.m3u8\" leads out",
        ),
        (with(&"x".repeat(70_000)), "line 2: it has 70000 bytes"),
        (with(&"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\"\n".repeat(513)), "line 514: more than 512 variants"),
    ] {
        let error = refused(&text);
        assert!(error.contains(wanted) && error.starts_with("shows/1/main.m3u8: "), "{error}");
    }
    let error = Multivariant::read("m", b"#EXTM3U\nab\xff").unwrap_err();
    assert_eq!(error.message(), "m: line 2: byte 10 is no UTF-8, so this is no playlist");
}

#[test]
fn refusals_of_media_playlists_name_the_line() {
    let refused = |text: &str| media(text).unwrap_err();
    let before_end = |line: &str| MEDIA.replace("#EXT-X-ENDLIST", &format!("{line}\n#EXT-X-ENDLIST"));
    for (text, wanted) in [
        (MEDIA.replace("#EXT-X-ENDLIST", ""), "a live playlist, or one that was cut off, as it has no EXT-X-ENDLIST"),
        // The type VOD promises that nothing changes, not that nothing was lost: without its end it is not whole.
        (MEDIA.replace("#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE:VOD"), "as it has no EXT-X-ENDLIST"),
        (before_end("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\""), "line 12: the media are encrypted (METHOD=SAMPLE-AES)"),
        (before_end("#EXT-X-KEY:URI=\"k\""), "line 12: the media are encrypted"),
        (before_end("4.ts"), "line 12: the segment \"shows/1/hd/4.ts\" has no EXTINF"),
        (before_end("#EXTINF:-1,"), "line 12: EXTINF \"-1\" is no duration"),
        (before_end("#EXTINF:1e3,"), "line 12: EXTINF \"1e3\" is no duration"),
        (before_end("#EXTINF:99999999999,"), "line 12: EXTINF 99999999999 is more than"),
        (before_end("#EXT-X-BYTERANGE:5\n#EXTINF:1,\n4.ts"), "line 12: the byte range \"5\" has no offset"),
        (before_end("#EXT-X-BYTERANGE:x@1\n#EXTINF:1,\n4.ts"), "line 12: \"x@1\" is no byte range"),
        (before_end("#EXT-X-BYTERANGE:0@1\n#EXTINF:1,\n4.ts"), "line 12: \"0@1\" is no byte range"),
        (before_end("#EXT-X-BYTERANGE:2@18446744073709551615\n#EXTINF:1,\n4.ts"), "is no byte range"),
        (before_end("#EXT-X-MAP:BYTERANGE=\"1@2\""), "line 12: EXT-X-MAP cannot be read"),
        (before_end("#EXT-X-I-FRAMES-ONLY"), "line 12: a playlist of I-frames"),
        (MULTIVARIANT.into(), "line 2: EXT-X-STREAM-INF makes this a multivariant playlist"),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-ENDLIST\n".into(), "the playlist has no segments"),
    ] {
        let error = refused(&text);
        assert!(error.contains(wanted) && error.starts_with("shows/1/hd/index.m3u8: "), "{error}");
    }
    assert_eq!(media(&before_end("#EXT-X-KEY:METHOD=NONE")).unwrap(), media(&before_end("")).unwrap());
}

#[test]
fn time_grows_with_the_length_only() {
    // Attribute lists without an end, which a reader that looks ahead reads again for every line.
    let text = format!("#EXTM3U\n{}", "#EXT-X-MAP:URI\n".repeat(100_000));
    assert!(media(&text).unwrap_err().contains("line 2: EXT-X-MAP cannot be read"));
    let segments = "#EXTINF:2,\n#EXT-X-BYTERANGE:10@5\n#EXT-X-MAP:URI=\"i\"\na.ts\n".repeat(100_000);
    assert_eq!(media(&format!("#EXTM3U\n{segments}#EXT-X-ENDLIST")).unwrap().segments.len(), 100_000);
    let error = media(&format!("#EXTM3U\n{}", "#EXTINF:2,\na.ts\n".repeat(300_000))).unwrap_err();
    assert!(error.contains("line 524291: more than 262144 segments"), "{error}");
}

#[test]
fn any_line_may_be_cut_or_missing() {
    for text in [MULTIVARIANT, MEDIA] {
        for end in 0..text.len() {
            let _ = multivariant(&text[..end]);
            let _ = media(&text[..end]);
            let _ = media(&text[end..]);
        }
    }
}

/// Playlists of other projects: each is read, or refused for a reason that the service knows.
#[test]
fn playlists_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media/hls");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "m3u8") {
                let bytes = fs::read(&path).unwrap();
                let name = path.file_name().unwrap().to_string_lossy();
                let both = [Multivariant::read(&name, &bytes).err(), Media::read(&name, &bytes).err()];
                if let [Some(first), Some(second)] = both {
                    for error in [&first, &second] {
                        assert!(matches!(error.kind(), ErrorKind::BadSource | ErrorKind::Unsupported), "{error}");
                        assert!(error.message().starts_with(&*name), "{error}");
                    }
                    println!("{name}: {first} / {second}");
                }
            }
        }
    }
}
