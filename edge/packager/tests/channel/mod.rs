//! A live channel made of fixtures: their positions over and over again, and a timeline of them.

#![allow(dead_code, reason = "each of its users needs another part")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use packager::ErrorKind;
use packager::bytes::Reader;
use packager::config::{
    Access, Counters, DOCUMENT_VERSION, Endpoint, ListingEntry, LiveManifest, LivePeriod, MAX_GROUP, OpenPart,
    PackageType, PartEntry, Removed, StreamSelection, Timeline,
};
use packager::index::block::{self, Block, read_stretches};
use packager::index::head::{Media, SyncLayout};
use packager::index::{Fragment, Head, Track};
use packager::live::{self, Documents, Job, Prepared, Query, Step};
use packager::media::protection::Keys;
use packager::media::window::micros;
use packager::response::Response;
use packager::route::LiveRoute;
use packager::segment::transport;

use crate::drive;

/// When the channels of the tests begin, milliseconds since 1970 UTC.
pub const EPOCH_MS: u64 = 1_795_277_040_000;

/// The positions that a playlist has.
pub struct Source {
    head: Head,
    index: Vec<u8>,
    /// The cuts of each position.
    positions: Vec<Range<usize>>,
    root: PathBuf,
}

/// What a position holds.
pub struct Position {
    pub head: Head,
    /// For each track its blocks.
    pub blocks: Vec<Vec<u8>>,
}

impl Source {
    /// The positions of a fixture, each with so many of its cuts; only video and audio.
    pub fn new(folder: &str, cuts: usize) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/hls");
        let read = |path: &str| Some((fs::read(root.join(path)).ok()?.into(), None));
        let indexed = drive::ingest_playlist(&format!("{folder}/main.m3u8"), read).expect("the fixture is ingested");
        let head = Head::read(&indexed.index[..indexed.head_bytes as usize], indexed.index.len() as u64);
        let head = head.expect("what was written is read");
        let firsts: Vec<usize> = (0..head.cuts.len()).step_by(cuts).collect();
        let ends = firsts.iter().skip(1).copied().chain([head.cuts.len()]);
        let positions = firsts.iter().copied().zip(ends).map(|(first, end)| first..end).collect();
        Self { head, index: indexed.index, positions, root }
    }

    pub fn len(&self) -> usize {
        self.positions.len()
    }

    pub fn read(&self, path: &str, range: Range<u64>) -> Vec<u8> {
        let bytes = fs::read(self.root.join(path)).expect("a fixture");
        bytes[range.start as usize..range.end as usize].to_vec()
    }

    /// Its tracks that a channel has, as live media have them.
    fn tracks(&self) -> Vec<(&Track, Track)> {
        let kept = self.head.tracks.iter().filter(|t| matches!(t.media, Media::Video(_) | Media::Audio(_)));
        let live = |track: &Track| {
            let video = track.is_video();
            let sync = if video { SyncLayout::Listed } else { SyncLayout::All };
            let reorder = if video { track.reorder } else { 0 };
            let (fragments, pieces) = (Vec::new(), Vec::new());
            Track {
                unit: 1,
                constant_duration: None,
                composition: video,
                reorder,
                sync,
                stored: None,
                edit_media_time: 0,
                fragments,
                pieces,
                ..track.clone()
            }
        };
        kept.map(|track| (track, live(track))).collect()
    }

    /// Position `number` of it (they begin anew after the last), with each track beginning at its time in `clock`, which
    /// moves on. Tracks in `missing` have nothing.
    fn position(&self, number: usize, clock: &mut [u64], missing: &[usize]) -> Position {
        let cuts = self.positions[number % self.positions.len()].clone();
        let mut head = Head { alone: true, cuts: Vec::new(), tracks: Vec::new() };
        let mut blocks = Vec::new();
        for (at, ((source, mut track), time)) in self.tracks().into_iter().zip(clock).enumerate() {
            let mut own = Vec::new();
            for cut in cuts.clone() {
                let fragment = source.fragments[cut];
                let from = fragment.block_offset as usize;
                let data = &self.index[from..from + fragment.block_bytes as usize];
                let mut read = Block::default();
                let rest = read.read(source, &fragment, data).expect("a block of the fixture");
                let duration: u64 = read.samples.iter().map(|s| u64::from(s.duration)).sum();
                let before = own.len();
                let mut next = Fragment { decode_time: *time, description: 1, ..Fragment::default() };
                if missing.contains(&at) {
                    block::write(&track, &block::Source::default(), &mut own);
                } else {
                    next = Fragment { decode_time: *time, ..fragment };
                    let (mut stretches, mut stretch_counts) = (Vec::new(), Vec::new());
                    if source.stretches {
                        let mut rest = Reader::new(rest, 0);
                        for sample in &read.samples {
                            let mut some = Vec::new();
                            read_stretches(&mut rest, sample.size, &mut some).expect("stretches of the fixture");
                            stretch_counts.push(some.len() as u32);
                            stretches.append(&mut some);
                        }
                    }
                    block::write(&track, &block::Source { block: read, stretches, stretch_counts }, &mut own);
                }
                next.block_bytes = (own.len() - before) as u32;
                track.fragments.push(next);
                *time += duration;
                track.end = *time;
            }
            head.tracks.push(track);
            blocks.push(own);
        }
        let reference = head.tracks.iter().find(|t| t.is_video()).unwrap_or(&head.tracks[0]);
        for cut in 0..cuts.len() {
            let second = (reference.start(cut) / u64::from(reference.timescale)) as u32;
            head.cuts.push(packager::index::head::Cut { second, source_segment: cut == 0, period: false });
        }
        transport::count(&mut head, &blocks.concat()).expect("packets are counted");
        Position { head, blocks }
    }
}

/// The timeline of a channel in the making, and the objects that it names.
pub struct Channel {
    pub source: Source,
    pub timeline: Timeline,
    pub objects: BTreeMap<String, Bytes>,
    part_positions: u32,
    listing_parts: usize,
    /// What is open: its first position, its head, the blocks of its positions by track, and what stands before.
    open: Option<(u64, Head, Vec<Vec<u8>>, Counters)>,
    clock: Vec<u64>,
    counters: Counters,
    /// Which position of the source comes next.
    next: usize,
}

impl Channel {
    /// A channel without media. Parts and listings may be smaller than real ones.
    pub fn new(source: Source, position_seconds: u32, part_positions: u32, listing_parts: usize) -> Self {
        let timeline = Timeline {
            version: DOCUMENT_VERSION,
            channel_group: "g".into(),
            channel: "c".into(),
            id: "00112233445566ff".into(),
            revision: 0,
            published_ms: EPOCH_MS,
            epoch_ms: EPOCH_MS,
            position_seconds,
            ended: false,
            first: 0,
            next: 0,
            periods: Vec::new(),
            before: Removed { discontinuities: 0, segments: vec![0; MAX_GROUP as usize] },
            listings: Vec::new(),
            parts: Vec::new(),
            open: None,
        };
        let tracks = source.tracks().len();
        let counters = Counters { packets: vec![0; tracks], sample_aes: vec![0; tracks] };
        Self {
            source,
            timeline,
            objects: BTreeMap::new(),
            part_positions,
            listing_parts,
            open: None,
            clock: Vec::new(),
            counters,
            next: 0,
        }
    }

    /// Begins a period at a presentation time in microseconds.
    pub fn begin(&mut self, start_us: u64, discontinuity: bool) {
        self.close();
        let tracks = self.source.tracks();
        self.clock = tracks.iter().map(|(_, t)| start_us * u64::from(t.timescale) / 1_000_000).collect();
        // A picture is presented when its composition offset has passed.
        for (time, (source, _)) in self.clock.iter_mut().zip(&tracks) {
            *time = time.saturating_add_signed(-i64::from(source.fragments[0].composition_offset));
        }
        let first = self.timeline.next;
        self.timeline.periods.push(LivePeriod { first, start_us, end_us: start_us, discontinuity });
    }

    /// When the next position begins, microseconds.
    pub fn edge(&self) -> u64 {
        self.timeline.periods.last().map_or(0, |p| p.end_us)
    }

    /// Adds the next position; tracks in `missing` have nothing in it.
    pub fn push(&mut self, missing: &[usize]) {
        let position = self.source.position(self.next, &mut self.clock, missing);
        self.next += 1;
        let number = self.timeline.next;
        let counters = self.counters.clone();
        for (at, track) in position.head.tracks.iter().enumerate() {
            let add = |own: &mut u8, more: u32| *own = ((u64::from(*own) + u64::from(more)) % 16) as u8;
            for fragment in &track.fragments {
                add(&mut self.counters.packets[at], fragment.packets);
                add(&mut self.counters.sample_aes[at], fragment.sample_aes_packets);
            }
        }
        self.objects.insert(self.timeline.blocks_path(number), position.blocks.concat().into());
        let reference = position.head.tracks.iter().find(|t| t.is_video()).unwrap_or(&position.head.tracks[0]);
        let end_us = micros(reference.end, reference.timescale);
        match &mut self.open {
            None => self.open = Some((number, position.head, position.blocks, counters)),
            Some((_, head, blocks, _)) => {
                live::append(head, &position.head).expect("positions of a period are alike");
                blocks.iter_mut().zip(position.blocks).for_each(|(all, own)| all.extend(own));
            }
        }
        self.timeline.next += 1;
        self.timeline.periods.last_mut().expect("a period").end_us = end_us;
        let (first, ..) = self.open.as_ref().expect("it was just set");
        if self.timeline.next - first == u64::from(self.part_positions) {
            self.close();
        }
        self.publish();
    }

    /// Makes a part of what is open.
    fn close(&mut self) {
        let Some((first, head, blocks, counters)) = self.open.take() else { return };
        let mut bytes = head.write();
        let head_bytes = bytes.len() as u64;
        bytes.extend(blocks.concat());
        let reference = head.tracks.iter().find(|t| t.is_video()).unwrap_or(&head.tracks[0]);
        let us = |ticks: u64| micros(ticks, reference.timescale);
        let positions = head.cuts.iter().filter(|c| c.source_segment).count() as u32;
        self.timeline.parts.push(PartEntry {
            first,
            positions,
            start_us: us(reference.start(0)),
            end_us: us(reference.end),
            bytes: bytes.len() as u64,
            head_bytes,
            counters,
        });
        self.objects.insert(self.timeline.part_path(first), bytes.into());
        if self.timeline.parts.len() == self.listing_parts {
            let parts = std::mem::take(&mut self.timeline.parts);
            let json = serde_json::to_vec(&parts).expect("JSON");
            let entry = ListingEntry { first: parts[0].first, start_us: parts[0].start_us, bytes: json.len() as u64 };
            self.objects.insert(self.timeline.listing_path(entry.first), json.into());
            self.timeline.listings.push(entry);
        }
    }

    fn publish(&mut self) {
        self.timeline.revision += 1;
        self.timeline.published_ms = EPOCH_MS + self.edge() / 1000;
        self.timeline.open = self.open.as_ref().map(|(first, head, _, counters)| OpenPart {
            first: *first,
            head: STANDARD.encode(head.write()),
            counters: counters.clone(),
        });
    }

    pub fn end(&mut self) {
        self.timeline.ended = true;
        self.publish();
    }

    /// Takes away what is before a position, in whole listings and parts as retention does, and the periods with it.
    pub fn remove(&mut self, position: u64) {
        let timeline = &mut self.timeline;
        while timeline.listings.len() > 1 && timeline.listings[1].first <= position {
            timeline.listings.remove(0);
        }
        if timeline.listings.is_empty() {
            while timeline.parts.len() > 1 && timeline.parts[1].first <= position {
                timeline.parts.remove(0);
            }
        }
        let first = timeline.listings.first().map(|l| l.first).or(timeline.parts.first().map(|p| p.first));
        let Some(first) = first else { return };
        timeline.first = first;
        while timeline.periods.len() > 1 && timeline.periods[1].first <= first {
            let gone = timeline.periods.remove(0);
            let next = &timeline.periods[0];
            timeline.before.discontinuities += u64::from(next.discontinuity);
            for (group, count) in (1..).zip(&mut timeline.before.segments) {
                *count += (next.first - gone.first).div_ceil(group);
            }
        }
        self.publish();
    }

    /// Everything that is stored: heads, their blocks, and whether a period begins with them.
    pub fn stored(&self) -> Vec<(Head, Bytes, bool)> {
        let begins = |first: u64| self.timeline.periods.iter().any(|p| p.first == first);
        let listed = self.timeline.listings.iter().flat_map(|l| {
            let json = &self.objects[&self.timeline.listing_path(l.first)];
            serde_json::from_slice::<Vec<PartEntry>>(json).expect("JSON")
        });
        let mut all: Vec<(Head, Bytes, bool)> = listed
            .chain(self.timeline.parts.iter().cloned())
            .map(|part| {
                let bytes = &self.objects[&self.timeline.part_path(part.first)];
                let head = Head::read(&bytes[..part.head_bytes as usize], part.bytes).expect("a head");
                (head, bytes.slice(part.head_bytes as usize..), begins(part.first))
            })
            .collect();
        if let Some((first, head, ..)) = &self.open {
            for (position, head) in (*first..).zip(live::split(head)) {
                let blocks = self.objects[&self.timeline.blocks_path(position)].clone();
                all.push((head, blocks, begins(position)));
            }
        }
        all
    }

    pub fn timeline(&self) -> Arc<Timeline> {
        Arc::new(self.timeline.clone())
    }

    /// Answers a request at the time of the live edge.
    pub fn get(&self, endpoint: &Endpoint, url: &str) -> packager::Result<Response> {
        self.ask(&Request { endpoint, keys: None, timeline: &self.timeline(), now_ms: self.now_ms() }, url, None).0
    }

    pub fn now_ms(&self) -> u64 {
        EPOCH_MS + self.edge() / 1000 + 700
    }

    /// Answers a request, and tells what was learnt and how many bytes of how many objects were read.
    pub fn ask(
        &self,
        request: &Request<'_>,
        url: &str,
        prepared: Option<Arc<Prepared>>,
    ) -> (packager::Result<Response>, Option<Arc<Prepared>>, Cost) {
        let mut cost = Cost::default();
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let run = |cost: &mut Cost| -> packager::Result<(Response, Arc<Prepared>)> {
            let route = LiveRoute::parse(path)?;
            let documents = Documents {
                endpoint: Arc::new(request.endpoint.clone()),
                timeline: request.timeline.clone(),
                keys: request.keys.clone(),
            };
            let mut job = Job::new(route, Query::parse(query)?, documents, request.now_ms, prepared)?;
            for _ in 0..100 {
                match job.step()? {
                    Step::Done(response) => return Ok((response, job.prepared())),
                    Step::Fetch(fetches) => {
                        assert!(!fetches.is_empty(), "a fetch asks for something");
                        cost.rounds += 1;
                        for fetch in fetches {
                            let object = self.objects.get(&fetch.path);
                            let object = object.unwrap_or_else(|| panic!("{url}: no object {}", fetch.path));
                            let range = fetch.range.start as usize..fetch.range.end as usize;
                            assert!(range.end <= object.len(), "{url}: {range:?} of {}", fetch.path);
                            cost.fetches += 1;
                            cost.bytes += range.len();
                            job.supply(fetch.id, object.slice(range))?;
                        }
                    }
                }
            }
            panic!("{url}: the job does not come to an end");
        };
        match run(&mut cost) {
            Ok((response, prepared)) => (Ok(response), Some(prepared), cost),
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{url}: {error}");
                (Err(error), None, cost)
            }
        }
    }

    /// The bytes of a body.
    pub fn body(&self, response: &Response) -> Vec<u8> {
        let read = |object: &packager::config::SourceObject, range: Range<u64>| self.source.read(&object.path, range);
        let bytes = drive::bytes_of(&response.parts, 5000, read);
        assert_eq!(bytes.len() as u64, response.len(), "the length is known before the bytes");
        bytes
    }

    pub fn text(&self, endpoint: &Endpoint, url: &str) -> String {
        drive::text_of(&self.get(endpoint, url).unwrap_or_else(|e| panic!("{url}: {e}")))
    }
}

/// What a request is answered by.
#[derive(Clone)]
pub struct Request<'a> {
    pub endpoint: &'a Endpoint,
    pub keys: Option<Arc<Keys>>,
    pub timeline: &'a Arc<Timeline>,
    pub now_ms: u64,
}

/// What a request read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub rounds: usize,
    pub fetches: usize,
    pub bytes: usize,
}

/// An endpoint `e` of HLS.
pub fn hls(package_type: PackageType, seconds: u32, segments: u32) -> Endpoint {
    let manifest = LiveManifest::Hls { segments, program_date_time_seconds: Some(10) };
    Endpoint {
        name: "e".into(),
        channel_group: "g".into(),
        channel: "c".into(),
        package_type,
        manifest_name: "main".into(),
        segment_duration_seconds: seconds,
        audio_separation: false,
        stream_selection: StreamSelection::default(),
        manifest,
        time_shift_seconds: 0,
        access: Access::default(),
        protection: None,
    }
}

/// An endpoint `e` of DASH.
pub fn dash(seconds: u32, window_seconds: u32) -> Endpoint {
    let manifest = LiveManifest::Dash {
        min_buffer_seconds: 2 * seconds,
        min_update_seconds: 2 * seconds,
        presentation_delay_seconds: 3 * seconds,
        window_seconds,
    };
    Endpoint { manifest, ..hls(PackageType::Dash, seconds, 3) }
}
