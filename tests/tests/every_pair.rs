//! Every source to every output: the pictures and the sound that ffmpeg gets from the output are those it gets from the
//! source, sound is where it was beside the pictures, and subtitles say the same at the same time. The outcome is a table,
//! `target/e2e/pairs.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;

use e2e::control::{OUTPUTS, Output};
use e2e::ffmpeg::Sound;
use e2e::source::{self, Source};
use e2e::title::{Content, Text, Title, Track};
use e2e::{Asset, Control, media, tools};

const GROUP: &str = "pairs";
/// Shorter than the segments of the sources, so that they are also cut inside.
const SEGMENT_SECONDS: u32 = 4;
/// Times may differ by one tick of the coarsest timescale that edit lists of the sources are written in, 1/600 s.
const TIME_TOLERANCE: f64 = 1.0 / 600.0 + 1e-6;
/// Packets of sound that an encoder puts in front and that an edit list hides may be there or not.
const MOST_PRIMING: usize = 3;

/// Length of a frame of AAC.
const AAC_48: f64 = 1024.0 / 48_000.0;

/// All renditions of a title, read.
struct Read {
    renditions: Vec<(bool, Content)>,
    texts: Vec<Text>,
}

impl Read {
    fn of(title: &Title, sound: Sound) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let renditions = title.renditions.iter().map(|rendition| {
            let content = rendition.read(folder.path(), sound)?;
            Ok((rendition.is_variant, content))
        });
        Ok(Self { renditions: renditions.collect::<Result<_, String>>()?, texts: title.texts.clone() })
    }

    /// Tracks of a kind; sound that several renditions carry is there once.
    fn tracks(&self, of: fn(&Content) -> &Track) -> Vec<&Track> {
        let mut all: Vec<&Track> = Vec::new();
        for track in self.renditions.iter().map(|(_, content)| of(content)).filter(|track| !track.hashes.is_empty()) {
            if !all.iter().any(|known| known.hashes == track.hashes) {
                all.push(track);
            }
        }
        all
    }
}

/// One line of the table.
#[derive(Clone, Debug, Default)]
struct Outcome {
    video: String,
    audio: String,
    offset: String,
    text: String,
}

#[test]
fn every_source_to_every_output() {
    let control = Control::start();
    control.group_of_everything(GROUP, SEGMENT_SECONDS);
    let sources = source::all();
    let wanted = std::env::var("EDGEPACK_SOURCE").ok();
    let wanted = |source: &&Source| wanted.as_ref().is_none_or(|name| name == source.name);
    let queue = Mutex::new(sources.iter().filter(wanted));
    let table = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some(source) = next else { break };
                    for (output, outcome) in OUTPUTS.iter().zip(outcomes(&control, source)) {
                        table.lock().expect("the table").insert((source.name, output.name), outcome);
                    }
                }
            });
        }
    });
    let table = table.into_inner().expect("the table");
    let mut text = String::from("source\toutput\tpictures\tsound\tmost A/V offset\tsubtitles\n");
    let mut wrong = String::new();
    for ((source, output), outcome) in &table {
        match outcome {
            Ok(Outcome { video, audio, offset, text: subtitles }) => {
                let _ = writeln!(text, "{source}\t{output}\t{video}\t{audio}\t{offset}\t{subtitles}");
            }
            Err(error) => {
                let _ = writeln!(text, "{source}\t{output}\tWRONG: {error}");
                let _ = writeln!(wrong, "{source} to {output}: {error}");
            }
        }
    }
    println!("{text}");
    std::fs::write(tools::results().join("pairs.tsv"), text).expect("the table");
    assert!(wrong.is_empty(), "{wrong}");
}

fn outcomes(control: &Control, source: &Source) -> Vec<Result<Outcome, String>> {
    let asset = source.ingest(control, GROUP);
    if asset.status() != "PLAYABLE" {
        return OUTPUTS.iter().map(|_| Err(format!("{}: {}", asset.status(), asset.failure()))).collect();
    }
    let expected = Read::of(&source.title(), source.sound);
    OUTPUTS
        .iter()
        .map(|output| {
            let expected = expected.as_ref().map_err(|error| format!("the source itself: {error}"))?;
            outcome(control, source, &asset, expected, output)
        })
        .collect()
}

fn outcome(
    control: &Control,
    source: &Source,
    asset: &Asset,
    expected: &Read,
    output: &Output,
) -> Result<Outcome, String> {
    let url = control.playback_of(asset, output.name);
    let title = match output.package_type {
        "DASH" => Title::of_dash(&control.client, &url),
        _ => Title::of_served_hls(&control.client, &url),
    };
    let ours = Read::of(&title, source.sound)?;
    let mut outcome = Outcome::default();

    let mut clock = None;
    let (wanted, found) = (expected.tracks(|content| &content.video), ours.tracks(|content| &content.video));
    if wanted.len() != found.len() {
        return Err(format!("{} renditions of pictures, the source has {}", found.len(), wanted.len()));
    }
    for track in &found {
        let source = find(track, &wanted, 0)?;
        let shifts = Shifts::of(track, &source);
        let off = shifts.most_off(track, &source);
        if off > TIME_TOLERANCE {
            return Err(format!("pictures are {off} s off"));
        }
        clock.get_or_insert(shifts);
    }
    let frames: usize = found.iter().map(|track| track.hashes.len()).sum();
    let _ = write!(outcome.video, "{} x {frames} frames equal", found.len());

    let (wanted, found) = (expected.tracks(|content| &content.audio), ours.tracks(|content| &content.audio));
    let mut offset = 0.0_f64;
    let mut heard = Vec::new();
    for track in &found {
        let source = find(track, &wanted, MOST_PRIMING)?;
        heard.push(source.track.hashes.clone());
        // The clock is that of the pictures: what sound is off by is its offset against them.
        let own = Shifts::of(track, &source);
        offset = offset.max(clock.as_ref().unwrap_or(&own).most_off(track, &source));
    }
    if let Some(missing) = wanted.iter().find(|track| !heard.contains(&track.hashes)) {
        return Err(format!("a sound of {} packets of the source is not there", missing.hashes.len()));
    }
    if offset > source.frame + 1e-6 {
        return Err(format!("sound is {:.1} ms off its pictures", offset * 1000.0));
    }
    let packets: usize = found.iter().map(|track| track.hashes.len()).sum();
    let missing = wanted.iter().map(|track| track.hashes.len()).sum::<usize>().saturating_sub(packets);
    let what = if source.sound == Sound::Samples { "frames of samples" } else { "packets" };
    let _ = write!(outcome.audio, "{} x {packets} {what} equal", found.len());
    if missing > 0 {
        let _ = write!(outcome.audio, ", {missing} overlap at a discontinuity");
    }
    let _ = write!(outcome.offset, "{:.2} ms", offset * 1000.0);
    outcome.text = texts(expected, &ours, clock.as_ref(), output)?;
    Ok(outcome)
}

/// A track of the source, and how ours lies on it.
struct Found<'a> {
    track: &'a Track,
    /// Frames of ours before the first of the source.
    before: usize,
    /// For each frame of ours after those, its position in the source.
    positions: Vec<usize>,
}

/// The track of the source that has the same frames or packets. At its ends it may have `most` more or fewer of them; at a
/// discontinuity the last packets of sound before it and the first after it, which overlap, may be left out.
fn find<'a>(ours: &Track, sources: &[&'a Track], most: usize) -> Result<Found<'a>, String> {
    for track in sources {
        for (before, hidden) in (0..=most).map(|n| (n, 0)).chain((1..=most).map(|n| (0, n))) {
            if let Some(positions) = lay(&ours.hashes[before.min(ours.hashes.len())..], track, hidden, most) {
                return Ok(Found { track, before, positions });
            }
        }
    }
    let described: Vec<String> = sources
        .iter()
        .map(|track| {
            let first = ours.hashes.iter().zip(&track.hashes).position(|(one, other)| one != other);
            let known = ours.hashes.iter().filter(|hash| track.hashes.contains(hash)).count();
            format!("{} (first difference at {first:?}, {known} somewhere in it)", track.hashes.len())
        })
        .collect();
    Err(format!("{} frames or packets are those of no track of the source: {described:?}", ours.hashes.len()))
}

fn lay(ours: &[String], track: &Track, hidden: usize, most: usize) -> Option<Vec<usize>> {
    let mut at = hidden;
    let mut positions = Vec::new();
    for hash in ours {
        while track.hashes.get(at)? != hash {
            let near = |start: &usize| *start > 0 && at + most >= *start && at < start + most;
            if !track.pieces.iter().any(near) {
                return None;
            }
            at += 1;
        }
        positions.push(at);
        at += 1;
    }
    (at == track.hashes.len()).then_some(positions)
}

/// What has to be added to times of the source to get ours, for each of its pieces.
struct Shifts(Vec<f64>);

impl Shifts {
    fn of(ours: &Track, source: &Found<'_>) -> Self {
        let starts = source.track.pieces.iter().enumerate().map(|(piece, _)| {
            let index = source.positions.iter().position(|position| source.track.piece(*position) == piece);
            let index = index.unwrap_or_else(|| panic!("nothing of piece {piece}"));
            ours.times[index + source.before] - source.track.times[source.positions[index]]
        });
        Self(starts.collect())
    }

    /// The most that any time of ours differs from where it should be.
    fn most_off(&self, ours: &Track, source: &Found<'_>) -> f64 {
        let off = ours.times[source.before..].iter().zip(&source.positions).map(|(time, position)| {
            let piece = source.track.piece(*position).min(self.0.len() - 1);
            (time - source.track.times[*position] - self.0[piece]).abs()
        });
        off.fold(0.0, f64::max)
    }
}

/// Subtitles that can be read without a player: the words and the times of the source.
fn texts(expected: &Read, ours: &Read, clock: Option<&Shifts>, output: &Output) -> Result<String, String> {
    if output.package_type == "DASH" && ours.texts.is_empty() {
        return Ok(if expected.texts.is_empty() { "none" } else { "as wvtt" }.to_owned());
    }
    if expected.texts.is_empty() {
        // Side files: what they say is checked in players.
        return Ok(if ours.texts.is_empty() { "none".to_owned() } else { format!("{} files", ours.texts.len()) });
    }
    if expected.texts.len() != ours.texts.len() {
        return Err(format!("{} subtitles, the source has {}", ours.texts.len(), expected.texts.len()));
    }
    let shift = clock.map_or(0.0, |clock| clock.0[0]);
    let mut cues = 0;
    for text in &ours.texts {
        let source = expected.texts.iter().find(|other| {
            let same = |one: &e2e::vtt::Cue, other: &e2e::vtt::Cue| {
                let off = (one.start - other.start - shift).abs().max((one.end - other.end - shift).abs());
                one.text == other.text && off < 0.002
            };
            other.language == text.language
                && other.forced == text.forced
                && other.cues.len() == text.cues.len()
                && text.cues.iter().all(|cue| other.cues.iter().any(|other| same(cue, other)))
        });
        if source.is_none() {
            return Err(format!("subtitles that the source does not have: {text:?}"));
        }
        cues += text.cues.len();
    }
    Ok(if ours.texts.is_empty() { "none".to_owned() } else { format!("{} x {cues} cues equal", ours.texts.len()) })
}

/// The comparison itself: titles that were made from the same elements by different packagers are read alike, and damage is
/// seen.
#[test]
fn readers_agree_about_titles_that_are_the_same() {
    let read = |folder: &str| {
        let title = Title::of_stored_hls(&media::hls(folder).join("main.m3u8"));
        Read::of(&title, Sound::Packets).unwrap_or_else(|error| panic!("{folder}: {error}"))
    };
    let demuxed = read("ts_demuxed");
    assert_eq!(demuxed.texts.len(), 4);
    for other in ["ts", "cmaf", "cmaf_ranges"] {
        let other = read(other);
        let (pictures, sounds) = (demuxed.tracks(|content| &content.video), demuxed.tracks(|content| &content.audio));
        let found = other.tracks(|content| &content.video);
        let source = find(found[0], &pictures, 0).expect("the same pictures");
        let clock = Shifts::of(found[0], &source);
        assert!(clock.most_off(found[0], &source) < TIME_TOLERANCE);
        for track in other.tracks(|content| &content.audio) {
            let source = find(track, &sounds, MOST_PRIMING).expect("the same sound");
            // ffmpeg's CMAF has pictures and sound begin with decoding at 0: 40 ms instead of 21 ms apart.
            assert!(clock.most_off(track, &source) < AAC_48);
            let mut late = track.clone();
            late.times.iter_mut().for_each(|time| *time += 0.05);
            assert!(clock.most_off(&late, &source) > AAC_48);
            let mut short = track.clone();
            short.hashes.remove(100);
            assert!(find(&short, &sounds, MOST_PRIMING).is_err());
        }
    }
}
