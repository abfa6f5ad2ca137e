//! From renditions that have been read to an index: one timeline, cuts, and what manifests say about each track.

use std::sync::Arc;

use super::cuts::{self, CommonCut, Ladder};
use super::join::Timeline;
use super::layout::{StoredFragments, Transport};
use super::offers;
use super::pass_on::{self, PassedOn};
use super::rendition::Rendition;
use super::select::{self, Wanted};
use super::stream::{SegmentStart, Stream};
use super::tags;
use crate::config::SourceObject;
use crate::error::{Error, Result};
use crate::index::Head;
use crate::index::block::Object;
use crate::index::head::{self, Storage};
use crate::ingest::assemble::{self, Contents, Details};
use crate::ingest::plan::{self, Plan, Track};
use crate::ingest::scan::Scanned;
use crate::ingest::subtitles::Subtitles;
use crate::ingest::texts::{Text, TextReader};
use crate::ingest::{Description, IndexedAsset, SourceFile, limit_warnings};
use crate::ingest::{cutting, metadata};
use crate::limits;
use crate::m3u8::Multivariant;
use crate::media::time::Instant;
use crate::route::TrackKind;
use crate::source::hls::Space;

/// What is left of a stream when its samples have gone into the plan.
#[derive(Debug)]
struct Rest {
    rendition: usize,
    /// Identifier of the track in its rendition.
    id: u32,
    starts: Vec<SegmentStart>,
    transport: Option<Transport>,
    scanned: Scanned,
    /// The samples of text.
    texts: Vec<Vec<u8>>,
    /// How its fragments are stored.
    stored: Option<StoredFragments>,
    /// How many samples the source has of it, if it is in one part.
    unbroken: Option<usize>,
    /// Whether the source says that it is an audio description.
    described: bool,
    /// How its fragments are passed on, if they are.
    passed_on: Option<PassedOn>,
}

/// Where a position of a live timeline has its place.
pub struct Placing<'a> {
    /// When its first picture, or sound where there is none, is presented.
    pub at: Instant,
    /// The decoding time at which a track goes on, in ticks of this timescale, given the rendition, its kind, and its place
    /// among the tracks of that kind in the rendition.
    pub expected: &'a dyn Fn(Owner, u32) -> Option<u64>,
    /// What the paths of all objects begin with.
    pub prefix: &'a str,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Position among the media playlists.
    pub rendition: usize,
    /// Which kind.
    pub kind: TrackKind,
    /// Place among those of its kind in the rendition.
    pub place: usize,
}

/// A head and its blocks, and for each track of a rendition, in the order of the head, where it comes from.
pub struct Composed {
    /// The head.
    pub head: Head,
    /// Its blocks.
    pub blocks: Vec<u8>,
    /// Tracks that the index itself holds come after these.
    pub owners: Vec<Owner>,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
    /// Where tracks end, in decoding time, in the order of `owners`.
    pub ends: Vec<u64>,
}

/// Makes the index.
///
/// # Errors
/// `BadSource`, `Unsupported` or `Limit`: nothing can be played, or the renditions cannot be cut together.
pub fn finish(multivariant: &Multivariant, wanted: &[Wanted], mut renditions: Vec<Rendition>) -> Result<IndexedAsset> {
    for rendition in &mut renditions {
        rendition.finish()?;
    }
    let Composed { head, blocks, warnings, .. } = compose(multivariant, wanted, renditions, None)?;
    let mut asset = assemble::seal(&head, blocks)?;
    asset.warnings = limit_warnings(warnings);
    Ok(asset)
}

/// Makes a head and blocks of renditions that are finished.
///
/// # Errors
/// As [`finish`].
pub fn compose(
    multivariant: &Multivariant,
    wanted: &[Wanted],
    mut renditions: Vec<Rendition>,
    placing: Option<&Placing<'_>>,
) -> Result<Composed> {
    let mut warnings = select::warnings(multivariant);
    let timeline = {
        let streams: Vec<&Stream> = renditions.iter().flat_map(|r| r.content.streams()).collect();
        Timeline::new(&streams)
    };
    let mut media = Vec::new();
    let mut rests = Vec::new();
    for (number, rendition) in renditions.iter_mut().enumerate() {
        for mut stream in rendition.content.take_streams() {
            let unbroken = (stream.parts.len() == 1).then_some(stream.media.samples.len());
            timeline.join(&mut stream);
            let id = stream.media.id;
            let title = format!("{}: track {id}", rendition.media.path);
            if stream.media.samples.is_empty() {
                warnings.push(format!("{title} was left out: it has no samples in movie fragments"));
                continue;
            }
            warnings.extend(stream.warnings.drain(..).map(|w| format!("{title}: {w}")));
            let described = stream.audio_description;
            let Stream { starts, transport, scanned, texts, stored, media: track, .. } = stream;
            let rest = Rest {
                rendition: number,
                id,
                starts,
                transport,
                scanned,
                texts,
                stored,
                unbroken,
                described,
                passed_on: None,
            };
            rests.push(rest);
            media.push((number, track));
        }
        warnings.extend(rendition.take_warnings());
    }
    let files: Vec<SourceFile> = renditions
        .iter()
        .map(|r| SourceFile { path: r.media.path.clone(), bytes: 0, description: Description::default() })
        .collect();
    let at = placing.map(|p| p.at);
    let mut tracks = plan::present(&files, media, at, &mut warnings).map_err(|error| explain(error, &warnings))?;
    let owners = owners(&tracks);
    if let Some(placing) = placing {
        for (track, owner) in tracks.iter_mut().zip(&owners) {
            if let Some(expected) = (placing.expected)(*owner, track.media.timescale) {
                track.go_on(expected);
            }
        }
    }
    let mut rests: Vec<Rest> = tracks
        .iter()
        .map(|track| {
            let rest = rests.iter().position(|r| r.rendition == track.source && r.id == track.media.id);
            rest.map(|at| rests.swap_remove(at)).ok_or_else(|| Error::internal("a track without a rendition"))
        })
        .collect::<Result<_>>()?;
    for (track, rest) in tracks.iter().zip(&mut rests) {
        rest.scanned.drop_first(track.dropped);
        rest.texts.drain(..track.dropped.min(rest.texts.len()));
        for start in &mut rest.starts {
            start.sample = start.sample.saturating_sub(track.dropped);
        }
    }
    let origin = tracks.first().map_or(Instant { ticks: 0, timescale: 1 }, Track::origin);
    let subtitles = subtitles(multivariant, wanted, &mut renditions, &timeline, origin)?;
    warnings.extend(subtitles.iter().flat_map(|s| s.document.warnings.iter().map(|w| format!("{}: {w}", s.path))));
    // Every rendition carries the same tags.
    let tags = renditions.iter_mut().map(|r| r.content.take_tags()).find(|t| !t.is_empty()).unwrap_or_default();
    let mut events = tags::events(tags, &timeline, origin);
    if placing.is_some() {
        // Those before it are not known, but its time is one of its own.
        let first = events.first().map_or(0, |e| e.time / u64::from(metadata::TIMESCALE / 1000));
        events.iter_mut().zip(first..).for_each(|(event, id)| event.id = id as u32);
    }
    let mut plan = cut(tracks, &files, &rests, placing.is_some(), &mut warnings)?;
    if let Some(first) = plan.cuts.first_mut().filter(|_| placing.is_some()) {
        let second = plan.times.first().map_or(0, |t| t.nanoseconds() / 1_000_000_000);
        first.second = u32::try_from(second).unwrap_or(0);
    } else {
        pass_on(&mut plan, &mut rests, !events.is_empty());
    }
    let plan = plan.finish(&files)?;
    let spaces: Vec<Held> = renditions.iter().map(|r| Held::new(&r.space)).collect();
    let offers = offers::offers(multivariant, wanted, &plan);
    let mut texts = Vec::with_capacity(plan.tracks.len());
    for (track, rest) in plan.tracks.iter().zip(&rests) {
        texts.push(read_text(track, &rest.texts).map_err(|e| e.context(track.title(&files)))?);
    }
    let offers = offers.into_iter().zip(texts);
    let details = plan.tracks.iter().zip(&mut rests).zip(offers).map(|((track, rest), (offer, text))| {
        let held = spaces.get(rest.rendition);
        let prefix = match placing {
            Some(placing) => placing.prefix.to_owned(),
            None => held.map_or_else(String::new, |h| h.prefix.clone()),
        };
        let scanned = core::mem::take(&mut rest.scanned);
        let mut captions = offer.captions;
        captions.retain(|c| offers::is_found(&c.channel, &scanned.cea608, &scanned.cea708));
        let mut description = offer.description;
        if rest.described && description.role.is_none() {
            description.role = Some("description".to_owned());
        }
        Details {
            storage: match &rest.transport {
                Some(transport) => Storage::Transport { prefix, stream: transport.stream },
                None => Storage::Objects { prefix },
            },
            objects: held.map_or_else(Vec::new, |h| h.objects.clone()),
            places: rest.transport.as_ref().map_or(&[], |t| t.places.as_slice()),
            description,
            hidden: offer.hidden,
            companion: offer.companion.filter(|_| track.is_video()),
            captions,
            scanned,
            text,
            passed_on: rest.passed_on.take(),
        }
    });
    let details = details.collect();
    let ends = plan.tracks.iter().map(|t| t.decode_time.saturating_add(t.media.duration)).collect();
    let contents = Contents { files: &files, plan: &plan, details, subtitles, events, alone: placing.is_some() };
    let (head, blocks) = assemble::compose(contents, &mut warnings)?;
    Ok(Composed { head, blocks, owners, warnings, ends })
}

fn owners(tracks: &[Track]) -> Vec<Owner> {
    let mut owners: Vec<Owner> = Vec::with_capacity(tracks.len());
    for track in tracks {
        let (rendition, kind) = (track.source, track.name.kind);
        let place = owners.iter().filter(|o| (o.rendition, o.kind) == (rendition, kind)).count();
        owners.push(Owner { rendition, kind, place });
    }
    owners
}

/// Adds to an error what was left out before it, which may be all that there was.
fn explain(error: Error, warnings: &[String]) -> Error {
    const SHOWN: usize = 3;
    if warnings.is_empty() {
        return error;
    }
    let shown: Vec<&str> = warnings.iter().take(SHOWN).map(String::as_str).collect();
    Error::new(error.kind(), format!("{error}; {}", shown.join("; ")))
}

/// Finds the tracks whose fragments can be passed on. Timed metadata are written into the fragments of video, or of sound
/// when there is no video.
fn pass_on(plan: &mut Plan, rests: &mut [Rest], has_events: bool) {
    let has_video = plan.tracks.iter().any(Track::is_video);
    for (track, rest) in plan.tracks.iter_mut().zip(rests) {
        let carries = has_events && (track.is_video() || !has_video);
        let unbroken = rest.unbroken == Some(track.media.samples.len());
        if let Some(stored) = rest.stored.as_ref().filter(|_| !carries) {
            rest.passed_on = pass_on::pass_on(track, stored, unbroken);
        }
    }
}

/// What the samples of a text track become.
fn read_text(track: &Track, samples: &[Vec<u8>]) -> Result<Option<Text>> {
    let Some(mut reader) = TextReader::new(track) else { return Ok(None) };
    for (number, sample) in samples.iter().enumerate().take(track.media.samples.len()) {
        if reader.wants(number) {
            reader.push(number, sample)?;
        }
    }
    Ok(Some(reader.finish()))
}

/// The objects of a rendition as blocks name them.
struct Held {
    prefix: String,
    objects: Vec<Object>,
}

impl Held {
    fn new(space: &Space) -> Self {
        let objects: Vec<Object> = space
            .objects()
            .iter()
            .map(|o| {
                let object = SourceObject { path: o.path.clone(), bytes: o.bytes, etag: o.etag.clone() };
                Object { base: o.base, object: Arc::new(object) }
            })
            .collect();
        let first = objects.first().map_or("", |o| o.object.path.as_str());
        let shared = objects.iter().map(|o| common_bytes(first, &o.object.path)).min().unwrap_or(0);
        let shared = first.get(..shared).unwrap_or_default();
        let folder = shared.rfind('/').map_or(0, |at| at + 1);
        let prefix = shared.get(..folder).unwrap_or_default().to_owned();
        Self { prefix, objects }
    }
}

fn common_bytes(a: &str, b: &str) -> usize {
    let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    (0..=common).rev().find(|at| a.is_char_boundary(*at)).unwrap_or(0)
}

/// Cuts all tracks.
fn cut(
    mut tracks: Vec<Track>,
    files: &[SourceFile],
    rests: &[Rest],
    live: bool,
    warnings: &mut Vec<String>,
) -> Result<Plan> {
    let mut ladders = Vec::new();
    for (track, rest) in tracks.iter_mut().zip(rests).filter(|(t, _)| t.is_video()) {
        let rendition = track.rendition(files);
        let (starts, late) = sync_starts(&rendition.syncs, &rest.starts, track.media.samples.len());
        if late > 0 {
            warnings.push(format!("{}: {late} segments do not begin with a sync sample", rendition.name));
        }
        ladders.push(Ladder { rendition, starts });
    }
    let common = match ladders.as_slice() {
        [] => audio_cuts(&tracks, rests),
        ladders => cuts::common(ladders)?,
    };
    let longest = common.windows(2).map(|w| w[1].time.saturating_sub(w[0].time)).max().unwrap_or(0);
    if longest > 1_000_000_000 * i64::from(*limits::SEGMENT_SECONDS.end()) {
        warnings
            .push(format!("sync samples are up to {} s apart, so segments will be that long", longest / 1_000_000_000));
    }
    let mut cuts: Vec<head::Cut> = common.iter().map(|c| c.cut).collect();
    let mut times: Vec<Instant> = common.iter().map(|c| Instant { ticks: c.time, timescale: 1_000_000_000 }).collect();
    // What a position has of sound after its pictures is presented with those of the next one.
    if !ladders.is_empty() && !live {
        let seconds: Vec<u32> = cuts.iter().map(|c| c.second).collect();
        for second in cutting::seconds_after_video(&tracks, &seconds) {
            cuts.push(head::Cut { second, ..head::Cut::default() });
            times.push(Instant { ticks: i64::from(second), timescale: 1 });
        }
    }
    if cuts.len() > limits::MAX_CUTS {
        return Err(Error::limit(format!("{} cuts are more than {}", cuts.len(), limits::MAX_CUTS)));
    }
    let mut video = 0;
    for (track, rest) in tracks.iter_mut().zip(rests) {
        if track.is_video() {
            track.cuts = common.iter().filter_map(|c: &CommonCut| c.samples.get(video).copied()).collect();
            track.cuts.resize(cuts.len(), track.media.samples.len());
            video += 1;
        } else {
            track.cut_at(&times);
            snap(track, &rest.starts, &cuts, &times);
        }
    }
    Ok(Plan { tracks, cuts, times })
}

/// The renditions of subtitles, in presentation times.
fn subtitles(
    multivariant: &Multivariant,
    wanted: &[Wanted],
    renditions: &mut [Rendition],
    timeline: &Timeline,
    origin: Instant,
) -> Result<Vec<Subtitles>> {
    let mut tracks = Vec::new();
    for (wanted, rendition) in wanted.iter().zip(renditions) {
        let Some(read) = rendition.content.take_subtitles() else { continue };
        let Some(described) = wanted.rendition(multivariant) else { continue };
        let path = rendition.media.path.clone();
        let document = read.finish(&rendition.segment_starts(), timeline, origin);
        let document = document.map_err(|e| e.context(&path))?;
        tracks.push(Subtitles { path, document, description: offers::subtitles(described) });
    }
    Ok(tracks)
}

/// The first sync sample of each segment, and how many segments do not begin with it.
fn sync_starts(
    syncs: &[crate::media::cuts::SyncSample],
    starts: &[SegmentStart],
    samples: usize,
) -> (Vec<usize>, usize) {
    let mut found = Vec::new();
    let mut late = 0;
    let ends = starts.iter().skip(1).map(|s| s.sample).chain([samples]);
    for (start, end) in starts.iter().zip(ends) {
        let at = syncs.partition_point(|s| s.sample < start.sample);
        match syncs.get(at).map(|s| s.sample).filter(|s| *s < end) {
            Some(sample) => {
                late += usize::from(sample > start.sample);
                found.push(sample);
            }
            None => late += usize::from(start.sample < end),
        }
    }
    found.dedup();
    (found, late)
}

/// How far sound and picture may part at a cut so that a segment needs no bytes of its neighbour, in seconds.
const SNAP: f64 = 0.5;

/// Moves the cuts of audio to where its own segments begin, and to where its sample entry changes, if that is near.
fn snap(track: &mut Track, starts: &[SegmentStart], cuts: &[head::Cut], times: &[Instant]) {
    let samples = &track.media.samples;
    let changes = samples.windows(2).enumerate().filter(|(_, w)| w[0].description != w[1].description);
    let changes: Vec<usize> = changes.map(|(n, _)| n + 1).collect();
    let mut places: Vec<usize> = starts.iter().map(|s| s.sample).chain(changes.iter().copied()).collect();
    places.sort_unstable();
    places.dedup();
    let mut wanted = places.iter().copied().peekable();
    let timescale = track.media.timescale;
    let timed: Vec<(usize, i64)> =
        track.presented_times().enumerate().filter(|(n, _)| wanted.next_if_eq(n).is_some()).collect();
    let reach = (f64::from(timescale) * SNAP) as i64;
    let mut last = 0;
    for ((at, cut), time) in track.cuts.iter_mut().zip(cuts).zip(times).skip(1) {
        let time = time.in_timescale(timescale);
        let after = timed.partition_point(|(_, t)| *t < time);
        let near = timed.get(after.saturating_sub(1)..(after + 1).min(timed.len())).unwrap_or_default();
        let near = near.iter().filter(|(n, t)| *n > last && t.abs_diff(time) <= reach.unsigned_abs());
        // A change of the sample entry has to be a cut; a segment start need not.
        let near = near.filter(|(n, _)| cut.source_segment || changes.binary_search(n).is_ok());
        if let Some((sample, _)) = near.min_by_key(|(_, t)| t.abs_diff(time)) {
            *at = *sample;
        }
        *at = (*at).max(last);
        last = *at;
    }
}

/// Without video the segments of the first track are the cuts, and between them one a second.
fn audio_cuts(tracks: &[Track], rests: &[Rest]) -> Vec<CommonCut> {
    const SECOND: i64 = 1_000_000_000;
    let mut audio = tracks.iter().zip(rests).filter(|(t, _)| t.name.kind == TrackKind::Audio);
    let Some((track, rest)) = audio.next() else { return Vec::new() };
    let mut starts = rest.starts.iter().map(|s| s.sample).peekable();
    let mut cuts: Vec<CommonCut> = Vec::new();
    for (number, ticks) in track.presented_times().enumerate() {
        let mut segment = number == 0;
        while starts.next_if(|s| *s <= number).is_some() {
            segment = true;
        }
        let time = Instant { ticks, timescale: track.media.timescale }.nanoseconds().max(0);
        let far = cuts.last().is_none_or(|last| time.saturating_sub(last.time) >= SECOND);
        if segment || far {
            let second = if number == 0 { 0 } else { u32::try_from(time / SECOND).unwrap_or(u32::MAX) };
            let cut = head::Cut { second, source_segment: segment, period: false };
            cuts.push(CommonCut { cut, time, samples: Vec::new() });
        }
    }
    cuts
}
