//! Output bytes are an interface: the same media and the same request give the bytes that are written down in `golden/`.
//!
//! After a change on purpose, bump `FORMAT_VERSION` and run `UPDATE_GOLDEN=1 cargo test -p packager --test golden`.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use packager::config::{ManifestExtension, PackageType};
use packager::index::Head;
use packager::media::segmenter;
use packager::response::Response;
use packager::route::{Resource, SegmentFormat, TrackFile};
use sha2::{Digest, Sha256};

fn media(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn body(response: &Response, files: &[Vec<u8>]) -> Vec<u8> {
    drive::bytes_of(&response.parts, 1000, |object, range| {
        // drive::documents calls the files by their numbers.
        let number: usize = object.path.trim_end_matches(".mp4").parse().expect("a file of the test");
        files[number][range.start as usize..range.end as usize].to_vec()
    })
}

fn write_answer(out: &mut String, resource: &Resource, response: &Response, files: &[Vec<u8>]) {
    let text = matches!(
        resource,
        Resource::Manifest { .. } | Resource::Tagged { file: TrackFile::Playlist | TrackFile::IframePlaylist, .. }
    );
    let bytes = body(response, files);
    assert_eq!(bytes.len() as u64, response.len());
    let written = if text {
        writeln!(out, "\n== {resource} {}\n{}", response.content_type, String::from_utf8(bytes).unwrap())
    } else {
        writeln!(out, "{resource} {} {} bytes {}", response.content_type, bytes.len(), hash(&bytes))
    };
    written.unwrap();
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Every answer that an asset can give: texts whole, bytes as length and hash.
fn everything(names: &[&str], seconds: u32) -> String {
    let files: Vec<Vec<u8>> = names.iter().map(|name| media(name)).collect();
    let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let indexed = drive::ingest(&slices).expect("the fixture is ingested");
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64)
        .expect("the index is read");
    let sizes: Vec<u64> = files.iter().map(|f| f.len() as u64).collect();
    let mut out = String::new();
    writeln!(out, "index: {} bytes, head {} bytes, {}", indexed.index.len(), indexed.head_bytes, hash(&indexed.index))
        .unwrap();
    indexed.tracks.iter().for_each(|t| writeln!(out, "{}", serde_json::to_string(t).unwrap()).unwrap());
    indexed.warnings.iter().for_each(|w| writeln!(out, "warning: {w}").unwrap());
    for package_type in [PackageType::Hls, PackageType::Cmaf, PackageType::Dash] {
        let documents = drive::documents(package_type, seconds, &indexed.index, indexed.head_bytes, &sizes);
        if package_type == PackageType::Hls {
            // Not every codec has a place in a transport stream.
            let manifest = Resource::Manifest { name: "index".into(), extension: ManifestExtension::M3u8 };
            match drive::respond(&documents, manifest, &indexed.index) {
                Ok(_) => {
                    for (resource, response) in drive::crawl(&documents, &indexed.index, usize::MAX) {
                        write_answer(&mut out, &resource, &response, &files);
                    }
                }
                Err(error) => writeln!(out, "HLS: {error}").unwrap(),
            }
            continue;
        }
        let manifest = Resource::Manifest { name: "index".into(), extension: package_type.manifest_extension() };
        let tag = packager::job::tag(&documents);
        let mut wanted = vec![manifest];
        for (track, segments) in head.tracks.iter().zip(segmenter::ladder(&head, seconds)) {
            let tagged = |file| Resource::Tagged { tag, track: track.name, file };
            if package_type == PackageType::Cmaf {
                wanted.push(tagged(TrackFile::Playlist));
                if track.is_video() {
                    wanted.push(tagged(TrackFile::IframePlaylist));
                }
            }
            wanted.push(tagged(TrackFile::Init(1)));
            wanted.extend(
                (1..=segments.len() as u32)
                    .map(|number| tagged(TrackFile::Segment { number, format: SegmentFormat::Cmaf })),
            );
        }
        for resource in wanted {
            let response = drive::respond(&documents, resource.clone(), &indexed.index).expect("an answer");
            write_answer(&mut out, &resource, &response, &files);
        }
    }
    out
}

fn check(name: &str, actual: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).expect("the golden file is written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let differing = golden.lines().zip(actual.lines()).find(|(a, b)| a != b);
    assert!(golden == actual, "{name} differs, first in:\n{differing:#?}");
}

#[test]
fn ladder() {
    let names = [
        "ladder/video_180p.mp4",
        "ladder/video_360p.mp4",
        "ladder/video_720p.mp4",
        "ladder/audio_eng.mp4",
        "ladder/audio_fra.mp4",
    ];
    check("ladder.txt", &everything(&names, 6));
}

#[test]
fn single_files() {
    for name in [
        "h264_aac",
        "co64_moov_at_end",
        "fragmented",
        "fragmented_mfra",
        "fragmented_sidx",
        "variable_frame_rate",
        "audio_delayed_750ms",
        "open_gop",
        "hevc_hvc1",
        "hevc_hev1",
        "av1_flac",
        "vp9_opus",
        "ac3",
        "eac3_51",
        "aac_51",
    ] {
        check(&format!("{name}.txt"), &everything(&[&format!("small/{name}.mp4")], 2));
    }
}

/// The same samples in four layouts are the same segments.
#[test]
fn layouts_do_not_show() {
    let segments = |name: &str| -> Vec<String> {
        let text = everything(&[&format!("small/{name}.mp4")], 2);
        let lines = text.lines().filter(|l| l.contains(".m4s ") && l.contains(" bytes "));
        lines.filter_map(|l| l.split_once('/').map(|(_, rest)| rest.to_owned())).collect()
    };
    let plain = segments("h264_aac");
    assert!(!plain.is_empty());
    assert_eq!(segments("co64_moov_at_end"), plain);
    assert_eq!(segments("fragmented_sidx"), segments("fragmented"));
    assert_eq!(segments("fragmented_mfra"), segments("fragmented"));
}

/// Sound that goes on after the pictures is cut like sound without any, not into one long segment.
#[test]
fn long_sound_keeps_the_target_duration() {
    let text = everything(&["small/open_gop.mp4", "ladder/audio_eng.mp4"], 6);
    let target = text.split("a0/playlist.m3u8 ").nth(1).and_then(|t| t.split("TARGETDURATION:").nth(1));
    assert!(target.is_some_and(|t| t.starts_with("6\n")), "{text}");
    assert!(text.contains("a0/3.m4s"), "{text}");
}
