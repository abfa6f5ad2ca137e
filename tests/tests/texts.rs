//! Captions in the pictures are signalled in every manifest. Subtitles that are tracks of MP4 files come out of every output that can carry them, with their cues at their times. The
//! expected cues are those of the text files that the tracks were made from.

use std::path::PathBuf;

use e2e::control::OUTPUTS;
use e2e::mpd::Mpd;
use e2e::playlist::{self, Multivariant};
use e2e::title::Title;
use e2e::vtt::{self, Cue};
use e2e::{Control, media, source};
use m3u8_rs::AlternativeMediaType;

const GROUP: &str = "texts";
/// Cue times count milliseconds.
const TOLERANCE: f64 = 0.0015;

struct Case {
    name: &'static str,
    files: Vec<PathBuf>,
    language: &'static str,
    /// In seconds.
    duration: f64,
    /// The text file that the track was made from.
    origin: &'static str,
    /// How DASH carries it.
    codec: &'static str,
}

fn cases() -> Vec<Case> {
    let with = |file: &str| media::ladder().into_iter().chain([media::text(file)]).collect();
    vec![
        Case {
            name: "wvtt",
            files: with("wvtt.mp4"),
            language: "en",
            duration: 16.0,
            origin: "eng.vtt",
            codec: "wvtt",
        },
        Case {
            name: "tx3g",
            files: vec![media::text("tx3g.mp4")],
            language: "fr",
            duration: 4.0,
            origin: "fra.srt",
            codec: "wvtt",
        },
        Case {
            name: "stpp",
            files: with("stpp.mp4"),
            language: "fr",
            duration: 16.0,
            origin: "fra.srt",
            codec: "stpp.ttml.im1t",
        },
    ]
}

/// The cues of a text file that a title of this duration shows.
fn expected(case: &Case) -> Vec<Cue> {
    let text = std::fs::read_to_string(media::text(case.origin)).expect("a text file");
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let line = |line: &str| if line.contains("-->") { line.replace(',', ".") } else { line.to_owned() };
    let text = match case.origin.ends_with(".srt") {
        true => format!("WEBVTT\n\n{}", text.lines().map(line).collect::<Vec<_>>().join("\n")),
        false => text,
    };
    let mut cues = vtt::cues([(text.as_bytes(), 0.0)].into_iter(), case.origin);
    cues.retain(|cue| cue.start < case.duration);
    assert!(!cues.is_empty());
    cues
}

#[test]
fn tracks_of_subtitles_come_out_of_every_output() {
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    for case in cases() {
        let asset = control.playable(GROUP, case.name, &case.files);
        for output in &OUTPUTS {
            let url = control.playback_of(&asset, output.name);
            let place = format!("{} as {}", case.name, output.name);
            match output.package_type {
                "DASH" => check_dash(&control, &case, &url, &place),
                "CMAF" if case.name == "stpp" => check_stpp(&control, &case, &url, &place),
                // TTML has no place beside transport streams.
                "HLS" if case.name == "stpp" => {
                    let list = Multivariant::fetch(&control.client, &url);
                    assert!(!list.text.contains("TYPE=SUBTITLES"), "{place}: {}", list.text);
                }
                _ => check_webvtt(&control, &case, &url, &place),
            }
        }
    }
}

fn check_webvtt(control: &Control, case: &Case, url: &str, place: &str) {
    let texts = Title::of_served_hls(&control.client, url).texts;
    assert_eq!(texts.len(), 1, "{place}");
    assert_eq!(texts[0].language, case.language, "{place}");
    let (found, wanted) = (&texts[0].cues, expected(case));
    assert_eq!(found.len(), wanted.len(), "{place}: {found:?}, not {wanted:?}");
    // Presentation time 0 may have any time stamp: the first cue says which.
    let zero = found[0].start - wanted[0].start;
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(found.text, wanted.text, "{place}");
        let off = |found: f64, wanted: f64| (found - zero - wanted).abs();
        assert!(off(found.start, wanted.start) < TOLERANCE, "{place}: {found:?}, not {wanted:?}");
        assert!(off(found.end, wanted.end.min(case.duration)) < TOLERANCE, "{place}: {found:?}, not {wanted:?}");
    }
}

/// The samples hold the text as it was, whatever else is around it.
fn check_samples(control: &Control, case: &Case, urls: &[String], place: &str) {
    let segments: Vec<Vec<u8>> = urls.iter().map(|url| control.client.get(url).body).collect();
    for cue in expected(case) {
        let line = cue.text.lines().next().unwrap_or_default();
        let has = |bytes: &Vec<u8>| bytes.windows(line.len()).any(|window| window == line.as_bytes());
        assert!(segments.iter().any(has), "{place}: {line:?}");
    }
}

fn check_stpp(control: &Control, case: &Case, url: &str, place: &str) {
    let list = Multivariant::fetch(&control.client, url);
    let texts = list.parsed.alternatives.iter().filter(|one| one.media_type == AlternativeMediaType::Subtitles);
    let texts: Vec<_> = texts.collect();
    assert_eq!(texts.len(), 1, "{place}: {}", list.text);
    assert_eq!(texts[0].language.as_deref(), Some(case.language), "{place}");
    assert!(list.text.contains(case.codec), "{place}: {}", list.text);
    let address = e2e::http::resolve(&list.url, texts[0].uri.as_deref().expect("a playlist"));
    let segments = playlist::Media::fetch(&control.client, &address);
    check_samples(control, case, &segments.segment_urls(), place);
}

fn check_dash(control: &Control, case: &Case, url: &str, place: &str) {
    let mpd = Mpd::fetch(&control.client, url);
    let texts: Vec<_> = mpd.representations.iter().filter(|one| one.kind == "text").collect();
    assert_eq!(texts.len(), 1, "{place}: {}", mpd.text);
    assert_eq!(texts[0].attributes.get("codecs").map(String::as_str), Some(case.codec), "{place}: {}", mpd.text);
    let urls: Vec<String> = texts[0].segments.iter().map(|(url, ..)| url.clone()).collect();
    check_samples(control, case, &urls, place);
}

#[test]
fn captions_are_signalled_in_every_manifest() {
    let control = Control::start();
    control.group_of_everything(GROUP, 4);
    let sources = source::all();
    let asset = sources.iter().find(|one| one.name == "hls_ts_cea608").expect("a source").playable(&control, GROUP);
    for output in &OUTPUTS {
        let url = control.playback_of(&asset, output.name);
        if output.package_type == "DASH" {
            let text = Mpd::fetch(&control.client, &url).text;
            assert!(text.contains("urn:scte:dash:cc:cea-608:2015\" value=\"CC1"), "{text}");
            continue;
        }
        let list = Multivariant::fetch(&control.client, &url);
        let captions =
            list.parsed.alternatives.iter().filter(|one| one.media_type == AlternativeMediaType::ClosedCaptions);
        let captions: Vec<_> = captions.collect();
        assert_eq!(captions.len(), 1, "{}: {}", output.name, list.text);
        assert!(list.text.contains("INSTREAM-ID=\"CC1\"") && !list.text.contains("CAPTIONS=NONE"), "{}", list.text);
    }
}
