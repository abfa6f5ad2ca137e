//! Two encoders that push the same to both inputs of a channel, and who looks after them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::clip::{Container, FRAMES};
use super::encoder::{Encoder, Feed, LADDER, SEGMENT_SECONDS};
use super::numbered::Number;
use super::tap::{Taken, Tap};
use super::{Channel, now_ms};
use crate::tools;

/// Two encoders with one clock. One that quits is started again, as the supervisor of a service does.
pub struct Pair {
    /// What its channel is called.
    pub name: String,
    /// How often an encoder quit by itself.
    pub quits: usize,
    container: Container,
    taps: [Tap; 2],
    slots: [Slot; 2],
    /// When each run began.
    runs: Vec<(Instant, u64)>,
}

/// The place of an encoder.
#[derive(Default)]
struct Slot {
    encoder: Option<Encoder>,
    wanted: bool,
    due: Option<u32>,
}

impl Pair {
    /// Starts both encoders.
    pub fn start(channel: &Channel, name: &str, container: Container) -> Self {
        let taps = [1, 2].map(|input| Tap::start(channel.input(input)));
        let mut pair =
            Self { name: name.to_owned(), quits: 0, container, taps, slots: Default::default(), runs: Vec::new() };
        [1, 2].iter().for_each(|input| {
            let _ = std::fs::remove_file(pair.log(*input));
        });
        pair.begin(Duration::ZERO);
        pair
    }

    /// What an encoder complains about goes here.
    fn log(&self, input: usize) -> PathBuf {
        tools::results().join(format!("soak-{}-{input}.log", self.name))
    }

    /// Both encoders begin, or begin anew, with another clock; before that nothing comes for a while.
    pub fn begin(&mut self, after: Duration) {
        let after_ms = u64::try_from(after.as_millis()).expect("a short time");
        self.runs.push((Instant::now() + after, now_ms() + after_ms));
        self.slots = Default::default();
        for slot in &mut self.slots {
            (slot.wanted, slot.due) = (true, Some(0));
        }
    }

    /// Kills the encoder of an input, 1 or 2; it stays away.
    pub fn kill(&mut self, input: usize) {
        self.slots[input - 1] = Slot::default();
    }

    /// Starts the encoder of an input again.
    pub fn restore(&mut self, input: usize) {
        self.slots[input - 1].wanted = true;
    }

    /// The control plane goes away, or is back.
    pub fn away(&self, away: bool) {
        self.taps.iter().for_each(|tap| tap.away(away));
    }

    /// Looks after the encoders; has to be called some times a second.
    pub fn look(&mut self) {
        let run = self.runs.len() - 1;
        let now = Instant::now();
        let (began, _) = self.runs[run];
        for input in [1, 2] {
            let log = self.log(input);
            let (slot, tap) = (&mut self.slots[input - 1], &self.taps[input - 1]);
            if slot.encoder.as_mut().is_some_and(|encoder| !encoder.runs()) {
                slot.encoder = None;
                self.quits += 1;
            }
            if !slot.wanted || slot.encoder.is_some() {
                continue;
            }
            // Encoders of one source cut at the same times.
            let next = u32::try_from(now.saturating_duration_since(began).as_secs()).expect("seconds");
            let second = *slot.due.get_or_insert((next / SEGMENT_SECONDS + 1) * SEGMENT_SECONDS);
            if now >= began + Duration::from_secs(second.into()) {
                let feed = Feed { container: self.container, run: run as u32, second };
                tap.expect(feed);
                slot.encoder = Some(Encoder::start_at(&tap.ingest, feed, &log));
                slot.due = None;
            }
        }
    }

    /// Ends both encoders; the taps stay.
    pub fn stop(&mut self) {
        self.slots = Default::default();
    }

    /// When a picture left the camera, milliseconds since 1970.
    pub fn taken_at_ms(&self, number: Number) -> u64 {
        let (_, began) = self.runs[number.run as usize];
        began + u64::from(number.frame) * 1000 / u64::from(FRAMES)
    }

    /// Every segment that was acknowledged: the number of its first picture, with the number of its renditions that one input has
    /// at least.
    pub fn acknowledged(&self) -> BTreeMap<Number, usize> {
        let mut most = BTreeMap::new();
        for tap in &self.taps {
            let mut of: BTreeMap<Number, [bool; LADDER.len()]> = BTreeMap::new();
            for Taken { feed, rendition, segment } in tap.taken() {
                let frame = (feed.second + segment * SEGMENT_SECONDS) * FRAMES;
                of.entry(Number { run: feed.run, frame }).or_default()[rendition] = true;
            }
            for (number, renditions) in of {
                let count = renditions.iter().filter(|there| **there).count();
                let before = most.entry(number).or_insert(0);
                *before = count.max(*before);
            }
        }
        most
    }

    /// How many segments of single renditions were acknowledged.
    pub fn uploads(&self) -> usize {
        self.taps.iter().map(|tap| tap.taken().len()).sum()
    }

    /// What was refused, by status and name.
    pub fn refused(&self) -> Vec<String> {
        self.taps.iter().flat_map(Tap::refused).collect()
    }
}
