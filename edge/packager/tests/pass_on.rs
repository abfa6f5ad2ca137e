//! CMAF fragments whose boundaries fit are passed on as they are stored.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use packager::config::PackageType;
use packager::index::Head;
use packager::ingest::IndexedAsset;
use packager::media::segmenter;
use packager::route::{Resource, SegmentFormat, TrackFile};

fn head_of(indexed: &IndexedAsset) -> Head {
    Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).expect("the index is read")
}

/// The header and all segments of a track of an asset whose objects are `storage`.
fn cmaf(indexed: &IndexedAsset, storage: &BTreeMap<String, Bytes>, track: usize, seconds: u32) -> Vec<Vec<u8>> {
    let head = head_of(indexed);
    let documents = drive::documents(PackageType::Cmaf, seconds, &indexed.index, indexed.head_bytes, &[1 << 40; 4]);
    let tag = packager::job::tag(&documents);
    let count = segmenter::ladder(&head, seconds)[track].len() as u32;
    let segments = (1..=count).map(|number| TrackFile::Segment { number, format: SegmentFormat::Cmaf });
    let files = [TrackFile::Init(1)].into_iter().chain(segments);
    files
        .map(|file| {
            let resource = Resource::Tagged { tag, track: head.tracks[track].name, file };
            let response = drive::respond(&documents, resource, &indexed.index).expect("what was ingested");
            drive::bytes_of(&response.parts, 1000, |object, range| {
                storage[&object.path][range.start as usize..range.end as usize].to_vec()
            })
        })
        .collect()
}

/// A title as CMAF with segments of this length: a storage with a playlist `main.m3u8`.
fn title(seconds: u32) -> BTreeMap<String, Bytes> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/ladder");
    let names = ["video_180p.mp4", "video_360p.mp4", "audio_eng.mp4"];
    let files: Vec<Vec<u8>> = names.iter().map(|n| fs::read(root.join(n)).unwrap()).collect();
    let indexed = drive::ingest(&files.iter().map(Vec::as_slice).collect::<Vec<_>>()).expect("the ladder is ingested");
    let sources = (0..).zip(files).map(|(n, file): (u32, _)| (format!("{n}.mp4"), Bytes::from(file))).collect();
    let mut storage = BTreeMap::new();
    for track in 0..3 {
        let mut playlist = format!("#EXTM3U\n#EXT-X-TARGETDURATION:{seconds}\n#EXT-X-MAP:URI=\"{track}/0.mp4\"\n");
        for (number, bytes) in cmaf(&indexed, &sources, track, seconds).into_iter().enumerate() {
            let name = format!("{track}/{number}.mp4");
            if number > 0 {
                playlist.push_str(&format!("#EXTINF:{seconds},\n{name}\n"));
            }
            storage.insert(name, bytes.into());
        }
        storage.insert(format!("{track}.m3u8"), format!("{playlist}#EXT-X-ENDLIST\n").into());
    }
    let main = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"2.m3u8\"\n\
                #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n0.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\n1.m3u8\n";
    storage.insert("main.m3u8".into(), main.into());
    storage
}

fn ingest(storage: &BTreeMap<String, Bytes>) -> IndexedAsset {
    drive::ingest_playlist("main.m3u8", |path| storage.get(path).map(|bytes| (bytes.clone(), None))).expect("it plays")
}

#[test]
fn fragments_that_fit_are_passed_on() {
    let storage = title(2);
    let indexed = ingest(&storage);
    let head = head_of(&indexed);
    for (number, track) in head.tracks.iter().enumerate() {
        assert!(track.stored.is_some(), "{}", track.name);
        for seconds in [2, 6] {
            let made = cmaf(&indexed, &storage, number, seconds);
            // Without the styp in front of every segment: moof and mdat alone.
            let body = |segment: &[u8]| segment[24..].to_vec();
            let passed: Vec<u8> = made[1..].iter().flat_map(|s| body(s)).collect();
            let stored: Vec<u8> = (1..=8).flat_map(|n| body(&storage[&format!("{number}/{n}.mp4")])).collect();
            assert!(passed == stored, "{} in segments of {seconds} s", track.name);
        }
        // What describes them says the same.
        assert_eq!(cmaf(&indexed, &storage, number, 2)[0].len(), storage[&format!("{number}/0.mp4")].len());
    }
    drive::all_segments(&indexed, 6, |object, range| {
        storage[&object.path][range.start as usize..range.end as usize].to_vec()
    });
}

#[test]
fn fragments_that_do_not_fit_are_made_anew() {
    // Sound in fragments of four seconds is cut every two; pictures have a fragment for each group of pictures.
    let storage = title(4);
    let indexed = ingest(&storage);
    let stored: Vec<bool> = head_of(&indexed).tracks.iter().map(|t| t.stored.is_some()).collect();
    assert_eq!(stored, [true, true, false]);
    // A title that begins later than its clock is moved, and so is everything in it.
    let mut late = title(2);
    for track in ["0", "1", "2"] {
        let text = String::from_utf8(late[&format!("{track}.m3u8")].to_vec()).unwrap();
        let text = text.replace(&format!("#EXTINF:2,\n{track}/1.mp4\n"), "");
        late.insert(format!("{track}.m3u8"), text.into());
    }
    let indexed = ingest(&late);
    assert_eq!(indexed.duration_ms, 14_000);
    assert!(head_of(&indexed).tracks.iter().all(|t| t.stored.is_none()));
}
