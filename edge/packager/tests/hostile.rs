//! A good file with one thing wrong: the answer is an error that says where, or an asset that keeps every promise. The
//! driver checks the promises; here nothing may panic, hang, or ask for what is not there.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::fs;
use std::path::Path;

use packager::index::Head;
use packager::index::head::Storage;
use packager::media::segmenter;
use packager::segment::fmp4;
use packager::segment::gather::Stored;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/small").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Where a top-level box starts and ends.
fn top_level(file: &[u8], wanted: &[u8; 4]) -> (usize, usize) {
    let mut at = 0;
    loop {
        let size = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        if file[at + 4..at + 8] == *wanted {
            return (at, at + size);
        }
        at += size;
    }
}

#[test]
fn any_byte_of_a_header_may_be_wrong() {
    for (name, kind) in [("h264_aac.mp4", b"moov"), ("fragmented.mp4", b"moof"), ("hevc_hvc1.mp4", b"moov")] {
        let good = fixture(name);
        let (start, end) = top_level(&good, kind);
        for at in (start..end).step_by(5) {
            for value in [0x00, 0x7f, 0xff, good[at] ^ 0x01] {
                let mut bad = good.clone();
                bad[at] = value;
                drive::file(&bad);
            }
        }
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for name in ["h264_aac.mp4", "co64_moov_at_end.mp4", "fragmented_sidx.mp4"] {
        let good = fixture(name);
        for end in (0..good.len()).step_by(211) {
            drive::file(&good[..end]);
        }
    }
}

#[test]
fn a_file_with_subtitles_may_hold_anything() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/text/tx3g.mp4");
    let good = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    drive::file(&good);
    let text = good.windows(4).rposition(|w| w == b"trak").expect("a track of text");
    for at in text..(text + 700).min(good.len()) {
        let mut bad = good.clone();
        bad[at] = good[at].wrapping_add(0x7f);
        drive::file(&bad);
    }
}

#[test]
fn an_index_may_hold_anything() {
    let good = drive::ingest(&[&fixture("h264_aac.mp4")]).expect("the fixture is ingested").index;
    for at in 0..good.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            drive::index(&bad);
            for path in ["v0/1.m4s", "v0/1.ts"] {
                let path = format!("/vod/v1/g/a/c/0000000000000000/{path}\n");
                drive::job(&[path.as_bytes(), &bad].concat());
            }
        }
    }
}

/// Found by fuzzing: an index that says its pictures lie in the index itself, where none are.
#[test]
fn a_segment_that_has_not_the_length_it_should_have_is_refused() {
    let good = drive::ingest(&[&fixture("h264_aac.mp4")]).expect("the fixture is ingested");
    let head = Head::read(&good.index[..good.head_bytes as usize], good.index.len() as u64).expect("its head");
    let mut track = head.tracks[0].clone();
    track.storage = Storage::Index;
    let segment = &segmenter::ladder(&head, 6)[0][0];
    let blocks = track.blocks(segment.fragments.clone());
    let blocks = &good.index[blocks.start as usize..blocks.end as usize];
    let own = Stored { track: &track, blocks, sources: &[] };
    let before = fmp4::Preceding::default();
    let source = fmp4::Source { track: own, events: None, protection: None, salt: "", before };
    let error = fmp4::write(&source, segment).unwrap_err();
    assert!(error.to_string().contains("were counted"), "{error}");
}

#[test]
fn errors_say_what_and_where() {
    let good = fixture("h264_aac.mp4");
    let error = |file: &[u8]| {
        let source = packager::ingest::SourceFile {
            path: "film.mp4".into(),
            bytes: file.len() as u64,
            description: Default::default(),
        };
        let mut indexer = packager::ingest::Indexer::new(vec![source]).map_err(|e| e.to_string())?;
        loop {
            match indexer.step().map_err(|e| e.to_string())? {
                packager::ingest::IngestStep::Read { range, .. } => {
                    let bytes = file[range.start as usize..range.end as usize].to_vec();
                    indexer.supply(bytes.into()).map_err(|e| e.to_string())?;
                }
                packager::ingest::IngestStep::Done(_) => return Ok::<_, String>(()),
            }
        }
    };
    assert_eq!(error(&good), Ok(()));
    assert_eq!(error(&[]), Err("film.mp4: the file is empty".into()));

    let (moov, end) = top_level(&good, b"moov");
    let cut = error(&good[..end - 10]).unwrap_err();
    assert!(cut.starts_with(&format!("film.mp4: moov at byte {moov}: box size")), "{cut}");

    let mut encrypted = good.clone();
    let entry = good.windows(4).position(|w| w == b"avc1").expect("a sample entry");
    let entry = entry + good[entry + 4..].windows(4).position(|w| w == b"avc1").map_or(0, |n| n + 4);
    encrypted[entry..entry + 4].copy_from_slice(b"encv");
    let message = error(&encrypted).unwrap_err();
    assert!(message.contains("encrypted") && message.contains("encv at byte"), "{message}");

    let mut scattered = good.clone();
    let stco = good.windows(4).position(|w| w == b"stco").expect("chunk offsets");
    scattered[stco + 12..stco + 16].copy_from_slice(&0x7fff_0000u32.to_be_bytes());
    let message = error(&scattered).unwrap_err();
    assert!(message.contains("stbl at byte") && message.contains("the file ends at byte"), "{message}");
}
