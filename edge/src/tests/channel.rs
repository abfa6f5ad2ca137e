//! A live channel behind a fake control plane: one audio track, positions of two seconds.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use packager::config::{
    Access, Body as DocumentBody, Counters, DOCUMENT_VERSION, Document, Endpoint, LISTING_PARTS, ListingEntry,
    LiveManifest, LivePeriod, OpenPart, PART_POSITIONS, PackageType, PartEntry, Removed, SourceObject, StreamSelection,
    Timeline, endpoint_key,
};
use packager::index::block::{self, Block, Extent, Object, Sample, Source};
use packager::index::head::{Audio, Cut, Fragment, Head, Media, Storage, SyncLayout, Track};
use packager::live::{Documents, tag};
use packager::route::{TrackKind, TrackName};

use super::fake::{Fake, Reply, edge};
use crate::platform::Outgoing;
use crate::serve::Edge;

pub const MANIFEST: &str = "/v1/g/c/e/live.m3u8";
/// Bytes of the media of a position: two samples of one second.
pub const POSITION_BYTES: u64 = 1000;
const SECOND: u32 = 48_000;

/// What control knows of the channel.
pub struct Channel {
    pub timeline: RefCell<Timeline>,
    /// Requests for the timeline, each with its query.
    pub asked: RefCell<Vec<String>>,
    /// Whether control can be reached.
    pub is_away: Cell<bool>,
}

impl Channel {
    /// A channel with so many positions.
    pub fn new(positions: u64) -> Rc<Self> {
        let timeline = RefCell::new(timeline(positions));
        Rc::new(Self { timeline, asked: RefCell::default(), is_away: Cell::default() })
    }

    /// Lists one position more.
    pub fn grow(&self) {
        let grown = timeline(self.timeline.borrow().next + 1);
        self.timeline.replace(grown);
    }

    /// What control answers.
    fn reply(&self, request: &Outgoing) -> Reply {
        let (_, path) = request.url.split_once("/origin/v1/").expect("an origin route");
        if let Some(rest) = path.strip_prefix("live/g/c") {
            self.asked.borrow_mut().push(rest.trim_start_matches('?').to_owned());
            return if self.is_away.get() { Reply::Refused } else { self.answer(rest) };
        }
        let id = &self.timeline.borrow().id;
        let number = |text: &str| text.parse::<u64>().expect("a position");
        if let Some(path) = path.strip_prefix(&format!("indexes/live/{id}/")) {
            let bytes = match path.split_once('/') {
                Some(("blocks", position)) => written(id, number(position)),
                Some(("parts", name)) => part(id, number(name.strip_suffix(".epix").expect("a part"))).1,
                Some(("listings", name)) => listing(id, number(name.strip_suffix(".json").expect("a listing"))),
                _ => panic!("{path} is no object of the channel"),
            };
            return ranged(request, &bytes);
        }
        let media = path.strip_prefix(&format!("media/live/{id}/media/")).expect("media of the channel");
        assert!(!request.headers.iter().any(|(name, _)| *name == packager::config::ASSET_HEADER), "it is no asset's");
        ranged(request, &position_media(number(media)))
    }

    fn answer(&self, query: &str) -> Reply {
        let timeline = self.timeline.borrow();
        let after = query.strip_prefix("?after=").and_then(|rest| rest.strip_suffix("&wait=0"));
        assert!(query.is_empty() || after.is_some(), "{query}");
        if after.is_some_and(|after| timeline.revision <= after.parse().expect("a revision")) {
            return Reply::status(204);
        }
        Reply::Response(200, Vec::new(), serde_json::to_vec(&*timeline).expect("JSON"))
    }

    /// A path below the tag.
    pub fn path(&self, rest: &str) -> String {
        let DocumentBody::Endpoint(endpoint) = endpoint(1, Access::default()).body else { panic!("an endpoint") };
        let timeline = Arc::new(self.timeline.borrow().clone());
        let tag = tag(&Documents { endpoint: Arc::new(endpoint), timeline, keys: None });
        format!("/v1/g/c/e/{tag:016x}/a0/{rest}")
    }
}

/// An edge that knows the endpoint, with the channel behind it.
pub fn live(channel: &Rc<Channel>, access: Access) -> Rc<Edge<Fake>> {
    let edge = edge();
    let document = endpoint(1, access);
    edge.platform.stored.borrow_mut().insert(document.key.replace('/', ":"), document.to_json());
    let channel = channel.clone();
    edge.platform.script(move |request| channel.reply(request));
    edge
}

pub fn endpoint(revision: u64, access: Access) -> Document {
    let endpoint = Endpoint {
        name: "e".into(),
        channel_group: "g".into(),
        channel: "c".into(),
        package_type: PackageType::Cmaf,
        manifest_name: "live".into(),
        segment_duration_seconds: 2,
        audio_separation: false,
        stream_selection: StreamSelection::default(),
        manifest: LiveManifest::Hls { segments: 3, program_date_time_seconds: None },
        time_shift_seconds: 86_400,
        access,
        protection: None,
    };
    Document::new(endpoint_key("g", "c", "e"), revision, DocumentBody::Endpoint(endpoint))
}

pub fn position_media(position: u64) -> Vec<u8> {
    (0..POSITION_BYTES).map(|n| (n * 7 + position) as u8).collect()
}

/// All full parts are parts, and all full listings are listings.
fn timeline(positions: u64) -> Timeline {
    let id = "0123456789abcdef";
    let (part_positions, listed_positions) = (u64::from(PART_POSITIONS), u64::from(PART_POSITIONS * LISTING_PARTS));
    let listed = positions / listed_positions * listed_positions;
    let open = positions / part_positions * part_positions;
    let listings = (0..listed).step_by(PART_POSITIONS as usize * LISTING_PARTS as usize).map(|first| ListingEntry {
        first,
        start_us: first * 2_000_000,
        bytes: listing(id, first).len() as u64,
    });
    let parts = (listed..open).step_by(PART_POSITIONS as usize).map(|first| part(id, first).0);
    Timeline {
        version: DOCUMENT_VERSION,
        channel_group: "g".into(),
        channel: "c".into(),
        id: id.into(),
        revision: positions,
        published_ms: 1_699_999_990_000 + positions * 2000,
        // The clock of the fake stands at 1,700,000,000 s.
        epoch_ms: 1_699_999_990_000,
        position_seconds: 2,
        ended: false,
        first: 0,
        next: positions,
        periods: vec![LivePeriod { first: 0, start_us: 0, end_us: positions * 2_000_000, discontinuity: false }],
        before: Removed::default(),
        listings: listings.collect(),
        parts: parts.collect(),
        open: (open < positions).then(|| OpenPart {
            first: open,
            head: STANDARD.encode(head(id, open..positions).write()),
            counters: Counters::default(),
        }),
    }
}

/// The part that begins with a position, and its bytes.
fn part(id: &str, first: u64) -> (PartEntry, Vec<u8>) {
    let positions = first..first + u64::from(PART_POSITIONS);
    let mut bytes = head(id, positions.clone()).write();
    let head_bytes = bytes.len() as u64;
    bytes.extend(positions.clone().flat_map(|position| written(id, position)));
    let entry = PartEntry {
        first,
        positions: PART_POSITIONS,
        start_us: first * 2_000_000,
        end_us: positions.end * 2_000_000,
        bytes: bytes.len() as u64,
        head_bytes,
        counters: Counters::default(),
    };
    (entry, bytes)
}

fn listing(id: &str, first: u64) -> Vec<u8> {
    let firsts = (0..u64::from(LISTING_PARTS)).map(|number| first + number * u64::from(PART_POSITIONS));
    serde_json::to_vec(&firsts.map(|first| part(id, first).0).collect::<Vec<_>>()).expect("JSON")
}

fn head(id: &str, positions: Range<u64>) -> Head {
    let cut = |position: u64| Cut { second: position as u32 * 2, source_segment: true, period: false };
    let mut track = track(id);
    track.end = positions.end * 2 * u64::from(SECOND);
    track.fragments = positions
        .clone()
        .map(|position| Fragment {
            samples: 2,
            bytes: POSITION_BYTES,
            decode_time: position * 2 * u64::from(SECOND),
            description: 1,
            block_bytes: written(id, position).len() as u32,
            ..Fragment::default()
        })
        .collect();
    Head { alone: true, cuts: positions.map(cut).collect(), tracks: vec![track] }
}

/// The blocks of a position.
fn written(id: &str, position: u64) -> Vec<u8> {
    let path = format!("live/{id}/media/{position}");
    let object = Arc::new(SourceObject { path, bytes: POSITION_BYTES, etag: None });
    let sample = Sample { size: 500, duration: SECOND, composition_offset: 0, sync: true };
    let base = position * POSITION_BYTES;
    let block = Block {
        samples: vec![sample; 2],
        extents: vec![Extent { range: base..base + POSITION_BYTES, samples: 2 }],
        objects: vec![Object { base, object }],
        ..Block::default()
    };
    let mut out = Vec::new();
    block::write(&track(id), &Source { block, ..Source::default() }, &mut out);
    out
}

fn track(id: &str) -> Track {
    let entry =
        [&36u32.to_be_bytes()[..], b"mp4a", &[0; 6], &[0, 1], &[0; 8], &[0, 2, 0, 16], &[0; 4], &[0xbb, 0x80, 0, 0]];
    Track {
        name: TrackName { kind: TrackKind::Audio, ordinal: 0 },
        storage: Storage::Objects { prefix: format!("live/{id}/media/") },
        timescale: SECOND,
        unit: 1,
        edit_media_time: 0,
        end: 0,
        constant_duration: None,
        composition: false,
        reorder: 0,
        sync: SyncLayout::All,
        closed: true,
        stretches: false,
        annex_b: false,
        transport: false,
        sample_aes: false,
        stored: None,
        hidden: false,
        default: true,
        sample_entries: vec![Bytes::from(entry.concat())],
        codec: "mp4a.40.2".into(),
        supplemental_codec: None,
        language: None,
        language_code: *b"und",
        label: None,
        role: None,
        average_bitrate: 4000,
        peak_bitrate: 4000,
        media: Media::Audio(Audio { sample_rate: SECOND, channels: 2, joc: None }),
        fragments: Vec::new(),
        pieces: Vec::new(),
    }
}

fn ranged(request: &Outgoing, bytes: &[u8]) -> Reply {
    let field = request.headers.iter().find(|(name, _)| *name == "range").map(|(_, value)| value.as_str());
    let (first, last) = field.and_then(|f| f.strip_prefix("bytes=")).and_then(|f| f.split_once('-')).expect("a range");
    let range = first.parse::<usize>().expect("a number")..last.parse::<usize>().expect("a number") + 1;
    let part = bytes.get(range.clone()).map(<[u8]>::to_vec);
    part.map_or(Reply::status(416), |part| Reply::part(range.start as u64..range.end as u64, bytes.len() as u64, part))
}
