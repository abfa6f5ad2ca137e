//! Transport streams of ours before readers that are not: the packet checker, ffprobe, and the rules of HLS for them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::playlist::{Media, Multivariant};
use e2e::ts::{self, Codec};
use e2e::{Asset, Control, ffmpeg, source, tools};
use serde_json::json;

const DEADLINE: Duration = Duration::from_secs(60);
const GROUP: &str = "transport";

#[test]
fn every_stream_keeps_the_rules() {
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    let mut seen = std::collections::BTreeSet::new();
    for title in source::all() {
        let asset = title.playable(&control, GROUP);
        for output in ["ts", "ts-separate"] {
            let multivariant = Multivariant::fetch(&control.client, &control.playback_of(&asset, output));
            for url in multivariant.media_urls() {
                let list = Media::fetch(&control.client, &url);
                let name = format!("{} {output} {url}", title.name);
                let segments: Vec<Vec<u8>> =
                    list.segment_urls().iter().map(|url| control.client.get(url).body).collect();
                let extension = list.segment_urls()[0].rsplit('.').next().unwrap_or_default().to_owned();
                match extension.as_str() {
                    "ts" => {
                        let codecs = transport(&name, &list, &segments);
                        assert!(
                            output == "ts" || codecs.len() == 1 || codecs.contains(&Codec::Id3),
                            "{name}: {codecs:?}"
                        );
                        seen.extend(codecs.iter().map(|codec| format!("{codec:?}")));
                        probe(&name, &segments, "ts");
                    }
                    "aac" | "ac3" | "ec3" | "mp3" => {
                        seen.insert(extension.clone());
                        packed(&name, &list, &segments);
                        probe(&name, &segments, &extension);
                    }
                    "vtt" => {}
                    other => panic!("{name}: segments are .{other}"),
                }
            }
            iframes(&control, title.name, &multivariant);
        }
    }
    println!("seen: {seen:?}");
    for codec in ["Avc", "Hevc", "Adts", "Ac3", "Eac3", "Mpeg", "Id3", "aac"] {
        assert!(seen.contains(codec), "no {codec} among {seen:?}");
    }
}

/// A media playlist of transport streams; what they carry.
fn transport(name: &str, list: &Media, segments: &[Vec<u8>]) -> Vec<Codec> {
    let mut codecs = Vec::new();
    let mut start = 0;
    // A discontinuity of the playlist is one of the streams.
    let breaks = list.parsed.segments.iter().enumerate().skip(1).filter(|(_, segment)| segment.discontinuity);
    for end in breaks.map(|(index, _)| index).chain([segments.len()]) {
        let report = ts::check(&segments[start..end]);
        assert!(report.problems.is_empty(), "{name}, segments {start} to {end}: {:#?}", report.problems);
        for pids in &report.first_pids {
            assert_eq!(pids[0], 0, "{name}: the first packet is not the PAT");
        }
        let interval = report.widest_pcr_interval;
        assert!(interval <= 9_000, "{name}: {interval} ticks without a PCR");
        assert!(report.least_delay.is_some_and(|delay| delay >= 0), "{name}: late data: {:?}", report.least_delay);
        let video = report.streams.iter().find(|(_, stream)| matches!(stream.codec(), Some(Codec::Avc | Codec::Hevc)));
        if let Some((pid, stream)) = video {
            assert_eq!(report.pcr_pid, *pid, "{name}: the PCR is not with the pictures");
            // EXTINF is what the pictures of the segment take.
            for (index, segment) in list.parsed.segments[start..end].iter().enumerate() {
                let first = |number: usize| {
                    stream
                        .units
                        .iter()
                        .filter(|unit| unit.segment == number)
                        .map(|unit| unit.pts)
                        .reduce(|least, pts| if ts::distance(pts, least) < 0 { pts } else { least })
                };
                if let (Some(this), Some(next)) = (first(index), first(index + 1)) {
                    let seconds = ts::distance(next, this) as f64 / 90_000.0;
                    let off = (seconds - f64::from(segment.duration)).abs();
                    // The first segment begins with whichever of sound and pictures does.
                    let most = if start + index == 0 { 0.05 } else { 0.001 };
                    assert!(off < most, "{name}: EXTINF {} for {seconds} s", segment.duration);
                }
            }
        }
        codecs.extend(report.streams.values().filter_map(ts::Stream::codec));
        start = end;
    }
    codecs.sort_by_key(|codec| *codec as u8);
    codecs.dedup();
    codecs
}

/// ffprobe reads every segment by itself, and all of them as one, without a complaint; ffmpeg decodes them.
fn probe(name: &str, segments: &[Vec<u8>], extension: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("segment.{extension}"));
    for (index, segment) in segments.iter().enumerate() {
        std::fs::write(&file, segment).expect("a file");
        let complaints = ffmpeg::complaints(&file);
        assert!(complaints.is_empty(), "{name}, segment {index}: ffprobe says\n{complaints}");
    }
    // The last one by itself, and transport streams as one.
    decodes(name, &file);
    if extension == "ts" {
        std::fs::write(&file, segments.concat()).expect("a file");
        let complaints = ffmpeg::complaints(&file);
        assert!(complaints.is_empty(), "{name}: ffprobe says\n{complaints}");
        decodes(name, &file);
    }
}

/// ffmpeg decodes a file and stops at the first error.
fn decodes(name: &str, file: &Path) {
    let mut command = Command::new(tools::program(&["ffmpeg"]));
    command.args(["-nostdin", "-loglevel", "error", "-xerror", "-err_detect", "explode", "-i"]).arg(file);
    let output = tools::run(command.args(["-map", "0:v?", "-map", "0:a?", "-f", "null", "-"]), DEADLINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.trim().is_empty(), "{name}: ffmpeg says\n{errors}");
}

/// Packed audio begins with a timestamp (RFC 8216 3.4), the next segment's where this one's sound ends.
fn packed(name: &str, list: &Media, segments: &[Vec<u8>]) {
    const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
    let time = |segment: &Vec<u8>| {
        assert!(segment.starts_with(b"ID3"), "{name}: no ID3 tag");
        let at = segment.windows(OWNER.len()).position(|window| window == OWNER);
        let at = at.unwrap_or_else(|| panic!("{name}: no timestamp")) + OWNER.len();
        let time = u64::from_be_bytes(segment[at..at + 8].try_into().expect("eight bytes"));
        assert!(time < 1 << 33, "{name}: {time} has more than 33 bits");
        time
    };
    for (index, (pair, segment)) in segments.windows(2).zip(&list.parsed.segments).enumerate() {
        let seconds = ts::distance(time(&pair[1]), time(&pair[0])) as f64 / 90_000.0;
        let off = (seconds - f64::from(segment.duration)).abs();
        // Priming is in the first segment, but not in its duration.
        let most = if index == 0 { 0.1 } else { 0.04 };
        assert!(off < most, "{name}: EXTINF {} for {seconds} s", segment.duration);
    }
}

/// Every range of an I-frame playlist is whole packets, and with the tables that its resource begins with one key frame.
fn iframes(control: &Control, name: &str, multivariant: &Multivariant) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("frame.ts");
    let lists = multivariant.iframe_urls();
    assert!(!lists.is_empty(), "{name}: no I-frame playlist\n{}", multivariant.text);
    for url in lists {
        let list = Media::fetch(&control.client, &url);
        assert!(list.parsed.i_frames_only && list.parsed.end_list, "{name}\n{}", list.text);
        for (segment, url) in list.parsed.segments.iter().zip(list.segment_urls()) {
            let range = segment.byte_range.as_ref().unwrap_or_else(|| panic!("{name}: no range\n{}", list.text));
            let start = range.offset.unwrap_or_else(|| panic!("{name}: no offset\n{}", list.text));
            assert_eq!((start % 188, range.length % 188), (0, 0), "{name} {url}: not whole packets");
            let get = |from: u64, length: u64| {
                let header = format!("bytes={from}-{}", from + length - 1);
                let response = control.client.send("GET", &url, &[("range", &header)], &[]);
                assert_eq!((response.status, response.body.len() as u64), (206, length), "{name} {url} {header}");
                response.body
            };
            std::fs::write(&file, [get(0, 2 * 188), get(start, range.length)].concat()).expect("a file");
            assert_eq!(ffmpeg::picture_types(&file), "I", "{name} {url} {start}+{}", range.length);
        }
    }
}

/// The form for players that know no renditions.
#[test]
fn version_three_has_neither_renditions_nor_iframes() {
    let control = Control::start();
    control.create("/v1/packaging-groups", &json!({ "name": GROUP }));
    let body = json!({ "name": "old", "package_type": "HLS", "hls_version": 3, "segment_duration_seconds": 6 });
    control.create(&format!("/v1/packaging-groups/{GROUP}/configurations"), &body);
    for title in source::main() {
        let asset: Asset = title.playable(&control, GROUP);
        let multivariant = Multivariant::fetch(&control.client, &control.playbacks(&asset)[0]);
        assert!(multivariant.parsed.alternatives.is_empty(), "{}", multivariant.text);
        assert!(multivariant.iframe_urls().is_empty(), "{}", multivariant.text);
        for tag in ["EXT-X-MEDIA:", "AUDIO=", "SUBTITLES="] {
            assert!(!multivariant.text.contains(tag), "{tag}\n{}", multivariant.text);
        }
        assert_eq!(multivariant.media_urls().len(), title.seen.heights.len(), "{}", multivariant.text);
        for url in multivariant.media_urls() {
            let list = Media::fetch(&control.client, &url);
            assert_eq!(list.parsed.version, Some(3), "{}", list.text);
            for tag in ["EXT-X-MAP", "EXT-X-BYTERANGE"] {
                assert!(!list.text.contains(tag), "{tag}\n{}", list.text);
            }
            let first = ts::check(&[control.client.get(&list.segment_urls()[0]).body]);
            assert!(first.problems.is_empty(), "{url}: {:#?}", first.problems);
            assert!(first.streams.len() >= 2, "{url}: the sound is not with the pictures");
        }
    }
}
