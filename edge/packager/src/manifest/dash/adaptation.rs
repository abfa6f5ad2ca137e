//! Adaptation sets (ISO/IEC 23009-1, 5.3.3; DASH-IF IOP).

use std::io;

use quick_xml::events::BytesText;

use super::{Period, Xml, protection, template};
use crate::index::Track;
use crate::index::head::{Audio, Text, Video, VideoRange};
use crate::media::delivery::Delivery;
use crate::media::presentation::{Item, Presentation};
use crate::media::time::gcd;
use crate::route::{Resource, TrackFile};
use crate::segment::emsg::ID3_SCHEME;

const ROLE: &str = "urn:mpeg:dash:role:2011";

/// Where an adaptation set stands.
pub(super) struct Place<'a> {
    pub presentation: &'a Presentation,
    pub period: &'a Period,
    /// The id of the adaptation set.
    pub id: usize,
    /// The ids of sets that players may switch to and from.
    pub siblings: Vec<usize>,
}

impl Place<'_> {
    fn same<M>(&self, a: &Item<'_, M>, b: &Item<'_, M>) -> bool {
        template::same((a.track, a.rendition), (b.track, b.rendition), self.period)
    }

    fn template<M>(&self, xml: &mut Xml, item: &Item<'_, M>) -> io::Result<()> {
        template::write(xml, self.presentation, self.period, (item.track, item.rendition))
    }

    /// Says that segments carry ID3 tags.
    fn events(&self, xml: &mut Xml, carries: bool) -> io::Result<()> {
        if !carries || self.presentation.events().is_none() {
            return Ok(());
        }
        descriptor(xml, "InbandEventStream", ID3_SCHEME, "")
    }
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

pub(super) fn video(xml: &mut Xml, place: &Place<'_>, set: &[Item<'_, Video>]) -> io::Result<()> {
    let Some(first) = set.first() else { return Ok(()) };
    let (width, height) = first.shown();
    let mut attributes = vec![
        ("id", place.id.to_string()),
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
        protection::write(xml, first.rendition, place.period)?;
        protection::write_switching(xml, &place.siblings)?;
        let transfer = match first.media.range {
            VideoRange::Sdr => None,
            VideoRange::Pq => Some("16"),
            VideoRange::Hlg => Some("18"),
        };
        if let Some(value) = transfer {
            descriptor(xml, "SupplementalProperty", "urn:mpeg:mpegB:cicp:TransferCharacteristics", value)?;
        }
        place.events(xml, true)?;
        label(xml, first.track)?;
        write_captions(xml, set)?;
        write_role(xml, first.track)?;
        let shared = set.iter().all(|v| place.same(v, first));
        if shared {
            place.template(xml, first)?;
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
                element.write_inner_content(|xml| place.template(xml, video))?;
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

pub(super) fn audio(xml: &mut Xml, place: &Place<'_>, set: &[Item<'_, Audio>]) -> io::Result<()> {
    let Some(first) = set.first() else { return Ok(()) };
    let mut attributes =
        vec![("id", place.id.to_string()), ("contentType", "audio".to_owned()), ("mimeType", "audio/mp4".to_owned())];
    if let Some(language) = &first.track.language {
        attributes.push(("lang", language.clone()));
    }
    attributes.push(("segmentAlignment", "true".to_owned()));
    attributes.push(("startWithSAP", "1".to_owned()));
    let element = xml.create_element("AdaptationSet").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        protection::write(xml, first.rendition, place.period)?;
        protection::write_switching(xml, &place.siblings)?;
        place.events(xml, !place.presentation.head.tracks.iter().any(Track::is_video))?;
        label(xml, first.track)?;
        if first.track.role.as_deref() == Some("description") {
            // Audio description is an alternate with an accessibility purpose (DASH-IF IOP).
            descriptor(xml, "Accessibility", ROLE, "description")?;
        }
        write_role(xml, first.track)?;
        let shared = set.iter().all(|a| place.same(a, first));
        if shared {
            place.template(xml, first)?;
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
                if shared { Ok(()) } else { place.template(xml, audio) }
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

pub(super) fn descriptor(xml: &mut Xml, name: &str, scheme: &str, value: &str) -> io::Result<()> {
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

pub(super) fn text(xml: &mut Xml, place: &Place<'_>, item: &Item<'_, Text>) -> io::Result<()> {
    let track = item.track;
    let file = item.rendition.delivery == Delivery::WebvttFile;
    let codecs = if item.rendition.delivery == Delivery::Wvtt { "wvtt" } else { track.codec.as_str() };
    let mime = if file { "text/vtt" } else { "application/mp4" };
    let mut attributes =
        vec![("id", place.id.to_string()), ("contentType", "text".to_owned()), ("mimeType", mime.to_owned())];
    if let Some(language) = &track.language {
        attributes.push(("lang", language.clone()));
    }
    if !file {
        attributes.push(("segmentAlignment", "true".to_owned()));
        attributes.push(("startWithSAP", "1".to_owned()));
    }
    let element = xml.create_element("AdaptationSet").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|xml| {
        label(xml, track)?;
        let sdh = track.role.as_deref() == Some("caption");
        if sdh {
            // For the hard of hearing (TV Anytime AudioPurposeCS, as DVB-DASH and DASH-IF IOP use it).
            descriptor(xml, "Accessibility", "urn:tva:metadata:cs:AudioPurposeCS:2007", "2")?;
        }
        match (item.media.forced, track.role.as_deref()) {
            (true, _) => descriptor(xml, "Role", ROLE, "forced-subtitle")?,
            (false, Some(role)) => descriptor(xml, "Role", ROLE, role)?,
            (false, None) => descriptor(xml, "Role", ROLE, "subtitle")?,
        }
        if track.default && !item.media.forced {
            descriptor(xml, "Role", ROLE, "main")?;
        }
        let mut attributes =
            vec![("id", track.name.to_string()), ("bandwidth", item.rendition.peak_bandwidth.max(1).to_string())];
        if !file {
            attributes.push(("codecs", codecs.to_owned()));
        }
        let element =
            xml.create_element("Representation").with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
        element.write_inner_content(|xml| {
            if !file {
                return place.template(xml, item);
            }
            let tag = place.presentation.tag;
            let url = Resource::Tagged { tag, track: track.name, file: TrackFile::Text }.to_string();
            xml.create_element("BaseURL").write_text_content(BytesText::new(&url))?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}
