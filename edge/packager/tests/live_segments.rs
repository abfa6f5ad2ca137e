//! Segments of a live channel hold what was pushed: the samples are those of the same media as an asset, times and counters go
//! on from segment to segment, and bytes do not depend on when they are asked for.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod channel;
mod drive;
mod title;

use std::collections::BTreeMap;
use std::sync::Arc;

use channel::{Channel, Request, Source};
use packager::config::{
    ContentKeys, Endpoint, Iv, KeyUse, KeysOf, PackageType, Scheme, SealedKey, Signalling, StreamSelection,
    endpoint_keys_key,
};
use packager::job;
use packager::media::protection::Keys;
use packager::route::{SegmentFormat, TrackFile, TrackName};
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use title::Title;

/// The bytes of a file below the tag of an endpoint.
fn file(channel: &Channel, request: &Request<'_>, name: &str) -> Vec<u8> {
    let documents = packager::live::Documents {
        endpoint: Arc::new(request.endpoint.clone()),
        timeline: request.timeline.clone(),
        keys: request.keys.clone(),
    };
    let url = format!("/v1/g/c/e/{:016x}/{name}", packager::live::tag(&documents));
    let (response, _, _) = channel.ask(request, &url, None);
    channel.body(&response.unwrap_or_else(|e| panic!("{url}: {e}")))
}

/// The payloads of all `mdat` boxes.
fn media_data(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut out) = (bytes, Vec::new());
    while !rest.is_empty() {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        if &rest[4..8] == b"mdat" {
            out.extend_from_slice(&rest[8..size]);
        }
        rest = &rest[size..];
    }
    out
}

/// The first box of a type, wherever it is.
fn find(bytes: &[u8], name: &[u8; 4]) -> Vec<usize> {
    (4..bytes.len().saturating_sub(4)).filter(|at| bytes[*at..*at + 4] == *name).collect()
}

/// The decoding times and sequence numbers of all movie fragments.
fn fragments(bytes: &[u8]) -> Vec<(u32, u64)> {
    let number = |at: usize| u32::from_be_bytes(bytes[at + 8..at + 12].try_into().unwrap());
    let time = |at: usize| u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap());
    find(bytes, b"mfhd").into_iter().map(number).zip(find(bytes, b"tfdt").into_iter().map(time)).collect()
}

/// The samples of a transport stream by PID: payloads of packets, and counters checked on from `counters`.
fn payloads(bytes: &[u8], counters: &mut BTreeMap<u16, u8>) -> BTreeMap<u16, Vec<u8>> {
    let mut out: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    assert_eq!(bytes.len() % 188, 0);
    for packet in bytes.chunks(188) {
        assert_eq!(packet[0], 0x47);
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (adaptation, payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let counter = packet[3] & 0x0f;
        if payload {
            if let Some(last) = counters.insert(pid, counter) {
                assert_eq!(counter, (last + 1) % 16, "the counter of PID {pid}");
            }
            let skip = if adaptation { 5 + usize::from(packet[4]) } else { 4 };
            let mut data = &packet[skip..];
            if pid >= 0x100 && packet[1] & 0x40 != 0 {
                data = &data[9 + usize::from(data[8])..];
            }
            out.entry(pid).or_default().extend_from_slice(data);
        } else if let Some(last) = counters.get(&pid) {
            assert_eq!(counter, *last, "a packet without payload does not count");
        }
    }
    out
}

fn request<'a>(endpoint: &'a Endpoint, timeline: &'a Arc<packager::config::Timeline>) -> Request<'a> {
    Request { endpoint, keys: None, timeline, now_ms: channel::EPOCH_MS + 1_000_000 }
}

/// The media of every segment of the same length that the fixture has as an asset.
fn stored(documents: &job::Documents, title: &Title, track: TrackName, format: SegmentFormat) -> Vec<Vec<u8>> {
    let all = title.segments_of(documents).into_iter();
    let own =
        all.filter_map(|(resource, _, bytes)| match resource {
            packager::route::Resource::Tagged {
                track: own, file: TrackFile::Segment { number, format: f }, ..
            } if own == track && f == format => Some((number, bytes)),
            _ => None,
        });
    own.collect::<BTreeMap<u32, Vec<u8>>>().into_values().collect()
}

#[test]
fn cmaf_has_the_samples_that_were_pushed() {
    for (folder, package_type) in [("cmaf", PackageType::Cmaf), ("ts", PackageType::Dash)] {
        let title = Title::of_playlist(folder);
        let mut documents = title.documents(PackageType::Cmaf, false);
        Arc::make_mut(&mut documents.configuration).segment_duration_seconds = 2;
        let mut channel = Channel::new(Source::new(folder, 1), 2, 4, 3);
        channel.begin(5_000_000, false);
        (0..40).for_each(|_| channel.push(&[]));
        let endpoint = match package_type {
            PackageType::Dash => channel::dash(6, 60),
            other => channel::hls(other, 6, 5),
        };
        let timeline = channel.timeline();
        for name in ["v0", "v1", "a0"] {
            let (kind, ordinal) = (&name[..1], name[1..].parse().unwrap());
            let kind = if kind == "v" { packager::route::TrackKind::Video } else { packager::route::TrackKind::Audio };
            let pushed = stored(&documents, &title, TrackName { kind, ordinal }, SegmentFormat::Cmaf);
            assert_eq!(pushed.len(), channel.source.len());
            let (mut last, mut before) = (0, None);
            for number in 0..13usize {
                let bytes = file(&channel, &request(&endpoint, &timeline), &format!("{name}/{number}.m4s"));
                let wanted: Vec<u8> =
                    (number * 3..number * 3 + 3).flat_map(|n| media_data(&pushed[n % pushed.len()])).collect();
                assert!(media_data(&bytes) == wanted, "{folder}: {name} {number}");
                for (sequence, time) in fragments(&bytes) {
                    assert!(sequence > last, "{sequence} after {last}");
                    assert!(before.is_none_or(|before| time > before), "{time} after {before:?}");
                    (last, before) = (sequence, Some(time));
                }
            }
            let init = file(&channel, &request(&endpoint, &timeline), &format!("{name}/init0.mp4"));
            assert_eq!(&init[4..8], b"ftyp");
        }
    }
}

#[test]
fn transport_streams_have_the_samples_that_were_pushed_and_counters_go_on() {
    for (separate, inner, parts) in [(false, 1, 4), (true, 1, 64), (false, 3, 5)] {
        let title = Title::of_playlist("ts");
        let mut documents = title.documents(PackageType::Hls, separate);
        Arc::make_mut(&mut documents.configuration).segment_duration_seconds = 6;
        let pushed = stored(&documents, &title, drive_video(0), SegmentFormat::Ts);
        let mut channel = Channel::new(Source::new("ts", inner), 2 * inner as u32, parts, 2);
        channel.begin(5_000_000, false);
        let endpoint = Endpoint { audio_separation: separate, ..channel::hls(PackageType::Hls, 6, 5) };
        let group = 3 / inner;
        let mut counters = BTreeMap::new();
        let mut first = Vec::new();
        for number in 0..12usize {
            (0..group).for_each(|_| channel.push(&[]));
            let timeline = channel.timeline();
            let bytes = file(&channel, &request(&endpoint, &timeline), &format!("v0/{number}.ts"));
            let own = payloads(&bytes, &mut counters);
            let wanted = payloads(&pushed[number % 3], &mut BTreeMap::new());
            assert_eq!(own.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
            for (pid, data) in wanted.iter().filter(|(pid, _)| **pid >= 0x100) {
                assert!(own[pid] == *data, "segment {number}, PID {pid}: {} {}", own[pid].len(), data.len());
            }
            first.push(bytes);
        }
        // The same later, out of parts instead of the open part.
        (0..70).for_each(|_| channel.push(&[]));
        let timeline = channel.timeline();
        for (number, bytes) in first.iter().enumerate() {
            let again = file(&channel, &request(&endpoint, &timeline), &format!("v0/{number}.ts"));
            assert!(again == *bytes, "segment {number}");
        }
        if separate {
            let tag = b"com.apple.streaming.transportStreamTimestamp";
            for number in 0..12 {
                let bytes = file(&channel, &request(&endpoint, &timeline), &format!("a0/{number}.aac"));
                assert!(bytes.starts_with(b"ID3") && bytes.windows(tag.len()).any(|w| w == tag));
            }
        }
    }
}

fn drive_video(ordinal: u16) -> TrackName {
    TrackName { kind: packager::route::TrackKind::Video, ordinal }
}

/// Keys for an endpoint under a scheme.
fn keys(scheme: Scheme, iv: Option<Iv>) -> Arc<Keys> {
    let sealing = SealingKey::new([3; 32]);
    let key = SealedKey {
        kid: drive::KID,
        usage: KeyUse::All,
        from_second: 0,
        iv,
        sealed: sealing
            .seal(&endpoint_keys_key("g", "c", "e"), drive::KID, &ContentKey::new(drive::KEY), [9; NONCE_BYTES])
            .expect("sixteen bytes"),
        signalling: vec![Signalling {
            hls: Some("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"key.bin\"".into()),
            ..Signalling::default()
        }],
    };
    let keys = ContentKeys {
        of: KeysOf::endpoint("g", "c", "e"),
        scheme,
        keys: vec![key],
        clear_video: false,
        clear_audio: false,
    };
    Arc::new(Keys::open(&keys, &sealing).expect("what was sealed for here"))
}

#[test]
fn protected_segments_do_not_depend_on_the_window() {
    for (scheme, package_type, iv) in [
        (Scheme::Cbcs, PackageType::Cmaf, Some(drive::IV)),
        (Scheme::Cbcs, PackageType::Dash, Some(drive::IV)),
        (Scheme::Cenc, PackageType::Dash, None),
        (Scheme::SampleAes, PackageType::Hls, Some(drive::IV)),
        (Scheme::Aes128, PackageType::Hls, None),
    ] {
        let folder = if package_type == PackageType::Hls { "ts" } else { "cmaf" };
        let mut channel = Channel::new(Source::new(folder, 1), 2, 4, 3);
        channel.begin(0, false);
        (0..11).for_each(|_| channel.push(&[]));
        let endpoint = match package_type {
            PackageType::Dash => channel::dash(4, 60),
            other => channel::hls(other, 4, 4),
        };
        let clear = endpoint.clone();
        let endpoint = Endpoint { protection: Some(drive::plain(scheme)), ..endpoint };
        let timeline = channel.timeline();
        let open = Request { keys: Some(keys(scheme, iv)), ..request(&endpoint, &timeline) };
        let format = if package_type == PackageType::Hls { "ts" } else { "m4s" };
        let early: Vec<Vec<u8>> = (0..5).map(|n| file(&channel, &open, &format!("v0/{n}.{format}"))).collect();
        (0..30).for_each(|_| channel.push(&[]));
        let timeline = channel.timeline();
        let later = Request { timeline: &timeline, ..open.clone() };
        let mut vectors = Vec::new();
        let mut counters = BTreeMap::new();
        for (number, bytes) in early.iter().enumerate() {
            let name = format!("v0/{number}.{format}");
            assert!(file(&channel, &later, &name) == *bytes, "{scheme:?} {name}");
            let plain = file(&channel, &request(&clear, &timeline), &name);
            assert_ne!(plain, *bytes, "{scheme:?} {name} is encrypted");
            match scheme {
                Scheme::Cbcs | Scheme::Cenc => {
                    let (own, clear) = (media_data(bytes), media_data(&plain));
                    assert!(own.len() == clear.len() && own != clear);
                    let senc = find(bytes, b"senc");
                    assert!(!senc.is_empty());
                    // The first initialisation vector of each fragment.
                    vectors.extend(senc.iter().map(|at| bytes[at + 12..at + 20].to_vec()));
                }
                Scheme::SampleAes => drop(payloads(bytes, &mut counters)),
                Scheme::Aes128 => assert_eq!(bytes.len() % 16, 0),
            }
        }
        if scheme == Scheme::Cenc {
            let count = vectors.len();
            vectors.sort();
            vectors.dedup();
            assert_eq!(vectors.len(), count, "no vector is used twice");
        }
        let extension = endpoint.package_type.manifest_extension().as_str();
        let main = channel.ask(&later, &format!("/v1/g/c/e/main.{extension}"), None).0.expect("a manifest");
        let main = drive::text_of(&main);
        match package_type {
            PackageType::Dash => {
                assert!(main.contains(&format!("cenc:default_KID=\"{}\"", drive::KID)), "{main}");
                let init = file(&channel, &later, "v0/init0.mp4");
                assert!(!find(&init, b"tenc").is_empty() && !find(&init, b"encv").is_empty());
            }
            _ => {
                let playlist = main.lines().find(|l| l.ends_with("v0/playlist.m3u8")).expect("a playlist");
                let text = channel.ask(&later, &format!("/v1/g/c/e/{playlist}"), None).0.expect("a playlist");
                let text = drive::text_of(&text);
                assert_eq!(text.matches("#EXT-X-KEY:").count(), 1, "{text}");
                assert!(text.find("#EXT-X-KEY").unwrap() < text.find("#EXTINF").unwrap());
            }
        }
    }
}

#[test]
fn a_tag_changes_with_the_bytes_and_with_nothing_else() {
    let mut channel = Channel::new(Source::new("ts", 1), 2, 4, 3);
    channel.begin(0, false);
    (0..4).for_each(|_| channel.push(&[]));
    let tag = |endpoint: &Endpoint, channel: &Channel| {
        let (endpoint, timeline) = (Arc::new(endpoint.clone()), channel.timeline());
        packager::live::tag(&packager::live::Documents { endpoint, timeline, keys: None })
    };
    let endpoint = channel::hls(PackageType::Hls, 6, 5);
    let own = tag(&endpoint, &channel);
    channel.push(&[]);
    let stream_selection = StreamSelection { max_video_bitrate: Some(1_000_000), ..StreamSelection::default() };
    for same in [
        endpoint.clone(),
        Endpoint { time_shift_seconds: 60, manifest_name: "other".into(), ..endpoint.clone() },
        Endpoint { stream_selection, manifest: channel::hls(PackageType::Hls, 6, 9).manifest, ..endpoint.clone() },
    ] {
        assert_eq!(tag(&same, &channel), own);
    }
    for other in [
        channel::hls(PackageType::Cmaf, 6, 5),
        channel::hls(PackageType::Hls, 8, 5),
        Endpoint { audio_separation: true, ..endpoint.clone() },
        Endpoint { protection: Some(drive::plain(Scheme::Aes128)), ..endpoint.clone() },
    ] {
        assert_ne!(tag(&other, &channel), own);
    }
    channel.timeline.id = "ffeeddccbbaa9988".into();
    assert_ne!(tag(&endpoint, &channel), own);
}
