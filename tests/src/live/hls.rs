//! A client that follows a live HLS channel as players do, takes every segment once, and holds every load against the rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::now_ms;
use super::recording::{Chunk, Recording, Track};
use super::rules::{Rules, Snapshot};
use crate::http::{Client, Response, resolve};
use crate::playlist::{Multivariant, track};

/// How long it waits for somebody to answer.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
/// By how much sound may begin before or after its pictures, milliseconds.
const SOUND_MS: u64 = 150;
/// After this everybody knows of a channel that there is something: who asked before that remembers for a second that there was not.
pub(super) const SETTLES: Duration = Duration::from_millis(1200);

/// A client that follows a channel until it is told to stop.
pub struct HlsRecorder {
    stop: Arc<AtomicBool>,
    /// How many segments there are in the first rendition.
    seen: Arc<AtomicU64>,
    thread: JoinHandle<Recording>,
}

/// A media playlist that is followed.
struct List {
    url: String,
    rules: Rules,
    media: BTreeMap<u64, Vec<u8>>,
    inits: HashMap<String, Vec<u8>>,
}

impl HlsRecorder {
    /// Begins to follow the channel at `url`, whose multivariant playlist may not be there yet.
    pub fn follow(url: &str) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (url, stopped, counted) = (url.to_owned(), stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || follow(&url, &stopped, &counted));
        Self { stop, seen, thread }
    }

    /// How many segments there have been in the first rendition, those that are lost included. Fails when a rule was broken.
    pub fn seen(&self) -> u64 {
        assert!(!self.thread.is_finished(), "the recorder has failed");
        self.seen.load(Ordering::Relaxed)
    }

    /// Waits until there are so many segments in the first rendition, those that are lost included.
    pub fn wait_for(&self, segments: u64, within: Duration) {
        let started = Instant::now();
        loop {
            let seen = self.seen();
            if seen >= segments {
                return;
            }
            assert!(started.elapsed() < within, "waited for {segments} segments, {seen} came");
            std::thread::sleep(PAUSE);
        }
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
    /// What an HLS playlist that is closed, or that is as it is now, has.
    pub fn of_hls(client: &Client, url: &str) -> Self {
        let mut recording = Self::default();
        let lists = Multivariant::fetch(client, url).media_urls();
        let mut lists: Vec<List> = lists.into_iter().map(List::new).collect();
        for list in &mut lists {
            list.load(client, &mut recording);
        }
        recording.tracks = lists.into_iter().map(List::into_track).collect();
        recording
    }
}

fn follow(url: &str, stop: &AtomicBool, seen: &AtomicU64) -> Recording {
    let client = Client::default();
    let mut recording = Recording::default();
    let started = Instant::now();
    while client.try_send("GET", url, &[], &[]).is_none_or(|answer| answer.status != 200) {
        assert!(started.elapsed() < PATIENCE, "{url} does not come");
        std::thread::sleep(PAUSE);
    }
    std::thread::sleep(SETTLES);
    let multivariant = Multivariant::fetch(&client, url);
    let urls = multivariant.media_urls();
    let mut lists: Vec<List> = urls.iter().cloned().map(List::new).collect();
    loop {
        let last = stop.load(Ordering::Relaxed);
        let mut target = 1;
        for list in &mut lists {
            target = list.load(&client, &mut recording);
        }
        let count = lists.first().map_or(0, |list| list.rules.known.len() as u64);
        if seen.swap(count, Ordering::Relaxed) != count {
            recording.news_ms.push(now_ms());
        }
        if last {
            break;
        }
        // As a client does that has found nothing new (RFC 8216bis, 6.3.4).
        std::thread::sleep(Duration::from_millis(target * 500));
    }
    let after = get(&client, url, &mut recording).text();
    let after = m3u8_rs::parse_master_playlist_res(after.as_bytes()).unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let after = Multivariant { url: url.to_owned(), text: String::new(), parsed: after };
    assert_eq!(after.media_urls(), urls, "the media playlists of {url} have changed");
    assert_same_places(&lists);
    recording.tracks = lists.into_iter().map(List::into_track).collect();
    recording
}

/// All renditions have the same discontinuities at the same numbers, and say the same dates.
fn assert_same_places(lists: &[List]) {
    for list in lists.iter().skip(1) {
        for (number, entry) in &list.rules.known {
            let Some(first) = lists[0].rules.known.get(number) else { continue };
            let places = |entry: &super::Entry| (entry.discontinuities, entry.discontinuity);
            assert_eq!(places(entry), places(first), "segment {number} of {} and {}", list.url, lists[0].url);
            let dates = entry.date_ms.zip(first.date_ms);
            // Sound is cut where its frames are, and those of one time do not come with the pictures of that time.
            assert!(dates.is_none_or(|(a, b)| a.abs_diff(b) <= SOUND_MS), "the dates of segment {number}: {dates:?}");
        }
    }
}

/// What is at `url`, in the end.
fn get(client: &Client, url: &str, recording: &mut Recording) -> Response {
    let started = Instant::now();
    loop {
        let answer = client.try_send("GET", url, &[], &[]);
        match answer {
            Some(answer) if answer.status == 200 => return answer,
            Some(answer) if !matches!(answer.status, 502 | 503) => {
                panic!("GET {url}: {} {}", answer.status, answer.text())
            }
            // Nobody is there, or nobody behind who is; players ask again too.
            _ => recording.waits += 1,
        }
        assert!(started.elapsed() < PATIENCE, "nobody answers GET {url}");
        std::thread::sleep(PAUSE);
    }
}

impl List {
    fn new(url: String) -> Self {
        Self { url, rules: Rules::default(), media: BTreeMap::new(), inits: HashMap::new() }
    }

    /// Loads it, and what is new in it; the target duration.
    fn load(&mut self, client: &Client, recording: &mut Recording) -> u64 {
        let answer = get(client, &self.url, recording);
        assert_eq!(answer.header("content-type"), Some("application/vnd.apple.mpegurl"), "{}", self.url);
        let text = answer.text();
        let fail = |error: String| -> ! { panic!("{}: {error}\n{text}", self.url) };
        let now = Snapshot::read(&text).unwrap_or_else(|error| fail(error));
        let mut rules = self.rules.clone();
        rules.check(&now).unwrap_or_else(|error| fail(error));
        self.rules = rules;
        recording.refreshes += 1;
        for (number, entry) in now.numbered().filter(|(_, entry)| !entry.gap) {
            if self.media.contains_key(&number) {
                continue;
            }
            if let Some(map) = &entry.map
                && !self.inits.contains_key(map)
            {
                let init = get(client, &resolve(&self.url, map), recording).body;
                self.inits.insert(map.clone(), init);
            }
            let body = get(client, &resolve(&self.url, &entry.uri), recording).body;
            assert!(!body.is_empty(), "{} is empty", entry.uri);
            self.media.insert(number, body);
        }
        now.target
    }

    fn into_track(self) -> Track {
        let name = track(self.rules.known.values().next().map_or("", |entry| entry.uri.as_str())).to_owned();
        let name = if name.is_empty() { track(&self.url).to_owned() } else { name };
        let fragments = !self.inits.is_empty();
        let mut out = Track { extension: if fragments { "mp4" } else { "ts" }, ..Track::default() };
        out.kinds = match name.as_bytes().first() {
            Some(b'a') => (false, true),
            _ => (true, !fragments),
        };
        out.name = name;
        let mut last: Option<(u64, Option<String>)> = None;
        for (number, entry) in &self.rules.known {
            if entry.gap {
                out.gaps.push(*number);
                continue;
            }
            let place = (entry.discontinuities, entry.map.clone());
            if last.as_ref() != Some(&place) {
                out.breaks += usize::from(last.as_ref().is_some_and(|last| last.0 != place.0));
                let init = entry.map.as_ref().and_then(|map| self.inits.get(map));
                out.chunks.push(Chunk { bytes: init.cloned().unwrap_or_default(), segments: 0 });
                last = Some(place);
            }
            if let (Some(chunk), Some(media)) = (out.chunks.last_mut(), self.media.get(number)) {
                chunk.bytes.extend(media);
                chunk.segments += 1;
            }
        }
        out
    }
}
