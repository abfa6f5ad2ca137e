//! The one contract of the core: a [`Job`] turns a [`Route`] into fetches and then into a [`Response`].
//!
//! The caller loops: [`Job::step`] says what to fetch, [`Job::supply`] brings it, until `step` says `Done`. Nothing here
//! waits, and nothing asks for more than the request needs.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::config::{Asset, PackageType, PackagingConfiguration, SourceObject};
use crate::error::{Error, Result};
use crate::index::head::{Media, Storage};
use crate::index::{Head, Track};
use crate::limits;
use crate::manifest::hls::Iframe;
use crate::manifest::{dash, hls};
use crate::media::presentation::{Presentation, Rendition, bandwidth};
use crate::media::segmenter::{self, Segment};
use crate::response::{CacheClass, FORMAT_VERSION, Part, Response};
use crate::route::{Resource, Route, TrackFile, TrackName};
use crate::segment::fmp4::Carrier;
use crate::segment::gather::Stored;
use crate::segment::init::HevcEntry;
use crate::segment::{fmp4, init};

/// The documents that a route needs, found by [`Route::configuration_key`] and [`Route::asset_key`].
#[derive(Clone, Debug)]
pub struct Documents {
    /// The packaging configuration.
    pub configuration: Arc<PackagingConfiguration>,
    /// The asset.
    pub asset: Arc<Asset>,
}

/// Bytes of the asset's sidecar index that the job wants. They never change, so they are worth caching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// To be given back to [`Job::supply`].
    pub id: u32,
    /// Byte range of the index object ([`crate::config::IndexObject`]).
    pub range: Range<u64>,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Fetch all of these, in any order, and supply them.
    Fetch(Vec<Fetch>),
    /// The answer.
    Done(Response),
}

/// What a job learns from the head of an index under one configuration; kept, it spares the next job that work.
/// It belongs to one pair of asset document and configuration document.
#[derive(Debug)]
pub struct Prepared {
    presentation: Presentation,
    /// The source files of the asset.
    sources: Vec<Arc<SourceObject>>,
}

impl Prepared {
    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.presentation.memory()
    }

    fn new(documents: &Documents, tag: u64, head: &[u8]) -> Result<Self> {
        let index = &documents.asset.index;
        let head = Head::read(head, index.bytes)?;
        let sources: Vec<Arc<SourceObject>> = documents.asset.sources.iter().cloned().map(Arc::new).collect();
        for track in &head.tracks {
            if let Storage::File(source) = track.storage
                && usize::from(source) >= sources.len()
            {
                let message =
                    format!("index: track {} is in source {source}, the asset has {}", track.name, sources.len());
                return Err(Error::bad_source(message));
            }
        }
        let target = documents.configuration.segment_duration_seconds;
        let segments = segmenter::ladder(&head, target);
        let renditions = head.tracks.iter().zip(segments);
        let renditions = renditions.map(|(track, segments)| rendition(&head, track, segments, target)).collect();
        Ok(Self { presentation: Presentation { tag, target, head, renditions }, sources })
    }

    /// A track and what the configuration makes of it.
    fn find(&self, name: TrackName) -> Result<(&Track, &Rendition)> {
        let presentation = &self.presentation;
        let mut tracks = presentation.head.tracks.iter().zip(&presentation.renditions);
        tracks
            .find(|(track, _)| track.name == name)
            .ok_or_else(|| Error::not_found(format!("the asset has no track {name}")))
    }

    /// The first video track, which audio playlists are aligned to.
    fn reference(&self) -> Option<(&Track, &Rendition)> {
        let presentation = &self.presentation;
        presentation.head.tracks.iter().zip(&presentation.renditions).find(|(track, _)| track.is_video())
    }
}

/// The timed metadata that segments of `track` carry: those of video do, or of audio when there is no video.
fn carrier<'a>(head: &'a Head, track: &'a Track) -> Carrier<'a> {
    let carries = match track.media {
        Media::Video(_) => true,
        Media::Audio(_) => !head.tracks.iter().any(Track::is_video),
        Media::Text(_) | Media::Metadata => false,
    };
    let events = head.tracks.iter().find(|t| t.media == Media::Metadata && carries);
    Carrier { track, events }
}

fn rendition(head: &Head, track: &Track, segments: Vec<Segment>, target: u32) -> Rendition {
    let carrier = carrier(head, track);
    let bytes = segments.iter().map(|segment| fmp4::length(carrier, segment));
    let (peak_bandwidth, average_bandwidth) = bandwidth(&segments, bytes, track.timescale, target);
    let mut rendition = Rendition { segments, peak_bandwidth, average_bandwidth, iframe_bandwidth: 0 };
    if track.is_video() {
        let frames = iframes(carrier, &rendition.segments);
        let ends = frames.iter().skip(1).map(|f| f.time).chain([track.end]);
        let rates = frames.iter().zip(ends).map(|(frame, end)| {
            let bits = u128::from(frame.range.end - frame.range.start) * 8 * u128::from(track.timescale);
            // A last group of pictures of a few frames would claim a rate that nobody has to sustain.
            let ticks = end.saturating_sub(frame.time).max(u64::from(track.timescale) / 2);
            u64::try_from(bits / u128::from(ticks.max(1))).unwrap_or(u64::MAX)
        });
        rendition.iframe_bandwidth = rates.max().unwrap_or(0);
    }
    rendition
}

fn iframes(carrier: Carrier<'_>, segments: &[Segment]) -> Vec<Iframe> {
    let numbered = (1u32..).zip(segments);
    let frames = numbered.flat_map(|(number, segment)| {
        fmp4::iframes(carrier, segment).into_iter().map(move |(time, range)| Iframe { segment: number, time, range })
    });
    frames.collect()
}

/// The state machine of one request.
#[derive(Debug)]
pub struct Job {
    route: Route,
    documents: Documents,
    tag: u64,
    prepared: Option<Arc<Prepared>>,
    /// What was asked for last, and what has come of it.
    fetches: Vec<(Range<u64>, Option<Bytes>)>,
}

impl Job {
    /// Starts a job. `prepared` is what an earlier job for the same two documents learnt.
    ///
    /// # Errors
    /// `NotFound` when the route does not fit the documents.
    pub fn new(route: Route, documents: Documents, prepared: Option<Arc<Prepared>>) -> Result<Self> {
        let configuration = &documents.configuration;
        let tag = tag(&documents);
        match &route.resource {
            Resource::Manifest { name, extension } => {
                let own = configuration.package_type.manifest_extension();
                if *name != configuration.manifest_name || *extension != own {
                    let (name, extension) = (&configuration.manifest_name, own.as_str());
                    return Err(Error::not_found(format!("the manifest of this configuration is {name}.{extension}")));
                }
            }
            Resource::Tagged { tag: asked, file, .. } => {
                if *asked != tag {
                    let message =
                        format!("the tag {asked:016x} is out of date: the asset or its packaging has changed");
                    return Err(Error::not_found(message));
                }
                let playlist = matches!(file, TrackFile::Playlist | TrackFile::IframePlaylist);
                if playlist && configuration.package_type == PackageType::Dash {
                    return Err(Error::not_found("this configuration has no playlists: it makes DASH"));
                }
            }
        }
        Ok(Self { route, documents, tag, prepared, fetches: Vec::new() })
    }

    /// Says what to do next.
    ///
    /// # Errors
    /// `NotFound` for what is not in the asset, `BadSource` for an index that breaks its format.
    pub fn step(&mut self) -> Result<Step> {
        if !self.fetches.iter().all(|(_, bytes)| bytes.is_some()) {
            return Ok(self.ask());
        }
        let Some(prepared) = self.prepared.clone() else {
            let Some((_, Some(head))) = self.fetches.first() else {
                self.fetches = vec![(0..self.documents.asset.index.head_bytes, None)];
                return Ok(self.ask());
            };
            self.prepared = Some(Arc::new(Prepared::new(&self.documents, self.tag, head)?));
            self.fetches.clear();
            return self.step();
        };
        match self.route.resource {
            Resource::Manifest { .. } => self.manifest(&prepared).map(Step::Done),
            Resource::Tagged { track, file: TrackFile::Segment { number, .. }, .. } => {
                self.segment(&prepared, track, number)
            }
            Resource::Tagged { track, file, .. } => self.track_file(&prepared, track, file).map(Step::Done),
        }
    }

    /// Brings the bytes of a fetch.
    ///
    /// # Errors
    /// `Upstream` when the length is not what was asked for.
    pub fn supply(&mut self, id: u32, bytes: Bytes) -> Result<()> {
        let fetch =
            self.fetches.get_mut(id as usize).ok_or_else(|| Error::internal(format!("no fetch has the id {id}")))?;
        if bytes.len() as u64 != fetch.0.end - fetch.0.start {
            return Err(Error::upstream(format!(
                "{} bytes of the index came for the range {:?}",
                bytes.len(),
                fetch.0
            )));
        }
        fetch.1 = Some(bytes);
        Ok(())
    }

    /// What this job learnt from the index's head, once it has it.
    pub fn prepared(&self) -> Option<Arc<Prepared>> {
        self.prepared.clone()
    }

    fn ask(&self) -> Step {
        let missing = (0u32..).zip(&self.fetches).filter(|(_, (_, bytes))| bytes.is_none());
        Step::Fetch(missing.map(|(id, (range, _))| Fetch { id, range: range.clone() }).collect())
    }

    fn manifest(&self, prepared: &Prepared) -> Result<Response> {
        let selection = &self.documents.configuration.stream_selection;
        let (content_type, text) = match self.documents.configuration.package_type {
            PackageType::Hls | PackageType::Cmaf => {
                (hls::CONTENT_TYPE, hls::multivariant(&prepared.presentation, selection)?)
            }
            PackageType::Dash => (dash::CONTENT_TYPE, dash::mpd(&prepared.presentation, selection)?),
        };
        Ok(self.respond(content_type, CacheClass::VodManifest, vec![Part::Bytes(text.into())]))
    }

    fn track_file(&self, prepared: &Prepared, name: TrackName, file: TrackFile) -> Result<Response> {
        let (track, rendition) = prepared.find(name)?;
        let (content_type, bytes) = match file {
            TrackFile::Playlist => {
                let reference = if track.is_video() { None } else { prepared.reference() };
                (hls::CONTENT_TYPE, hls::media(track, rendition, reference).into())
            }
            TrackFile::IframePlaylist if track.is_video() => (
                hls::CONTENT_TYPE,
                hls::iframes(track, &iframes(carrier(&prepared.presentation.head, track), &rendition.segments)).into(),
            ),
            TrackFile::IframePlaylist => {
                return Err(Error::not_found(format!("track {name} is audio: it has no I-frames")));
            }
            TrackFile::Init(period) => {
                let hevc = match self.documents.configuration.package_type {
                    PackageType::Hls | PackageType::Cmaf => HevcEntry::Hvc1,
                    PackageType::Dash => HevcEntry::Stored,
                };
                let mut periods = segmenter::periods(&prepared.presentation.head);
                let cut = (period as usize).checked_sub(1).and_then(|n| periods.nth(n));
                let cut = cut.ok_or_else(|| Error::not_found(format!("the asset has no period {period}")))?;
                let description = track.fragments.get(cut).map_or(1, |f| f.description);
                (media_type(track), init::write(track, hevc, description))
            }
            TrackFile::Text | TrackFile::Segment { .. } => return Err(Error::internal("a segment is made elsewhere")),
        };
        Ok(self.respond(content_type, CacheClass::Immutable, vec![Part::Bytes(bytes)]))
    }

    fn segment(&mut self, prepared: &Prepared, name: TrackName, number: u32) -> Result<Step> {
        let (track, rendition) = prepared.find(name)?;
        let segment = (number as usize).checked_sub(1).and_then(|n| rendition.segments.get(n));
        let segment = segment.ok_or_else(|| {
            Error::not_found(format!("track {name} has segments 1 to {}, not {number}", rendition.segments.len()))
        })?;
        let carrier = carrier(&prepared.presentation.head, track);
        let tracks: Vec<&Track> = [Some(track), carrier.events].into_iter().flatten().collect();
        let Some(blocks) = self.fetch(&tracks, segment)? else { return Ok(self.ask()) };
        let mut stored =
            tracks.iter().zip(&blocks).map(|(track, blocks)| Stored { track, blocks, sources: &prepared.sources });
        let own = stored.next().ok_or_else(|| Error::internal("a segment without a track"))?;
        let parts = fmp4::write(own, stored.next(), segment)?;
        Ok(Step::Done(self.respond(media_type(track), CacheClass::Immutable, parts)))
    }

    /// The blocks of these tracks for a segment; `None` when they have to be asked for first.
    fn fetch(&mut self, tracks: &[&Track], segment: &Segment) -> Result<Option<Vec<Bytes>>> {
        let wanted: Vec<Range<u64>> = tracks.iter().map(|track| track.blocks(segment.fragments.clone())).collect();
        let bytes = wanted.iter().fold(0, |sum: u64, range| sum.saturating_add(range.end - range.start));
        if bytes > limits::MAX_SEGMENT_INDEX_BYTES {
            return Err(Error::limit(format!("the index has {bytes} bytes for this segment")));
        }
        if self.fetches.is_empty() && bytes > 0 {
            let pieces = tracks.iter().zip(&wanted).flat_map(|(track, wanted)| track.pieces(wanted));
            self.fetches = pieces.map(|range| (range, None)).collect();
            return Ok(None);
        }
        wanted.iter().map(|wanted| self.blocks(wanted)).collect::<Result<_>>().map(Some)
    }

    /// The wanted stretch of the index out of the pieces that came.
    fn blocks(&self, wanted: &Range<u64>) -> Result<Bytes> {
        let part = |(range, bytes): &(Range<u64>, Option<Bytes>)| {
            let (start, end) = (wanted.start.max(range.start), wanted.end.min(range.end));
            let bytes = bytes.as_ref()?;
            (start < end).then(|| bytes.slice((start - range.start) as usize..(end - range.start) as usize))
        };
        let mut parts = self.fetches.iter().filter_map(part);
        let first = parts.next().unwrap_or_default();
        let blocks = match parts.next() {
            None => first,
            Some(second) => {
                let mut whole = Vec::from(first);
                whole.extend_from_slice(&second);
                parts.for_each(|p| whole.extend_from_slice(&p));
                whole.into()
            }
        };
        if blocks.len() as u64 != wanted.end - wanted.start {
            return Err(Error::internal("the pieces do not hold the blocks of the segment"));
        }
        Ok(blocks)
    }

    fn respond(&self, content_type: &'static str, cache: CacheClass, parts: Vec<Part>) -> Response {
        let digest = Sha256::new().chain_update(self.tag.to_be_bytes()).chain_update(self.route.to_string()).finalize();
        let tag = digest.iter().take(16).fold(0u128, |tag, byte| tag << 8 | u128::from(*byte));
        Response { content_type, cache, etag: format!("\"{tag:032x}\""), parts }
    }
}

/// CMAF tracks by kind (RFC 4337).
fn media_type(track: &Track) -> &'static str {
    match track.media {
        Media::Video(_) => "video/mp4",
        Media::Audio(_) => "audio/mp4",
        Media::Text(_) | Media::Metadata => "application/mp4",
    }
}

/// The tag in the URLs of these documents. Changes whenever a byte of the output may: with the index, the sources, the
/// configuration and the format.
pub fn tag(documents: &Documents) -> u64 {
    let configuration = serde_json::to_vec(&*documents.configuration).unwrap_or_default();
    let asset = &documents.asset;
    let mut hash = Sha256::new();
    hash.update(FORMAT_VERSION.to_be_bytes());
    hash.update(asset.index.digest.as_bytes());
    for source in &asset.sources {
        hash.update((source.path.len() as u64).to_be_bytes());
        hash.update(source.path.as_bytes());
        hash.update(source.bytes.to_be_bytes());
        let etag = source.etag.as_deref().unwrap_or_default();
        hash.update((etag.len() as u64).to_be_bytes());
        hash.update(etag.as_bytes());
    }
    hash.update(configuration);
    hash.finalize().iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
}
