//! The segments of all renditions for one time, as a position of the timeline.

use super::layout::{Layout, Owners, difference};
use super::reader::Checked;
use crate::error::{Error, Result};
use crate::index::block;
use crate::index::head::{Cut, Media};
use crate::index::{Fragment, Head, Track, events};
use crate::ingest::hls::content::Content;
use crate::ingest::hls::finish::{Composed, Owner, Placing, compose};
use crate::ingest::hls::rendition::Rendition;
use crate::ingest::hls::select;
use crate::m3u8::{self, Multivariant, RenditionKind, Variant};
use crate::media::time::Instant;
use crate::route::TrackKind;

/// What one input has for one time.
#[derive(Debug)]
pub struct Set<'a> {
    /// What the encoder says of its renditions; `None` when all there is is one media playlist.
    pub multivariant: Option<&'a Multivariant>,
    /// For each media playlist in the order of [`Set::playlists`] its segment; `None` for one that is lost.
    pub segments: Vec<Option<Checked>>,
    /// What the paths of all objects begin with.
    pub prefix: &'a str,
}

/// A position.
#[derive(Debug)]
pub struct Position {
    /// Its head, of one or more cuts; the times are those of the timeline.
    pub head: Head,
    /// For each track in the order of the head its blocks.
    pub blocks: Vec<u8>,
    /// What the next position is held against.
    pub layout: Layout,
    /// Why it cannot belong to the period of the layout that it was held against.
    pub change: Option<String>,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
}

impl Set<'_> {
    /// The names of the media playlists that carry sound and picture, in order.
    ///
    /// # Errors
    /// `Limit` with too many.
    pub fn playlists(multivariant: &Multivariant) -> Result<Vec<String>> {
        Ok(wanted(multivariant)?.into_iter().map(|w| w.path).collect())
    }
}

/// The media playlists that carry sound and picture: subtitles are not taken from live channels.
fn wanted(multivariant: &Multivariant) -> Result<Vec<select::Wanted>> {
    let mut wanted = select::wanted(multivariant)?;
    wanted.retain(|w| !w.is_text(multivariant));
    Ok(wanted)
}

/// The multivariant playlist of a channel that has none.
fn alone(path: &str) -> Multivariant {
    let variant = Variant {
        line: 0,
        path: path.to_owned(),
        bandwidth: 0,
        codecs: None,
        audio: None,
        video: None,
        subtitles: None,
        closed_captions: None,
    };
    Multivariant { path: path.to_owned(), variants: vec![variant], renditions: Vec::new() }
}

/// Makes a position whose first picture, or sound where there is none, is presented at `at`. `layout` is that of the period so
/// far; without one, all renditions have to be there.
///
/// # Errors
/// `BadSource` when the segments do not belong together, or one is missing that has to be there; `Unsupported` or `Limit` as an
/// ingest.
pub fn position(set: Set<'_>, at: Instant, layout: Option<&Layout>) -> Result<Position> {
    let own;
    let multivariant = match set.multivariant {
        Some(multivariant) => multivariant,
        None => {
            own = alone("the playlist");
            &own
        }
    };
    let wanted = wanted(multivariant)?;
    if set.segments.len() != wanted.len() {
        let (segments, playlists) = (set.segments.len(), wanted.len());
        return Err(Error::internal(format!("{segments} segments of {playlists} playlists")));
    }
    if let Some(lost) = set.segments.iter().position(Option::is_none).filter(|_| layout.is_none()) {
        let path = wanted.get(lost).map_or("", |w| w.path.as_str());
        return Err(Error::bad_source(format!("the first segment of {path} is missing")));
    }
    let complete = set.segments.iter().all(Option::is_some);
    let renditions = set.segments.into_iter().zip(&wanted);
    let renditions = renditions.map(|(checked, wanted)| rendition(checked, &wanted.path)).collect();
    let expected = |owner: Owner, timescale: u32| {
        let layout = layout?;
        layout.end(layout.find(Some(owner))?, timescale)
    };
    let placing = Placing { at, expected: &expected, prefix: set.prefix };
    let Composed { mut head, blocks, owners, warnings, mut ends } =
        compose(multivariant, &wanted, renditions, Some(&placing))?;
    if head.cuts.iter().any(|c| c.period) {
        return Err(Error::unsupported("the sample entry changes inside a segment"));
    }
    if let Some(first) = head.cuts.first_mut() {
        first.source_segment = true;
    }
    let mut offset = 0;
    for fragment in head.tracks.iter_mut().flat_map(|t| &mut t.fragments) {
        fragment.block_offset = offset;
        offset += u64::from(fragment.block_bytes);
    }
    announce(&mut head, &owners, &wanted, multivariant);
    ends.resize(head.tracks.len(), 0);
    let owners = Owners::new(&owners, head.tracks.len());
    let found = Layout::new(&head, owners.clone(), ends)?;
    let Some(layout) = layout else {
        return Ok(Position { head, blocks, layout: found, change: None, warnings });
    };
    fit(Found { head, blocks, layout: found, warnings, complete }, layout, at)
}

/// A rendition of one segment.
fn rendition(checked: Option<Checked>, path: &str) -> Rendition {
    let mut rendition = Rendition::new(m3u8::Media { path: path.to_owned(), ..m3u8::Media::default() }, false);
    if let Some(checked) = checked {
        rendition.content = checked.content;
        rendition.space = checked.space;
    } else {
        rendition.content = Content::Unknown;
    }
    rendition
}

/// Sets the bit rates to those that the encoder announces, for a variant what is left of it for pictures; a rate that it does
/// not announce stays the one that was found.
fn announce(head: &mut Head, owners: &[Owner], wanted: &[select::Wanted], multivariant: &Multivariant) {
    let audio: Vec<(Owner, u64)> = owners
        .iter()
        .zip(&head.tracks)
        .filter(|(o, _)| o.kind == TrackKind::Audio)
        .map(|(o, t)| (*o, t.average_bitrate))
        .collect();
    for (owner, track) in owners.iter().zip(&mut head.tracks) {
        if !track.is_video() {
            continue;
        }
        let variant = wanted.get(owner.rendition).and_then(|w| w.variant).and_then(|n| multivariant.variants.get(n));
        let Some(bandwidth) = variant.map(|v| v.bandwidth).filter(|b| *b > 0) else { continue };
        let apart = multivariant.renditions.iter().any(|r| r.kind == RenditionKind::Audio && r.path.is_some());
        let beside = audio.iter().filter(|(o, _)| apart || o.rendition == owner.rendition).map(|(_, rate)| *rate).max();
        let pictures = bandwidth.saturating_sub(beside.unwrap_or(0)).max(bandwidth / 2);
        track.average_bitrate = pictures;
        track.peak_bitrate = track.peak_bitrate.max(pictures);
    }
}

/// A position without media, from `at` to `end`.
///
/// # Errors
/// `Internal` for a layout without tracks.
pub fn gap(layout: &Layout, at: Instant, end: Instant) -> Result<Position> {
    let second = u32::try_from(at.nanoseconds() / 1_000_000_000).unwrap_or(0);
    let cuts = vec![Cut { second, source_segment: true, period: false }];
    let mut head = Head { alone: true, cuts, tracks: Vec::with_capacity(layout.tracks().len()) };
    let (mut blocks, mut ends) = (Vec::new(), Vec::new());
    for (number, known) in layout.tracks().iter().enumerate() {
        let mut track = known.clone();
        let (start, end) = span(layout, number, at, end);
        leave_out(&mut track, start, 1, &mut blocks);
        track.end = end;
        ends.push(end);
        head.tracks.push(track);
    }
    let layout = Layout::new(&head, layout.owners().clone(), ends)?;
    Ok(Position { head, blocks, layout, change: None, warnings: Vec::new() })
}

/// The tracks of a position as they were found.
struct Found {
    head: Head,
    blocks: Vec<u8>,
    layout: Layout,
    warnings: Vec<String>,
    /// Whether no rendition is missing.
    complete: bool,
}

/// Gives a position the tracks of its period, in their order and with their names; one that is missing has nothing in it.
fn fit(found: Found, layout: &Layout, at: Instant) -> Result<Position> {
    let Found { head, blocks, layout: own, warnings, complete } = found;
    let places: Vec<Option<usize>> = (0..layout.tracks().len()).map(|n| own.find(layout.owner(n))).collect();
    let next = |place: &Option<usize>| place.and_then(|n| head.tracks.get(n));
    let known = layout.tracks().iter().zip(&places);
    let change = known.clone().find_map(|(known, place)| difference(known, next(place)?)).or_else(|| {
        let new = (0..head.tracks.len()).find(|n| !places.contains(&Some(*n)))?;
        head.tracks.get(new).map(|t| format!("track {} is new", t.name))
    });
    if let Some(change) = change {
        if !complete {
            return Err(Error::bad_source(format!("{change}, and other renditions are missing")));
        }
        return Ok(Position { head, blocks, layout: own, change: Some(change), warnings });
    }
    let ends = head.tracks.iter().map(|t| Instant { ticks: t.end as i64, timescale: t.timescale });
    let end = ends.max_by(|a, b| a.order(*b)).unwrap_or(at);
    let mut fitted = Head { alone: true, cuts: head.cuts.clone(), tracks: Vec::with_capacity(places.len()) };
    let (mut out, mut ends) = (Vec::with_capacity(blocks.len()), Vec::with_capacity(places.len()));
    for (number, (known, place)) in known.enumerate() {
        let mut track = known.clone();
        match next(place).zip(place.and_then(|n| own.ends().get(n))) {
            Some((next, ended)) => {
                take(&mut track, next, &blocks, &mut out)?;
                ends.push(*ended);
            }
            None => {
                let (start, end) = span(layout, number, at, end);
                leave_out(&mut track, start, head.cuts.len(), &mut out);
                track.end = end;
                ends.push(end);
            }
        }
        fitted.tracks.push(track);
    }
    let layout = Layout::new(&fitted, layout.owners().clone(), ends)?;
    Ok(Position { head: fitted, blocks: out, layout, change: None, warnings })
}

/// Gives a track what was found of it.
fn take(track: &mut Track, next: &Track, blocks: &[u8], out: &mut Vec<u8>) -> Result<()> {
    for fragment in &next.fragments {
        let start = fragment.block_offset as usize;
        let block = blocks.get(start..start + fragment.block_bytes as usize);
        let block = block.ok_or_else(|| Error::internal("a block that is not there"))?;
        track.fragments.push(Fragment { block_offset: out.len() as u64, ..*fragment });
        out.extend_from_slice(block);
    }
    track.end = next.end;
    // Captions that are found later are announced from then on.
    if let (Media::Video(known), Media::Video(next)) = (&mut track.media, &next.media) {
        for (known, next) in [(&mut known.cea608, &next.cea608), (&mut known.cea708, &next.cea708)] {
            known.extend_from_slice(next);
            known.sort_unstable();
            known.dedup();
        }
    }
    Ok(())
}

/// The time of a position, from `at` to `end`, in ticks of a track that is missing: as long as that, but from where the track
/// ended, if that is near.
fn span(layout: &Layout, track: usize, at: Instant, end: Instant) -> (u64, u64) {
    let timescale = layout.tracks().get(track).map_or(1, |t| t.timescale);
    let ticks = |time: Instant| time.in_timescale(timescale).max(0).unsigned_abs();
    let near = |known: &u64| known.abs_diff(ticks(at)) < u64::from(timescale);
    let start = layout.ends().get(track).copied().filter(near).unwrap_or_else(|| ticks(at));
    (start, start.saturating_add(ticks(end).saturating_sub(ticks(at))))
}

/// Gives a track that is missing, from `time` on, its empty fragments.
fn leave_out(track: &mut Track, time: u64, cuts: usize, out: &mut Vec<u8>) {
    for _ in 0..cuts {
        let start = out.len();
        match track.media {
            Media::Metadata => events::write(time, &[], out),
            _ => block::write(track, &block::Source::default(), out),
        }
        track.fragments.push(Fragment {
            decode_time: time,
            description: 1,
            block_offset: start as u64,
            block_bytes: (out.len() - start) as u32,
            ..Fragment::default()
        });
    }
}
