//! Bodies that are made on the way: whatever range of them is asked for, and in whatever pieces media arrive, the bytes
//! are those of the whole.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use core::ops::Range;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packager::config::{PackageType, SourceObject};
use packager::job::Documents;
use packager::make::Maker;
use packager::response::Part;
use packager::route::{Resource, SegmentFormat, TrackFile};

fn media() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media")
}

/// An asset, its index, and where its objects are.
struct Title {
    index: Vec<u8>,
    head_bytes: u64,
    sources: Vec<String>,
    root: PathBuf,
}

impl Title {
    fn of_playlist(folder: &str) -> Self {
        let root = media().join("hls");
        let read = |path: &str| Some((fs::read(root.join(path)).ok()?.into(), None));
        let indexed = drive::ingest_playlist(&format!("{folder}/main.m3u8"), read).expect("the fixture is ingested");
        Self { index: indexed.index, head_bytes: indexed.head_bytes, sources: Vec::new(), root }
    }

    fn of_files(names: &[&str]) -> Self {
        let root = media();
        let files: Vec<Vec<u8>> = names.iter().map(|n| fs::read(root.join(n)).expect("a fixture")).collect();
        let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let indexed = drive::ingest(&slices).expect("the fixture is ingested");
        let sources = names.iter().map(|n| (*n).to_owned()).collect();
        Self { index: indexed.index, head_bytes: indexed.head_bytes, sources, root }
    }

    fn documents(&self, package_type: PackageType, separate: bool) -> Documents {
        let size = |name: &String| fs::metadata(self.root.join(name)).expect("a fixture").len();
        let sizes: Vec<u64> = self.sources.iter().map(size).collect();
        let mut documents = drive::documents(package_type, 6, &self.index, self.head_bytes, &sizes);
        Arc::make_mut(&mut documents.configuration).audio_separation = separate;
        documents
    }

    fn read(&self, object: &SourceObject, range: Range<u64>) -> Vec<u8> {
        let name = match object.path.trim_end_matches(".mp4").parse::<usize>() {
            Ok(number) if !self.sources.is_empty() => &self.sources[number],
            _ => &object.path,
        };
        let bytes = fs::read(self.root.join(name)).expect("a fixture");
        bytes[range.start as usize..range.end as usize].to_vec()
    }

    /// Every segment of the asset under a package type, with all of its bytes.
    fn segments(&self, package_type: PackageType, separate: bool) -> Vec<(Resource, Vec<Part>, Vec<u8>)> {
        let documents = self.documents(package_type, separate);
        let found = drive::crawl(&documents, &self.index, usize::MAX).into_iter();
        let segments =
            found.filter(|(resource, _)| matches!(resource, Resource::Tagged { file: TrackFile::Segment { .. }, .. }));
        let whole = segments.map(|(resource, response)| {
            let bytes = drive::bytes_of(&response.parts, 1 << 20, |object, range| self.read(object, range));
            assert_eq!(bytes.len() as u64, response.len(), "the length of {resource} is known before its bytes");
            (resource, response.parts, bytes)
        });
        whole.collect()
    }
}

fn titles() -> Vec<(&'static str, Title)> {
    let mut titles = vec![
        ("files", Title::of_files(&["ladder/video_180p.mp4", "ladder/audio_eng.mp4", "ladder/audio_fra.mp4"])),
        ("one file", Title::of_files(&["small/h264_aac.mp4"])),
    ];
    for folder in ["ts", "ts_demuxed", "cmaf", "codecs/ac3", "codecs/eac3", "codecs/hevc", "codecs/latm", "codecs/mp3"]
    {
        titles.push((folder, Title::of_playlist(folder)));
    }
    titles
}

#[test]
fn any_pieces_and_any_range_give_the_same_bytes() {
    let mut made = 0;
    for (name, title) in titles() {
        for (package_type, separate) in
            [(PackageType::Hls, false), (PackageType::Hls, true), (PackageType::Cmaf, false)]
        {
            for (resource, parts, whole) in title.segments(package_type, separate).into_iter().take(6) {
                let read = |object: &SourceObject, range| title.read(object, range);
                for chunk in [1000, 187] {
                    let bytes = drive::bytes_of(&parts, chunk, read);
                    assert!(bytes == whole, "{name} {resource} in pieces of {chunk}");
                }
                let length = whole.len() as u64;
                let response = |range: Range<u64>| {
                    let response = packager::response::Response {
                        content_type: "",
                        cache: packager::response::CacheClass::Immutable,
                        etag: String::new(),
                        parts: parts.clone(),
                    };
                    response.slice(range)
                };
                for (start, end) in [(0, 1), (0, 376), (376, 1000), (length / 3, length / 2), (length - 1, length)] {
                    let part = drive::bytes_of(&response(start..end), 4096, read);
                    assert!(part == whole[start as usize..end as usize], "{name} {resource} {start}..{end}");
                }
                made += parts.iter().filter(|p| matches!(p, Part::Made { .. })).count();
            }
        }
    }
    assert!(made > 60, "{made} bodies were made");
}

#[test]
fn an_object_is_read_once_and_only_as_far_as_a_range_needs() {
    let title = Title::of_playlist("ts");
    let segments = title.segments(PackageType::Hls, false);
    let video = segments.iter().find_map(|(resource, parts, _)| match (resource, parts.as_slice()) {
        (
            Resource::Tagged { file: TrackFile::Segment { number: 1, format: SegmentFormat::Ts }, .. },
            [Part::Made { recipe, range }],
        ) => Some((recipe.clone(), range.clone())),
        _ => None,
    });
    let (recipe, range) = video.expect("a transport stream is made");
    assert!(recipe.sections.len() > 1 && recipe.streams.len() == 2, "sound and picture, cut into fragments");
    let whole = Maker::new(recipe.clone(), range.clone());
    assert_eq!(whole.inputs().len(), 1, "one read: {:?}", whole.inputs());
    let key_frame = Maker::new(recipe.clone(), 376..1000);
    let bytes = |maker: &Maker| maker.inputs().iter().map(|i| i.range.end - i.range.start).sum::<u64>();
    assert!(bytes(&key_frame) * 2 < bytes(&whole), "{} of {}", bytes(&key_frame), bytes(&whole));
}

#[test]
fn other_media_than_were_indexed_are_an_error() {
    let title = Title::of_playlist("ts");
    for package_type in [PackageType::Hls, PackageType::Cmaf] {
        let mut refused = 0;
        for (_, parts, whole) in title.segments(package_type, false).into_iter().take(4) {
            for part in &parts {
                let Part::Made { recipe, range } = part else { continue };
                let mut maker = Maker::new(recipe.clone(), range.clone());
                let mut out = Vec::new();
                let mut result = Ok(packager::make::Progress::Ready);
                let mut given = vec![false; maker.inputs().len()];
                while let Ok(progress) = &result {
                    match progress {
                        packager::make::Progress::Done => break,
                        packager::make::Progress::Ready => {}
                        packager::make::Progress::Need(input) => {
                            assert!(!core::mem::replace(&mut given[*input], true), "an input is asked for once");
                            let wanted = maker.inputs()[*input].clone();
                            let mut bytes = title.read(&wanted.object, wanted.range);
                            // Half of it becomes something else.
                            let half = bytes.len() / 2;
                            bytes[half..].fill(0x11);
                            maker.supply(*input, &bytes).expect("it is as long as it should be");
                        }
                    }
                    let mut piece = Vec::new();
                    result = maker.step(&mut piece);
                    out.append(&mut piece);
                }
                match result {
                    Ok(_) => assert!(out.len() as u64 == range.end, "a body is whole or an error"),
                    Err(error) => {
                        assert_eq!(error.kind(), packager::ErrorKind::BadSource, "{error}");
                        refused += 1;
                    }
                }
                assert!(out.len() <= whole.len());
            }
        }
        assert!(refused > 0, "{package_type:?}");
    }
}
