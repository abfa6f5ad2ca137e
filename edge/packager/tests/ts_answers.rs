//! Transport streams as they are served: every segment of every playlist of an asset, read in order by a reader that shares
//! nothing with the crate.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

#[path = "ts_out/check.rs"]
mod check;
mod drive;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use check::Reader;
use packager::config::PackageType;

/// Everything an asset answers, by path below its manifest.
struct Site(BTreeMap<String, Vec<u8>>);

impl Site {
    fn of(names: &[&str], seconds: u32, separate: bool) -> Self {
        let media = |name: &&str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name);
            fs::read(path).expect("the fixture is there")
        };
        let files: Vec<Vec<u8>> = names.iter().map(media).collect();
        let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let indexed = drive::ingest(&slices).expect("the fixture is ingested");
        let sizes: Vec<u64> = files.iter().map(|f| f.len() as u64).collect();
        let mut documents = drive::documents(PackageType::Hls, seconds, &indexed.index, indexed.head_bytes, &sizes);
        Arc::make_mut(&mut documents.configuration).audio_separation = separate;
        let answers = drive::crawl(&documents, &indexed.index, usize::MAX).into_iter().map(|(resource, response)| {
            let bytes = drive::bytes_of(&response.parts, 999, |object, range| {
                let number: usize = object.path.trim_end_matches(".mp4").parse().expect("a file of the test");
                files[number][range.start as usize..range.end as usize].to_vec()
            });
            assert_eq!(bytes.len() as u64, response.len());
            (resource.to_string(), bytes)
        });
        Self(answers.collect())
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.0[path].clone()).expect("playlists are text")
    }

    /// Path of what a playlist names.
    fn path(playlist: &str, uri: &str) -> String {
        playlist.rsplit_once('/').map_or(uri.to_owned(), |(folder, _)| format!("{folder}/{uri}"))
    }

    fn playlists(&self, name: &str) -> Vec<String> {
        self.0.keys().filter(|path| path.ends_with(name)).cloned().collect()
    }
}

fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
    let start = line.find(&format!("{name}=")).unwrap_or_else(|| panic!("{name} in {line}")) + name.len() + 1;
    line[start..].split(',').next().unwrap().trim_matches('"')
}

/// What a media playlist says of a segment: its duration, its resource, and which bytes of it, unless all.
type Entry = (f64, String, Option<(usize, usize)>);

fn entries(site: &Site, playlist: &str) -> Vec<Entry> {
    let (mut duration, mut range, mut found) = (0.0, None, Vec::new());
    for line in site.text(playlist).lines() {
        if let Some(value) = line.strip_prefix("#EXTINF:") {
            duration = value.trim_end_matches(',').parse().unwrap();
        } else if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let (length, start) = value.split_once('@').unwrap();
            let (length, start): (usize, usize) = (length.parse().unwrap(), start.parse().unwrap());
            range = Some((start, start + length));
        } else if !line.starts_with('#') && !line.is_empty() {
            found.push((duration, Site::path(playlist, line), range.take()));
        }
    }
    found
}

const ASSETS: [&[&str]; 10] = [
    &["small/h264_aac.mp4"],
    &["small/fragmented.mp4"],
    &["small/variable_frame_rate.mp4"],
    &["small/audio_delayed_750ms.mp4"],
    &["small/open_gop.mp4"],
    &["small/hevc_hvc1.mp4"],
    &["small/h264_aac.mp4", "small/ac3.mp4"],
    &["small/h264_aac.mp4", "small/eac3_51.mp4"],
    &["ladder/video_180p.mp4", "ladder/audio_eng.mp4", "ladder/audio_fra.mp4"],
    &["ladder/video_180p.mp4", "ladder/video_720p.mp4", "ladder/audio_eng.mp4"],
];

#[test]
fn segments_of_a_playlist_are_one_transport_stream() {
    for (names, separate, seconds) in
        ASSETS.iter().flat_map(|names| [(names, false, 1), (names, false, 6), (names, true, 2)])
    {
        let site = Site::of(names, seconds, separate);
        let mut streams = 0;
        for playlist in site.playlists("playlist.m3u8") {
            let entries = entries(&site, &playlist);
            if !entries.iter().all(|(_, path, _)| path.ends_with(".ts")) {
                continue;
            }
            streams += 1;
            let mut reader = Reader::default();
            for (duration, path, _) in entries {
                let first = reader.pes.len();
                reader.segment(&site.0[&path]);
                let own = &reader.pes[first..];
                assert_eq!((own[0].pid, own[0].random_access), (0x100, true), "{path} begins with a key frame");
                assert_eq!(
                    own.iter().any(|pes| pes.pid == 0x101),
                    !separate && names[0] != "small/open_gop.mp4" && names[0] != "small/hevc_hvc1.mp4"
                );
                let times = || own.iter().filter(|pes| pes.pid == 0x100).map(|pes| pes.pts.unwrap());
                let span = (times().max().unwrap() - times().min().unwrap()) as f64 / 90_000.0;
                assert!(span < duration && duration - span < 0.6, "{path}: {span} s of {duration}");
            }
            reader.check_clock();
            // Presentation begins 10 s after the start of the clock, give or take priming and a first frame.
            let first = reader.pes.iter().map(|pes| pes.pts.unwrap()).min().unwrap();
            assert!((895_000..=904_000).contains(&first), "{names:?} {separate} {playlist} begins at {first}");
        }
        assert!(streams > 0);
    }
}

#[test]
fn key_frames_lie_where_the_playlist_says() {
    for names in ASSETS {
        let site = Site::of(names, 6, false);
        for playlist in site.playlists("iframes.m3u8") {
            let mut frames = 0;
            for (_, path, range) in entries(&site, &playlist) {
                let (start, end) = range.expect("a key frame is part of a segment");
                let segment = &site.0[&path];
                let mut reader = Reader::default();
                reader.segment(&[&segment[..376], &segment[start..end]].concat());
                assert_eq!((reader.pes.len(), reader.pes[0].random_access), (1, true));
                // Whole: the next packet begins something else.
                let mut whole = Reader::default();
                whole.segment(segment);
                assert!(whole.of(0x100).any(|pes| pes.payload == reader.pes[0].payload));
                frames += 1;
            }
            assert!(frames > 0);
        }
    }
}

#[test]
fn bandwidths_are_those_of_the_segments() {
    // A segment at the end that is shorter than half of this is no peak.
    const SECONDS: u32 = 2;
    let mut checked = 0;
    for (names, separate) in ASSETS.iter().flat_map(|names| [(names, false), (names, true)]) {
        let site = Site::of(names, SECONDS, separate);
        let main = site.playlists("index.m3u8").remove(0);
        let text = site.text(&main);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            // With renditions to choose from it is the sum of those that are played together.
            if !line.starts_with("#EXT-X-STREAM-INF:") || line.contains("AUDIO=") {
                continue;
            }
            let playlist = Site::path(&main, lines.next().unwrap());
            let entries = entries(&site, &playlist);
            let bits = |path: &str| site.0[path].len() as f64 * 8.0;
            let peak =
                entries.iter().filter(|e| e.0 >= SECONDS as f64 / 2.0).map(|e| bits(&e.1) / e.0).fold(0.0, f64::max);
            let average = entries.iter().map(|e| bits(&e.1)).sum::<f64>() / entries.iter().map(|e| e.0).sum::<f64>();
            for (name, measured) in [("BANDWIDTH", peak), ("AVERAGE-BANDWIDTH", average)] {
                let said: f64 = attribute(line, name).parse().unwrap();
                assert!((said / measured - 1.0).abs() < 0.1, "{names:?} {name}: {said}, measured {measured}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 8, "{checked}");
}
