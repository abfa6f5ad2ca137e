//! Bodies that are made on the way: whatever range of them is asked for, and in whatever pieces media arrive, the bytes
//! are those of the whole.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;
mod title;

use core::ops::Range;

use packager::config::{PackageType, SourceObject};
use packager::make::Maker;
use packager::response::Part;
use packager::route::{Resource, SegmentFormat, TrackFile};
use title::Title;

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
                            maker.supply(*input, bytes.to_vec()).expect("it is as long as it should be");
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
