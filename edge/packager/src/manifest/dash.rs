//! DASH media presentation descriptions (ISO/IEC 23009-1, DASH-IF IOP).

use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::error::{Error, Result};
use crate::index::Track;
use crate::index::head::{Audio, Video, VideoRange};
use crate::media::presentation::{Item, Presentation, Rendition};
use crate::media::segmenter::Segment;
use crate::media::time::{Instant, gcd};

/// Media type of an MPD (ISO/IEC 23009-1, Annex C).
pub const CONTENT_TYPE: &str = "application/dash+xml";

const ROLE: &str = "urn:mpeg:dash:role:2011";

type Xml = Writer<Vec<u8>>;

/// The static MPD of a title.
///
/// # Errors
/// `NotFound` when the selection leaves nothing of a title that has video.
pub fn mpd(presentation: &Presentation) -> Result<String> {
    let videos = presentation.videos()?;
    let audios = presentation.audios();
    let ends = videos.iter().map(|v| v.track).chain(audios.iter().map(|a| a.track));
    let end = ends.map(|t| Instant { ticks: i64::try_from(t.end).unwrap_or(i64::MAX), timescale: t.timescale });
    let end = end.max_by(|a, b| a.order(*b)).unwrap_or(Instant { ticks: 0, timescale: 1 });
    let duration = seconds(end);
    let buffer = format!("PT{}S", u64::from(presentation.configuration.segment_duration_seconds) * 2);

    let mut xml = Writer::new_with_indent(Vec::with_capacity(4096), b' ', 2);
    let write = xml
        .create_element("MPD")
        .with_attributes([
            ("xmlns", "urn:mpeg:dash:schema:mpd:2011"),
            ("profiles", "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"),
            ("type", "static"),
            ("mediaPresentationDuration", duration.as_str()),
            ("minBufferTime", buffer.as_str()),
        ])
        .write_inner_content(|xml| {
            let period =
                xml.create_element("Period").with_attributes([("id", "0"), ("start", "PT0S"), ("duration", &duration)]);
            period.write_inner_content(|xml| {
                let mut id = 0;
                for set in group(videos, |a, b| family(a.track) == family(b.track) && a.media.range == b.media.range) {
                    write_video(xml, presentation, &set, id)?;
                    id += 1;
                }
                let described = |t: &Track| (t.language.clone(), t.label.clone(), t.role.clone());
                for set in group(audios, |a, b| {
                    family(a.track) == family(b.track)
                        && described(a.track) == described(b.track)
                        && a.media.hls_channels() == b.media.hls_channels()
                }) {
                    write_audio(xml, presentation, &set, id)?;
                    id += 1;
                }
                Ok(())
            })?;
            Ok(())
        });
    write.map_err(|e| Error::internal(format!("writing the MPD: {e}")))?;
    let body = String::from_utf8(xml.into_inner()).map_err(|e| Error::internal(format!("writing the MPD: {e}")))?;
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}\n"))
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

fn ratio(across: u32, down: u32) -> String {
    let divisor = gcd(across, down).max(1);
    format!("{}:{}", across / divisor, down / divisor)
}

fn frame_rate((rate, scale): (u32, u32)) -> String {
    let divisor = gcd(rate, scale).max(1);
    match (rate / divisor, scale / divisor) {
        (rate, 1) => rate.to_string(),
        (rate, scale) => format!("{rate}/{scale}"),
    }
}

fn write_video(xml: &mut Xml, presentation: &Presentation, set: &[Item<'_, Video>], id: usize) -> io::Result<()> {
    let Some(first) = set.first() else { return Ok(()) };
    let (width, height) = first.shown();
    let mut attributes = vec![
        ("id", id.to_string()),
        ("contentType", "video".to_owned()),
        ("mimeType", "video/mp4".to_owned()),
        ("par", ratio(width, height)),
        ("maxWidth", set.iter().map(|v| v.media.width).max().unwrap_or(0).to_string()),
        ("maxHeight", set.iter().map(|v| v.media.height).max().unwrap_or(0).to_string()),
        ("segmentAlignment", "true".to_owned()),
    ];
    if set.iter().all(|v| v.track.closed) {
        attributes.push(("startWithSAP", "1".to_owned()));
    }
    let element = xml.create_element("AdaptationSet").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        let transfer = match first.media.range {
            VideoRange::Sdr => None,
            VideoRange::Pq => Some("16"),
            VideoRange::Hlg => Some("18"),
        };
        if let Some(value) = transfer {
            descriptor(xml, "SupplementalProperty", "urn:mpeg:mpegB:cicp:TransferCharacteristics", value)?;
        }
        label(xml, first.track)?;
        write_captions(xml, set)?;
        write_role(xml, first.track)?;
        let shared = set.iter().all(|v| same_timeline(v.track, v.rendition, first.track, first.rendition));
        if shared {
            write_template(xml, presentation, first.track, first.rendition)?;
        }
        for video in set {
            let attributes = [
                ("id", video.track.name.to_string()),
                ("bandwidth", video.rendition.peak_bandwidth.max(1).to_string()),
                ("codecs", video.track.codec.clone()),
                ("width", video.media.width.to_string()),
                ("height", video.media.height.to_string()),
                ("frameRate", frame_rate(video.media.frame_rate)),
                ("sar", ratio(video.media.aspect.0.max(1), video.media.aspect.1.max(1))),
            ];
            let element =
                xml.create_element("Representation").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
            if shared {
                element.write_empty()?;
            } else {
                element.write_inner_content(|xml| write_template(xml, presentation, video.track, video.rendition))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// SCTE 214-1, 10.2.4: which caption channels the video carries.
fn write_captions(xml: &mut Xml, set: &[Item<'_, Video>]) -> io::Result<()> {
    let all = |of: fn(&Video) -> &[u8]| {
        let mut numbers: Vec<u8> = set.iter().flat_map(|v| of(v.media).iter().copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let join = |numbers: &[u8], one: fn(&u8) -> String| numbers.iter().map(one).collect::<Vec<_>>().join(";");
    let channels = all(|v| &v.cea608);
    if !channels.is_empty() {
        let value = join(&channels, |n| format!("CC{n}"));
        descriptor(xml, "Accessibility", "urn:scte:dash:cc:cea-608:2015", &value)?;
    }
    let services = all(|v| &v.cea708);
    if !services.is_empty() {
        let value = join(&services, |n| format!("{n}=lang:und"));
        descriptor(xml, "Accessibility", "urn:scte:dash:cc:cea-708:2015", &value)?;
    }
    Ok(())
}

fn write_audio(xml: &mut Xml, presentation: &Presentation, set: &[Item<'_, Audio>], id: usize) -> io::Result<()> {
    let Some(first) = set.first() else { return Ok(()) };
    let mut attributes =
        vec![("id", id.to_string()), ("contentType", "audio".to_owned()), ("mimeType", "audio/mp4".to_owned())];
    if let Some(language) = &first.track.language {
        attributes.push(("lang", language.clone()));
    }
    attributes.push(("segmentAlignment", "true".to_owned()));
    attributes.push(("startWithSAP", "1".to_owned()));
    let element = xml.create_element("AdaptationSet").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        label(xml, first.track)?;
        if first.track.role.as_deref() == Some("description") {
            // Audio description is an alternate with an accessibility purpose (DASH-IF IOP).
            descriptor(xml, "Accessibility", ROLE, "description")?;
        }
        write_role(xml, first.track)?;
        let shared = set.iter().all(|a| same_timeline(a.track, a.rendition, first.track, first.rendition));
        if shared {
            write_template(xml, presentation, first.track, first.rendition)?;
        }
        for audio in set {
            let attributes = [
                ("id", audio.track.name.to_string()),
                ("bandwidth", audio.rendition.peak_bandwidth.max(1).to_string()),
                ("codecs", audio.track.codec.clone()),
                ("audioSamplingRate", audio.media.sample_rate.to_string()),
            ];
            let element =
                xml.create_element("Representation").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
            element.write_inner_content(|xml| {
                channels(xml, audio.media)?;
                if shared { Ok(()) } else { write_template(xml, presentation, audio.track, audio.rendition) }
            })?;
        }
        Ok(())
    })?;
    Ok(())
}

/// ISO/IEC 23091-3 channel configurations for the usual numbers of channels, and the marks of joint object coding
/// (ETSI TS 103 420, D.2).
fn channels(xml: &mut Xml, audio: &Audio) -> io::Result<()> {
    let configuration = match audio.channels {
        n @ 1..=6 => n,
        7 => 11,
        8 => 12,
        n => n,
    };
    let scheme = "urn:mpeg:mpegB:cicp:ChannelConfiguration";
    descriptor(xml, "AudioChannelConfiguration", scheme, &configuration.to_string())?;
    if let Some(complexity) = audio.joc {
        descriptor(xml, "SupplementalProperty", "tag:dolby.com,2018:dash:EC3_ExtensionType:2018", "JOC")?;
        let scheme = "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018";
        descriptor(xml, "SupplementalProperty", scheme, &complexity.to_string())?;
    }
    Ok(())
}

fn descriptor(xml: &mut Xml, name: &str, scheme: &str, value: &str) -> io::Result<()> {
    xml.create_element(name).with_attributes([("schemeIdUri", scheme), ("value", value)]).write_empty()?;
    Ok(())
}

fn label(xml: &mut Xml, track: &Track) -> io::Result<()> {
    if let Some(label) = &track.label {
        xml.create_element("Label").write_text_content(BytesText::new(label))?;
    }
    Ok(())
}

fn write_role(xml: &mut Xml, track: &Track) -> io::Result<()> {
    match track.role.as_deref() {
        Some("description") => descriptor(xml, "Role", ROLE, "alternate"),
        Some(role) => descriptor(xml, "Role", ROLE, role),
        None => Ok(()),
    }
}

/// Whether one timeline serves both.
fn same_timeline(a: &Track, ra: &Rendition, b: &Track, rb: &Rendition) -> bool {
    let times = |s: &Segment| (s.start, s.end);
    a.timescale == b.timescale && ra.segments.iter().map(times).eq(rb.segments.iter().map(times))
}

fn write_template(xml: &mut Xml, presentation: &Presentation, track: &Track, rendition: &Rendition) -> io::Result<()> {
    let tag = presentation.tag;
    let attributes = [
        ("timescale", track.timescale.to_string()),
        ("initialization", format!("{tag:016x}/$RepresentationID$/init.mp4")),
        ("media", format!("{tag:016x}/$RepresentationID$/$Number$.m4s")),
        ("startNumber", "1".to_owned()),
    ];
    let element =
        xml.create_element("SegmentTemplate").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        xml.create_element("SegmentTimeline").write_inner_content(|xml| write_timeline(xml, &rendition.segments))?;
        Ok(())
    })?;
    Ok(())
}

/// `S` elements: a time at the start, and one element for each run of equal durations.
fn write_timeline(xml: &mut Xml, segments: &[Segment]) -> io::Result<()> {
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
