//! More than an hour of a channel, pushed as fast as it is taken: windows and a harvest across a full hour, a failover, a hole and
//! a restart of the encoders; windows across the end of a listing of the archive; after a restart of the control plane, too.
//!
//! Dates come from the wall clock when the first segment comes, and go on with the clock of the encoder. So an encoder that is
//! faster than time gets to the next full hour within seconds.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::http::Client;
use e2e::live::{Channel, Clip, Container, Content, Entry, Harvest, Ingest, Recording, Rules, Snapshot, Spec, play};
use e2e::mpd::Mpd;
use e2e::playlist::Multivariant;
use e2e::{Control, browser, tools};
use packager::config::{LISTING_PARTS, PART_POSITIONS, PartEntry};
use serde_json::json;
use tempfile::TempDir;

const HOUR_MS: u64 = 3_600_000;
/// Seconds that are pushed over and over again; as many packets of sound as are whole.
const LOOP: usize = 64;
/// Where the second clip begins in the test picture.
const SECOND: u32 = 100;
/// Segments that are pushed before a playlist names them.
const BATCH: usize = 24;
/// The full hour is not among the first segments: several parts are before it.
const BEFORE: u64 = 5 * PART_POSITIONS as u64;
/// Parts of a listing, and some more positions after them.
const LEAST: usize = (LISTING_PARTS * PART_POSITIONS) as usize + 40;
/// More than the archive has, and whole hours.
const LATER_MS: u64 = 2 * HOUR_MS;
/// How long the timeline may take to take what was pushed.
const TAKEN: Duration = Duration::from_secs(20);

/// A channel with more than an hour in its archive.
struct Archive {
    control: Control,
    /// Where its data is.
    folder: TempDir,
    urls: [String; 3],
    content: Content,
    /// When the first segment began, milliseconds since 1970.
    first_ms: u64,
    /// The position in which an hour begins.
    hour: usize,
    /// For each position its second of the test picture; none of what was lost.
    positions: Vec<Option<u32>>,
}

#[test]
fn an_hour_is_no_boundary() {
    let (archive, harvest) = pushed();
    let hour = archive.hour;
    let listed = end_of_listing(archive.folder.path());
    archive.whole();
    archive.assert_window("across a full hour", hour - 5..hour + 12);
    archive.assert_window("across the end of a listing", listed - 4..listed + 4);

    // The range of the harvest is over only now, and its copies cannot be made: where a folder has to be there is a file.
    let obstacle = archive.control.media.join("harvests");
    let task = harvest.until(&archive.control, "its task", |_| true);
    assert_eq!(task["status"], "WAITING", "{task}");
    let archive = archive.restarted_later(|| std::fs::write(&obstacle, b"not a folder").expect("a file"));
    let Archive { control, content, .. } = &archive;
    let (seconds, breaks) = archive.seconds(harvested(hour));
    harvest.until(control, "a failure of the copy", |json| json["failure"]["reason"].is_string());
    harvest.assert_seconds(control, "before it is copied", content, &seconds, breaks);
    // Nothing is left of what was lost.
    let duration = harvest.duration(control);
    assert!((duration - seconds.len() as f64).abs() < 0.1, "{duration} s");
    // Within seconds it is tried again.
    std::fs::remove_file(obstacle).expect("it was there");

    let whole = archive.whole();
    archive.assert_window("after a restart", hour - 5..hour + 12);
    archive.ends_at_the_hour();
    for (what, at) in [("a full hour", hour + 2), ("a hole", hour + 6), ("the end of a listing", listed + 2)] {
        archive.assert_behind(what, at, &whole);
    }

    harvest.until(control, "copies", |json| json["status"] == "FINISHED");
    std::fs::remove_dir_all(control.media.join("live")).expect("the media of the channel");
    harvest.assert_seconds(control, "copied", content, &seconds, breaks);
    plays(control, &harvest, duration);
}

/// Players play the asset to its end.
fn plays(control: &Control, harvest: &Harvest, duration: f64) {
    let asset = harvest.asset(control);
    let plays = [("hls", "ts"), ("hls", "cmaf"), ("shaka", "dash"), ("dashjs", "dash")];
    let outcomes = browser::each(&plays, |(engine, output)| {
        let name = format!("live-harvest-{engine}-{output}");
        let options = json!({ "url": control.playback_of(&asset, output), "whole": duration, "within": 60 });
        play(&control.url, engine, &name, options).map_err(|error| format!("{name}: {error}"))
    });
    let wrong: Vec<String> =
        outcomes.into_iter().filter_map(|outcome| outcome.map(|said| println!("{said}")).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The positions of the harvest: across the hour, a failover, a hole and a restart of the encoders.
fn harvested(hour: usize) -> Range<usize> {
    hour - 5..hour + 12
}

impl Archive {
    /// When a position begins, milliseconds since 1970.
    fn date(&self, position: usize) -> u64 {
        self.first_ms + 1000 * position as u64
    }

    /// The seconds of the test picture in some positions, and how often they do not follow one another.
    fn seconds(&self, range: Range<usize>) -> (Vec<u32>, usize) {
        let seconds: Vec<u32> = self.positions[range].iter().flatten().copied().collect();
        let breaks = seconds.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        (seconds, breaks)
    }

    /// The playlist of the whole archive.
    fn whole(&self) -> Snapshot {
        let started = Instant::now();
        let first = self.date(0);
        let list = list(&self.control.client, &format!("{}?start={}", self.urls[1], query(first)));
        println!("{} segments are listed after {:?}", list.entries.len(), started.elapsed());
        let entries = &list.entries;
        assert_eq!(entries.len(), self.positions.len());
        for (at, (entry, second)) in entries.iter().zip(&self.positions).enumerate() {
            assert_eq!(entry.date_ms, Some(self.date(at)), "position {at}");
            assert_eq!(entry.gap, second.is_none(), "position {at}");
        }
        let restarts: Vec<usize> = (1..entries.len()).filter(|at| entries[*at].discontinuity).collect();
        assert_eq!(restarts, [self.hour + 6]);
        list
    }

    /// A window has what was pushed, to the picture, as HLS, HLS_CMAF and DASH.
    fn assert_window(&self, what: &str, range: Range<usize>) {
        let (seconds, breaks) = self.seconds(range.clone());
        let [hls, cmaf, dash] = &self.urls;
        let window =
            format!("start={}&vodend={}", query(self.date(range.start) + 300), query(self.date(range.end) - 300));
        for (name, url) in [("HLS", hls), ("HLS_CMAF", cmaf)] {
            let recording = Recording::of_hls(&self.control.client, &format!("{url}?{window}"));
            recording.assert_seconds(&format!("{name} {what}"), &self.content, &seconds, breaks);
            let lost: Vec<u64> = range.clone().filter(|at| self.positions[*at].is_none()).map(|at| at as u64).collect();
            assert!(recording.tracks.iter().all(|track| track.gaps == lost), "{what}: {lost:?}");
        }
        let recording = Recording::of_dash(&format!("{dash}?{window}"));
        recording.assert_seconds(&format!("DASH {what}"), &self.content, &seconds, breaks);
    }

    /// What is some seconds behind ends there; the position at which that is has not come yet.
    fn assert_behind(&self, what: &str, at: usize, whole: &Snapshot) {
        let behind = (now_ms() - self.date(at)) / 1000;
        let before = now_ms() - behind * 1000;
        let list = list(&self.control.client, &format!("{}?offset={behind}", self.urls[1]));
        let after = now_ms() - behind * 1000;
        let last = list.entries.last().and_then(|entry| entry.date_ms).expect("a date");
        // It moves on once a second, and has a segment once that is over.
        assert!((before.saturating_sub(2999)..=after - 1000).contains(&last), "{what}: {last} is not before {before}");
        let end = ((last - self.first_ms) / 1000) as usize + 1;
        assert!(at.abs_diff(end) < 4, "{what}: {at} and {end}");
        let places = |entries: &[Entry]| {
            let place = |e: &Entry| (file(&e.uri).to_owned(), e.gap, e.discontinuities, e.date_ms);
            entries.iter().map(place).collect::<Vec<_>>()
        };
        assert_eq!(places(&list.entries), places(&whole.entries[end - list.entries.len()..end]), "{what}");
    }

    /// What it is after a restart if everything was [`LATER_MS`] longer ago. `meanwhile` is done when nobody is there.
    fn restarted_later(mut self, meanwhile: impl FnOnce()) -> Self {
        let setup = self.control.kill();
        let sql = [
            "UPDATE timelines SET state = json_set(state, '$.timeline.epoch_ms', json_extract(state, '$.timeline.epoch_ms') - X)",
            "UPDATE uploads SET received_ms = received_ms - X",
            "UPDATE positions SET made_ms = made_ms - X",
            "UPDATE harvests SET start_ms = start_ms - X, end_ms = end_ms - X",
        ];
        let sql = sql.join(";").replace('X', &LATER_MS.to_string());
        let script =
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()";
        let mut python = Command::new(tools::program(&["python3"]));
        tools::succeed(python.args(["-c", script]).arg(self.folder.path().join("control.db")).arg(sql), TAKEN);
        meanwhile();
        self.control = setup.start();
        self.first_ms -= LATER_MS;
        self
    }

    /// Windows that end and begin with the first millisecond of the hour.
    fn ends_at_the_hour(&self) {
        let [_, cmaf, dash] = &self.urls;
        let at = self.date(self.hour).next_multiple_of(HOUR_MS);
        let within = |start: u64, end: u64| {
            let (from, to) = (start - self.first_ms, end - self.first_ms);
            (from / 1000) as usize..to.div_ceil(1000) as usize
        };
        for (start, end) in [(at - 3000, at), (at, at + 3000), (at, at + 1)] {
            let wanted = within(start, end);
            let window = format!("start={}&vodend={}", query(start), query(end));
            let list = list(&self.control.client, &format!("{cmaf}?{window}"));
            let dates: Vec<u64> = list.entries.iter().map(|entry| entry.date_ms.expect("a date")).collect();
            assert_eq!(dates, wanted.clone().map(|at| self.date(at)).collect::<Vec<_>>(), "{start} to {end}");
            let mpd = Mpd::fetch(&self.control.client, &format!("{dash}?{window}"));
            assert_eq!(mpd.representations[0].segments.len(), wanted.len(), "{start} to {end}\n{}", mpd.text);
        }
    }
}

/// Pushes until there is a listing, and an hour has begun in the middle of a failover. A harvest of that is begun before all of
/// it is there.
fn pushed() -> (Archive, Harvest) {
    let container = Container::Fragments;
    let seconds = LOOP as u32 + 2;
    let clips = [(0, 500.0), (SECOND, 2.0)].map(|(first, clock)| Clip::make(Spec { container, first, seconds, clock }));
    let content = Content::of(&[&clips[0], &clips[1]]);
    let folder = tempfile::tempdir().expect("a folder");
    let control = e2e::Setup::at(folder.path()).start();
    let channel = Channel::create(&control, "hour", "HLS_CMAF", 1);
    let urls = channel.endpoints(&control, 1);
    let started = Instant::now();
    let encoders = [1, 2].map(|input| Encoder { client: Client::default(), ingest: channel.input(input) });
    let [one, two] = &encoders;
    let taken = |count: usize| {
        channel.until(&control, &format!("{count} positions"), TAKEN, |json| {
            json["status"]["positions"].as_u64() == Some(count as u64)
        });
    };
    let [first, second] = [0, 1].map(|number| Run { number, clip: &clips[number] });
    one.begin(first);
    one.push(first, 0..BATCH);
    taken(BATCH);
    let first_ms = list(&control.client, &urls[1]).entries[0].date_ms.expect("a date");
    let first_ms = first_ms - 1000 * (BATCH as u64 - 10);
    let hour = ((first_ms + 1000 * BEFORE).next_multiple_of(HOUR_MS) - first_ms) as usize / 1000;

    // Up to what is of interest.
    let mut at = BATCH;
    while at < hour - 12 {
        let next = (at + BATCH).min(hour - 12);
        one.push_media(first, at..next);
        taken(at);
        one.list(first, at.saturating_sub(BATCH)..next);
        at = next;
    }
    taken(at);
    two.begin(first);
    for at in at..hour + 6 {
        // What is lost is named all the same.
        let lost = at == hour + 4;
        for (input, encoder) in encoders.iter().enumerate() {
            let away = input == 0 && (hour - 2..hour + 2).contains(&at);
            if !lost && !away {
                encoder.push_media(first, at..at + 1);
            }
            if !away {
                encoder.list(first, at - 4..at + 1);
            }
        }
        // A position that is missing is given up when the next one has come, and some time.
        if !lost {
            taken(at + 1);
        }
    }
    encoders.iter().for_each(|encoder| encoder.begin(second));
    let break_at = hour + 6;
    let total = LEAST.max(hour + 20);
    let date = |position: usize| first_ms + 1000 * position as u64;
    // It begins and ends in the middle of segments, which are whole in it.
    let Range { start, end } = harvested(hour);
    let harvest = Harvest::begin(&control, &channel, "hls_cmaf", "hour", (date(start) + 400, date(end) - 300));
    for at in 0..10 {
        encoders.iter().for_each(|encoder| encoder.push(second, at..at + 1));
        taken(break_at + at + 1);
    }
    let mut at = 10;
    while break_at + at < total {
        let next = (at + BATCH).min(total - break_at);
        one.push_media(second, at..next);
        taken(break_at + at);
        one.list(second, at.saturating_sub(BATCH)..next);
        at = next;
    }
    taken(total);
    println!("{total} positions, the hour in {hour}, took {:?}", started.elapsed());
    let of_first = (0..break_at).map(|at| (at != hour + 4).then(|| first.second(at)));
    let positions = of_first.chain((0..total - break_at).map(|at| Some(second.second(at)))).collect();
    (Archive { control, folder, urls, content, first_ms, hour, positions }, harvest)
}

/// What an encoder pushes from its start on: a clip without its first and its last second, again and again.
#[derive(Clone, Copy)]
struct Run<'a> {
    number: usize,
    clip: &'a Clip,
}

impl Run<'_> {
    /// Which second of the test picture a segment has.
    fn second(&self, segment: usize) -> u32 {
        self.clip.spec.first + 1 + (segment % LOOP) as u32
    }

    fn name(&self, rendition: usize, segment: usize) -> String {
        format!("{}/v{rendition}_{segment}.m4s", self.number)
    }
}

/// An encoder in no hurry to wait.
struct Encoder<'a> {
    client: Client,
    ingest: &'a Ingest,
}

impl Encoder<'_> {
    fn begin(&self, run: Run<'_>) {
        self.put("main.m3u8", &run.clip.multivariant);
        for (number, rendition) in run.clip.renditions.iter().enumerate() {
            self.put(&format!("init_{number}.mp4"), rendition.init.as_deref().expect("an initialization section"));
        }
    }

    fn push(&self, run: Run<'_>, segments: Range<usize>) {
        self.push_media(run, segments.clone());
        self.list(run, segments.start.saturating_sub(4)..segments.end);
    }

    /// Pushes segments, all renditions at the same time.
    fn push_media(&self, run: Run<'_>, segments: Range<usize>) {
        std::thread::scope(|scope| {
            for rendition in 0..run.clip.renditions.len() {
                let segments = segments.clone();
                scope.spawn(move || {
                    for segment in segments {
                        let later = (segment / LOOP * LOOP) as u64;
                        let bytes = run.clip.later(rendition, 1 + segment % LOOP, later);
                        self.put(&run.name(rendition, segment), &bytes);
                    }
                });
            }
        });
    }

    fn list(&self, run: Run<'_>, segments: Range<usize>) {
        for rendition in 0..run.clip.renditions.len() {
            let sequence = segments.start;
            let mut text = format!(
                "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n\
                 #EXT-X-MAP:URI=\"init_{rendition}.mp4\"\n"
            );
            for segment in segments.clone() {
                let _ = writeln!(text, "#EXTINF:1.000000,\n{}", run.name(rendition, segment));
            }
            self.put(&format!("v{rendition}.m3u8"), text.as_bytes());
        }
    }

    fn put(&self, name: &str, body: &[u8]) {
        let url = format!("{}{name}", self.ingest.url);
        let authorization = self.ingest.authorization();
        let answer = self.client.try_send("PUT", &url, &[("authorization", &authorization)], body);
        let answer = answer.unwrap_or_else(|| panic!("PUT {name}: no answer"));
        assert!(matches!(answer.status, 200 | 201), "PUT {name}: {} {}", answer.status, answer.text());
    }
}

/// The first position after those of the first listing of an archive.
fn end_of_listing(data: &Path) -> usize {
    let channels = std::fs::read_dir(data.join("indexes/live")).expect("archives");
    let archive = channels.flatten().next().expect("an archive").path();
    let listing = std::fs::read(archive.join("listings/0.json")).expect("a listing");
    let parts: Vec<PartEntry> = serde_json::from_slice(&listing).expect("parts");
    assert_eq!(parts.len(), LISTING_PARTS as usize);
    let last = &parts[parts.len() - 1];
    (last.first + u64::from(last.positions)) as usize
}

/// The first media playlist of a multivariant playlist.
fn list(client: &Client, url: &str) -> Snapshot {
    let url = &Multivariant::fetch(client, url).media_urls()[0];
    let text = client.get(url).text();
    let list = Snapshot::read(&text).unwrap_or_else(|error| panic!("{url}: {error}\n{text}"));
    Rules::default().check(&list).unwrap_or_else(|error| panic!("{url}: {error}"));
    list
}

/// Seconds since 1970, as queries have them.
fn query(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A URL without its query.
fn file(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(now.as_millis()).expect("milliseconds")
}
