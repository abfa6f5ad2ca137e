//! The state machine of one request to a live endpoint.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::archive::{Archive, Fetch, Prepared};
use super::iframes::iframes;
use super::numbering::{self, Numbering};
use super::query::Query;
use super::renditions::{self, Offer};
use super::segment::{self, Asked};
use super::window::{self, Selection, Wanted};
use crate::config::{self, DOCUMENT_VERSION, Endpoint, PackageType, Timeline};
use crate::error::{Error, Result};
use crate::job::{media_type, protected_init};
use crate::manifest::{dash, hls};
use crate::media::protection::Keys;
use crate::media::window::Window;
use crate::response::{CacheClass, FORMAT_VERSION, Part, Response};
use crate::route::{LiveFile, LiveResource, LiveRoute, SegmentFormat, TrackName};
use crate::segment::init::{self, HevcEntry};

/// What a route needs: the document found by [`LiveRoute::endpoint_key`], and the timeline of its channel.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The timeline of its channel.
    pub timeline: Arc<Timeline>,
    /// The content keys, when the endpoint protects; found by [`LiveRoute::keys_key`].
    pub keys: Option<Arc<Keys>>,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Fetch all of these, in any order, and supply them.
    Fetch(Vec<Fetch>),
    /// The answer.
    Done(Response),
}

/// The state machine.
#[derive(Debug)]
pub struct Job {
    route: LiveRoute,
    query: Query,
    documents: Documents,
    now_ms: u64,
    target_seconds: u32,
    group: u32,
    offer: Offer,
    archive: Archive,
}

impl Job {
    /// Starts a job. `now_ms` is the time, milliseconds since 1970 UTC; `prepared` is what an earlier job for the same channel
    /// learnt, at this revision of its timeline or an earlier one.
    ///
    /// # Errors
    /// `NotFound` when the route does not fit the documents, `BadRequest` for a query that the endpoint does not allow.
    pub fn new(
        route: LiveRoute,
        query: Query,
        documents: Documents,
        now_ms: u64,
        prepared: Option<Arc<Prepared>>,
    ) -> Result<Self> {
        let Documents { endpoint, timeline, keys } = &documents;
        if timeline.version != DOCUMENT_VERSION {
            return Err(Error::upstream(format!("a timeline of version {}", timeline.version)));
        }
        if let Some(protection) = &endpoint.protection {
            let keys = keys.as_ref();
            let keys = keys.ok_or_else(|| Error::upstream("the content keys of this endpoint are not at this edge"))?;
            if keys.scheme != protection.scheme {
                let (keys, wanted) = (keys.scheme.as_str(), protection.scheme.as_str());
                let message = format!("the content keys at this edge are for {keys}, the endpoint is for {wanted}");
                return Err(Error::upstream(message));
            }
        }
        let tag = tag(&documents);
        let playlists = endpoint.package_type != PackageType::Dash;
        let manifest = match &route.resource {
            LiveResource::Manifest { name, extension } => {
                let own = endpoint.package_type.manifest_extension();
                if *name != endpoint.manifest_name || *extension != own {
                    let (name, extension) = (&endpoint.manifest_name, own.as_str());
                    return Err(Error::not_found(format!("the manifest of this endpoint is {name}.{extension}")));
                }
                true
            }
            LiveResource::Tagged { tag: asked, file, .. } => {
                if *asked != tag {
                    let message =
                        format!("the tag {asked:016x} is out of date: the channel or the endpoint has changed");
                    return Err(Error::not_found(message));
                }
                let playlist = matches!(file, LiveFile::Playlist | LiveFile::IframePlaylist);
                if playlist && !playlists {
                    return Err(Error::not_found("this endpoint has no playlists: it makes DASH"));
                }
                playlist
            }
        };
        // Segments have the same bytes whatever is asked.
        let query = if manifest { query } else { Query::default() };
        window::allow(endpoint, &query, now_ms)?;
        let group = config::group(endpoint.segment_duration_seconds, timeline.position_seconds);
        let length = group.saturating_mul(timeline.position_seconds);
        let target_seconds = length.max(endpoint.segment_duration_seconds).max(1);
        let written = if query.is_empty() { String::new() } else { format!("?{query}") };
        let offer = Offer {
            tag,
            configuration: Arc::new(endpoint.configuration()),
            keys: keys.clone().filter(|_| endpoint.protection.is_some()),
            query: written,
        };
        let archive = Archive::new(timeline.clone(), prepared.as_deref())?;
        Ok(Self { route, query, documents, now_ms, target_seconds, group, offer, archive })
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `NotFound` for what is not there, or not any more; `BadSource` for parts that break their format.
    pub fn step(&mut self) -> Result<Step> {
        if let Some(response) = self.answer()? {
            return Ok(Step::Done(response));
        }
        match self.archive.missing() {
            missing if missing.is_empty() => Err(Error::internal("nothing is missing, and there is no answer")),
            missing => Ok(Step::Fetch(missing)),
        }
    }

    /// Brings the bytes of a fetch.
    ///
    /// # Errors
    /// `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, id: u32, bytes: Bytes) -> Result<()> {
        self.archive.supply(id, bytes)
    }

    /// What this job learnt of the timeline.
    pub fn prepared(&self) -> Arc<Prepared> {
        Arc::new(self.archive.prepared())
    }

    fn answer(&mut self) -> Result<Option<Response>> {
        match self.route.resource.clone() {
            LiveResource::Manifest { .. } => self.manifest(),
            LiveResource::Tagged { track, file: LiveFile::Segment { number, format }, .. } => {
                self.segment(track, number, format)
            }
            LiveResource::Tagged { track, file: LiveFile::Init(position), .. } => self.init(track, position),
            LiveResource::Tagged { track, file: LiveFile::Playlist, .. } => {
                let Some(window) = self.window(|all| all.numbers.clone())? else { return Ok(None) };
                self.text(hls::CONTENT_TYPE, hls::live_media(&window, track)?, window.closed).map(Some)
            }
            LiveResource::Tagged { track, file: LiveFile::IframePlaylist, .. } => {
                let Some(window) = self.window(|all| all.numbers.clone())? else { return Ok(None) };
                let own = || window.track(track).filter_map(|(_, own)| own);
                if !own().any(|(track, rendition)| track.is_video() && rendition.has_iframes()) {
                    return Err(Error::not_found(format!("track {track} has no I-frames")));
                }
                let frames: Vec<_> = window.track(track).map(|(period, own)| iframes(period, own)).collect();
                self.text(hls::CONTENT_TYPE, hls::live_iframes(&window, track, &frames)?, window.closed).map(Some)
            }
        }
    }

    /// The window, of whose segments `part` are needed.
    fn window(&mut self, part: impl Fn(&Selection) -> Range<u64>) -> Result<Option<Window>> {
        let timeline = self.documents.timeline.clone();
        let numbering = Numbering::new(&timeline, self.group);
        let wanted = Wanted {
            endpoint: &self.documents.endpoint,
            query: &self.query,
            now_ms: self.now_ms,
            target_seconds: self.target_seconds,
        };
        let Some(selection) = window::select(&mut self.archive, &numbering, wanted)? else { return Ok(None) };
        let selection = Selection { numbers: part(&selection), ..selection };
        window::build(&mut self.archive, &numbering, &self.offer, wanted, &selection)
    }

    fn manifest(&mut self) -> Result<Option<Response>> {
        match self.documents.endpoint.package_type {
            PackageType::Hls | PackageType::Cmaf => {
                // What is offered now: the tracks of the last period.
                let last = |all: &Selection| all.numbers.end.saturating_sub(1)..all.numbers.end;
                let Some(window) = self.window(last)? else { return Ok(None) };
                let period = window.periods.last().ok_or_else(|| Error::internal("a window without periods"))?;
                let text = hls::multivariant(&period.presentation)?;
                self.text(hls::CONTENT_TYPE, text, window.closed).map(Some)
            }
            PackageType::Dash => {
                let Some(window) = self.window(|all| all.numbers.clone())? else { return Ok(None) };
                let window = window.without_lost_ends();
                self.text(dash::CONTENT_TYPE, dash::live_mpd(&window)?, window.closed).map(Some)
            }
        }
    }

    fn segment(&mut self, track: TrackName, number: u64, format: SegmentFormat) -> Result<Option<Response>> {
        let timeline = self.documents.timeline.clone();
        let numbering = Numbering::new(&timeline, self.group);
        let listed = numbering.start()..numbering.end();
        let place = numbering.place(number).filter(|_| listed.contains(&number));
        let place = place.ok_or_else(|| {
            Error::not_found(format!("the segments {} to {} are there, not {number}", listed.start, listed.end))
        })?;
        let made = segment::make(&mut self.archive, &self.offer, &Asked { place, track, format })?;
        Ok(made.map(|(content_type, parts)| self.immutable(content_type, parts)))
    }

    fn init(&mut self, name: TrackName, first: u64) -> Result<Option<Response>> {
        let timeline = self.documents.timeline.clone();
        let period = timeline.periods.iter().position(|p| p.first == first);
        let period = period.ok_or_else(|| Error::not_found(format!("no period begins with position {first}")))?;
        let positions = numbering::positions(&timeline, period);
        let stored = positions.start.max(timeline.first);
        if stored >= positions.end {
            return Err(Error::not_found(format!("nothing of the period at position {first} is stored")));
        }
        let Some(part) = self.archive.part(stored)? else { return Ok(None) };
        let head = super::append::slice(&part.head, part.cuts(&(stored..stored + 1)));
        let cuts = head.cuts.len();
        let presentation = renditions::present(&self.offer, head, core::slice::from_ref(&(0..cuts)))?;
        let found = presentation.offered().find(|(track, _)| track.name == name);
        let (track, rendition) =
            found.ok_or_else(|| Error::not_found(format!("this endpoint offers no track {name}")))?;
        if rendition.delivery.format() != Some(SegmentFormat::Cmaf) {
            return Err(Error::not_found(format!("track {name} has no init segment")));
        }
        let in_moov = self.documents.endpoint.protection.as_ref().is_some_and(|p| p.pssh_in_moov);
        let protection = rendition.protection.as_ref().map(|p| protected_init(p, in_moov)).transpose()?;
        let hevc = HevcEntry::of(self.documents.endpoint.package_type);
        let bytes = init::write(track, hevc, track.description(0), protection.as_ref())?;
        Ok(Some(self.immutable(media_type(track), vec![Part::Bytes(bytes)])))
    }

    /// What its URL names for ever.
    fn immutable(&self, content_type: &'static str, parts: Vec<Part>) -> Response {
        let etag = etag(&[&self.offer.tag.to_be_bytes(), self.route.to_string().as_bytes()]);
        Response { content_type, cache: CacheClass::Immutable, etag, parts }
    }

    /// A manifest, which holds for half a segment.
    fn text(&self, content_type: &'static str, text: String, closed: bool) -> Result<Response> {
        let seconds = match closed {
            false => (self.target_seconds / 2).max(1),
            // It does not change, but may be taken away.
            true => CLOSED_SECONDS,
        };
        let etag = etag(&[text.as_bytes()]);
        let parts = vec![Part::Bytes(text.into())];
        Ok(Response { content_type, cache: CacheClass::LiveManifest { seconds }, etag, parts })
    }
}

/// For how many seconds a manifest may be kept to which nothing will be added.
const CLOSED_SECONDS: u32 = 60;

fn etag(parts: &[&[u8]]) -> String {
    let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let tag = digest.iter().take(16).fold(0u128, |tag, byte| tag << 8 | u128::from(*byte));
    format!("\"{tag:032x}\"")
}

/// The tag in the URLs of these documents. Changes with everything that changes bytes of segments: the timeline, what the
/// endpoint makes, the keys and the format; not with what its manifests say.
pub fn tag(documents: &Documents) -> u64 {
    let Documents { endpoint, timeline, keys } = documents;
    let mut hash = Sha256::new();
    hash.update(b"edgepack live\0");
    hash.update(FORMAT_VERSION.to_be_bytes());
    hash.update((timeline.id.len() as u64).to_be_bytes());
    hash.update(timeline.id.as_bytes());
    hash.update(endpoint.package_type.as_str().as_bytes());
    hash.update(endpoint.segment_duration_seconds.to_be_bytes());
    hash.update([u8::from(endpoint.audio_separation), u8::from(endpoint.protection.is_some())]);
    if let Some(protection) = &endpoint.protection {
        hash.update(serde_json::to_vec(protection).unwrap_or_default());
        hash.update(keys.as_ref().map_or([0; 8], |keys| keys.fingerprint()));
    }
    hash.finalize().iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
}
