//! Playlists with segments behind them, indexed whole: what comes out as CMAF has the pictures and the sound of the source.

#![allow(clippy::disallowed_methods, reason = "a test may read files and run ffmpeg")]

mod drive;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use packager::config::PackageType;
use packager::index::Head;
use packager::index::block::Block;
use packager::index::head::{Cut, ElementaryStream, Media, Storage};
use packager::ingest::IndexedAsset;
use packager::media::segmenter;
use packager::route::{Resource, SegmentFormat, TrackFile};
use packager::source::transport::{EsCodec, Extractor};

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

/// Takes every sample of a track out of its transport streams, as a request would.
fn extract(root: &Path, indexed: &IndexedAsset, number: usize) -> usize {
    let head = head_of(indexed);
    let track = &head.tracks[number];
    let Storage::Transport { stream, .. } = track.storage else { panic!("{} is in a transport stream", track.name) };
    let codec = match stream {
        ElementaryStream::Avc => EsCodec::Avc,
        ElementaryStream::Hevc => EsCodec::Hevc,
        ElementaryStream::Adts => EsCodec::AacAdts,
        ElementaryStream::Latm => EsCodec::AacLatm,
        ElementaryStream::Ac3 => EsCodec::Ac3,
        ElementaryStream::Eac3 => EsCodec::Eac3,
        ElementaryStream::Mp3 => EsCodec::Mp3,
    };
    let mut count = 0;
    let mut block = Block::default();
    for fragment in &track.fragments {
        let data = &indexed.index[fragment.block_offset as usize..][..fragment.block_bytes as usize];
        block.read(track, fragment, data).unwrap();
        let mut sizes = block.samples.iter().map(|s| s.size);
        for packets in &block.packets {
            let mut extractor = Extractor::new(packets.pid, codec, packets.skip);
            block
                .locate(packets.range.clone(), |object, range| {
                    let bytes = fs::read(root.join(&object.path)).unwrap();
                    extractor.push(&bytes[range.start as usize..range.end as usize]).unwrap();
                })
                .unwrap();
            extractor.finish();
            for size in sizes.by_ref().take(packets.samples as usize) {
                let mut sample = Vec::new();
                assert!(extractor.next(size, &mut sample).unwrap());
                assert_eq!(sample.len(), size as usize);
                count += 1;
            }
        }
        assert_eq!(sizes.next(), None);
    }
    count
}

#[test]
fn transport_stream_renditions() {
    same_media(
        "ts",
        &[(0, "144p/index.m3u8", "0:v:0"), (1, "144p/index.m3u8", "0:a:0"), (2, "180p/index.m3u8", "0:v:0")],
    );
    same_media(
        "ts_demuxed",
        &[
            (0, "144p/index.m3u8", "0:v:0"),
            (1, "180p/index.m3u8", "0:v:0"),
            (2, "eng/index.m3u8", "0:a:0"),
            (3, "fra/index.m3u8", "0:a:0"),
            (4, "described/index.m3u8", "0:a:0"),
        ],
    );
}

#[test]
fn codecs_of_transport_streams() {
    for folder in ["codecs/hevc", "codecs/ac3", "codecs/eac3", "codecs/latm", "codecs/mp3", "id3"] {
        same_media(folder, &[(0, "index.m3u8", "0:v:0"), (1, "index.m3u8", "0:a:0")]);
    }
}

#[test]
fn samples_of_transport_streams_come_out_as_indexed() {
    let root = fixtures();
    for folder in
        ["ts", "ts_demuxed", "operator", "codecs/hevc", "codecs/ac3", "codecs/eac3", "codecs/latm", "codecs/mp3"]
    {
        let indexed = ingest(&root, &format!("{folder}/main.m3u8")).unwrap_or_else(|e| panic!("{folder}: {e}"));
        for (number, track) in head_of(&indexed).tracks.iter().enumerate() {
            if matches!(track.storage, Storage::Transport { .. }) {
                let samples = track.fragments.iter().map(|f| f.samples as usize).sum::<usize>();
                assert_eq!(extract(&root, &indexed, number), samples, "{folder}: {}", track.name);
            }
        }
    }
}

/// Audio in the segments of every variant is one audio for viewers, and the companion of each.
#[test]
fn muxed_audio_is_offered_once() {
    let indexed = ingest(&fixtures(), "ts/main.m3u8").unwrap();
    let head = head_of(&indexed);
    let hidden: Vec<_> = head.tracks.iter().map(|t| (t.name.to_string(), t.hidden)).collect();
    assert_eq!(hidden, [("v0".into(), false), ("a0".into(), false), ("v1".into(), false), ("a1".into(), true)]);
    let companions: Vec<_> = head
        .tracks
        .iter()
        .filter_map(|t| match &t.media {
            Media::Video(video) => Some(video.companion),
            _ => None,
        })
        .collect();
    assert_eq!(companions, [Some(0), Some(1)]);
}

/// What an operator writes: after the discontinuity another resolution and another clock.
#[test]
fn an_operators_discontinuity_begins_a_period() {
    let indexed = ingest(&fixtures(), "operator/main.m3u8").unwrap();
    assert_eq!(indexed.warnings, [] as [String; 0]);
    let head = head_of(&indexed);
    let marked =
        |wanted: fn(&Cut) -> bool| head.cuts.iter().filter(|c| wanted(c)).map(|c| c.second).collect::<Vec<_>>();
    assert_eq!(marked(|c| c.source_segment), [0, 15, 32]);
    assert_eq!(marked(|c| c.period), [15]);
    assert_eq!(indexed.duration_ms, 34_714);
    for track in head.tracks.iter().filter(|t| t.is_video()) {
        assert_eq!((track.constant_duration, track.sample_entries.len()), (Some(3000), 2));
    }
    let documents = drive::documents(PackageType::Dash, 6, &indexed.index, indexed.head_bytes, &[]);
    let manifest = Resource::Manifest { name: "index".into(), extension: PackageType::Dash.manifest_extension() };
    let mpd = drive::text_of(&drive::respond(&documents, manifest, &indexed.index).expect("an MPD"));
    let period = |number: usize| mpd.split("<Period ").nth(number).expect("a period");
    for (number, sizes) in [(1, [(320, 180), (640, 360)]), (2, [(256, 144), (480, 270)])] {
        let [_, (widest, highest)] = sizes;
        assert!(period(number).contains(&format!("maxWidth=\"{widest}\" maxHeight=\"{highest}\"")), "{mpd}");
        for (width, height) in sizes {
            assert!(period(number).contains(&format!("width=\"{width}\" height=\"{height}\"")), "{mpd}");
        }
    }
}

#[test]
fn captions_in_pictures_are_in_the_index() {
    let channels = |path: &str| {
        let head = head_of(&ingest(&fixtures(), path).unwrap());
        let found = head.tracks.iter().find_map(|t| match &t.media {
            Media::Video(video) => Some((video.cea608.clone(), video.cea708.clone())),
            _ => None,
        });
        found.expect("pictures")
    };
    assert_eq!(channels("codecs/cea608/main.m3u8"), (vec![1], vec![]));
    assert_eq!(channels("codecs/latm/main.m3u8"), (vec![], vec![]));
}

/// Tags of timed metadata, with their times in ticks of 90 kHz.
#[test]
fn timed_metadata_is_in_the_index() {
    let indexed = ingest(&fixtures(), "id3/main.m3u8").unwrap();
    let head = head_of(&indexed);
    let track = head.tracks.iter().find(|t| t.media == Media::Metadata).expect("a track of metadata");
    let mut events = Vec::new();
    for (number, fragment) in track.fragments.iter().enumerate() {
        let data = &indexed.index[fragment.block_offset as usize..][..fragment.block_bytes as usize];
        packager::index::events::read(track, number, data, &mut events).unwrap();
    }
    // Sound begins one frame before the pictures, which begin the presentation.
    let times: Vec<_> = events.iter().map(|e| (e.id, e.time)).collect();
    assert_eq!(times, [(0, 0), (1, 135_000), (2, 225_000)]);
    assert!(events.iter().all(|e| e.message.starts_with(b"ID3")));
}
