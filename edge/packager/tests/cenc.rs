//! Encrypted CMAF: what a reader written from the standard decrypts is what the clear output holds, sample for sample.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

#[path = "cenc/boxes.rs"]
mod boxes;
mod drive;
#[path = "cenc/reader.rs"]
mod reader;
mod title;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use packager::config::{PackageType, Protection, Scheme};
use packager::index::Head;
use packager::job::Documents;
use packager::response::{CacheClass, Response};
use packager::route::{Resource, SegmentFormat, TrackFile, TrackKind, TrackName};
use reader::{Entry, Sample};
use title::Title;

fn titles() -> Vec<(&'static str, Title)> {
    let mut titles = vec![
        ("ladder", Title::of_files(&["ladder/video_180p.mp4", "ladder/audio_eng.mp4", "ladder/audio_fra.mp4"])),
        ("h264_aac", Title::of_files(&["small/h264_aac.mp4"])),
    ];
    for name in ["av1_flac.mp4", "vp9_opus.mp4", "hevc_hev1.mp4", "fragmented.mp4", "open_gop.mp4", "eac3_51.mp4"] {
        titles.push((name, Title::of_files(&[&format!("small/{name}")])));
    }
    for folder in ["ts", "ts_demuxed", "cmaf", "codecs/ac3", "codecs/eac3", "codecs/hevc"] {
        titles.push((folder, Title::of_playlist(folder)));
    }
    titles
}

fn init(documents: &Documents, title: &Title, tag: u64, track: TrackName, period: u32) -> Vec<u8> {
    let resource = Resource::Tagged { tag, track, file: TrackFile::Init(period) };
    let response = drive::respond(documents, resource, &title.index).expect("an init segment");
    drive::bytes_of(&response.parts, 1000, |object, range| title.read(object, range))
}

/// All segments of CMAF tracks, by track and number, and the tag of their URLs.
type Segments = BTreeMap<(TrackName, u32), (Vec<u8>, Vec<packager::response::Part>)>;

fn segments(title: &Title, documents: &Documents) -> (u64, Segments) {
    let mut tags = 0;
    let mut found = Segments::new();
    for (resource, parts, bytes) in title.segments_of(documents) {
        if let Resource::Tagged { tag, track, file: TrackFile::Segment { number, format: SegmentFormat::Cmaf } } =
            resource
            && track.kind != TrackKind::Text
        {
            tags = tag;
            found.insert((track, number), (bytes, parts));
        }
    }
    (tags, found)
}

struct Decrypted {
    entries: HashMap<TrackName, Vec<Entry>>,
    samples: BTreeMap<(TrackName, u32), Vec<Sample>>,
}

fn decrypt(title: &Title, documents: &Documents) -> (Decrypted, Segments) {
    let (tag, segments) = segments(title, documents);
    let mut decrypted = Decrypted { entries: HashMap::new(), samples: BTreeMap::new() };
    for (&(track, number), (bytes, _)) in &segments {
        let entries = decrypted
            .entries
            .entry(track)
            .or_insert_with(|| reader::entries(&init(documents, title, tag, track, 1), track.kind == TrackKind::Video));
        decrypted.samples.insert((track, number), reader::samples(entries, bytes, &drive::KEY));
    }
    (decrypted, segments)
}

fn protected(title: &Title, package_type: PackageType, protection: Protection) -> Documents {
    let mut documents = title.documents(package_type, false);
    drive::protect(&mut documents, protection);
    documents
}

#[test]
fn what_is_decrypted_is_what_is_stored() {
    let mut codecs = Vec::new();
    for (name, title) in titles() {
        let (clear, _) = decrypt(&title, &title.documents(PackageType::Cmaf, false));
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            let documents = protected(&title, PackageType::Cmaf, drive::plain(scheme));
            let (decrypted, segments) = decrypt(&title, &documents);
            assert_eq!(decrypted.samples.len(), clear.samples.len(), "{name}");
            for (key, samples) in &decrypted.samples {
                let data = |samples: &[Sample]| samples.iter().map(|s| s.data.clone()).collect::<Vec<_>>();
                assert!(data(samples) == data(&clear.samples[key]), "{name} {} {key:?}", scheme.as_str());
            }
            for ((track, _), (bytes, _)) in &segments {
                // Sizes were promised before (Title::segments_of checks that); what is protected is not there in the clear.
                let stored = &clear.samples[&(*track, 1)];
                let long = stored.iter().find(|s| s.data.len() > 400).map(|s| &s.data[s.data.len() - 200..]);
                if let (Some(long), Scheme::Cenc) = (long, scheme) {
                    assert!(!bytes.windows(200).any(|w| w == long), "{name} {track}");
                }
            }
            let head = Head::read(&title.index[..title.head_bytes as usize], title.index.len() as u64).unwrap();
            for (track, entries) in &decrypted.entries {
                let video = track.kind == TrackKind::Video;
                let [Entry { kind, protection: Some((original, named, version, description)) }] = entries.as_slice()
                else {
                    panic!("{name} {track}: {entries:?}")
                };
                let stored = head.track(*track).unwrap();
                assert_eq!(kind, if video { b"encv" } else { b"enca" });
                let format = &stored.sample_entries[0][4..8];
                assert_eq!(&original[..], if format == b"hev1" { b"hvc1" } else { format }, "{name} {track}");
                assert_eq!((&named[..], *version), (scheme.as_str().as_bytes(), u8::from(scheme == Scheme::Cbcs)));
                assert_eq!(description.kid, drive::KID.0);
                let pattern = if video && scheme == Scheme::Cbcs { (1, 9) } else { (0, 0) };
                assert_eq!((description.crypt, description.skip), pattern);
                assert_eq!(description.iv_bytes, if scheme == Scheme::Cenc { 8 } else { 0 });
                assert_eq!(description.constant_iv, (scheme == Scheme::Cbcs).then_some(drive::IV.0));
                codecs.push(stored.codec.split('.').next().unwrap_or_default().to_owned());
            }
        }
    }
    for codec in ["avc1", "hev1", "av01", "vp09", "mp4a", "ac-3", "ec-3", "opus", "fLaC"] {
        assert!(codecs.iter().any(|c| c.eq_ignore_ascii_case(codec)), "{codec} is among {codecs:?}");
    }
}

#[test]
fn under_one_key_no_vector_comes_twice() {
    for (name, title) in titles() {
        let documents = protected(&title, PackageType::Cmaf, drive::plain(Scheme::Cenc));
        let (decrypted, _) = decrypt(&title, &documents);
        let mut vectors: HashMap<u64, (TrackName, u32, usize)> = HashMap::new();
        for ((track, number), samples) in &decrypted.samples {
            for (position, sample) in samples.iter().enumerate() {
                let iv = sample.iv.expect("a vector of its own");
                if let Some(before) = vectors.insert(iv, (*track, *number, position)) {
                    panic!("{name}: {iv:016x} of {before:?} is that of {track} {number} {position} too");
                }
            }
        }
        // Other segments of the same samples have the same vectors: it is a function of the sample.
        let mut longer = documents.clone();
        Arc::make_mut(&mut longer.configuration).segment_duration_seconds = 3;
        let by_track = |decrypted: &Decrypted| {
            let mut ivs: HashMap<TrackName, Vec<Option<u64>>> = HashMap::new();
            for ((track, _), samples) in &decrypted.samples {
                ivs.entry(*track).or_default().extend(samples.iter().map(|s| s.iv));
            }
            ivs
        };
        assert_eq!(by_track(&decrypted), by_track(&decrypt(&title, &longer).0), "{name}");
        // Another title under the same key has others.
        let mut other = documents.clone();
        Arc::make_mut(&mut other.asset).index.digest = "1".repeat(64);
        let (other, _) = decrypt(&title, &other);
        let others = other.samples.values().flatten().filter_map(|s| s.iv);
        assert_eq!(others.filter(|iv| vectors.contains_key(iv)).count(), 0, "{name}");
    }
}

#[test]
fn a_clear_lead_is_clear_and_nothing_else_is() {
    for (name, title) in titles() {
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            let protection = Protection { clear_lead_segments: 1, ..drive::plain(scheme) };
            let mut documents = protected(&title, PackageType::Cmaf, protection);
            Arc::make_mut(&mut documents.configuration).segment_duration_seconds = 2;
            let mut unprotected = title.documents(PackageType::Cmaf, false);
            Arc::make_mut(&mut unprotected.configuration).segment_duration_seconds = 2;
            let (clear, _) = decrypt(&title, &unprotected);
            let (decrypted, _) = decrypt(&title, &documents);
            for entries in decrypted.entries.values() {
                assert_eq!(entries.len(), 2, "{name}: a protected and a clear sample entry");
                assert!(entries[0].protection.is_some() && entries[1].protection.is_none());
            }
            for (key, samples) in &decrypted.samples {
                let data = |samples: &[Sample]| samples.iter().map(|s| s.data.clone()).collect::<Vec<_>>();
                assert!(data(samples) == data(&clear.samples[key]), "{name} {key:?}");
                let protected = samples.iter().all(|s| s.kid.is_some());
                assert_eq!(protected, key.1 > 1, "{name} {key:?}");
            }
        }
    }
}

#[test]
fn an_iframe_playlist_points_at_the_key_frame_of_an_encrypted_segment() {
    let mut frames = 0;
    for (name, title) in titles() {
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            let documents = protected(&title, PackageType::Cmaf, drive::plain(scheme));
            let (tag, segments) = segments(&title, &documents);
            let (clear, _) = decrypt(&title, &title.documents(PackageType::Cmaf, false));
            let videos: Vec<TrackName> =
                segments.keys().map(|(t, _)| *t).filter(|t| t.kind == TrackKind::Video).collect();
            let Some(&track) = videos.first() else { continue };
            let entries = reader::entries(&init(&documents, &title, tag, track, 1), true);
            let resource = Resource::Tagged { tag, track, file: TrackFile::IframePlaylist };
            let playlist = drive::respond(&documents, resource, &title.index).expect("a playlist of I-frames");
            let text = drive::bytes_of(&playlist.parts, 100, |_, _| Vec::new());
            let text = String::from_utf8(text).unwrap();
            let mut range = 0..0;
            for line in text.lines() {
                if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
                    let (length, start) = value.split_once('@').unwrap();
                    let start: usize = start.parse().unwrap();
                    range = start..start + length.parse::<usize>().unwrap();
                } else if let Some(number) = line.strip_suffix(".m4s") {
                    let number: u32 = number.rsplit('/').next().unwrap().parse().unwrap();
                    let segment = &segments[&(track, number)].0;
                    let piece = &segment[range.clone()];
                    assert_eq!(&piece[4..8], b"moof", "{name}");
                    // The mdat of the piece is longer than the piece: only its first sample is in it.
                    let moof = boxes::number(piece, 0, 4) as usize;
                    let trun = boxes::find(&piece[8..moof], &[b"traf", b"trun"]).unwrap();
                    assert_eq!(boxes::number(trun, 8, 4) as usize, moof + 8);
                    let whole = reader::samples(&entries, &segment[range.start..], &drive::KEY);
                    let first = &whole[0].data;
                    assert_eq!(range.len(), moof + 8 + first.len(), "{name}: the piece ends with the key frame");
                    assert!(clear.samples[&(track, number)].iter().any(|s| &s.data == first));
                    frames += 1;
                }
            }
        }
    }
    assert!(frames > 20, "{frames}");
}

#[test]
fn any_range_of_an_encrypted_body_is_a_part_of_it() {
    for (name, title) in titles() {
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            let documents = protected(&title, PackageType::Cmaf, drive::plain(scheme));
            for ((track, number), (whole, parts)) in segments(&title, &documents).1.into_iter().take(5) {
                let read = |object: &_, range| title.read(object, range);
                assert!(drive::bytes_of(&parts, 997, read) == whole, "{name} {track} {number} in small pieces");
                let length = whole.len() as u64;
                for (start, end) in [(0, 1), (24, 25), (100, 1000), (length / 3, length / 2), (length - 17, length)] {
                    let response = Response {
                        content_type: "",
                        cache: CacheClass::Immutable,
                        etag: String::new(),
                        parts: parts.clone(),
                    };
                    let part = drive::bytes_of(&response.slice(start..end), 4096, read);
                    assert!(part == whole[start as usize..end as usize], "{name} {track} {number} {start}..{end}");
                }
            }
        }
    }
}

#[test]
fn another_key_gives_another_tag_and_does_not_decrypt() {
    let (_, title) = titles().swap_remove(1);
    let documents = protected(&title, PackageType::Cmaf, drive::plain(Scheme::Cbcs));
    let (tag, found) = segments(&title, &documents);
    assert_ne!(tag, segments(&title, &title.documents(PackageType::Cmaf, false)).0);
    let (&(track, number), (bytes, _)) = found.first_key_value().unwrap();
    let entries = reader::entries(&init(&documents, &title, tag, track, 1), track.kind == TrackKind::Video);
    let right = reader::samples(&entries, bytes, &drive::KEY);
    let wrong = reader::samples(&entries, bytes, &[0; 16]);
    assert_ne!(right, wrong, "{track} {number}");
}

#[test]
fn without_its_keys_nothing_is_served() {
    let (_, title) = titles().swap_remove(1);
    let mut documents = protected(&title, PackageType::Cmaf, drive::plain(Scheme::Cbcs));
    documents.keys = None;
    let manifest = Resource::Manifest { name: "index".into(), extension: PackageType::Cmaf.manifest_extension() };
    let error = drive::respond(&documents, manifest, &title.index).expect_err("no keys");
    assert_eq!(error.kind(), packager::ErrorKind::Upstream, "{error}");
}

#[test]
fn where_keys_change_segments_name_theirs() {
    let (_, title) = titles().swap_remove(0);
    for scheme in [Scheme::Cenc, Scheme::Cbcs] {
        let mut documents = protected(&title, PackageType::Cmaf, drive::plain(scheme));
        drive::rotate(&mut documents, 4);
        Arc::make_mut(&mut documents.configuration).segment_duration_seconds = 2;
        let (tag, segments) = segments(&title, &documents);
        let mut seen = [0; 2];
        for (&(track, number), (bytes, _)) in &segments {
            let entries = reader::entries(&init(&documents, &title, tag, track, 1), track.kind == TrackKind::Video);
            let kids: Vec<_> = reader::samples(&entries, bytes, &drive::KEY).iter().map(|s| s.kid).collect();
            // Segments of 2 s: the third begins at 4 s.
            let second = usize::from(number > 2);
            assert!(
                kids.iter().all(|kid| *kid == Some([drive::KID.0, drive::SECOND_KID.0][second])),
                "{track} {number}"
            );
            assert_eq!(bytes.windows(4).any(|w| w == b"seig"), second == 1, "{track} {number}");
            seen[second] += 1;
        }
        assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");

        let mut silent = documents.clone();
        let configuration = Arc::make_mut(&mut silent.configuration);
        configuration.protection.as_mut().unwrap().no_key_sample_groups = true;
        for (bytes, _) in self::segments(&title, &silent).1.values() {
            assert!(!bytes.windows(4).any(|w| w == b"seig"));
        }
    }
}
