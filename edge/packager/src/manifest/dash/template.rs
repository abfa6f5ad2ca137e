//! SegmentTemplate and SegmentTimeline (ISO/IEC 23009-1, 5.3.9).

use std::io;

use super::{Period, Xml};
use crate::index::Track;
use crate::media::presentation::{Presentation, Rendition};
use crate::media::segmenter::Segment;

/// The segments of a track that belong to a period, and how many come before them.
pub(super) fn within<'a>(rendition: &'a Rendition, period: &Period) -> (usize, &'a [Segment]) {
    let first = rendition.segments.partition_point(|s| s.fragments.start < period.cuts.start);
    let end = rendition.segments.partition_point(|s| s.fragments.start < period.cuts.end);
    (first, rendition.segments.get(first..end).unwrap_or_default())
}

/// Whether one timeline serves both.
pub(super) fn same(a: (&Track, &Rendition), b: (&Track, &Rendition), period: &Period) -> bool {
    let times = |s: &Segment| (s.start, s.end);
    let ((first, own), (second, other)) = (within(a.1, period), within(b.1, period));
    a.0.timescale == b.0.timescale && first == second && own.iter().map(times).eq(other.iter().map(times))
}

pub(super) fn write(
    xml: &mut Xml,
    presentation: &Presentation,
    period: &Period,
    (track, rendition): (&Track, &Rendition),
) -> io::Result<()> {
    let tag = presentation.tag;
    let (before, segments) = within(rendition, period);
    let mut attributes = vec![
        ("timescale", track.timescale.to_string()),
        ("initialization", format!("{tag:016x}/$RepresentationID$/{}", period.init)),
        ("media", format!("{tag:016x}/$RepresentationID$/$Number$.m4s")),
        ("startNumber", period.number.saturating_add(before as u64).to_string()),
    ];
    let offset = period.start.in_timescale(track.timescale);
    if offset != 0 {
        attributes.insert(1, ("presentationTimeOffset", offset.to_string()));
    }
    let element =
        xml.create_element("SegmentTemplate").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        xml.create_element("SegmentTimeline").write_inner_content(|xml| timeline(xml, segments))?;
        Ok(())
    })?;
    Ok(())
}

/// `S` elements: a time at the start, and one element for each run of equal durations.
fn timeline(xml: &mut Xml, segments: &[Segment]) -> io::Result<()> {
    let mut at = None;
    for run in segments.chunk_by(|a, b| a.duration() == b.duration() && a.end == b.start) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (t, d, r) = (first.start.to_string(), first.duration().to_string(), (run.len() - 1).to_string());
        let mut attributes = Vec::with_capacity(3);
        if at != Some(first.start) {
            attributes.push(("t", t.as_str()));
        }
        attributes.push(("d", d.as_str()));
        if run.len() > 1 {
            attributes.push(("r", r.as_str()));
        }
        at = Some(last.end);
        xml.create_element("S").with_attributes(attributes).write_empty()?;
    }
    Ok(())
}
