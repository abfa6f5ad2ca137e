//! DASH media presentation descriptions (ISO/IEC 23009-1, DASH-IF IOP).

mod adaptation;
mod described;
mod live;
mod protection;
mod template;

use core::ops::Range;
use std::io;

use quick_xml::Writer;

use crate::error::{Error, Result};
use crate::index::Track;
use crate::index::head::{Audio, Text, Video};
use crate::media::presentation::{Item, Presentation};
use crate::media::segmenter;
use crate::media::time::Instant;
use crate::route::TrackFile;
use adaptation::Place;

pub use live::live_mpd;

/// Media type of an MPD (ISO/IEC 23009-1, Annex C).
pub const CONTENT_TYPE: &str = "application/dash+xml";

type Xml = Writer<Vec<u8>>;

/// A stretch of the title in which no sample entry changes.
struct Period {
    id: u64,
    /// File name of its init segments.
    init: String,
    /// From its first cut to that of the next one.
    cuts: Range<usize>,
    /// The number of the first segment of the presentation.
    number: u64,
    /// Presentation time of the media that it begins with.
    start: Instant,
    /// `@start`; usually the same.
    at: Instant,
    /// `None` as long as it goes on.
    duration: Option<Instant>,
}

/// What a title offers.
struct Items<'a> {
    videos: Vec<Item<'a, Video>>,
    audios: Vec<Item<'a, Audio>>,
    texts: Vec<Item<'a, Text>>,
}

impl<'a> Items<'a> {
    fn new(presentation: &'a Presentation) -> Result<Self> {
        Ok(Self { videos: presentation.videos()?, audios: presentation.audios(), texts: presentation.texts() })
    }
}

/// The static MPD of a title.
///
/// # Errors
/// `NotFound` when the selection leaves nothing of a title that has video.
pub fn mpd(presentation: &Presentation) -> Result<String> {
    let items = Items::new(presentation)?;
    let (periods, end) = periods(presentation, &items);
    let duration = seconds(end);
    let buffer = format!("PT{}S", u64::from(presentation.configuration.segment_duration_seconds) * 2);

    let mut xml = Writer::new_with_indent(Vec::with_capacity(4096), b' ', 2);
    let write = xml
        .create_element("MPD")
        .with_attributes([("xmlns", "urn:mpeg:dash:schema:mpd:2011")])
        .with_attributes(presentation.keys.iter().map(|_| ("xmlns:cenc", "urn:mpeg:cenc:2013")))
        .with_attributes([
            ("profiles", "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"),
            ("type", "static"),
            ("mediaPresentationDuration", duration.as_str()),
            ("minBufferTime", buffer.as_str()),
        ])
        .write_inner_content(|xml| {
            periods.iter().try_for_each(|period| write_period(xml, presentation, &items, period))
        });
    write.map_err(broken)?;
    text(xml)
}

fn broken(error: impl core::fmt::Display) -> Error {
    Error::internal(format!("writing the MPD: {error}"))
}

/// The text of an MPD that was written.
fn text(xml: Xml) -> Result<String> {
    let body = String::from_utf8(xml.into_inner()).map_err(broken)?;
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"))
}

/// The periods of a title: each lasts until the next one begins, the last one to the end of the longest track.
fn periods(presentation: &Presentation, items: &Items<'_>) -> (Vec<Period>, Instant) {
    let videos = items.videos.iter().map(|v| v.track);
    let tracks = || videos.clone().chain(items.audios.iter().map(|a| a.track));
    let at = |ticks: u64, track: &Track| Instant {
        ticks: i64::try_from(ticks).unwrap_or(i64::MAX),
        timescale: track.timescale,
    };
    let texts = items.texts.iter().map(|t| t.track).filter(|_| tracks().next().is_none());
    let end = tracks().chain(texts).map(|t| at(t.end, t)).max_by(|a, b| a.order(*b));
    let end = end.unwrap_or(Instant { ticks: 0, timescale: 1 });
    let reference = tracks().next();
    let start = |cut: usize| match reference {
        Some(track) if cut > 0 => at(track.start(cut), track),
        _ => Instant { ticks: 0, timescale: 1 },
    };
    let head = &presentation.head;
    let firsts: Vec<usize> = segmenter::periods(head).collect();
    let nexts = firsts.iter().skip(1).map(|cut| Some(*cut)).chain([None]);
    let periods = (1u32..).zip(firsts.iter().zip(nexts)).map(|(number, (&first, next))| {
        let (own, after) = (start(first), next.map_or(end, start));
        let length = after.in_timescale(1_000_000) - own.in_timescale(1_000_000);
        Period {
            id: u64::from(number) - 1,
            init: TrackFile::Init(number).to_string(),
            cuts: first..next.unwrap_or(usize::MAX),
            number: 1,
            start: own,
            at: own,
            duration: Some(Instant { ticks: length, timescale: 1_000_000 }),
        }
    });
    (periods.collect(), end)
}

fn write_period(xml: &mut Xml, presentation: &Presentation, items: &Items<'_>, period: &Period) -> io::Result<()> {
    let (id, start, duration) = (period.id.to_string(), seconds(period.at), period.duration.map(seconds));
    let element = xml.create_element("Period").with_attributes([("id", id.as_str()), ("start", &start)]);
    let element = element.with_attributes(duration.iter().map(|duration| ("duration", duration.as_str())));
    element.write_inner_content(|xml| {
        let mut id = 0;
        let videos = present(&items.videos, period);
        for alike in group(videos, |a, b| family(a.track) == family(b.track) && a.media.range == b.media.range) {
            let sets = by_keys(alike, period);
            for (own, set) in sets.iter().enumerate() {
                let siblings = siblings(id, sets.len(), own);
                adaptation::video(xml, &Place { presentation, period, id: id + own, siblings }, set)?;
            }
            id += sets.len();
        }
        let described = |t: &Track| (t.language.clone(), t.label.clone(), t.role.clone());
        for alike in group(present(&items.audios, period), |a, b| {
            family(a.track) == family(b.track)
                && described(a.track) == described(b.track)
                && a.media.hls_channels() == b.media.hls_channels()
        }) {
            let sets = by_keys(alike, period);
            for (own, set) in sets.iter().enumerate() {
                let siblings = siblings(id, sets.len(), own);
                adaptation::audio(xml, &Place { presentation, period, id: id + own, siblings }, set)?;
            }
            id += sets.len();
        }
        for text in present(&items.texts, period) {
            adaptation::text(xml, &Place { presentation, period, id, siblings: Vec::new() }, &text)?;
            id += 1;
        }
        Ok(())
    })?;
    Ok(())
}

/// One set for each key: all representations of a set are decrypted alike (DASH-IF IOP).
fn by_keys<'a, M>(alike: Vec<Item<'a, M>>, period: &Period) -> Vec<Vec<Item<'a, M>>> {
    group(alike, |a, b| protection::kids(a.rendition, period) == protection::kids(b.rendition, period))
}

/// The ids of the sets that were one set but for their keys, without that of set `own`.
fn siblings(first: usize, count: usize, own: usize) -> Vec<usize> {
    (0..count).filter(|other| *other != own).map(|other| first + other).collect()
}

/// What has any segment in a period.
fn present<'a, M>(items: &[Item<'a, M>], period: &Period) -> Vec<Item<'a, M>> {
    let kept = items.iter().filter(|item| !template::within(item.rendition, period).1.is_empty());
    kept.map(|item| Item { ..*item }).collect()
}

/// What must agree within an adaptation set: the codec without its profile and level.
fn family(track: &Track) -> &str {
    track.codec.split('.').next().unwrap_or_default()
}

/// Groups in order of first appearance.
fn group<T>(items: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<Vec<T>> {
    let mut sets: Vec<Vec<T>> = Vec::new();
    for item in items {
        match sets.iter_mut().find(|set| set.first().is_some_and(|first| same(first, &item))) {
            Some(set) => set.push(item),
            None => sets.push(vec![item]),
        }
    }
    sets
}

/// `PT…S` with as many decimals as needed, at most six (no units above seconds, DASH-IF IOP).
fn seconds(time: Instant) -> String {
    let micros = time.in_timescale(1_000_000).max(0);
    let text = format!("PT{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    format!("{}S", text.trim_end_matches('0').trim_end_matches('.'))
}
