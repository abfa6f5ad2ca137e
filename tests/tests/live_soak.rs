//! ffmpeg pushes to both inputs of two channels, transport streams and fragments, while everything goes wrong that can: encoders
//! are killed and come back, all of them begin anew with another clock, and the control plane is killed, again and again. On an edge
//! in a process of its own every player watches all the time.
//!
//! It takes `EDGEPACK_SOAK_SECONDS`, and some more to begin and to look at what came out. When that is said, players are also held
//! to how smoothly they played. Without it the run is short, and it may be on a machine that is too busy for ten viewers and four
//! encoders: what was recorded has to be as right as ever, no player may give up, see pictures in another order or be refused
//! anything, but how often it had to wait is only told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::ffmpeg::{self, Reading, Sound};
use e2e::live::{
    Audience, Channel, Container, DashRecorder, FRAMES, HlsRecorder, LADDER, Number, Pair, Recording, SEGMENT_SECONDS,
    Track, Viewer, Watched, now_ms, whole_window,
};
use e2e::{Control, Edge, Setup};

/// Room for every event. Ten minutes show more; the test command has no time for them.
const SECONDS: u64 = 60;
/// What the first segments may take, those of the encoders included.
const START: Duration = Duration::from_secs(60);
/// How long nobody is there after a power cut, besides what starting takes.
const AWAY: Duration = Duration::from_millis(300);
/// How long nobody encodes when all encoders begin anew.
const ANEW: Duration = Duration::from_secs(3);
/// How long the last segments may take to come out.
const OUT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);
/// A player that has nothing left to show hears of what is new with its next load of the manifest, up to a segment later, and on
/// a busy machine has it up to another one later; seconds.
const HEARS: f64 = 2.0 * SEGMENT_SECONDS as f64;
/// How long after the control plane is back the last request may end that was under way, milliseconds.
const RETURNS_MS: u64 = 2000;
/// What an edge answers that cannot reach who has the media.
const UNANSWERED: [&str; 2] = ["502", "503"];
/// What is further behind than HLS playlists reach back is not live, seconds.
const BEHIND: f64 = 20.0;
/// What Shaka Player 5.2 throws in its HLS parser (`for (const reference of stream.segmentIndex)`) when its own index of a rendition
/// is empty, and goes on from with a later load of the playlist. Why its index becomes empty is not known.
const SHAKA_HLS: &str = "Cannot read properties of null (reading 'next')";
/// It does so after EXT-X-PROGRAM-DATE-TIME has jumped at a discontinuity, and then shows nothing until its place is no longer in
/// the playlist. For how long after all encoders began anew that may begin, milliseconds: a playlist, and until they are back.
const SHAKA_HLS_MS: u64 = 30_000;
/// A frame of sound, seconds.
const SOUND_FRAME: f64 = 1024.0 / 48_000.0;
/// More between two frames of sound is a hole: three frames are what two encoders may be apart.
const SOUND_HOLE: f64 = 5.0 * SOUND_FRAME;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The encoder of an input is killed.
    Kill(usize),
    /// It comes back.
    Restore(usize),
    /// All encoders stop, and begin with another clock.
    Anew,
    /// The control plane is killed, and started again.
    PowerCut,
}

/// When, as a part of the whole time, and what.
const SCRIPT: [(f64, Event); 12] = [
    (0.10, Event::Kill(1)),
    (0.16, Event::Restore(1)),
    (0.24, Event::PowerCut),
    (0.34, Event::Kill(2)),
    (0.40, Event::Restore(2)),
    (0.46, Event::Kill(1)),
    (0.52, Event::Restore(1)),
    (0.60, Event::Anew),
    (0.74, Event::PowerCut),
    (0.83, Event::Kill(1)),
    (0.89, Event::Restore(1)),
    (1.00, Event::Restore(2)),
];

/// When what happened that viewers may notice, milliseconds since 1970.
#[derive(Debug, Default)]
struct Happened {
    /// From when to when the control plane was away.
    cuts: Vec<(u64, u64)>,
    /// When all encoders began anew.
    anew: Vec<u64>,
}

impl Happened {
    /// Whether the control plane was away: an edge has no media then but what it remembers; players ask again, and say so.
    fn away(&self, at: u64) -> bool {
        self.cuts.iter().any(|(from, to)| (*from..*to + RETURNS_MS).contains(&at))
    }
}

fn is_unanswered(text: &str) -> bool {
    UNANSWERED.iter().any(|status| text.contains(status))
}

struct Stage {
    pair: Pair,
    urls: [String; 3],
    hls: Vec<HlsRecorder>,
    dash: DashRecorder,
}

#[test]
fn viewers_notice_nothing() {
    let asked = std::env::var("EDGEPACK_SOAK_SECONDS").ok();
    let asked: Option<u64> = asked.map(|text| text.parse().expect("EDGEPACK_SOAK_SECONDS, a number"));
    let seconds = asked.unwrap_or(SECONDS);
    let folder = tempfile::tempdir().expect("a folder");
    let mut control = Setup::at(folder.path()).start();
    let edge = Edge::start(&control, "far");
    let mut stages = [("ts", "HLS", Container::Transport), ("fmp4", "HLS_CMAF", Container::Fragments)].map(
        |(name, protocol, container)| {
            let channel = Channel::create(&control, name, protocol, SEGMENT_SECONDS);
            let urls = channel.endpoints(&control, SEGMENT_SECONDS).map(|url| edge.here(&control, &url));
            let pair = Pair::start(&channel, name, container);
            let hls = urls[..2].iter().map(|url| HlsRecorder::follow(url)).collect();
            let dash = DashRecorder::follow(&urls[2]);
            Stage { pair, urls, hls, dash }
        },
    );
    let started = Instant::now();
    while stages.iter().any(|stage| stage.hls.iter().any(|recorder| recorder.seen() < 4)) {
        assert!(started.elapsed() < START, "nothing comes");
        stages.iter_mut().for_each(|stage| stage.pair.look());
        std::thread::sleep(POLL);
    }
    let audience = audience(&control, &mut stages);
    let mut happened = Happened::default();
    let started = Instant::now();
    for (part, event) in SCRIPT {
        while started.elapsed().as_secs_f64() < part * seconds as f64 {
            stages.iter_mut().for_each(|stage| stage.pair.look());
            std::thread::sleep(POLL);
        }
        let (at_ms, at) = (now_ms(), started.elapsed().as_secs_f64());
        match event {
            Event::Kill(input) => stages.iter_mut().for_each(|stage| stage.pair.kill(input)),
            Event::Restore(input) => stages.iter_mut().for_each(|stage| stage.pair.restore(input)),
            Event::Anew => {
                stages.iter_mut().for_each(|stage| stage.pair.begin(ANEW));
                happened.anew.push(at_ms);
            }
            Event::PowerCut => {
                stages.iter().for_each(|stage| stage.pair.away(true));
                let setup = control.kill();
                std::thread::sleep(AWAY);
                control = setup.start();
                stages.iter().for_each(|stage| stage.pair.away(false));
                happened.cuts.push((at_ms, now_ms()));
            }
        }
        println!("{at:6.1} s: {event:?}, {:.1} s", started.elapsed().as_secs_f64() - at);
    }
    let watched = audience.leave();
    stages.iter_mut().for_each(|stage| stage.pair.stop());
    std::thread::sleep(OUT);
    let mut wrong = Vec::new();
    for stage in stages {
        let channel = stage.pair.name.clone();
        let own = watched.iter().filter(|one| one.channel() == channel);
        wrong.extend(check(stage, &control, own, &happened, asked.is_some()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was recorded is held against what was acknowledged, and what viewers saw against what there was to see; what is wrong.
fn check<'a>(
    stage: Stage,
    control: &Control,
    watched: impl Iterator<Item = &'a Watched>,
    happened: &Happened,
    smoothly: bool,
) -> Vec<String> {
    let Stage { pair, urls, hls, dash } = stage;
    let acknowledged = pair.acknowledged();
    let mut wrong = Vec::new();
    let recordings: Vec<Result<Recording, String>> =
        hls.into_iter().map(HlsRecorder::outcome).chain([dash.outcome()]).collect();
    // While nothing comes, nobody can show anything.
    let news = recordings[0].as_ref().map_or(&[][..], |recording| &recording.news_ms);
    let pause_ms = news.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let window = whole_window(&control.client, &urls[0]);
    for (number, (url, recording)) in urls.iter().zip(&recordings).enumerate() {
        let url = format!("{url}?{window}");
        let archive = if number < 2 { Recording::of_hls(&control.client, &url) } else { Recording::of_dash(&url) };
        for (what, recording) in [("as it came", recording.as_ref()), ("from the archive", Ok(&archive))] {
            let what = format!("{} {} {what}", pair.name, ["HLS", "HLS_CMAF", "DASH"][number]);
            match recording.map_err(Clone::clone).and_then(|recording| whole(recording, &acknowledged)) {
                Ok(said) => println!("{what}: {said}"),
                Err(error) => wrong.push(format!("{what}: {error}")),
            }
        }
    }
    let complete = acknowledged.values().filter(|renditions| **renditions == LADDER.len()).count();
    println!(
        "{}: {} uploads of segments acknowledged, {complete} segments in all renditions, {} refused, encoders quit {} times, \
         {:.1} s without news at most",
        pair.name,
        pair.uploads(),
        pair.refused().len(),
        pair.quits,
        pause_ms as f64 / 1000.0
    );
    for one in watched {
        let named = |what: String| format!("{}: {what}", one.name);
        wrong.extend(sight(one, happened).into_iter().map(named));
        let waits = comfort(one, &pair, pause_ms, happened).into_iter().map(named);
        if smoothly {
            wrong.extend(waits);
        } else {
            waits.for_each(|what| println!("{what}"));
        }
    }
    wrong
}

/// Every segment that was acknowledged in all renditions is there, whole and once; nothing is that was not, and sound has no
/// more holes than pictures.
fn whole(recording: &Recording, acknowledged: &BTreeMap<Number, usize>) -> Result<String, String> {
    let frames = SEGMENT_SECONDS * FRAMES;
    let (mut pictures, mut jumps, mut said) = (0, 0, String::new());
    for track in recording.tracks.iter().filter(|track| track.kinds.0) {
        let numbers = track.numbers();
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(format!("{}: {:?} comes after {:?}", track.name, pair[1], pair[0]));
        }
        let mut segments: BTreeMap<Number, u32> = BTreeMap::new();
        for number in &numbers {
            let first = Number { frame: number.frame / frames * frames, ..*number };
            *segments.entry(first).or_default() += 1;
        }
        if let Some((first, count)) = segments.iter().find(|(_, count)| **count != frames) {
            return Err(format!("{}: {count} pictures of the segment of {first:?}", track.name));
        }
        if let Some(first) = segments.keys().find(|first| !acknowledged.contains_key(first)) {
            return Err(format!("{}: the segment of {first:?} was never acknowledged", track.name));
        }
        let all = acknowledged.iter().filter(|(_, renditions)| **renditions == LADDER.len());
        let lost: Vec<_> = all.filter(|(first, _)| !segments.contains_key(first)).map(|(first, _)| first).collect();
        if !lost.is_empty() {
            return Err(format!("{}: segments that were acknowledged are missing: {lost:?}", track.name));
        }
        let broken =
            numbers.windows(2).filter(|pair| pair[0].run != pair[1].run || pair[0].frame + 1 != pair[1].frame).count();
        (pictures, jumps) = (pictures + numbers.len(), jumps.max(broken));
        said = format!(
            "{} segments, {} discontinuities, {} said to be lost",
            segments.len(),
            track.breaks,
            track.gaps.len()
        );
    }
    let mut holes = 0;
    for track in recording.tracks.iter().filter(|track| track.kinds.1) {
        holes = holes.max(sound(track)?);
    }
    if holes > jumps {
        return Err(format!("{holes} holes in sound, {jumps} in pictures"));
    }
    let (refreshes, waits) = (recording.refreshes, recording.waits);
    Ok(format!("{said}, {pictures} pictures in all renditions, {jumps} jumps, {refreshes} loads, {waits} waits"))
}

/// How many holes there are between packets of sound.
fn sound(track: &Track) -> Result<usize, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("sound.{}", track.extension));
    let mut holes = track.chunks.len().saturating_sub(1);
    for chunk in &track.chunks {
        std::fs::write(&file, &chunk.bytes).expect("a file");
        let transport = track.extension == "ts";
        let reading = Reading {
            input: &file.to_string_lossy(),
            video: &[],
            audio: &[0],
            options: if transport { &[] } else { &["-f", "mov", "-ignore_editlist", "1"] },
            decode: false,
            sound: Sound::Packets,
        };
        let streams = ffmpeg::read(&reading).map_err(|error| format!("{}: {error}", track.name))?;
        for pair in streams.audio[0].times.windows(2) {
            let step = pair[1] - pair[0];
            if step < SOUND_FRAME / 2.0 {
                return Err(format!("{}: sound at {} comes after that at {}", track.name, pair[1], pair[0]));
            }
            holes += usize::from(step > SOUND_HOLE);
        }
    }
    Ok(holes)
}

/// What no viewer may ever see: the end of its player, pictures in another order or none, and requests that are refused while the
/// control plane is there.
fn sight(watched: &Watched, happened: &Happened) -> Vec<String> {
    let mut wrong = Vec::new();
    let fatal = watched.errors().into_iter().filter(|(_, fatal, _)| *fatal);
    wrong.extend(fatal.map(|(at, _, what)| format!("at {at} it gave up: {what}")));
    for (at, trouble) in watched.troubles() {
        if !happened.away(at) || !is_unanswered(&trouble) {
            wrong.push(format!("at {at}: {trouble}; control was away {:?}", happened.cuts));
        }
    }
    let numbers = watched.numbers();
    let back = numbers.windows(2).filter(|pair| pair[1].1 < pair[0].1);
    wrong.extend(back.map(|pair| format!("{:?} was seen after {:?}", pair[1], pair[0])));
    if numbers.is_empty() {
        wrong.push("it saw nothing".to_owned());
    }
    wrong
}

/// What makes watching unpleasant: complaints that the player went on after, waits, and being late at the end.
fn comfort(watched: &Watched, pair: &Pair, pause_ms: u64, happened: &Happened) -> Vec<String> {
    let mut wrong = Vec::new();
    let shaka_hls =
        watched.json["engine"] == "shaka" && watched.json["url"].as_str().is_some_and(|url| url.contains(".m3u8"));
    let anew = |at: u64| shaka_hls && happened.anew.iter().any(|began| (*began..*began + SHAKA_HLS_MS).contains(&at));
    for (at, _, what) in watched.errors().into_iter().filter(|(_, fatal, _)| !fatal) {
        let known = what.contains(SHAKA_HLS) && anew(at);
        if !(known || happened.away(at) && is_unanswered(&what)) {
            wrong.push(format!("at {at}: {what}"));
        }
    }
    let allowed = pause_ms as f64 / 1000.0 + HEARS;
    let stalls = watched.stalls();
    let long = stalls.iter().filter(|stall| stall.seconds > if anew(stall.at_ms) { BEHIND } else { allowed });
    wrong.extend(long.map(|stall| format!("{stall:?}, with {pause_ms} ms without news")));
    let numbers = watched.numbers();
    let behind =
        numbers.last().map_or(f64::MAX, |(at, number)| at.saturating_sub(pair.taken_at_ms(*number)) as f64 / 1000.0);
    if behind > BEHIND {
        wrong.push(format!("it is {behind} s behind at the end"));
    }
    let worst = stalls.iter().map(|stall| stall.seconds).fold(0.0, f64::max);
    let total = stalls.iter().map(|stall| stall.seconds).fold(0.0, |sum, one| sum + one);
    println!(
        "{}: {:.1} s seen, {} pictures, {} stalls of {total:.1} s, the longest {worst:.1} s, {behind:.1} s behind at the end, \
         {} requests failed",
        watched.name,
        watched.number("seen"),
        watched.number("frames"),
        stalls.len(),
        watched.troubles().len()
    );
    wrong
}

/// Every player, on both channels.
fn audience(control: &Control, stages: &mut [Stage]) -> Audience {
    let viewers: Vec<Viewer> = stages
        .iter()
        .flat_map(|Stage { pair, urls: [hls, cmaf, dash], .. }| {
            [
                ("hls", "ts", hls),
                ("hls", "cmaf", cmaf),
                ("shaka", "cmaf", cmaf),
                ("shaka", "dash", dash),
                ("dashjs", "dash", dash),
            ]
            .map(|(engine, what, url)| Viewer {
                name: format!("{}-{engine}-{what}", pair.name),
                engine,
                url: url.clone(),
            })
        })
        .collect();
    // Encoders are looked after meanwhile.
    std::thread::scope(|scope| {
        let gathering = scope.spawn(|| Audience::gather(&control.url, "soak", &viewers));
        while !gathering.is_finished() {
            stages.iter_mut().for_each(|stage| stage.pair.look());
            std::thread::sleep(POLL);
        }
        gathering.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}
