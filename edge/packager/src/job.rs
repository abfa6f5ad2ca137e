//! The one contract of the core: a [`Job`] turns a [`Route`] into fetches and then into a [`Response`].
//!
//! The caller loops: [`Job::step`] says what to fetch, [`Job::supply`] brings it, until `step` says `Done`. Nothing here
//! waits, and nothing asks for more than the request needs.

use core::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::config::{Access, Asset, PackageType, PackagingConfiguration};
use crate::error::{Error, Result};
use crate::index::Track;
use crate::index::cues::CueReader;
use crate::index::head::{Media, Text, TextFormat};
use crate::limits;
use crate::manifest::{dash, hls};
use crate::media::delivery::Delivery;
use crate::media::presentation::Rendition;
use crate::media::protection::{Keys, TrackProtection};
use crate::media::segmenter::{self, Segment};
use crate::prepared::{self, Prepared};
use crate::response::{CacheClass, FORMAT_VERSION, Part, Response};
use crate::route::{Resource, Route, SegmentFormat, TrackFile, TrackName};
use crate::segment::gather::{Stored, fragment_data};
use crate::segment::init::HevcEntry;
use crate::segment::transport::{self, Blocks};
use crate::segment::{fmp4, init, ts, webvtt, wvtt};
use crate::text::CueRef;

/// The documents that a route needs, found by [`Route::configuration_key`] and [`Route::asset_key`].
#[derive(Clone, Debug)]
pub struct Documents {
    /// The packaging configuration.
    pub configuration: Arc<PackagingConfiguration>,
    /// The asset.
    pub asset: Arc<Asset>,
    /// Its content keys under the configuration, when that protects its output; found by [`Route::keys_key`].
    pub keys: Option<Arc<Keys>>,
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
        if let Some(protection) = &configuration.protection {
            let keys = documents.keys.as_ref();
            let keys = keys.ok_or_else(|| Error::upstream("the content keys of this asset are not at this edge"))?;
            if keys.scheme != protection.scheme {
                let (keys, wanted) = (keys.scheme.as_str(), protection.scheme.as_str());
                let message =
                    format!("the content keys at this edge are for {keys}, the configuration is for {wanted}");
                return Err(Error::upstream(message));
            }
        }
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
            Resource::Tagged { track, file: TrackFile::Segment { number, format }, .. } => {
                let (track, rendition) = prepared.find(track)?;
                let delivered = rendition.delivery.format();
                if delivered != Some(format) {
                    let message = match delivered {
                        Some(own) => format!("segments of track {} end in .{}", track.name, own.extension()),
                        None => format!("track {} has no segments here", track.name),
                    };
                    return Err(Error::not_found(message));
                }
                self.segment(&prepared, track, rendition, number)
            }
            Resource::Tagged { track, file: TrackFile::Text, .. } => {
                let (track, rendition) = prepared.find(track)?;
                let (Delivery::WebvttFile, Some(first)) = (rendition.delivery, rendition.segments.first()) else {
                    return Err(Error::not_found(format!("track {} has no such file", track.name)));
                };
                let whole = Segment { fragments: 0..track.fragments.len(), ..first.clone() };
                self.text(&prepared, track, rendition.delivery, &whole)
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
        let (content_type, text) = match self.documents.configuration.package_type {
            PackageType::Hls | PackageType::Cmaf => (hls::CONTENT_TYPE, hls::multivariant(&prepared.presentation)?),
            PackageType::Dash => (dash::CONTENT_TYPE, dash::mpd(&prepared.presentation)?),
        };
        Ok(self.respond(content_type, CacheClass::VodManifest, vec![Part::Bytes(text.into())]))
    }

    fn track_file(&self, prepared: &Prepared, name: TrackName, file: TrackFile) -> Result<Response> {
        let (track, rendition) = prepared.find(name)?;
        let head = &prepared.presentation.head;
        let missing = |what: &str| Err(Error::not_found(format!("track {name} has no {what}")));
        let (content_type, bytes) = match file {
            TrackFile::Playlist => {
                let reference = if track.is_video() { None } else { prepared.reference() };
                (hls::CONTENT_TYPE, hls::media(head, track, rendition, reference)?.into())
            }
            TrackFile::IframePlaylist if track.is_video() && rendition.has_iframes() => {
                let frames = prepared::iframes(head, track, rendition);
                (hls::CONTENT_TYPE, hls::iframes(head, track, rendition, &frames)?.into())
            }
            TrackFile::IframePlaylist => return missing("I-frames"),
            TrackFile::Init(period) if rendition.delivery.format() == Some(SegmentFormat::Cmaf) => {
                let configuration = &self.documents.configuration;
                let hevc = HevcEntry::of(configuration.package_type);
                let in_moov = configuration.protection.as_ref().is_some_and(|p| p.pssh_in_moov);
                let mut periods = segmenter::periods(head);
                let cut = (period as usize).checked_sub(1).and_then(|n| periods.nth(n));
                let cut = cut.ok_or_else(|| Error::not_found(format!("the asset has no period {period}")))?;
                let protection = rendition.protection.as_ref().map(|p| protected_init(p, in_moov)).transpose()?;
                (media_type(track), init::write(track, hevc, track.description(cut), protection.as_ref())?)
            }
            TrackFile::Init(_) => return missing("init segment"),
            TrackFile::Text | TrackFile::Segment { .. } => return missing("such file"),
        };
        Ok(self.respond(content_type, CacheClass::Immutable, vec![Part::Bytes(bytes)]))
    }

    fn segment(&mut self, prepared: &Prepared, track: &Track, rendition: &Rendition, number: u32) -> Result<Step> {
        let name = track.name;
        let segment = (number as usize).checked_sub(1).and_then(|n| rendition.segments.get(n));
        let segment = segment.ok_or_else(|| {
            Error::not_found(format!("track {name} has segments 1 to {}, not {number}", rendition.segments.len()))
        })?;
        if let Delivery::Webvtt | Delivery::Wvtt = rendition.delivery {
            return self.text(prepared, track, rendition.delivery, segment);
        }
        let head = &prepared.presentation.head;
        let (audio, events) = match rendition.delivery {
            Delivery::Transport { audio } => {
                let program = prepared::program(head, track, rendition, audio);
                (program.audio, program.events)
            }
            Delivery::Cmaf => (None, prepared::events(head, track)),
            _ => (None, None),
        };
        let tracks: Vec<&Track> = [Some(track), audio, events].into_iter().flatten().collect();
        let Some(blocks) = self.fetch(&tracks, segment)? else { return Ok(self.ask()) };
        let stored = |wanted: &Track| {
            let at = tracks.iter().position(|t| t.name == wanted.name);
            let found = at.and_then(|at| tracks.get(at).copied().zip(blocks.get(at)));
            let found = found.map(|(track, blocks)| Stored { track, blocks, sources: &prepared.sources });
            found.ok_or_else(|| Error::internal("a segment without its track"))
        };
        let own = stored(track)?;
        let (audio, events) = (audio.map(stored).transpose()?, events.map(stored).transpose()?);
        let encryption = || {
            let reference = if track.is_video() { None } else { prepared.reference() };
            prepared::encryption(rendition, number as usize - 1, reference)
        };
        let parts = match rendition.delivery {
            Delivery::Cmaf => {
                let protection = rendition.protection.as_ref().map(|p| p.segment(number as usize - 1));
                let salt = &self.documents.asset.index.digest;
                let before = fmp4::Preceding::default();
                fmp4::write(&fmp4::Source { track: own, events, protection, salt, before }, segment)?
            }
            Delivery::Transport { .. } => {
                let before = ts::Before { segments: u64::from(number) - 1, ..ts::Before::default() };
                vec![transport::write(head, Blocks { video: own, audio, events }, segment, before, encryption()?)?]
            }
            Delivery::Packed(_) => vec![transport::write_packed(own, segment, encryption()?)?],
            Delivery::Webvtt | Delivery::Wvtt | Delivery::WebvttFile | Delivery::Absent => {
                return Err(Error::internal("a segment in no form"));
            }
        };
        let content_type = content_type(track, rendition.delivery);
        Ok(Step::Done(self.respond(content_type, CacheClass::Immutable, parts)))
    }

    /// The cues of a segment in one of their forms.
    fn text(&mut self, prepared: &Prepared, track: &Track, delivery: Delivery, segment: &Segment) -> Result<Step> {
        let Some(blocks) = self.fetch(&[track], segment)? else { return Ok(self.ask()) };
        let stored = Stored { track, blocks: blocks.first().map_or(&[], AsRef::as_ref), sources: &prepared.sources };
        let cues = cues(stored, segment)?;
        let package_type = self.documents.configuration.package_type;
        let bytes = text_segment(track, delivery, package_type, segment, &cues)?;
        Ok(Step::Done(self.respond(content_type(track, delivery), CacheClass::Immutable, vec![Part::Bytes(bytes)])))
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

/// The cues of a segment of subtitles.
pub(crate) fn cues<'a>(stored: Stored<'a>, segment: &Segment) -> Result<Vec<CueRef<'a>>> {
    let mut reader = CueReader::new();
    for number in segment.fragments.clone() {
        let at = stored.track.fragments.get(number).map_or(0, |f| f.block_offset);
        reader.read(fragment_data(stored, segment, number)?, at)?;
    }
    Ok(reader.finish())
}

/// Cues in one of their forms.
pub(crate) fn text_segment(
    track: &Track,
    delivery: Delivery,
    package_type: PackageType,
    segment: &Segment,
    cues: &[CueRef<'_>],
) -> Result<Bytes> {
    let header = match &track.media {
        Media::Text(Text { format: TextFormat::Webvtt { header }, .. }) => header.as_str(),
        _ => "",
    };
    Ok(match delivery {
        Delivery::Wvtt => {
            let time = segment.start..segment.end.max(segment.start.saturating_add(1));
            let sequence = segment.fragments.start as u32 + 1;
            wvtt::segment(&wvtt::Segment { time, sequence, cues })?
        }
        Delivery::WebvttFile => webvtt::file(header, cues),
        // Presentation time 0 of the media segments next to it.
        _ if package_type == PackageType::Hls => webvtt::segment(header, cues, ts::TIME_OFFSET.unsigned_abs()),
        _ => webvtt::segment(header, cues, 0),
    })
}

/// What the init segment of a protected track says.
pub(crate) fn protected_init(protection: &TrackProtection, in_moov: bool) -> Result<init::Protection> {
    let key = protection.main()?;
    let boxes = key.signalling.iter().filter_map(|s| s.pssh.as_ref()).filter(|_| in_moov);
    let boxes = boxes.map(|text| STANDARD.decode(text).map_err(|e| Error::bad_source(format!("pssh: {e}"))));
    Ok(init::Protection {
        scheme: protection.scheme,
        kid: key.kid,
        iv: key.iv,
        pssh: boxes.collect::<Result<_>>()?,
        clear_lead: protection.clear_segments > 0,
    })
}

/// CMAF tracks by kind (RFC 4337).
pub(crate) fn media_type(track: &Track) -> &'static str {
    match track.media {
        Media::Video(_) => "video/mp4",
        Media::Audio(_) => "audio/mp4",
        Media::Text(_) | Media::Metadata => "application/mp4",
    }
}

/// Media type of the segments of a track.
pub(crate) fn content_type(track: &Track, delivery: Delivery) -> &'static str {
    match delivery.format() {
        None if delivery == Delivery::WebvttFile => "text/vtt",
        Some(SegmentFormat::Cmaf) | None => media_type(track),
        Some(SegmentFormat::Ts) => "video/mp2t",
        Some(SegmentFormat::Aac) => "audio/aac",
        Some(SegmentFormat::Ac3) => "audio/ac3",
        Some(SegmentFormat::Eac3) => "audio/eac3",
        Some(SegmentFormat::Mp3) => "audio/mpeg",
        Some(SegmentFormat::Webvtt) => "text/vtt",
    }
}

/// The tag in the URLs of these documents. Changes whenever a byte of the output may: with the index, the sources, the
/// configuration and the format.
pub fn tag(documents: &Documents) -> u64 {
    // Who may play changes no byte.
    let configuration = PackagingConfiguration { access: Access::default(), ..(*documents.configuration).clone() };
    let configuration = serde_json::to_vec(&configuration).unwrap_or_default();
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
    if let Some(keys) = &documents.keys {
        hash.update(keys.fingerprint());
    }
    hash.finalize().iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
}
