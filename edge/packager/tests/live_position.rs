//! Positions of a live timeline: what is pushed segment by segment is what an ingest of the whole finds.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod positions;

use packager::index::block::Block;
use packager::index::head::{Head, Media, SyncLayout};
use packager::ingest::live::{Layout, Position, position};
use packager::media::time::Instant;
use positions::Pushed;

const AT: Instant = Instant { ticks: 3_600, timescale: 1 };

/// The samples of a track over all positions: decoding time, duration, composition offset, size, sync.
fn samples(positions: &[Position], track: usize) -> Vec<(u64, u32, i32, u32, bool)> {
    let mut out = Vec::new();
    for made in positions {
        let track = &made.head.tracks[track];
        for fragment in &track.fragments {
            let start = fragment.block_offset as usize;
            let mut block = Block::default();
            block.read(track, fragment, &made.blocks[start..start + fragment.block_bytes as usize]).expect("a block");
            let mut time = fragment.decode_time;
            for s in &block.samples {
                out.push((time, s.duration, s.composition_offset, s.size, s.sync));
                time += u64::from(s.duration);
            }
        }
    }
    out
}

fn check(folder: &str) {
    let pushed = Pushed::new(folder);
    let positions = pushed.positions(AT, |_| Vec::new());
    assert!(positions.len() > 2, "{folder}");
    for (number, made) in positions.iter().enumerate() {
        assert_eq!(made.change, None, "{folder} {number}");
        assert_eq!(made.warnings, [] as [String; 0], "{folder} {number}");
        let head = &made.head;
        assert!(head.alone && head.cuts[0].source_segment && !head.cuts.iter().any(|c| c.period), "{folder} {number}");
        // A head that is written is read back.
        let total: usize = head.tracks.iter().flat_map(|t| &t.fragments).map(|f| f.block_bytes as usize).sum();
        assert_eq!(total, made.blocks.len(), "{folder} {number}");
        let written = head.write();
        let read = Head::read(&written, (written.len() + total) as u64).expect("a head");
        assert_eq!(read.tracks.len(), head.tracks.len());
        for (a, b) in read.tracks.iter().zip(&head.tracks) {
            assert_eq!((a.name, a.unit, a.constant_duration, a.sync), (b.name, 1, None, b.sync), "{folder} {number}");
            assert_eq!(a.edit_media_time, 0);
            let times = |t: &packager::index::Track| t.fragments.iter().map(|f| f.decode_time).collect::<Vec<_>>();
            assert_eq!(times(a), times(b), "{folder} {number} {}", a.name);
            if b.is_video() {
                assert_eq!(b.sync, SyncLayout::Listed);
            }
        }
    }
    let first = &positions[0].head;
    for (track, described) in first.tracks.iter().enumerate() {
        if described.media == Media::Metadata {
            continue;
        }
        let all = samples(&positions, track);
        // One after the other without a hole, and the first where it has to be.
        for pair in all.windows(2) {
            assert_eq!(pair[0].0 + u64::from(pair[0].1), pair[1].0, "{folder} {}", described.name);
        }
        let start = all[0].0 as f64 / f64::from(described.timescale) - 3600.0;
        assert!(start.abs() < 0.1, "{folder} {} begins at {start}", described.name);
        if described.is_video() {
            assert_eq!(start, 0.0, "{folder} {}", described.name);
        }
        assert!(described.average_bitrate > 1000, "{folder} {}: {}", described.name, described.average_bitrate);
    }
}

#[test]
fn transport_streams_go_on() {
    check("ts");
    check("ts_demuxed");
}

#[test]
fn fragments_go_on() {
    check("cmaf");
}

#[test]
fn a_rendition_that_is_missing_leaves_a_hole_and_comes_back() {
    let pushed = Pushed::new("ts_demuxed");
    let whole = pushed.positions(AT, |_| Vec::new());
    let lost = 1;
    let holes = pushed.positions(AT, |number| if number == 1 { vec![lost] } else { Vec::new() });
    let mut missing = 0;
    for (number, (a, b)) in whole.iter().zip(&holes).enumerate() {
        assert_eq!(b.change, None);
        for (track, (a, b)) in a.head.tracks.iter().zip(&b.head.tracks).enumerate() {
            assert_eq!(a.name, b.name);
            let count = |t: &packager::index::Track| t.fragments.iter().map(|f| f.samples).sum::<u32>();
            if count(b) == 0 && count(a) > 0 {
                missing += 1;
                assert_eq!(number, 1);
                assert_eq!(b.fragments.len(), holes[number].head.cuts.len());
                let start = b.fragments[0].decode_time as f64 / f64::from(b.timescale);
                let was = a.fragments[0].decode_time as f64 / f64::from(a.timescale);
                assert!((start - was).abs() < 0.1, "track {track}: {start} for {was}");
            } else {
                assert_eq!(samples(&whole[number..=number], track), samples(&holes[number..=number], track));
            }
        }
    }
    assert!(missing >= 1);
    // Nothing can begin without it.
    let set = pushed.set(0, &[lost]);
    assert!(position(set, AT, None).unwrap_err().to_string().contains("is missing"));
}

/// Two encoders do not begin their frames of sound at the same times, and have them in other segments.
#[test]
fn sound_of_another_encoder_begins_where_that_before_it_ended() {
    for folder in ["ts", "cmaf"] {
        let pushed = Pushed::new(folder);
        let own = pushed.positions(AT, |_| Vec::new());
        let (before, after) = (&own[0], &own[1]);
        let sound = |position: &Position| {
            let tracks = &position.head.tracks;
            tracks.iter().position(|t| matches!(t.media, Media::Audio(_))).expect("sound")
        };
        let track = sound(after);
        let whole = samples(std::slice::from_ref(after), track);
        let frame = i64::from(whole[1].1);
        // By how many ticks it ended earlier or later than that of this encoder, and how many frames are then over.
        for (apart, over) in [
            (-4 * frame, 0),
            (-frame * 11 / 4, 0),
            (-frame * 2 / 3, 0),
            (-frame / 3, 0),
            (frame / 3, 0),
            (frame * 2 / 3, 1),
            (frame * 7 / 3, 2),
            (frame * 11 / 4, 3),
        ] {
            let mut ends = before.layout.ends().to_vec();
            ends[track] = ends[track].checked_add_signed(apart).expect("a time");
            let end = ends[track];
            let layout = Layout::new(&before.head, before.layout.owners().clone(), ends).expect("a layout");
            let first = whole_time(after, AT, before);
            let made = position(pushed.set(1, &[]), first, Some(&layout)).expect("a position");
            assert_eq!(made.change, None, "{folder} {apart}");
            let moved = samples(std::slice::from_ref(&made), track);
            assert_eq!(moved[0].0, end, "{folder} {apart}: it begins elsewhere");
            assert_eq!(moved.len(), whole.len() - over, "{folder} {apart}");
            let mut time = end;
            for (number, (a, b)) in moved.iter().zip(&whole[over..]).enumerate() {
                assert_eq!((a.0, a.3), (time, b.3), "{folder} {apart}, frame {number}");
                let late = a.0.abs_diff(b.0) as i64;
                assert!(number == 0 || late <= frame / 2, "{folder} {apart}: frame {number} is {late} off");
                time += u64::from(a.1);
            }
            assert_eq!(made.layout.ends()[track], time, "{folder} {apart}");
            // Pictures are where they were.
            for (number, described) in after.head.tracks.iter().enumerate().filter(|(_, t)| t.is_video()) {
                let all = |p: &Position| samples(std::slice::from_ref(p), number);
                assert_eq!(all(&made), all(after), "{folder} {apart} {}", described.name);
            }
        }
    }
}

/// When a position is presented, as its neighbours are.
fn whole_time(position: &Position, at: Instant, before: &Position) -> Instant {
    let video = position.head.tracks.iter().position(|t| t.is_video()).expect("pictures");
    let first = |p: &Position| p.head.tracks[video].fragments[0].decode_time;
    let timescale = position.head.tracks[video].timescale;
    let ticks = at.in_timescale(timescale) + (first(position) - first(before)) as i64;
    Instant { ticks, timescale }
}

#[test]
fn another_encoding_is_a_change() {
    let (one, other) = (Pushed::new("ts"), Pushed::new("ts_demuxed"));
    let layout: Layout = one.positions(AT, |_| Vec::new()).pop().expect("positions").layout;
    let made = position(other.set(0, &[]), AT, Some(&layout)).expect("a position");
    assert!(made.change.is_some());
}

#[test]
fn what_is_no_segment_is_refused() {
    use packager::source::hls::Container;
    let refused = |bytes: &[u8], container| {
        let mut reader = packager::ingest::live::Reader::new("live/x/1.ts".into(), bytes.len() as u64, None, container);
        reader.push(bytes).and_then(|()| reader.finish().map(|_| ())).unwrap_err().to_string()
    };
    assert!(refused(b"<html></html>", Container::Transport).contains("HTML"));
    assert!(refused(&[0u8; 400], Container::Transport).contains("neither"));
    let pushed = Pushed::new("ts");
    let segment = std::fs::read(positions::fixtures().join(&pushed.playlists[0].segments[0].path)).expect("a segment");
    assert!(refused(&segment, Container::Fragments).contains("the channel takes"), "another container");
    // Its tables alone.
    let why = refused(&segment[..2 * 188], Container::Transport);
    assert!(why.contains("no program map table"), "{why}");
    // Cut anywhere: either refused or read, never a panic.
    for end in (188..segment.len()).step_by(188 * 37 + 11) {
        let mut reader =
            packager::ingest::live::Reader::new("live/x/1.ts".into(), end as u64, None, Container::Transport);
        let _ = reader.push(&segment[..end]).and_then(|()| reader.finish().map(|_| ()));
    }
}

/// ffmpeg with fMP4 segments and a clock that does not begin at 0: fragments begin with 0, and an empty edit says when that is.
#[test]
fn ffmpeg_fmp4_that_begins_late_begins_when_its_edit_list_says() {
    use packager::source::hls::Container;
    let pushed = Pushed::new("cmaf");
    let media = &pushed.playlists[0];
    let read = |path: &str| std::fs::read(positions::fixtures().join(path)).expect("a file");
    let (mut init, segment) = (read(&media.maps[0].path), read(&media.segments[0].path));
    // Without those that the fixture has.
    while let Some(at) = init.windows(4).position(|w| w == b"edts") {
        init[at..at + 4].copy_from_slice(b"free");
    }
    let start = |init: &[u8]| {
        let mut reader =
            packager::ingest::live::Reader::new("s".into(), segment.len() as u64, None, Container::Fragments);
        reader.initialization("i", init).and_then(|()| reader.push(&segment)).expect("media");
        reader.finish().expect("a segment").start()
    };
    let find = |name: &[u8; 4]| init.windows(4).position(|w| w == name).expect("a box") - 4;
    let size = |at: usize| u32::from_be_bytes(init[at..at + 4].try_into().expect("four bytes"));
    let (moov, trak, mvhd) = (find(b"moov"), find(b"trak"), find(b"mvhd"));
    let timescale = u32::from_be_bytes(init[mvhd + 20..mvhd + 24].try_into().expect("four bytes"));
    // 92 seconds of nothing, then everything from the beginning.
    let mut edit = [&40u32.to_be_bytes()[..], b"elst", &[0; 4], &2u32.to_be_bytes()].concat();
    for (duration, time) in [(92 * timescale, u32::MAX), (0, 0)] {
        edit.extend([duration, time, 1 << 16].iter().flat_map(|n| n.to_be_bytes()));
    }
    let edts = [&48u32.to_be_bytes()[..], b"edts", &edit].concat();
    let mut late = init.clone();
    late.splice(trak + size(trak) as usize..trak + size(trak) as usize, edts);
    late[trak..trak + 4].copy_from_slice(&(size(trak) + 48).to_be_bytes());
    late[moov..moov + 4].copy_from_slice(&(size(moov) + 48).to_be_bytes());
    let (from, to) = (start(&init), start(&late));
    assert_eq!(to.ticks - from.ticks, 92 * i64::from(from.timescale));
}
