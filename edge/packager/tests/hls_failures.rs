//! Titles with one thing wrong: each fails with its own reason, which names playlist, line and segment, or plays with a
//! warning. Nothing panics, hangs, or asks for what is not there.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use packager::index::Head;
use packager::index::head::Media;
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
            "144p/index.m3u8: a live playlist, as it has no EXT-X-ENDLIST",
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
            good.replaced("144p/index.m3u8", "2.m4s", "#EXT-X-BYTERANGE:10@99999999\n2.m4s"),
            "the playlist wants bytes 99999999..100000009 of it, the object has",
        ),
    ] {
        let error = changed.refused();
        assert!(error.contains(wanted), "{error}");
    }
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

#[test]
fn discontinuities_are_joined() {
    let good = Storage::of("cmaf");
    let mut twice = good.clone();
    for rendition in ["144p", "180p", "eng", "fra"] {
        let path = format!("{rendition}/index.m3u8");
        let text = good.text(&path);
        let segments = &text[text.find("#EXTINF").unwrap()..text.find("#EXT-X-ENDLIST").unwrap()];
        twice = twice
            .with(&path, text.replace("#EXT-X-ENDLIST", &format!("#EXT-X-DISCONTINUITY\n{segments}#EXT-X-ENDLIST")));
    }
    let indexed = twice.ingest().unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let cuts: Vec<_> = head.cuts.iter().map(|c| (c.second, c.source_segment, c.period)).collect();
    let wanted: Vec<_> = (0..36).step_by(2).map(|s| (s, s % 6 == 0, false)).collect();
    assert_eq!(cuts, wanted);
    assert!((36_000..36_100).contains(&indexed.duration_ms), "{}", indexed.duration_ms);
    let once = head_of(&good.ingest().unwrap());
    for (track, before) in head.tracks.iter().zip(&once.tracks) {
        let samples = |t: &packager::index::Track| t.fragments.iter().map(|f| f.samples).sum::<u32>();
        // Sound that lasts a frame longer than the pictures gives way to what comes next.
        assert!(
            samples(before) * 2 - samples(track) <= 3,
            "{}: {} of twice {}",
            track.name,
            samples(track),
            samples(before)
        );
        if track.is_video() {
            assert_eq!(track.constant_duration, before.constant_duration);
        }
    }
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
                let _ = good.with(path, bad).ingest();
            }
        }
        for end in (0..bytes.len()).step_by(997) {
            let _ = good.with(path, &bytes[..end]).ingest();
        }
    }
}
