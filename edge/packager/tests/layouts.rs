//! One plain file, written again in every layout that MP4 allows for its sample table: the output must not show it. The
//! boxes that come out are read by mp4-atom, which knows nothing of this crate.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod drive;

use std::fs;
use std::path::Path;

use mp4_atom::{Any, Decode, Moof, Moov};
use packager::config::PackageType;
use packager::index::Head;
use packager::media::segmenter;
use packager::response::Part;
use packager::route::{Resource, SegmentFormat, TrackFile};

fn plain() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/small/h264_aac.mp4");
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(data[at..at + 4].try_into().unwrap())
}

fn boxed(kind: &[u8], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), kind, content].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// What stands in the place of a box, by its path and content; `None` leaves it.
type Change<'a> = dyn Fn(&str, &[u8]) -> Option<Vec<u8>> + 'a;

/// Rewrites the boxes of a tree. `change` gets a box's path and content and may answer what stands in its place.
fn rewrite(data: &[u8], path: &str, change: &Change<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let size = word(data, at) as usize;
        let kind = &data[at + 4..at + 8];
        let content = &data[at + 8..at + size];
        let path = format!("{path}/{}", String::from_utf8_lossy(kind));
        let container = matches!(kind, b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"edts");
        out.extend(match change(&path, content) {
            Some(whole) => whole,
            None if container => boxed(kind, &rewrite(content, &path, change)),
            None => data[at..at + size].to_vec(),
        });
        at += size;
    }
    out
}

/// Changes the `moov` of a file and puts it last, so that no chunk moves relative to another.
fn with_movie(file: &[u8], change: &Change<'_>) -> Vec<u8> {
    let mut at = 0;
    let (mut movie, mut rest, mut before) = (Vec::new(), Vec::new(), 0usize);
    while at < file.len() {
        let size = word(file, at) as usize;
        if &file[at + 4..at + 8] == b"moov" {
            movie = file[at..at + size].to_vec();
            before = size;
        } else {
            rest.extend_from_slice(&file[at..at + size]);
        }
        at += size;
    }
    let moved = move |path: &str, content: &[u8]| {
        if path.ends_with("/stco") {
            let offsets = content[8..].chunks(4).map(|c| word(c, 0) - before as u32);
            let content = [&content[..8], &words(&offsets.collect::<Vec<_>>())].concat();
            return change(path, &content).or(Some(boxed(b"stco", &content)));
        }
        change(path, content)
    };
    rest.extend(rewrite(&movie, "", &moved));
    rest
}

/// An init segment and all segments of a track as they would be sent.
fn output(file: &[u8], track: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let indexed = drive::ingest(&[file]).expect("the layout is ingested");
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).unwrap();
    let documents = drive::documents(PackageType::Cmaf, 2, &indexed.index, indexed.head_bytes, &[file.len() as u64]);
    let tag = packager::job::tag(&documents);
    let track = &head.tracks[track];
    let count = segmenter::ladder(&head, 2)[head.tracks.iter().position(|t| t.name == track.name).unwrap()].len();
    let get = |name| {
        let resource = Resource::Tagged { tag, track: track.name, file: name };
        let response = drive::respond(&documents, resource, &indexed.index).expect("an answer");
        let parts = response.parts.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.as_ref(),
            Part::Source { range, .. } => &file[range.start as usize..range.end as usize],
            Part::Made { .. } => panic!("nothing of an MP4 is made"),
        });
        parts.flatten().copied().collect::<Vec<u8>>()
    };
    (
        get(TrackFile::Init(1)),
        (1..=count as u32).map(|n| get(TrackFile::Segment { number: n, format: SegmentFormat::Cmaf })).collect(),
    )
}

fn fragments(segment: &[u8]) -> Vec<Moof> {
    let mut rest = segment;
    let mut moofs = Vec::new();
    while !rest.is_empty() {
        if let Any::Moof(moof) = Any::decode(&mut rest).expect("a box that mp4-atom reads") {
            moofs.push(moof);
        }
    }
    moofs
}

fn movie(init: &[u8]) -> Moov {
    let mut rest = init;
    loop {
        if let Any::Moov(moov) = Any::decode(&mut rest).expect("a box that mp4-atom reads") {
            return moov;
        }
    }
}

#[test]
fn sample_tables_of_every_form_give_the_same_segments() {
    let plain = plain();
    let is_video = |path: &str, content: &[u8]| path.ends_with("/stsz") && word(content, 8) == 100;
    let wide: &Change<'_> = &|path, content| {
        let offsets = path
            .ends_with("/stco")
            .then(|| content[8..].chunks(4).flat_map(|c| u64::from(word(c, 0)).to_be_bytes()))?;
        Some(boxed(b"co64", &[&content[..8], &offsets.collect::<Vec<u8>>()].concat()))
    };
    let halves: &Change<'_> = &|path, content| {
        let sizes =
            path.ends_with("/stsz").then(|| content[12..].chunks(4).flat_map(|c| (word(c, 0) as u16).to_be_bytes()))?;
        Some(boxed(b"stz2", &[&words(&[0, 16, word(content, 8)]), sizes.collect::<Vec<u8>>().as_slice()].concat()))
    };
    // Signed composition offsets in version 1, and no edit list that would have to cancel the first.
    let signed: &Change<'_> = &|path, content| {
        if path.ends_with("/ctts") {
            let first = word(content, 12);
            let entries = content[8..].chunks(8).flat_map(|c| words(&[word(c, 0), word(c, 4).wrapping_sub(first)]));
            let head = words(&[1 << 24, word(content, 4)]);
            return Some(boxed(b"ctts", &[head, entries.collect()].concat()));
        }
        let elst = path.ends_with("/elst").then_some(content)?;
        let video = word(elst, 12) != 1024;
        video.then(|| boxed(b"elst", &words(&[0, 1, word(elst, 8), 0, 0x0001_0000])))
    };
    // As `signed`, but by writers that put negative numbers into version 0.
    let negative: &Change<'_> = &|path, content| {
        let mut changed = signed(path, content)?;
        if path.ends_with("/ctts") {
            changed[8] = 0;
        }
        Some(changed)
    };
    let one_run_each: &Change<'_> = &|path, content| {
        let entries = path.ends_with("/stts").then(|| {
            let runs = content[8..].chunks(8).flat_map(|c| vec![word(c, 4); word(c, 0) as usize]);
            runs.map(|duration| words(&[1, duration])).collect::<Vec<_>>()
        })?;
        Some(boxed(b"stts", &[words(&[0, entries.len() as u32]), entries.concat()].concat()))
    };
    let no_audio_sync: &Change<'_> = &|_, _| None;
    for (name, change) in [
        ("co64", wide),
        ("stz2", halves),
        ("ctts version 1", signed),
        ("negative ctts version 0", negative),
        ("a run for each sample", one_run_each),
        ("moov last", no_audio_sync),
    ] {
        let changed = with_movie(&plain, change);
        for track in 0..2 {
            assert_eq!(output(&changed, track), output(&plain, track), "{name}, track {track}");
        }
    }
    assert!(
        rewrite(&plain, "", &|path, content| is_video(path, content).then(Vec::new)).len() < plain.len(),
        "it has 100 frames"
    );
}

#[test]
fn without_stss_every_sample_is_a_sync_sample() {
    let changed = with_movie(&plain(), &|path, _| path.ends_with("/stss").then(Vec::new));
    let (_, segments) = output(&changed, 0);
    for moof in segments.iter().flat_map(|s| fragments(s)) {
        assert_eq!(moof.traf[0].tfhd.default_sample_flags, Some(0x0200_0000));
    }
    // A cut a second then, so a fragment a second.
    assert_eq!(segments.iter().map(|s| fragments(s).len()).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn unused_sample_entries_are_left_out_and_used_ones_kept() {
    let plain = plain();
    let twice = |path: &str, content: &[u8]| {
        let video = path.ends_with("/stsd") && &content[12..16] == b"avc1";
        video.then(|| boxed(b"stsd", &[&words(&[0, 2]), &content[8..], &content[8..]].concat()))
    };
    // Every chunk of either track uses the second entry of video, which audio does not have; so change video alone.
    let second = with_movie(&plain, &|path, content| {
        if !path.ends_with("/stsc") {
            return twice(path, content);
        }
        None
    });
    let (init, _) = output(&second, 0);
    assert_eq!(movie(&init).trak[0].mdia.minf.stbl.stsd.codecs.len(), 1);
    assert_eq!(output(&second, 0), output(&plain, 0));

    assert_eq!(output(&mixed(&plain, &twice), 0).0, output(&plain, 0).0, "entries that are the same are one");

    // The second one has another compressor name.
    let mixed = mixed(&plain, &|path, content| {
        let video = path.ends_with("/stsd") && &content[12..16] == b"avc1";
        let mut other = content[8..].to_vec();
        *other.get_mut(52)? ^= 1;
        video.then(|| boxed(b"stsd", &[&words(&[0, 2]), &content[8..], &other].concat()))
    });
    let (init, segments) = output(&mixed, 0);
    let entries = |init: &[u8]| movie(init).trak[0].mdia.minf.stbl.stsd.codecs.len();
    assert_eq!(entries(&init), 1);
    let described = segments.iter().flat_map(|s| fragments(s)).map(|m| m.traf[0].tfhd.sample_description_index);
    assert_eq!(described.collect::<Vec<_>>(), [None, None], "each init segment has the one entry of its period");

    let indexed = drive::ingest(&[&mixed]).expect("two entries are played");
    let answer = |package_type, file: Option<TrackFile>| {
        let documents = drive::documents(package_type, 2, &indexed.index, indexed.head_bytes, &[mixed.len() as u64]);
        let extension = package_type.manifest_extension();
        let resource = match file {
            Some(file) => {
                let track = packager::route::TrackName { kind: packager::route::TrackKind::Video, ordinal: 0 };
                Resource::Tagged { tag: packager::job::tag(&documents), track, file }
            }
            None => Resource::Manifest { name: "index".into(), extension },
        };
        let response = drive::respond(&documents, resource, &indexed.index).expect("an answer");
        drive::bytes_of(&response.parts, 1000, |_, _| Vec::new())
    };
    let second = answer(PackageType::Cmaf, Some(TrackFile::Init(2)));
    assert!(entries(&second) == 1 && second != init);
    let playlist = String::from_utf8(answer(PackageType::Cmaf, Some(TrackFile::Playlist))).unwrap();
    assert!(playlist.contains("1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init2.mp4\"\n"), "{playlist}");
    let playlist = String::from_utf8(answer(PackageType::Hls, Some(TrackFile::Playlist))).unwrap();
    assert!(playlist.contains("1.ts\n#EXT-X-DISCONTINUITY\n#EXTINF"), "{playlist}");
    let mpd = String::from_utf8(answer(PackageType::Dash, None)).unwrap();
    assert_eq!(mpd.matches("<Period").count(), 2, "{mpd}");
    assert!(mpd.contains("<Period id=\"1\" start=\"PT2S\" duration=\"PT2S\">"), "{mpd}");
    assert!(mpd.contains("init2.mp4\"") && mpd.contains("startNumber=\"2\""), "{mpd}");
}

/// The plain file with its second group of pictures, sample 51 of 100 on, by the second sample entry of what `stsd` makes.
fn mixed(plain: &[u8], stsd: &Change<'_>) -> Vec<u8> {
    with_movie(plain, &|path, content| {
        if path.ends_with("/stbl") && content.windows(4).any(|w| w == b"avc1") {
            let stbl = rewrite(content, "", &|path, content| {
                if path.ends_with("/stsz") {
                    return None;
                }
                if path.ends_with("/stsc") {
                    return Some(boxed(b"stsc", &words(&[0, 2, 1, 1, 1, 51, 1, 2])));
                }
                if path.ends_with("/stco") {
                    return Some(boxed(b"stco", &[words(&[0, 100]), sample_offsets(plain)].concat()));
                }
                stsd(path, content)
            });
            return Some(boxed(b"stbl", &stbl));
        }
        None
    })
}

/// Where each video sample will be when the `moov` has moved to the end.
fn sample_offsets(plain: &[u8]) -> Vec<u8> {
    let indexed = drive::ingest(&[plain]).unwrap();
    let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64).unwrap();
    let track = &head.tracks[0];
    let mut block = packager::index::block::Block::default();
    let mut offsets = Vec::new();
    let moov = plain.windows(4).position(|w| w == b"moov").unwrap() - 4;
    for fragment in &track.fragments {
        let start = fragment.block_offset as usize;
        block.read(track, fragment, &indexed.index[start..start + fragment.block_bytes as usize]).unwrap();
        let mut samples = block.samples.iter();
        for extent in &block.extents {
            let mut at = extent.range.start;
            for sample in samples.by_ref().take(extent.samples as usize) {
                offsets.push(at as u32 - word(plain, moov));
                at += u64::from(sample.size);
            }
        }
    }
    words(&offsets)
}

/// The plain file with an empty edit of `seconds` before its sound.
fn late_sound(seconds: u32) -> Vec<u8> {
    let plain = plain();
    let mvhd = plain.windows(4).position(|w| w == b"mvhd").unwrap() + 4;
    let timescale = word(&plain, mvhd + 12);
    with_movie(&plain, &|path, content| {
        let sound = path.ends_with("/elst") && word(content, 12) == 1024;
        let delay = seconds.saturating_mul(timescale);
        sound.then(|| boxed(b"elst", &[&words(&[0, 2, delay, u32::MAX, 0x0001_0000]), &content[8..]].concat()))
    })
}

/// The audio playlist of a file.
fn audio_playlist(file: &[u8]) -> String {
    let indexed = drive::ingest(&[file]).expect("the layout is ingested");
    let documents = drive::documents(PackageType::Cmaf, 1, &indexed.index, indexed.head_bytes, &[file.len() as u64]);
    let track = packager::route::TrackName { kind: packager::route::TrackKind::Audio, ordinal: 0 };
    let resource = Resource::Tagged { tag: packager::job::tag(&documents), track, file: TrackFile::Playlist };
    drive::text_of(&drive::respond(&documents, resource, &indexed.index).expect("a playlist"))
}

#[test]
fn sound_that_begins_late_leaves_gaps_in_its_playlist_and_keeps_its_times() {
    // Groups of pictures of two seconds: the first segment of video has no sound.
    let late = late_sound(3);
    let playlist = audio_playlist(&late);
    assert!(playlist.contains("#EXT-X-GAP\n#EXTINF:2.000000,\ngap.m4s\n#EXTINF:2.0"), "{playlist}");
    let (_, segments) = output(&late, 1);
    let start = fragments(&segments[0])[0].traf[0].tfdt.as_ref().unwrap().base_media_decode_time;
    assert_eq!(start, 3 * 48_000 - 1024, "decoding begins with the priming, just before the third second");
}

#[test]
fn a_delay_past_everything_else_is_a_mistake() {
    let indexed = drive::ingest(&[&late_sound(100_000)]).expect("the layout is ingested");
    assert!(indexed.warnings.iter().any(|w| w.contains("after all other tracks have ended")), "{:?}", indexed.warnings);
    assert_eq!(audio_playlist(&late_sound(100_000)), audio_playlist(&plain()));
}

#[test]
fn what_comes_out_reads_as_what_went_in() {
    let plain = plain();
    let (init, segments) = output(&plain, 0);
    let moov = movie(&init);
    assert_eq!((moov.trak.len(), moov.trak[0].edts.is_none()), (1, true), "video has no edit list");
    let source = {
        let mut rest = plain.as_slice();
        loop {
            if let Any::Moov(moov) = Any::decode(&mut rest).unwrap() {
                break moov;
            }
        }
    };
    assert_eq!(moov.trak[0].mdia.minf.stbl.stsd, source.trak[0].mdia.minf.stbl.stsd);
    let mut time = 0;
    let mut shown = Vec::new();
    for moof in segments.iter().flat_map(|s| fragments(s)) {
        let traf = &moof.traf[0];
        assert!(traf.tfhd.default_base_is_moof);
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, time);
        let duration = u64::from(traf.tfhd.default_sample_duration.unwrap());
        for entry in traf.trun[0].samples.iter() {
            shown.push(time as i64 + entry.cts.unwrap_or(0));
            time += duration;
        }
    }
    shown.sort_unstable();
    let frame = time as i64 / 100;
    assert_eq!(shown, (0..100).map(|n| n * frame).collect::<Vec<_>>(), "every frame is shown once, in time");

    let (init, segments) = output(&plain, 1);
    let edits = movie(&init).trak[0].edts.clone().and_then(|e| e.elst).expect("audio hides its priming");
    assert_eq!(edits.entries[0].media_time, Some(1024));
    assert_eq!(fragments(&segments[0])[0].traf[0].tfdt.as_ref().unwrap().base_media_decode_time, 0);
}
