//! Our manifests and segments against the rules and before independent readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::mpd::{Mpd, Representation};
use e2e::playlist::{Media, Multivariant, track};
use e2e::{Asset, Control, ffmpeg, media, source, tools};
use m3u8_rs::{AlternativeMediaType, MediaPlaylistType};

const DEADLINE: Duration = Duration::from_secs(60);
const GROUP: &str = "conformance";
const SEGMENT_SECONDS: u32 = 2;

/// Outputs that are HLS.
const HLS_OUTPUTS: [&str; 3] = ["cmaf", "ts", "ts-separate"];

/// Every title and every small file, each an asset.
fn assets(control: &Control) -> Vec<(String, Asset)> {
    control.group_of_everything(GROUP, SEGMENT_SECONDS);
    let titles = source::all().into_iter();
    let mut assets: Vec<_> = titles.map(|title| (title.name.to_owned(), title.playable(control, GROUP))).collect();
    for (index, file) in media::all_small().iter().enumerate() {
        let name = media::asset_name(index, file);
        let asset = control.playable(GROUP, &name, std::slice::from_ref(file));
        assets.push((name, asset));
    }
    assets
}

#[test]
fn mpds_are_valid_against_the_schema() {
    let folder =
        std::env::var_os("EDGEPACK_MPD_SCHEMA").map_or_else(|| tools::root().join("../shared/schema"), PathBuf::from);
    let schema = folder.join("DASH-MPD.xsd");
    if !schema.is_file() {
        println!("no schema: set EDGEPACK_MPD_SCHEMA to a folder with DASH-MPD.xsd (github.com/MPEGGroup/DASHSchema)");
    }
    let control = Control::start();
    for (name, asset) in assets(&control) {
        let mpd = Mpd::fetch(&control.client, &control.playback(&asset, "DASH"));
        let file = tools::results().join(format!("{name}.mpd"));
        std::fs::write(&file, &mpd.text).expect("the MPD");
        check_mpd(&name, &mpd);
        let mut xmllint = Command::new(tools::program(&["xmllint"]));
        xmllint.args(["--nonet", "--noout"]);
        if schema.is_file() {
            xmllint.env("XML_CATALOG_FILES", folder.join("catalog.xml")).arg("--schema").arg(&schema);
        }
        tools::succeed(xmllint.arg(&file), DEADLINE);
    }
}

/// What a schema cannot say.
fn check_mpd(name: &str, mpd: &Mpd) {
    assert_eq!(mpd.attributes.get("type").map_or("static", String::as_str), "static", "{name}");
    let duration = mpd.attributes.get("mediaPresentationDuration").unwrap_or_else(|| panic!("{name}: no duration"));
    assert!(duration.starts_with("PT") && duration.ends_with('S'), "{name}: {duration}");
    assert!(!mpd.representations.is_empty(), "{name}");
    let mut ids = std::collections::BTreeSet::new();
    for one in &mpd.representations {
        assert!(ids.insert((one.period, &one.id)), "{name}: {} twice", one.id);
        assert!(!one.segments.is_empty() || one.kind == "text", "{name} {}", one.id);
        for pair in one.segments.windows(2) {
            assert_eq!(pair[0].1 + pair[0].2, pair[1].1, "{name} {}: gap or overlap before {}", one.id, pair[1].0);
        }
    }
    let video: Vec<&Representation> = mpd.representations.iter().filter(|one| one.kind == "video").collect();
    for one in &video {
        let starts = |one: &Representation| -> Vec<u64> { one.segments.iter().map(|(_, start, _)| *start).collect() };
        assert_eq!(one.timescale, video[0].timescale, "{name}: timescales of one switching set");
        let same = video.iter().find(|other| other.period == one.period).expect("itself");
        assert_eq!(starts(one), starts(same), "{name}: renditions are not cut at the same times");
    }
}

#[test]
fn hls_playlists_keep_the_rules() {
    let control = Control::start();
    for (name, asset) in assets(&control) {
        for output in HLS_OUTPUTS.iter().filter(|output| has(&control, &asset, output)) {
            let name = format!("{name}-{output}");
            let url = control.playback_of(&asset, output);
            let multivariant = Multivariant::fetch(&control.client, &url);
            std::fs::write(tools::results().join(format!("{name}.m3u8")), &multivariant.text).expect("the playlist");
            check_multivariant(&name, &multivariant);
            let media: Vec<Media> =
                multivariant.media_urls().iter().map(|url| Media::fetch(&control.client, url)).collect();
            for list in &media {
                check_media(&name, list);
            }
            check_alignment(&name, &media);
            check_bandwidth(&name, &control, &multivariant);
        }
    }
}

/// Whether an asset has anything that the output can carry: AV1, VP9, Opus and FLAC have no place in transport streams.
fn has(control: &Control, asset: &Asset, output: &str) -> bool {
    let response = control.client.send("GET", &control.playback_of(asset, output), &[], &[]);
    let foreign = |kind: &str| {
        let codec = |track: &serde_json::Value| track["codec"].as_str().unwrap_or_default().to_lowercase();
        asset
            .tracks(kind)
            .iter()
            .all(|track| ["av01", "vp09", "opus", "flac"].iter().any(|foreign| codec(track).starts_with(foreign)))
    };
    if output != "cmaf" && foreign("video") && foreign("audio") {
        assert_eq!(response.status, 501, "{}", response.text());
        assert!(!response.problem().is_empty());
        return false;
    }
    assert_eq!(response.status, 200, "{output}: {}", response.text());
    true
}

fn check_multivariant(name: &str, playlist: &Multivariant) {
    let text = &playlist.text;
    assert!(text.starts_with("#EXTM3U\n"), "{name}\n{text}");
    assert!(!text.contains("PROGRAM-ID") && !text.contains("EXT-X-ALLOW-CACHE"), "{name}\n{text}");
    let groups: BTreeMap<&str, usize> = playlist.parsed.alternatives.iter().fold(BTreeMap::new(), |mut groups, one| {
        *groups.entry(one.group_id.as_str()).or_default() += 1;
        groups
    });
    let has_video = playlist.parsed.variants.iter().any(|variant| variant.resolution.is_some());
    for variant in &playlist.parsed.variants {
        assert!(variant.codecs.as_ref().is_some_and(|codecs| !codecs.is_empty()), "{name}: CODECS\n{text}");
        assert!(variant.bandwidth > 0, "{name}\n{text}");
        if variant.is_i_frame {
            assert!(variant.resolution.is_some(), "{name}: RESOLUTION of an I-frame list\n{text}");
            continue;
        }
        assert!(variant.average_bandwidth.is_some_and(|average| average <= variant.bandwidth), "{name}\n{text}");
        if has_video {
            assert!(variant.resolution.is_some(), "{name}: RESOLUTION\n{text}");
            assert!(variant.frame_rate.is_some_and(|rate| rate > 0.0), "{name}: FRAME-RATE\n{text}");
            assert!(variant.closed_captions.is_some(), "{name}: CLOSED-CAPTIONS\n{text}");
        }
        if let Some(audio) = &variant.audio {
            assert!(groups.contains_key(audio.as_str()), "{name}: no group {audio}\n{text}");
        }
    }
    let ranges = text.matches("VIDEO-RANGE=").count();
    assert!(
        ranges == 0 || !has_video || ranges >= playlist.parsed.variants.iter().filter(|one| !one.is_i_frame).count()
    );
    let mut names = std::collections::BTreeSet::new();
    for one in &playlist.parsed.alternatives {
        assert!(names.insert((&one.group_id, &one.name)), "{name}: NAME {} twice in its group\n{text}", one.name);
        assert!(!one.default || one.autoselect, "{name}: DEFAULT without AUTOSELECT\n{text}");
        assert!(one.media_type != AlternativeMediaType::Audio || one.channels.is_some(), "{name}: CHANNELS\n{text}");
        assert!(!one.forced || one.autoselect, "{name}: FORCED without AUTOSELECT\n{text}");
    }
}

fn check_media(name: &str, list: &Media) {
    let text = &list.text;
    assert!(text.starts_with("#EXTM3U\n"), "{name} {}\n{text}", list.url);
    assert!(list.parsed.end_list, "{name}: ENDLIST\n{text}");
    assert_eq!(list.parsed.playlist_type, Some(MediaPlaylistType::Vod), "{name}\n{text}");
    let version = list.parsed.version;
    if list.init_urls().is_empty() {
        let cmaf = list.segment_urls().iter().any(|url| url.ends_with(".m4s"));
        assert!(!cmaf && version.is_some_and(|version| version >= 3), "{name} {}: {version:?}\n{text}", list.url);
    } else {
        assert!(version.is_some_and(|version| version >= 6), "{name}: EXT-X-MAP needs version 6\n{text}");
    }
    assert!(!list.parsed.segments.is_empty(), "{name}\n{text}");
    for segment in &list.parsed.segments {
        let rounded = segment.duration.round() as u64;
        assert!(
            rounded <= list.parsed.target_duration,
            "{name}: EXTINF {} of {}\n{text}",
            segment.duration,
            list.parsed.target_duration
        );
        assert!(segment.duration > 0.0, "{name}: an empty segment\n{text}");
    }
}

/// Sound and picture cover the same time, and all renditions of the picture are cut at the same times.
fn check_alignment(name: &str, lists: &[Media]) {
    let total = |list: &Media| list.parsed.segments.iter().map(|segment| f64::from(segment.duration)).sum::<f64>();
    let longest = lists.iter().map(total).fold(0.0, f64::max);
    for list in lists {
        let short = longest - total(list);
        // Tracks of one source may end a little apart; a late start is covered by the edit list, not by the playlist.
        assert!(short < 1.0, "{name}: {} is {short} s shorter than the longest", list.url);
    }
    let video: Vec<&Media> = lists.iter().filter(|list| track(&list.url).starts_with('v')).collect();
    let cuts = |list: &Media| -> Vec<f32> { list.parsed.segments.iter().map(|segment| segment.duration).collect() };
    for list in &video {
        assert_eq!(cuts(list), cuts(video[0]), "{name}: renditions are not cut at the same times");
    }
}

/// BANDWIDTH within a tenth of the measured peak, AVERAGE-BANDWIDTH of the measured average.
fn check_bandwidth(name: &str, control: &Control, playlist: &Multivariant) {
    let measure = |list: &Media| -> (f64, f64) {
        let sizes = list.segment_urls().into_iter().map(|url| {
            let head = control.client.send("HEAD", &url, &[], &[]);
            head.header("content-length").and_then(|length| length.parse::<f64>().ok()).expect("Content-Length")
        });
        let segments: Vec<(f64, f64)> = sizes
            .zip(&list.parsed.segments)
            .map(|(bytes, segment)| (bytes * 8.0, f64::from(segment.duration)))
            .collect();
        // A very short last segment, less than half of what was asked for, says nothing about the rate.
        let long = segments.iter().filter(|(_, seconds)| *seconds >= f64::from(SEGMENT_SECONDS) / 2.0);
        let peak = long.map(|(bits, seconds)| bits / seconds).fold(0.0, f64::max);
        let bits: f64 = segments.iter().map(|(bits, _)| bits).sum();
        let seconds: f64 = segments.iter().map(|(_, seconds)| seconds).sum();
        (peak, bits / seconds)
    };
    let rates = |uri: &str| {
        let url = e2e::http::resolve(&playlist.url, uri);
        measure(&Media::fetch(&control.client, &url))
    };
    let near = |what: &str, stated: u64, measured: f64| {
        let ratio = stated as f64 / measured;
        assert!((0.9..=1.1).contains(&ratio), "{name}: {what} {stated}, measured {measured:.0}\n{}", playlist.text);
    };
    for variant in playlist.parsed.variants.iter().filter(|variant| !variant.is_i_frame) {
        let (mut peak, mut average) = rates(&variant.uri);
        let members = playlist.parsed.alternatives.iter().filter(|one| Some(&one.group_id) == variant.audio.as_ref());
        let sound: Vec<(f64, f64)> =
            members.filter_map(|one| one.uri.as_deref()).filter(|uri| *uri != variant.uri).map(rates).collect();
        peak += sound.iter().map(|(peak, _)| *peak).fold(0.0, f64::max);
        average += sound.iter().map(|(_, average)| *average).fold(0.0, f64::max);
        near("BANDWIDTH", variant.bandwidth, peak);
        near("AVERAGE-BANDWIDTH", variant.average_bandwidth.unwrap_or_default(), average);
    }
}

#[test]
fn every_iframe_range_is_one_key_frame() {
    let control = Control::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = 0;
    for (name, asset) in assets(&control) {
        let multivariant = Multivariant::fetch(&control.client, &control.playback_of(&asset, "cmaf"));
        let lists = multivariant.iframe_urls();
        assert_eq!(lists.len(), asset.tracks("video").len(), "{name}: an I-frame list for each rendition");
        for url in lists {
            let list = Media::fetch(&control.client, &url);
            assert!(list.parsed.i_frames_only && list.parsed.end_list, "{name}\n{}", list.text);
            let mut init = Vec::new();
            for (segment, url) in list.parsed.segments.iter().zip(list.segment_urls()) {
                if let Some(map) = &segment.map {
                    init = control.client.get(&e2e::http::resolve(&list.url, &map.uri)).body;
                }
                let range = segment.byte_range.as_ref().unwrap_or_else(|| panic!("{name}: no range\n{}", list.text));
                let start = range.offset.unwrap_or_else(|| panic!("{name}: no offset\n{}", list.text));
                let header = format!("bytes={start}-{}", start + range.length - 1);
                let response = control.client.send("GET", &url, &[("range", &header)], &[]);
                assert_eq!((response.status, response.body.len() as u64), (206, range.length), "{name} {url} {header}");
                let whole = control.client.get(&url).body;
                let after = &whole[(start + range.length) as usize..];
                let file = folder.path().join("frame.mp4");
                // The range ends within the media data, so the box that it ends in is longer than what is there. A
                // player decodes what it has; so does ffmpeg.
                std::fs::write(&file, [&init[..], &response.body].concat()).expect("a file");
                let types = ffmpeg::picture_types(&file);
                assert_eq!(types, "I", "{name} {url} {header}");
                check_end(&name, &file, &init, &response.body, after);
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "only {seen} I-frames");
}

/// One byte less is a broken frame: the range ends exactly where the frame does.
fn check_end(name: &str, file: &Path, init: &[u8], range: &[u8], after: &[u8]) {
    let packet = |bytes: &[u8]| {
        std::fs::write(file, [init, bytes].concat()).expect("a file");
        let mut ffprobe = Command::new(tools::program(&["ffprobe"]));
        ffprobe.args(["-v", "quiet", "-show_entries", "packet=size", "-of", "csv=p=0", "-read_intervals", "%+#1"]);
        let text = String::from_utf8_lossy(&tools::succeed(ffprobe.arg(file), DEADLINE)).into_owned();
        text.lines().next().and_then(|line| line.trim_end_matches(',').parse::<usize>().ok()).unwrap_or_default()
    };
    let (exact, shorter) = (packet(range), packet(&range[..range.len() - 1]));
    assert_eq!(shorter, exact - 1, "{name}: the range goes beyond the frame");
    if !after.is_empty() {
        assert_eq!(packet(&[range, &after[..1]].concat()), exact, "{name}: the frame goes beyond the range");
    }
}

#[test]
fn independent_readers_accept_our_segments() {
    let control = Control::start();
    let folder = tempfile::tempdir().expect("a folder");
    for (name, asset) in assets(&control) {
        let multivariant = Multivariant::fetch(&control.client, &control.playback_of(&asset, "cmaf"));
        for (index, url) in multivariant.media_urls().iter().enumerate() {
            let list = Media::fetch(&control.client, url);
            // Text, and a title whose parameters change: the readers here want one initialization section.
            if track(url).starts_with('t') || list.parsed.segments.iter().any(|segment| segment.discontinuity) {
                continue;
            }
            let mut bytes = control.client.get(&list.init_url()).body;
            for url in list.segment_urls() {
                bytes.extend(control.client.get(&url).body);
            }
            let file = folder.path().join(format!("{name}-{index}.mp4"));
            std::fs::write(&file, bytes).expect("a file");
            let complaints = ffmpeg::complaints(&file);
            assert!(complaints.is_empty(), "{name} {url}: ffprobe says\n{complaints}");
            // shaka-packager knows no MP3 in MP4.
            if name.contains("mp3") && track(url).starts_with('a') {
                continue;
            }
            let kind = if track(url).starts_with('v') { "video" } else { "audio" };
            let out = folder.path().join("packaged.mp4");
            let mut packager = Command::new(tools::shaka_packager());
            packager.arg(format!("in={},stream={kind},output={}", file.display(), out.display()));
            tools::succeed(packager.args(["--segment_duration", "2"]), DEADLINE);
            assert!(std::fs::metadata(&out).expect("its output").len() > 1000, "{name} {url}");
        }
    }
}
