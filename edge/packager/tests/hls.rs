//! Playlists with segments behind them, indexed whole: what comes out as CMAF has the pictures and the sound of the source.

#![allow(clippy::disallowed_methods, reason = "a test may read files and run ffmpeg")]

mod drive;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use packager::config::PackageType;
use packager::index::Head;
use packager::ingest::IndexedAsset;
use packager::media::segmenter;
use packager::route::{Resource, SegmentFormat, TrackFile};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/hls")
}

/// Indexes the playlist at `path` below `root`.
fn ingest(root: &Path, path: &str) -> packager::Result<IndexedAsset> {
    drive::ingest_playlist(path, |object| fs::read(root.join(object)).ok().map(|bytes| (Bytes::from(bytes), None)))
}

fn head_of(indexed: &IndexedAsset) -> Head {
    Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).expect("the index is read")
}

/// A track as one CMAF file: its header and all of its segments.
fn cmaf(root: &Path, indexed: &IndexedAsset, track: usize, seconds: u32) -> Vec<u8> {
    let head = head_of(indexed);
    let documents = drive::documents(PackageType::Cmaf, seconds, &indexed.index, indexed.head_bytes, &[]);
    let tag = packager::job::tag(&documents);
    let count = segmenter::ladder(&head, seconds)[track].len() as u32;
    let segments = (1..=count).map(|number| TrackFile::Segment { number, format: SegmentFormat::Cmaf });
    let mut out = Vec::new();
    for file in [TrackFile::Init(1)].into_iter().chain(segments) {
        let resource = Resource::Tagged { tag, track: head.tracks[track].name, file };
        let response =
            drive::respond(&documents, resource, &indexed.index).expect("what was ingested can be asked for");
        out.extend(drive::bytes_of(&response.parts, 5000, |object, range| {
            let bytes = fs::read(root.join(&object.path)).expect("an object of the source");
            bytes[range.start as usize..range.end as usize].to_vec()
        }));
    }
    out
}

/// Hashes of all decoded frames, without their times; `None` without ffmpeg.
fn frames(input: &Path, map: &str) -> Option<Vec<String>> {
    let playlist = input.extension().is_some_and(|e| e == "m3u8");
    let output = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(if playlist { &["-allowed_extensions", "ALL"][..] } else { &[] })
        .arg("-i")
        .arg(input)
        .args(["-map", map, "-f", "framehash", "-hash", "md5", "-"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    Some(lines.map(|l| l.rsplit(',').next().unwrap_or_default().trim().to_owned()).collect())
}

fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("packager-hls-{}-{name}", std::process::id()));
    fs::write(&path, bytes).expect("a scratch file");
    path
}

/// The pictures of every video track are those of its playlist, and each sound that of its own.
fn same_media(folder: &str, playlists: &[(usize, &str, &str)]) {
    let root = fixtures();
    let indexed = ingest(&root, &format!("{folder}/main.m3u8")).unwrap_or_else(|e| panic!("{folder}: {e}"));
    assert_eq!(indexed.warnings, [] as [String; 0], "{folder}");
    for (track, playlist, map) in playlists {
        let file = scratch(&format!("{}-{track}.mp4", folder.replace('/', "-")), &cmaf(&root, &indexed, *track, 6));
        let Some(own) = frames(&file, "0:0") else { return };
        let source = frames(&root.join(folder).join(playlist), map).unwrap_or_default();
        assert!(!source.is_empty() && own.len() == source.len(), "{folder}: {} of {} frames", own.len(), source.len());
        assert!(own == source, "{folder}: track {track} has other frames than {playlist}");
        let _ = fs::remove_file(file);
    }
}

#[test]
fn cmaf_renditions() {
    same_media(
        "cmaf",
        &[
            (0, "144p/index.m3u8", "0:v:0"),
            (1, "180p/index.m3u8", "0:v:0"),
            (2, "eng/index.m3u8", "0:a:0"),
            (3, "fra/index.m3u8", "0:a:0"),
        ],
    );
}

#[test]
fn byte_ranges_of_one_file() {
    same_media("cmaf_ranges", &[(0, "video.m3u8", "0:v:0"), (1, "audio.m3u8", "0:a:0")]);
}

#[test]
fn source_segments_are_cuts() {
    let indexed = ingest(&fixtures(), "cmaf/main.m3u8").unwrap();
    let head = head_of(&indexed);
    let cuts: Vec<_> = head.cuts.iter().map(|c| (c.second, c.source_segment)).collect();
    let wanted: Vec<_> = (0..18).step_by(2).map(|s| (s, s % 6 == 0)).collect();
    assert_eq!(cuts, wanted);
    assert!(head.tracks.iter().all(|t| !t.hidden));
    let described: Vec<_> = head
        .tracks
        .iter()
        .map(|t| (t.name.to_string(), t.language.as_deref(), t.label.as_deref(), t.default))
        .collect();
    assert_eq!(
        described,
        [
            ("v0".into(), None, None, false),
            ("v1".into(), None, None, false),
            ("a0".into(), Some("en"), Some("English"), true),
            ("a1".into(), Some("fr"), Some("Français"), false),
        ]
    );
}
