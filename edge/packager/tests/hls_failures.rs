//! Titles with one thing wrong: each fails with its own reason, which names playlist, line and segment, or plays with a
//! warning. Nothing panics, hangs, or asks for what is not there.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use packager::index::head::Media;
use packager::index::{Head, Track};
use packager::ingest::IndexedAsset;

/// A storage in memory.
#[derive(Clone, Default)]
struct Storage(BTreeMap<String, Bytes>);

impl Storage {
    /// The files of a fixture, by their paths below its folder.
    fn of(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/hls").join(folder);
        let mut storage = Self::default();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    storage.0.insert(name, fs::read(&path).unwrap().into());
                }
            }
        }
        storage
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.0[path].to_vec()).unwrap()
    }

    fn text_lossy(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.0[path]).into_owned()
    }

    fn with(&self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let mut changed = self.clone();
        changed.0.insert(path.into(), content.into().into());
        changed
    }

    fn replaced(&self, path: &str, from: &str, to: &str) -> Self {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has {from:?}");
        self.with(path, text.replacen(from, to, 1))
    }

    fn without(&self, path: &str) -> Self {
        let mut changed = self.clone();
        changed.0.remove(path).expect("it was there");
        changed
    }

    fn ingest(&self) -> packager::Result<IndexedAsset> {
        drive::ingest_playlist("main.m3u8", |path| self.0.get(path).map(|bytes| (bytes.clone(), None)))
    }

    /// Indexes it; if that succeeds, every segment can be made of it.
    fn try_everything(&self) -> Option<IndexedAsset> {
        let indexed = self.ingest().ok()?;
        drive::all_segments(&indexed, 4, |object, range| {
            self.0[&object.path][range.start as usize..range.end as usize].to_vec()
        });
        Some(indexed)
    }

    fn refused(&self) -> String {
        match self.ingest() {
            Ok(indexed) => panic!("this cannot be played, but it was indexed with {:?}", indexed.warnings),
            Err(error) => error.to_string(),
        }
    }
}

fn head_of(indexed: &IndexedAsset) -> Head {
    Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).expect("the index is read")
}

#[test]
fn what_is_missing_is_named() {
    let good = Storage::of("cmaf");
    assert_eq!(
        good.without("180p/2.m4s").refused(),
        "180p/index.m3u8: line 10: segment 180p/2.m4s: there is no such object in the storage"
    );
    assert_eq!(
        good.without("180p/init.mp4").refused(),
        "180p/index.m3u8: line 6: initialization section 180p/init.mp4: there is no such object in the storage"
    );
    assert_eq!(
        good.without("fra/index.m3u8").refused(),
        "main.m3u8: line 5: fra/index.m3u8: there is no such playlist in the storage"
    );
    assert_eq!(good.without("main.m3u8").refused(), "main.m3u8: there is no such playlist in the storage");
    assert_eq!(good.with("eng/1.m4s", "").refused(), "eng/index.m3u8: line 8: segment eng/1.m4s: it is empty");
}

#[test]
fn what_is_something_else_is_named() {
    let good = Storage::of("cmaf");
    let refused = |path: &str, content: &[u8]| good.with(path, content).refused();
    let segment = "144p/index.m3u8: line 8: segment 144p/1.m4s: ";
    let packet = [&[0x47u8][..], &[0xff; 187], &[0x47], &[0xff; 187]].concat();
    for (content, reason) in [
        (&b"<html>404</html>"[..], "it is a document of XML or HTML"),
        (b"#EXTM3U\n#EXTINF", "it is a playlist"),
        (&packet, "it is a transport stream, although the playlist has EXT-X-MAP"),
        (
            b"\0\0\0\x08styp\0\0\xff\xffmdat",
            "mdat at byte 8: box size 65535 runs past the end of the segment at byte 16",
        ),
        (&good.0["144p/1.m4s"][..2000], "sample 1 is at bytes 1984..3659, the file ends at byte 2000"),
    ] {
        let error = refused("144p/1.m4s", content);
        assert!(error.starts_with(segment) && error.contains(reason), "{error}");
    }
    let error = refused("144p/init.mp4", &good.0["144p/1.m4s"]);
    assert!(
        error.contains("init.mp4") && error.contains("a movie fragment without an initialization section"),
        "{error}"
    );
    let entry = good.0["144p/init.mp4"].windows(4).position(|w| w == b"avc1").unwrap();
    let mut encrypted = good.0["144p/init.mp4"].to_vec();
    encrypted[entry..entry + 4].copy_from_slice(b"encv");
    // The name stands among the brands of some files too.
    let error = refused("144p/init.mp4", &encrypted);
    assert!(error.contains("encrypted"), "{error}");
}

#[test]
fn playlists_that_cannot_be_an_asset() {
    let good = Storage::of("cmaf");
    for (changed, wanted) in [
        (
            good.replaced("144p/index.m3u8", "#EXT-X-ENDLIST", "").replaced(
                "144p/index.m3u8",
                "#EXT-X-PLAYLIST-TYPE:VOD",
                "",
            ),
            "144p/index.m3u8: a live playlist, or one that was cut off, as it has no EXT-X-ENDLIST",
        ),
        (
            good.replaced("144p/index.m3u8", "#EXT-X-MAP", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-MAP"),
            "encrypted",
        ),
        (good.with("main.m3u8", good.text("144p/index.m3u8")), "makes this a media playlist"),
        (good.with("144p/index.m3u8", good.text("main.m3u8")), "makes this a multivariant playlist"),
        (
            good.replaced("180p/index.m3u8", "#EXTINF:6.000000,\n3.m4s\n", "").replaced(
                "180p/index.m3u8",
                "#EXTINF:6.000000,\n2.m4s\n",
                "",
            ),
            "main.m3u8: the renditions disagree in their duration: 180p/index.m3u8 lasts 6.000 s",
        ),
        (
            good.replaced("180p/index.m3u8", "#EXTINF:6.000000,\n3.m4s\n", ""),
            "main.m3u8: the renditions disagree in their duration: 180p/index.m3u8 lasts 12.000 s",
        ),
        (
            good.replaced("144p/index.m3u8", "2.m4s", "#EXT-X-BYTERANGE:10@99999999\n2.m4s"),
            "the playlist wants bytes 99999999..100000009 of it, the object has",
        ),
    ] {
        let error = changed.refused();
        assert!(error.contains(wanted), "{error}");
    }
}

/// Operators round: to whole seconds up to version 2, and each segment of sound elsewhere than those of pictures.
#[test]
fn rounded_durations_are_no_disagreement() {
    let good = Storage::of("cmaf");
    let whole = good
        .replaced("eng/index.m3u8", "#EXTINF:6.016000", "#EXTINF:7")
        .replaced("eng/index.m3u8", "#EXTINF:5.994667", "#EXTINF:6")
        .replaced("eng/index.m3u8", "#EXTINF:0.021333", "#EXTINF:1");
    whole.ingest().expect("20 s of sound and 18 s of pictures, in whole seconds");
    let cut = good.replaced("144p/index.m3u8", "#EXTINF:6.000000,\n3.m4s", "#EXTINF:3.2,\n3.m4s");
    cut.ingest().expect("a last segment that is half a target duration off");
    let cut = good.replaced("144p/index.m3u8", "#EXTINF:6.000000,\n3.m4s", "#EXTINF:2.9,\n3.m4s");
    let error = cut.refused();
    assert!(error.contains("144p/index.m3u8 lasts 14.900 s"), "{error}");
}

#[test]
fn an_object_that_changes_while_it_is_read_is_refused() {
    let good = Storage::of("cmaf_ranges");
    let reads = std::cell::Cell::new(0);
    let error = drive::ingest_playlist("main.m3u8", |path| {
        reads.set(reads.get() + 1);
        let tag = format!("{}", if path == "video.mp4" { reads.get() } else { 0 });
        good.0.get(path).map(|bytes| (bytes.clone(), Some(tag)))
    });
    let error = error.expect_err("another entity tag each time").to_string();
    assert!(
        error.starts_with("video.m3u8: line ") && error.ends_with("the object changed while it was read"),
        "{error}"
    );
}

#[test]
fn gaps_are_left_out_with_a_warning() {
    let good = Storage::of("cmaf");
    let mut gaps = good.clone();
    for rendition in ["144p", "180p"] {
        gaps = gaps.replaced(
            &format!("{rendition}/index.m3u8"),
            "#EXTINF:6.000000,\n2.m4s",
            "#EXT-X-GAP\n#EXTINF:6.000000,\n2.m4s",
        );
        gaps = gaps.without(&format!("{rendition}/2.m4s"));
    }
    let indexed = gaps.ingest().unwrap();
    assert!(
        indexed.warnings[0].contains("144p/2.m4s: the playlist says that this segment is missing"),
        "{:?}",
        indexed.warnings
    );
    // The picture before the hole stays; sound goes on, and what comes after stays where it was.
    assert!((18_000..18_100).contains(&indexed.duration_ms), "{}", indexed.duration_ms);
    let head = head_of(&indexed);
    assert_eq!(head.cuts.iter().map(|c| c.second).collect::<Vec<_>>(), [0, 2, 4, 12, 14, 16]);
}

/// Every media playlist of a title with all of its segments twice.
fn twice(good: &Storage, renditions: &[&str]) -> Storage {
    let mut twice = good.clone();
    for rendition in renditions {
        let path = format!("{rendition}/index.m3u8");
        let text = good.text(&path);
        let segments = &text[text.find("#EXTINF").unwrap()..text.find("#EXT-X-ENDLIST").unwrap()];
        let both = text.replace("#EXT-X-ENDLIST", &format!("#EXT-X-DISCONTINUITY\n{segments}#EXT-X-ENDLIST"));
        twice = twice.with(&path, both);
    }
    twice
}

#[test]
fn discontinuities_are_joined() {
    for (folder, renditions) in [("cmaf", &["144p", "180p", "eng", "fra"][..]), ("ts", &["144p", "180p"])] {
        let good = Storage::of(folder);
        let indexed = twice(&good, renditions).try_everything().unwrap();
        assert_eq!(indexed.warnings, [] as [String; 0]);
        let head = head_of(&indexed);
        let cuts: Vec<_> = head.cuts.iter().map(|c| (c.second, c.source_segment, c.period)).collect();
        let wanted: Vec<_> = (0..36).step_by(2).map(|s| (s, s % 6 == 0, false)).collect();
        assert_eq!(cuts, wanted);
        assert!((36_000..36_100).contains(&indexed.duration_ms), "{}", indexed.duration_ms);
        let once = head_of(&good.ingest().unwrap());
        for (track, before) in head.tracks.iter().zip(&once.tracks) {
            let samples = |t: &Track| t.fragments.iter().map(|f| f.samples).sum::<u32>();
            // Sound that lasts a frame longer than the pictures gives way to what comes next.
            let (all, one) = (samples(track), samples(before));
            assert!(one * 2 - all <= 3, "{}: {all} of twice {one}", track.name);
            if track.is_video() {
                assert_eq!((track.constant_duration, all), (before.constant_duration, one * 2));
            }
        }
    }
}

/// Moves all times of a transport stream, those of its clock too.
fn moved(stream: &[u8], by: u64) -> Vec<u8> {
    let mut stream = stream.to_vec();
    for packet in stream.chunks_exact_mut(188) {
        let mut at = 4;
        if packet[3] & 0x20 != 0 {
            at += 1 + usize::from(packet[4]);
            if packet[4] > 0 && packet[5] & 0x10 != 0 {
                let base =
                    u64::from(u32::from_be_bytes(packet[6..10].try_into().unwrap())) << 1 | u64::from(packet[10] >> 7);
                let base = (base + by) % (1 << 33);
                packet[6..10].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
                packet[10] = packet[10] & 0x7f | ((base & 1) as u8) << 7;
            }
        }
        let pes = &mut packet[at.min(188)..];
        if pes.len() < 19 || pes[..3] != [0, 0, 1] || pes[3] & 0xc0 != 0xc0 && pes[3] != 0xbd {
            continue;
        }
        for stamp in 0..usize::from(pes[7] >> 6).count_ones() as usize {
            let bytes = &mut pes[9 + stamp * 5..14 + stamp * 5];
            let time = u64::from(bytes[0] >> 1 & 7) << 30
                | u64::from(bytes[1]) << 22
                | u64::from(bytes[2] >> 1) << 15
                | u64::from(bytes[3]) << 7
                | u64::from(bytes[4] >> 1);
            let time = (time + by) % (1 << 33);
            bytes[0] = bytes[0] & 0xf1 | ((time >> 30 & 7) as u8) << 1;
            bytes[1] = (time >> 22) as u8;
            bytes[2] = ((time >> 15) as u8) << 1 | 1;
            bytes[3] = (time >> 7) as u8;
            bytes[4] = (time as u8) << 1 | 1;
        }
    }
    stream
}

/// The clock of 33 bits starts anew after 26.5 hours: nothing of that is seen, wherever it happens.
#[test]
fn the_clock_may_start_anew_anywhere() {
    for folder in ["ts", "ts_demuxed"] {
        let good = Storage::of(folder);
        let index = good.ingest().unwrap().index;
        // The titles begin at ten seconds: in the middle of the second segment, at the first picture, between two tracks.
        for seconds in [9.0, 0.0, 0.01, 6.0, 17.99] {
            let by = (1u64 << 33) - 900_000 - (seconds * 90_000.0_f64).round() as u64;
            let mut late = good.clone();
            for (path, bytes) in good.0.iter().filter(|(path, _)| path.ends_with(".ts")) {
                late = late.with(path, moved(bytes, by));
            }
            for (path, bytes) in good.0.iter().filter(|(path, _)| path.ends_with(".vtt")) {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let at = text.find("MPEGTS:").unwrap() + 7;
                let end = at + text[at..].find(|c: char| !c.is_ascii_digit()).unwrap();
                let time = (text[at..end].parse::<u64>().unwrap() + by) % (1 << 33);
                late = late.with(path, format!("{}{time}{}", &text[..at], &text[end..]));
            }
            assert!(late.ingest().unwrap().index == index, "{folder}: {seconds} s");
        }
    }
}

/// A clock that is set back without EXT-X-DISCONTINUITY is joined too, with a warning for each track.
#[test]
fn a_clock_that_is_set_back_is_joined() {
    let good = Storage::of("ts");
    let mut back = good.clone();
    for rendition in ["144p", "180p"] {
        let path = format!("{rendition}/3.ts");
        back = back.with(&path, moved(&good.0[&path], (1 << 33) - 20 * 90_000));
    }
    let indexed = back.try_everything().unwrap();
    assert_eq!(indexed.warnings.len(), 4, "{:?}", indexed.warnings);
    assert!(indexed.warnings[0].contains("time jumps by -19960 ms at sample 301"), "{:?}", indexed.warnings);
    let cuts = |indexed: &IndexedAsset| head_of(indexed).cuts;
    assert_eq!(cuts(&indexed), cuts(&good.ingest().unwrap()));
}

#[test]
fn subtitles_in_segments() {
    let text = Storage::of("ts_demuxed");
    let mut storage = Storage::of("cmaf");
    for (path, bytes) in &text.0 {
        if path.starts_with("subs_") {
            // The clock of that title begins at ten seconds, that of this one at zero.
            let content = String::from_utf8(bytes.to_vec()).unwrap();
            storage = storage.with(path, content.replace("MPEGTS:900000", "MPEGTS:0"));
        }
    }
    let media: String =
        text.text("main.m3u8").lines().filter(|l| l.contains("SUBTITLES,")).map(|l| format!("{l}\n")).collect();
    storage = storage.replaced("main.m3u8", "#EXT-X-STREAM-INF", &format!("{media}#EXT-X-STREAM-INF"));
    let indexed = storage.ingest().unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let texts: Vec<_> = head
        .tracks
        .iter()
        .filter_map(|t| match &t.media {
            Media::Text(text) => Some((
                t.name.to_string(),
                t.language.clone().unwrap(),
                t.label.clone().unwrap(),
                t.role.clone().unwrap(),
                text.forced,
                t.default,
            )),
            _ => None,
        })
        .collect();
    println!("{texts:?}");
    assert_eq!(texts.len(), 4);
    assert_eq!(
        texts.iter().map(|t| t.3.as_str()).collect::<Vec<_>>(),
        ["subtitle", "caption", "subtitle", "forced-subtitle"]
    );
    assert_eq!(
        texts.iter().map(|t| (t.4, t.5)).collect::<Vec<_>>(),
        [(false, true), (false, false), (false, false), (true, false)]
    );
}

#[test]
fn any_byte_of_a_segment_may_be_wrong() {
    let good = Storage::of("cmaf");
    for path in ["144p/init.mp4", "144p/2.m4s", "eng/1.m4s"] {
        let bytes = &good.0[path];
        for at in (0..bytes.len().min(3000)).step_by(23) {
            for value in [0x00, 0x7f, 0xff, bytes[at] ^ 0x01] {
                let mut bad = bytes.to_vec();
                bad[at] = value;
                let _ = good.with(path, bad).try_everything();
            }
        }
        for end in (0..bytes.len()).step_by(997) {
            let _ = good.with(path, &bytes[..end]).try_everything();
        }
    }
}

/// Segments of which nothing is left make a hole in their rendition, and nowhere else.
#[test]
fn lost_segments_leave_holes() {
    let good = Storage::of("ts");
    let before = head_of(&good.ingest().unwrap());
    let indexed = good.with("144p/2.ts", [0x47; 188 * 40]).try_everything().expect("the other segments play");
    let warning = |wanted: &str| indexed.warnings.iter().any(|w| w.contains(wanted));
    assert!(
        warning("144p/index.m3u8: line 9: segment 144p/2.ts: nothing in it can be played"),
        "{:?}",
        indexed.warnings
    );
    assert!(warning("144p/index.m3u8: track 1: time jumps by 6040 ms at sample 151"), "{:?}", indexed.warnings);
    let head = head_of(&indexed);
    for (track, before) in head.tracks.iter().zip(&before.tracks) {
        let apart = track.end.abs_diff(before.end);
        assert!(apart <= u64::from(track.timescale) / 20, "{} ends {apart} ticks apart", track.name);
    }
    assert_eq!(head.cuts.iter().map(|c| c.second).collect::<Vec<_>>(), [0, 2, 4, 12, 14, 16]);
}

/// What is wrong in a transport stream costs a few frames at most, or is refused; what was indexed can be taken out.
#[test]
fn transport_streams_may_be_damaged() {
    let good = Storage::of("ts");
    let whole = good.try_everything().expect("nothing is wrong");
    let path = "144p/2.ts";
    let bytes = good.0[path].clone();
    let mut played = 0;
    for at in (0..bytes.len()).step_by(631) {
        for value in [0x00, 0x47, 0xff, bytes[at] ^ 0x10] {
            let mut bad = bytes.to_vec();
            bad[at] = value;
            played += usize::from(good.with(path, bad).try_everything().is_some());
        }
    }
    println!("{played} played");
    assert!(played > 0);
    let packets: Vec<&[u8]> = bytes.chunks(188).collect();
    for lost in (0..packets.len()).step_by(5) {
        let mut bad = packets.clone();
        bad.remove(lost);
        let _ = good.with(path, bad.concat()).try_everything();
        bad.insert(lost, &packets[lost][..100]);
        let _ = good.with(path, bad.concat()).try_everything();
        let twice = [&packets[..lost], &packets[lost..=lost], &packets[lost..]].concat();
        let indexed = good.with(path, twice.concat()).try_everything().expect("packets may come twice");
        assert_eq!(indexed.duration_ms, whole.duration_ms);
    }
    for end in (0..bytes.len()).step_by(1999) {
        let _ = good.with(path, &bytes[..end]).try_everything();
        let garbage = [&bytes[..end], &[0x55; 300], &bytes[end..]].concat();
        let _ = good.with(path, garbage).try_everything();
    }
}

#[test]
fn transport_streams_that_are_none_are_named() {
    let good = Storage::of("ts");
    for (content, wanted) in [
        (&good.0["144p/1.ts"][..100], "144p/index.m3u8: line 9: segment 144p/2.ts: "),
        (b"\0\0\0\x18styp....", "it is made of boxes (MP4), the segments before it are a transport stream"),
        (b"WEBVTT\n\n", "it is WebVTT, the segments before it are a transport stream"),
    ] {
        let error = good.with("144p/2.ts", content).refused();
        assert!(error.contains(wanted), "{error}");
    }
}

/// Titles of other projects, where they are: each is indexed, or refused for a reason that names what is wrong.
#[test]
fn titles_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media/hls");
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let mut storage = Storage::default();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                storage.0.insert(name, fs::read(&path).unwrap().into());
            }
        }
        let playlists: Vec<String> = storage.0.keys().filter(|k| k.ends_with(".m3u8")).cloned().collect();
        for playlist in playlists {
            // Media playlists stand behind a variant of their own.
            let media = storage.text_lossy(&playlist).contains("#EXTINF");
            let main = if media {
                storage.with("main", format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{playlist}\n"))
            } else {
                storage.with("main", storage.0[&playlist].to_vec())
            };
            let indexed = drive::ingest_playlist("main", |path| main.0.get(path).map(|bytes| (bytes.clone(), None)));
            match indexed {
                Ok(indexed) => {
                    println!(
                        "{} {playlist}: {} ms {:?}",
                        folder.file_name().unwrap().to_string_lossy(),
                        indexed.duration_ms,
                        indexed.warnings
                    );
                    for t in &indexed.tracks {
                        println!(
                            "    {} {} {} {:?} {:?} samples {}",
                            t.name, t.codec, t.average_bitrate, t.language, t.label, t.samples
                        );
                    }
                }
                Err(error) => {
                    println!("{} {playlist}: {error}", folder.file_name().unwrap().to_string_lossy());
                    assert_ne!(error.kind(), packager::ErrorKind::Internal, "{error}");
                }
            }
        }
    }
}

/// Transport streams and fragments of other projects, each as the only segment of a title.
#[test]
fn segments_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/media");
    let mut folders: Vec<_> = ["ts", "malformed", "fragmented", "es"].iter().map(|f| root.join(f)).collect();
    let (mut played, mut refused) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            let bytes = fs::read(&path).unwrap();
            if bytes.len() > 20 << 20 {
                continue;
            }
            let main = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia.m3u8\n";
            let media = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsegment\n#EXT-X-ENDLIST\n";
            let storage = Storage::default().with("main.m3u8", main).with("media.m3u8", media).with("segment", bytes);
            match storage.ingest() {
                Ok(indexed) => {
                    played += 1;
                    storage.try_everything().unwrap();
                    let tracks: Vec<_> = indexed.tracks.iter().map(|t| format!("{} {}", t.codec, t.samples)).collect();
                    println!("{name}: {} ms {tracks:?} {:?}", indexed.duration_ms, indexed.warnings);
                }
                Err(error) => {
                    refused += 1;
                    println!("{name}: {error}");
                    assert_ne!(error.kind(), packager::ErrorKind::Internal, "{error}");
                }
            }
        }
    }
    println!("{played} played, {refused} refused");
}
