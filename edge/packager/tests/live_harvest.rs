//! A range of a live channel as an asset: everything that was pushed in it, and nothing else.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod channel;
mod drive;
#[path = "channel/playlist.rs"]
mod playlist;

use std::collections::BTreeMap;
use std::ops::Range;

use channel::{Channel, Source};
use packager::config::{PackageType, SourceObject};
use packager::index::Head;
use packager::index::block::Block;
use packager::live::{Harvested, Stretch, index};
use packager::route::{Resource, SegmentFormat, TrackFile, TrackKind, TrackName};
use playlist::Playlist;

fn harvest(channel: &Channel, range: Range<u64>) -> packager::Result<Harvested> {
    let stored = channel.stored();
    let stretches: Vec<Stretch<'_>> = stored
        .iter()
        .map(|(head, blocks, begins_period)| Stretch { head, blocks, begins_period: *begins_period })
        .collect();
    index(&stretches, range)
}

/// What a track has between two cuts: sizes of samples and what they lie in.
fn content(head: &Head, index: &[u8], track: TrackName, cut: usize) -> String {
    let track = head.track(track).expect("a track");
    let fragment = &track.fragments[cut];
    let mut block = Block::default();
    let start = fragment.block_offset as usize;
    block.read(track, fragment, &index[start..start + fragment.block_bytes as usize]).expect("a block");
    let sync: Vec<bool> = block.samples.iter().map(|s| s.sync).collect();
    let sizes: Vec<u32> = block.samples.iter().map(|s| s.size).collect();
    format!("{sizes:?} {sync:?} {:?} {:?} {:?}", block.extents, block.packets, block.objects)
}

fn head(harvested: &Harvested) -> Head {
    let head = &harvested.bytes[..harvested.head_bytes as usize];
    Head::read(head, harvested.bytes.len() as u64).expect("what was written is read")
}

const VIDEO: TrackName = TrackName { kind: TrackKind::Video, ordinal: 0 };
const SOUND: TrackName = TrackName { kind: TrackKind::Audio, ordinal: 0 };

fn channel(folder: &str) -> Channel {
    let mut channel = Channel::new(Source::new(folder, 1), 2, 7, 3);
    channel.begin(5_000_000, false);
    for step in 0..60 {
        match step {
            25 => channel.begin(channel.edge() + 3_600_000_000, true),
            40 => channel.begin(channel.edge() + 4_000_000, false),
            _ => {}
        }
        channel.push(if (30..32).contains(&step) { &[0] } else { &[] });
    }
    channel
}

#[test]
fn a_range_has_what_was_pushed() {
    let channel = channel("cmaf");
    // From the middle of the fourth position on; an hour and four seconds are missing in between.
    let start = 5_000_000 + 7_000_000;
    let end = channel.edge() - 3_000_000;
    let harvested = harvest(&channel, start..end).expect("a range");
    assert_eq!(harvested.range, start - 1_000_000..end + 1_000_000);
    let head = head(&harvested);
    assert_eq!(head.cuts.len(), 60 - 3 - 1);
    let periods: Vec<usize> = (0..head.cuts.len()).filter(|at| head.cuts[*at].period).collect();
    assert_eq!(periods, [22, 37]);
    assert!(head.cuts.iter().all(|c| c.source_segment) && head.cuts[0].second == 0);
    assert!(head.cuts.windows(2).all(|w| w[1].second == w[0].second + 2), "time runs on");
    let whole = harvest(&channel, 0..u64::MAX).expect("everything");
    let all = self::head(&whole);
    for track in [VIDEO, TrackName { ordinal: 1, ..VIDEO }, SOUND] {
        let own = head.track(track).expect("a track");
        for cut in 0..head.cuts.len() {
            let same = content(&all, &whole.bytes, track, cut + 3);
            assert_eq!(content(&head, &harvested.bytes, track, cut), same, "{track} {cut}");
        }
        let (start, end) = (own.start(0) as f64, own.end as f64 / f64::from(own.timescale));
        assert!(start / f64::from(own.timescale) < 0.1 && (end - 112.0).abs() < 0.5, "{track}: {start} {end}");
        assert!(own.fragments.windows(2).all(|w| w[0].decode_time < w[1].decode_time), "{track}");
    }
    assert_eq!(head.track(VIDEO).unwrap().fragments.iter().filter(|f| f.samples == 0).count(), 2);
    // The fixture again and again: what is nine positions later is the same media.
    for cut in (0..13).chain(37..40) {
        let later = content(&head, &harvested.bytes, VIDEO, cut + 9);
        assert_eq!(content(&head, &harvested.bytes, VIDEO, cut), later, "{cut}");
    }
}

#[test]
fn a_range_is_an_asset_like_any_other() {
    for (folder, package_type) in
        [("cmaf", PackageType::Cmaf), ("ts", PackageType::Hls), ("ts", PackageType::Cmaf), ("cmaf", PackageType::Dash)]
    {
        let channel = channel(folder);
        let harvested = harvest(&channel, 11_000_000..channel.edge()).expect("a range");
        let documents = drive::documents(package_type, 6, &harvested.bytes, harvested.head_bytes, &[]);
        let read =
            |object: &packager::config::SourceObject, range: Range<u64>| channel.source.read(&object.path, range);
        let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
        let mut files = 0;
        for (resource, response) in drive::crawl(&documents, &harvested.bytes, usize::MAX) {
            let bytes = drive::bytes_of(&response.parts, 5000, read);
            assert_eq!(bytes.len() as u64, response.len(), "{resource}");
            match resource {
                Resource::Tagged { track, file: TrackFile::Playlist, .. } => {
                    let playlist = Playlist::read(&String::from_utf8(bytes).unwrap());
                    // 57 positions, the sound of the fixture being a little longer.
                    assert!((playlist.seconds() - 114.0).abs() < 0.5, "{track}: {}", playlist.seconds());
                    assert_eq!(playlist.entries.last().unwrap().discontinuity, 2);
                    assert!(playlist.ended);
                }
                Resource::Tagged {
                    track: VIDEO, file: TrackFile::Segment { format: SegmentFormat::Ts, .. }, ..
                } => {
                    for packet in bytes.chunks(188).filter(|p| p[3] & 0x10 != 0) {
                        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
                        let counter = packet[3] & 0x0f;
                        let last = counters.insert(pid, counter);
                        assert!(last.is_none_or(|last| counter == (last + 1) % 16), "{resource}: PID {pid}");
                    }
                }
                _ => {}
            }
            files += 1;
        }
        assert!(package_type == PackageType::Dash || files > 40, "{files}");
    }
}

#[test]
fn time_runs_on_over_what_was_lost() {
    const TRACKS: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
    let mut channel = Channel::new(Source::new("cmaf", 1), 2, 7, 3);
    channel.begin(5_000_000, false);
    for step in 0..30 {
        // As the timeline has it: a period ends with what was lost, over more than a part, or until the end.
        if [10, 22].contains(&step) {
            channel.begin(channel.edge(), false);
        }
        channel.push(if [9, 28, 29].contains(&step) || (13..22).contains(&step) { &TRACKS } else { &[] });
    }
    let harvested = harvest(&channel, 0..u64::MAX).expect("everything");
    let head = head(&harvested);
    let kept: Vec<usize> = (0..9).chain(10..13).chain(22..28).collect();
    assert_eq!(head.cuts.len(), kept.len());
    let periods: Vec<usize> = (0..head.cuts.len()).filter(|at| head.cuts[*at].period).collect();
    assert_eq!(periods, [9, 12]);
    assert!(head.cuts.windows(2).all(|w| w[1].second == w[0].second + 2), "time runs on");
    for track in &head.tracks {
        assert!(track.fragments.iter().all(|f| f.samples > 0), "{}", track.name);
        let end = track.end as f64 / f64::from(track.timescale);
        assert!((end - 36.0).abs() < 0.5, "{}: {end}", track.name);
    }
    assert_eq!(harvested.range.end, channel.edge() - 4_000_000);
    let lost = 5_000_000 + 13 * 2_000_000;
    for range in [lost..lost + 18_000_000, lost + 1_000_000..lost + 2_000_000] {
        let error = harvest(&channel, range.clone()).expect_err("nothing is there");
        assert_eq!(error.kind(), packager::ErrorKind::NotFound, "{range:?}");
    }
}

#[test]
fn a_range_without_media_is_none() {
    let channel = channel("cmaf");
    let hole = channel.timeline.periods[0].end_us + 1_000_000;
    for range in [0..1_000_000, hole..hole + 100_000_000, channel.edge() + 1..u64::MAX] {
        let error = harvest(&channel, range.clone()).expect_err("nothing is there");
        assert_eq!(error.kind(), packager::ErrorKind::NotFound, "{range:?}");
    }
    // From one hole to another: a period, with its own beginning.
    let own = harvest(&channel, hole..channel.timeline.periods[1].end_us + 1).expect("a period");
    let head = head(&own);
    assert!(head.cuts.len() == 15 && !head.cuts.iter().any(|c| c.period));
}

#[test]
fn a_range_moves_with_its_objects() {
    for folder in ["cmaf", "ts"] {
        let channel = channel(folder);
        let harvested = harvest(&channel, 11_000_000..channel.edge()).expect("a range");
        let objects = packager::live::objects(&harvested.bytes, harvested.head_bytes).expect("its objects");
        assert!(objects.iter().all(|(path, o)| o.path == *path && o.bytes > 0) && objects.len() > 2, "{objects:?}");
        let copy = |path: &str| (format!("films/one/{path}"), Some(format!("\"{path}\"")));
        let moved = packager::live::relocate(&harvested.bytes, harvested.head_bytes, "films/one/", |o| copy(&o.path));
        let (bytes, head_bytes) = moved.expect("it moves");
        let moved = packager::live::objects(&bytes, head_bytes).expect("its objects");
        let moved: Vec<_> = moved.values().map(|o| (o.path.clone(), o.bytes, o.etag.clone())).collect();
        let expected = objects.values().map(|o| (copy(&o.path).0, o.bytes, copy(&o.path).1));
        assert_eq!(moved, expected.collect::<Vec<_>>());
        // What is made of it is the same, under encryption too.
        let before = |object: &SourceObject, range: Range<u64>| channel.source.read(&object.path, range);
        let after = |object: &SourceObject, range: Range<u64>| {
            channel.source.read(object.path.strip_prefix("films/one/").expect("a copy"), range)
        };
        let one = all(&harvested.bytes, harvested.head_bytes, before);
        let two = all(&bytes, head_bytes, after);
        assert!(one.len() > 30 && one == two, "{folder}: {} {}", one.len(), two.len());
    }
}

/// Everything but manifests that is made of an index, encrypted.
fn all(index: &[u8], head_bytes: u64, read: impl Fn(&SourceObject, Range<u64>) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut documents = drive::documents(PackageType::Cmaf, 6, index, head_bytes, &[]);
    drive::protect(&mut documents, drive::plain(packager::config::Scheme::Cbcs));
    let found = drive::crawl(&documents, index, usize::MAX);
    let media = found.iter().filter(|(resource, _)| {
        matches!(resource, Resource::Tagged { file: TrackFile::Segment { .. } | TrackFile::Init(_), .. })
    });
    media.map(|(_, response)| drive::bytes_of(&response.parts, 5000, &read)).collect()
}
