//! A client that follows a live DASH channel, takes every segment once, and holds every load against the rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quick_xml::Reader;
use quick_xml::events::Event;

use super::hls::SETTLES;
use super::recording::{Chunk, Recording, Track};
use crate::http::{Client, Response};
use crate::mpd::Mpd;
use crate::tools;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
const REFRESH: Duration = Duration::from_millis(500);
const XMLLINT: Duration = Duration::from_secs(60);

/// A client that follows a channel until it is told to stop.
pub struct DashRecorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Recording>,
}

impl DashRecorder {
    /// Begins to follow the channel at `url`, which may not be there yet.
    pub fn follow(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, stopped) = (url.to_owned(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut follower = Follower::new(&url);
            loop {
                let last = stopped.load(Ordering::Relaxed);
                follower.load();
                if last {
                    break follower.finish();
                }
                std::thread::sleep(REFRESH);
            }
        });
        Self { stop, thread }
    }

    /// Stops; what it got. Fails when a rule was broken or something was not there.
    pub fn finish(self) -> Recording {
        self.outcome().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Stops; what it got.
    ///
    /// # Errors
    /// The rule that was broken, or what was not there.
    pub fn outcome(self) -> Result<Recording, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|cause| match cause.downcast::<String>() {
            Ok(text) => *text,
            Err(_) => "the recorder has failed".to_owned(),
        })
    }
}

impl Recording {
    /// What an MPD has as it is now.
    pub fn of_dash(url: &str) -> Self {
        let mut follower = Follower::new(url);
        follower.load();
        follower.finish()
    }
}

/// A segment: its period, when it begins and how long it is.
type Place = (String, u64, u64);

struct Follower {
    client: Client,
    url: String,
    recording: Recording,
    last: Option<Mpd>,
    /// `Period@start` by `Period@id`.
    periods: BTreeMap<String, String>,
    places: BTreeMap<String, Place>,
    /// By period in its order and representation: the initialization section and the segments, by their time.
    media: BTreeMap<(u64, String), Media>,
    texts: usize,
}

#[derive(Default)]
struct Media {
    kind: String,
    init: Vec<u8>,
    segments: BTreeMap<u64, Vec<u8>>,
}

impl Follower {
    fn new(url: &str) -> Self {
        Self {
            client: Client::default(),
            url: url.to_owned(),
            recording: Recording::default(),
            last: None,
            periods: BTreeMap::new(),
            places: BTreeMap::new(),
            media: BTreeMap::new(),
            texts: 0,
        }
    }

    fn get(&mut self, url: &str) -> Response {
        let started = Instant::now();
        loop {
            match self.client.try_send("GET", url, &[], &[]) {
                Some(answer) if answer.status == 200 => {
                    if self.last.is_none() && started.elapsed() > PAUSE {
                        std::thread::sleep(SETTLES);
                    }
                    return answer;
                }
                // Before anything was pushed.
                Some(answer) if answer.status == 404 && self.last.is_none() => {}
                Some(answer) if !matches!(answer.status, 502 | 503) => {
                    panic!("GET {url}: {} {}", answer.status, answer.text())
                }
                _ => self.recording.waits += usize::from(self.last.is_some()),
            }
            assert!(started.elapsed() < PATIENCE, "nobody answers GET {url}");
            std::thread::sleep(PAUSE);
        }
    }

    fn load(&mut self) {
        let url = self.url.clone();
        let mpd = Mpd::parse(&url, self.get(&url).text());
        self.recording.refreshes += 1;
        if self.last.as_ref().is_some_and(|last| last.text == mpd.text) {
            return;
        }
        self.validate(&mpd);
        self.check_root(&mpd);
        let periods = self.check_periods(&mpd);
        for one in &mpd.representations {
            let id = &periods[one.period];
            assert!(!one.segments.is_empty(), "{} of period {id} has no segments\n{}", one.id, mpd.text);
            // Within a representation, one follows the other.
            for pair in one.segments.windows(2) {
                let follows = pair[0].1 + pair[0].2 == pair[1].1;
                assert!(follows, "{}: {} does not follow {}\n{}", one.id, pair[1].0, pair[0].0, mpd.text);
            }
            let order = seconds_to_ms(self.periods[id].as_str());
            let key = (order, one.id.clone());
            if !self.media.contains_key(&key) {
                let init = self.get(&one.init).body;
                self.media.insert(key.clone(), Media { kind: one.kind.clone(), init, ..Media::default() });
            }
            for (url, time, duration) in &one.segments {
                let place = (id.clone(), *time, *duration);
                if let Some(before) = self.places.get(url) {
                    assert_eq!(*before, place, "the period, time and duration of {url} have changed\n{}", mpd.text);
                    continue;
                }
                self.places.insert(url.clone(), place);
                let body = self.get(url).body;
                let media = self.media.get_mut(&key).expect("it is there");
                assert!(
                    media.segments.insert(*time, body).is_none(),
                    "{url}: another segment has its time\n{}",
                    mpd.text
                );
            }
        }
        self.last = Some(mpd);
    }

    fn check_root(&self, mpd: &Mpd) {
        let text = &mpd.text;
        let attribute = |mpd: &Mpd, name: &str| mpd.attributes.get(name).cloned();
        let kind = attribute(mpd, "type").unwrap_or_default();
        if kind == "dynamic" {
            for name in ["availabilityStartTime", "publishTime", "minimumUpdatePeriod"] {
                assert!(mpd.attributes.contains_key(name), "no {name}\n{text}");
            }
            assert!(text.contains("<UTCTiming "), "no UTCTiming\n{text}");
        }
        let Some(last) = &self.last else { return };
        let before = attribute(last, "availabilityStartTime");
        if kind == "dynamic" {
            assert_eq!(attribute(mpd, "availabilityStartTime"), before, "availabilityStartTime has changed\n{text}");
            let published = |mpd: &Mpd| {
                let text = attribute(mpd, "publishTime").unwrap_or_default();
                packager::media::date::parse(&text).unwrap_or_else(|| panic!("publishTime {text:?}"))
            };
            assert!(
                published(mpd) > published(last),
                "the MPD has changed, and publishTime is {} after {}\n{}\n{text}",
                published(mpd),
                published(last),
                last.text
            );
        }
    }

    /// Ids of the periods.
    fn check_periods(&mut self, mpd: &Mpd) -> Vec<String> {
        let mut ids = Vec::new();
        let mut reader = Reader::from_str(&mpd.text);
        loop {
            let event = reader.read_event().unwrap_or_else(|error| panic!("{error}\n{}", mpd.text));
            let tag = match &event {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Period" => tag,
                Event::Eof => break,
                _ => continue,
            };
            let attribute = |name: &str| {
                let found = tag.attributes().flatten().find(|one| one.key.as_ref() == name);
                found.map(|one| one.value.to_string()).unwrap_or_else(|| panic!("no Period@{name}\n{}", mpd.text))
            };
            let (id, start) = (attribute("id"), attribute("start"));
            let before = self.periods.entry(id.clone()).or_insert_with(|| start.clone());
            assert_eq!(*before, start, "the start of period {id} has changed\n{}", mpd.text);
            ids.push(id);
        }
        let starts: Vec<u64> = ids.iter().map(|id| seconds_to_ms(&self.periods[id])).collect();
        assert!(starts.is_sorted_by(|a, b| a < b), "periods do not follow one another\n{}", mpd.text);
        ids
    }

    /// Against the schema, where that is there; see `conformance.rs`.
    fn validate(&mut self, mpd: &Mpd) {
        let folder = std::env::var_os("EDGEPACK_MPD_SCHEMA")
            .map_or_else(|| tools::root().join("../shared/schema"), PathBuf::from);
        let schema = folder.join("DASH-MPD.xsd");
        self.texts += 1;
        // Each takes a while on a busy machine: the first ones, and later some.
        if self.texts > 4 && !self.texts.is_multiple_of(8) {
            return;
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &mpd.text).expect("the MPD");
        let mut xmllint = Command::new(tools::program(&["xmllint"]));
        xmllint.args(["--nonet", "--noout"]);
        if schema.is_file() {
            xmllint.env("XML_CATALOG_FILES", folder.join("catalog.xml")).arg("--schema").arg(&schema);
        }
        tools::succeed(xmllint.arg(file.path()), XMLLINT);
    }

    fn finish(mut self) -> Recording {
        let mut tracks: BTreeMap<String, Track> = BTreeMap::new();
        for ((_, id), media) in self.media {
            let video = media.kind == "video";
            let track = tracks.entry(id.clone()).or_insert_with(|| Track {
                name: id,
                extension: "mp4",
                kinds: (video, !video),
                ..Track::default()
            });
            track.breaks += usize::from(!track.chunks.is_empty());
            let segments = media.segments.len();
            let bytes = [media.init, media.segments.into_values().collect::<Vec<_>>().concat()].concat();
            track.chunks.push(Chunk { bytes, segments });
        }
        self.recording.tracks = tracks.into_values().collect();
        self.recording
    }
}

/// Milliseconds of an `xs:duration` of hours, minutes and seconds.
fn seconds_to_ms(text: &str) -> u64 {
    let mut total = 0.0;
    let mut number = String::new();
    for letter in text.trim_start_matches("PT").chars() {
        match letter {
            'H' | 'M' | 'S' => {
                let unit = match letter {
                    'H' => 3600.0,
                    'M' => 60.0,
                    _ => 1.0,
                };
                total += unit * number.parse::<f64>().unwrap_or_else(|_| panic!("a duration {text:?}"));
                number.clear();
            }
            other => number.push(other),
        }
    }
    (total * 1000.0).round() as u64
}
