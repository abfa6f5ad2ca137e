//! ffmpeg decodes both outputs to the frames of the source and finds its audio packets, for the files of this repository
//! and for further media where there is some. The outcome of every file is written down in `tests/media/expected.tsv`;
//! `EDGEPACK_EXPECT=write` writes it anew, for a person to review. A file that is not in it may fail to be ingested, but must
//! not differ.
//!
//! Of titles longer than a minute the packets of video are compared instead of the frames: hashing minutes of pictures five
//! times over takes minutes.
//!
//! Edit lists. A source may say that presentation begins some samples into the media: the first of them are needed to
//! decode what follows (a key frame and what depends on it) or are an audio encoder's priming. CMAF keeps those samples and
//! says by its own edit list, or by negative times, that they are not shown. ffmpeg drops them when it reads the file by
//! itself, but its HLS and DASH readers do not always. So our frames must be the source's with the edit list applied, or
//! those preceded by frames that the source has before its edit (`+N before`), and never anything else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use e2e::ffmpeg::{self, Reading, Sound, Stream, Streams};
use e2e::http::Client;
use e2e::{Asset, Control, media, playlist, tools};

const GROUP: &str = "decode";
/// Times may differ by one tick of the coarsest timescale that edit lists of the sources are written in, 1/600 s.
const TIME_TOLERANCE: f64 = 1.0 / 600.0 + 1e-6;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    status: String,
    hls: String,
    dash: String,
}

#[test]
fn every_rendition_decodes_to_the_frames_of_its_source() {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let mut add = |prefix: &str, root: &Path| {
        for file in media::files_below(root) {
            let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            files.push((format!("{prefix}/{name}"), file));
        }
    };
    add("ladder", &tools::root().join("tests/media/ladder"));
    add("small", &tools::root().join("tests/media/small"));
    if let Some(extra) = media::extra() {
        for folder in ["progressive", "fragmented", "generated/progressive", "generated/fragmented"] {
            add(folder, &extra.join(folder));
        }
    }

    let control = Control::start();
    control.group(GROUP, 2);
    let queue = Mutex::new(files.iter().enumerate());
    let table = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some((index, (name, file))) = next else { break };
                    let outcome = outcome(&control, index, file);
                    table.lock().expect("the table").insert(name.clone(), outcome);
                }
            });
        }
    });
    let table = table.into_inner().expect("the table");
    report(&table);
    compare(&table);
}

fn outcome(control: &Control, index: usize, file: &Path) -> Outcome {
    let name = media::asset_name(index, file);
    // Files of one name in different folders must not meet in the media storage.
    let stored = format!("{index}.mp4");
    std::fs::copy(file, control.media.join(&stored)).expect("a stored file");
    control.submit(GROUP, &name, std::slice::from_ref(&stored));
    let asset = control.finished(&name);
    if asset.status() != "PLAYABLE" {
        let none = || "-".to_owned();
        let reason = asset.failure().replace(&format!("{stored}: "), "");
        return Outcome { status: format!("{}: {reason}", asset.status()), hls: none(), dash: none() };
    }
    let expected = match Expected::of(file, &asset) {
        Ok(expected) => expected,
        Err(error) => Expected { error: Some(error), ..Expected::default() },
    };
    let hls = control.playback(&asset, "CMAF");
    let dash = control.playback(&asset, "DASH");
    let hls = expected.check(&hls).and_then(|whole| expected.check_renditions(&control.client, &hls).map(|_| whole));
    let dash = expected.check(&dash);
    let text = |result: Result<String, String>| result.unwrap_or_else(|error| format!("DIFFERS: {error}"));
    Outcome { status: asset.status().to_owned(), hls: text(hls), dash: text(dash) }
}

/// What ffmpeg gets from the source itself.
#[derive(Default)]
struct Expected {
    edited: Streams,
    whole: Streams,
    error: Option<String>,
    decode: bool,
}

impl Expected {
    fn of(file: &Path, asset: &Asset) -> Result<Self, String> {
        let input = file.to_string_lossy().into_owned();
        let streams = ffmpeg::streams(&input);
        let positions = |kind: &str, known: &[&str]| -> Vec<usize> {
            let of_kind = streams.iter().filter(|stream| stream["codec_type"] == kind).enumerate();
            of_kind
                .filter(|(_, stream)| known.iter().any(|codec| stream["codec_name"] == *codec))
                .filter(|(_, stream)| stream["disposition"]["attached_pic"] != 1)
                .map(|(position, _)| position)
                .collect()
        };
        let video = positions("video", &["h264", "hevc", "av1", "vp9"]);
        // Sample entries of MPEG-1 audio do not say which layer it is.
        let audio = positions("audio", &["aac", "ac3", "eac3", "mp2", "mp3", "opus", "flac"]);
        let (ours_video, ours_audio) = (asset.tracks("video").len(), asset.tracks("audio").len());
        if (video.len(), audio.len()) != (ours_video, ours_audio) {
            return Err(format!(
                "the source has {} video and {} audio tracks, the asset {ours_video} and {ours_audio}",
                video.len(),
                audio.len()
            ));
        }
        let decode = asset.json["duration_seconds"].as_f64().is_some_and(|seconds| seconds <= 60.0);
        let read = |options: &[&str]| {
            ffmpeg::read(&Reading {
                input: &input,
                video: &video,
                audio: &audio,
                options,
                decode,
                sound: Sound::Packets,
            })
            .map_err(|error| format!("the source itself: {error}"))
        };
        Ok(Self { edited: read(&[])?, whole: read(&["-ignore_editlist", "1"])?, error: None, decode })
    }

    /// All tracks by way of a manifest.
    fn check(&self, url: &str) -> Result<String, String> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let all = |count: usize| (0..count).collect::<Vec<_>>();
        let (video, audio) = (all(self.edited.video.len()), all(self.edited.audio.len()));
        let mut ours = Streams::default();
        // One track at a time: the DASH reader of ffmpeg 5 stops all tracks when the first of them ends.
        for index in &video {
            let one = Reading {
                input: url,
                video: &[*index],
                audio: &[],
                options: &[],
                decode: self.decode,
                sound: Sound::Packets,
            };
            ours.video.extend(ffmpeg::read(&one)?.video);
        }
        for index in &audio {
            let one = Reading {
                input: url,
                video: &[],
                audio: &[*index],
                options: &[],
                decode: self.decode,
                sound: Sound::Packets,
            };
            ours.audio.extend(ffmpeg::read(&one)?.audio);
        }
        let mut extra = BTreeMap::new();
        for (kind, ours, edited, whole) in [
            ("video", &ours.video, &self.edited.video, &self.whole.video),
            ("audio", &ours.audio, &self.edited.audio, &self.whole.audio),
        ] {
            for (index, stream) in ours.iter().enumerate() {
                let before = compare_streams(stream, &edited[index], &whole[index])
                    .map_err(|error| format!("{kind} {index}: {error}"))?;
                let most = extra.entry(kind).or_insert(0);
                *most = before.max(*most);
            }
        }
        let mut text = "same".to_owned();
        for (kind, before) in extra.into_iter().filter(|(_, before)| *before > 0) {
            let _ = write!(text, ", {kind} +{before} before");
        }
        Ok(text)
    }

    /// Each media playlist by itself.
    fn check_renditions(&self, client: &Client, url: &str) -> Result<(), String> {
        let multivariant = playlist::Multivariant::fetch(client, url);
        let mut wanted: Vec<(&str, &Stream, &Stream)> = Vec::new();
        for (kind, edited, whole) in
            [("v", &self.edited.video, &self.whole.video), ("a", &self.edited.audio, &self.whole.audio)]
        {
            wanted.extend(edited.iter().zip(whole).map(|(edited, whole)| (kind, edited, whole)));
        }
        let mut urls = multivariant.media_urls();
        // Subtitles are compared by their cues, elsewhere.
        urls.retain(|url| !url.rsplit('/').nth(1).is_some_and(|track| track.starts_with('t')));
        if urls.len() != wanted.len() {
            return Err(format!("{} media playlists for {} tracks", urls.len(), wanted.len()));
        }
        for (kind, edited, whole) in wanted {
            let (video, audio): (&[usize], &[usize]) = if kind == "v" { (&[0], &[]) } else { (&[], &[0]) };
            let mut differences = Vec::new();
            let found = urls.iter().any(|url| {
                let streams = ffmpeg::read(&Reading {
                    input: url,
                    video,
                    audio,
                    options: &[],
                    decode: self.decode,
                    sound: Sound::Packets,
                });
                let streams =
                    streams.map(|mut streams| streams.video.pop().or(streams.audio.pop()).unwrap_or_default());
                match streams.and_then(|ours| compare_streams(&ours, edited, whole)) {
                    Ok(_) => true,
                    Err(error) => {
                        differences.push(error);
                        false
                    }
                }
            });
            if !found {
                return Err(format!("no media playlist has the {kind} track: {differences:?}"));
            }
        }
        Ok(())
    }
}

/// How many frames of before the edit come first, when the rest is the same.
fn compare_streams(ours: &Stream, edited: &Stream, whole: &Stream) -> Result<usize, String> {
    let before = ours.hashes.len().saturating_sub(edited.hashes.len());
    let same = |one: &[String], other: &[String]| one == other;
    let found = if same(&ours.hashes, &edited.hashes) {
        (0, edited)
    } else if ours.hashes.len() <= whole.hashes.len()
        && same(&ours.hashes, &whole.hashes[whole.hashes.len() - ours.hashes.len()..])
    {
        // The end is the source's end; the head goes further back than the edit.
        (before, whole)
    } else if ours.hashes.len() >= edited.hashes.len() && ours.hashes[before..] == edited.hashes {
        (before, edited)
    } else {
        let first = ours.hashes.iter().zip(&edited.hashes).position(|(one, other)| one != other);
        return Err(format!(
            "{} frames, the source has {} ({} without its edit list), first difference at {first:?}",
            ours.hashes.len(),
            edited.hashes.len(),
            whole.hashes.len()
        ));
    };
    let reference = &found.1.times[found.1.times.len().saturating_sub(ours.times.len())..];
    let shown = ours.times.len() - reference.len().min(ours.times.len());
    let ours_times = &ours.times[shown..];
    let shift = match (ours_times.first(), reference.first()) {
        (Some(one), Some(other)) => one - other,
        _ => 0.0,
    };
    let off = ours_times.iter().zip(reference).position(|(one, other)| (one - other - shift).abs() > TIME_TOLERANCE);
    match off {
        Some(at) => Err(format!("frame {at} is at {} s, in the source at {} s", ours_times[at] - shift, reference[at])),
        None => Ok(found.0),
    }
}

fn report(table: &BTreeMap<String, Outcome>) {
    let mut text = String::new();
    for (name, outcome) in table {
        let _ = writeln!(text, "{name}\t{}\t{}\t{}", outcome.status, outcome.hls, outcome.dash);
    }
    println!("file\tstatus\tHLS\tDASH\n{text}");
    std::fs::write(tools::results().join("decode.tsv"), text).expect("the table");
}

fn compare(table: &BTreeMap<String, Outcome>) {
    let path = tools::root().join("tests/media/expected.tsv");
    if std::env::var("EDGEPACK_EXPECT").is_ok_and(|what| what == "write") {
        let lines: Vec<String> = table
            .iter()
            .map(|(name, outcome)| {
                let status = outcome.status.split(':').next().unwrap_or_default();
                format!("{name}\t{status}\t{}\t{}\n", outcome.hls, outcome.dash)
            })
            .collect();
        std::fs::write(&path, lines.concat()).expect("the expected outcomes");
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let expected: BTreeMap<&str, Vec<String>> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, rest)| (name, rest.split('\t').map(str::to_owned).collect()))
        .collect();
    let mut wrong = String::new();
    for (name, outcome) in table {
        // The words of a reason may improve without a change here.
        let state = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        let found = vec![state(&outcome.status), outcome.hls.clone(), outcome.dash.clone()];
        match expected.get(name.as_str()) {
            // A file that nobody wrote down may be refused, but what plays must be right.
            None if found[1..].iter().any(|output| output.starts_with("DIFFERS")) => {
                let _ = writeln!(wrong, "{name}: {found:?}");
            }
            None => {}
            Some(wanted) if *wanted != found => {
                let _ = writeln!(wrong, "{name}:\n  expected {wanted:?}\n  found    {found:?}");
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
