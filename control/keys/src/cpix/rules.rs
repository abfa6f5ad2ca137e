//! Key periods and usage rules (CPIX 2.3, 5.4.12 to 5.4.16).

use super::CPIX;
use super::error::{ErrorKind, Result};
use super::xml::Element;
use crate::contract::KeyUse;
use crate::kid::Kid;

/// A key period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPeriod {
    /// Its id in the document.
    pub id: String,
    /// Its number.
    pub index: Option<u64>,
    /// Start and end on the wall clock (`xs:dateTime`).
    pub time: Option<(String, String)>,
    /// Start and end in the media, in milliseconds.
    pub offset: Option<(u64, u64)>,
}

/// Which tracks use a key. Filters of one kind are alternatives; all kinds have to match.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRule {
    /// The key.
    pub kid: Kid,
    /// `@intendedTrackType`, for people.
    pub track_type: Option<String>,
    /// Ids of key periods.
    pub periods: Vec<String>,
    /// Filters of video tracks.
    pub video: Vec<VideoFilter>,
    /// Filters of audio tracks.
    pub audio: Vec<AudioFilter>,
}

/// A filter of video tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VideoFilter {
    /// The least pixels.
    pub min_pixels: Option<u64>,
    /// The most pixels.
    pub max_pixels: Option<u64>,
    /// Whether the dynamic range is high.
    pub hdr: Option<bool>,
    /// Frames a second are more than this.
    pub min_fps: Option<u64>,
    /// The most frames a second.
    pub max_fps: Option<u64>,
}

/// A filter of audio tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioFilter {
    /// The least channels.
    pub min_channels: Option<u32>,
    /// The most channels.
    pub max_channels: Option<u32>,
}

impl UsageRule {
    /// The tracks as a [`KeyUse`]; `None` when the rule cannot be said as one.
    pub fn key_use(&self) -> Option<KeyUse> {
        match (self.video.as_slice(), self.audio.as_slice()) {
            ([video], []) if video.is_by_pixels() => {
                Some(KeyUse::Video { min_pixels: video.min_pixels, max_pixels: video.max_pixels })
            }
            ([], [audio]) => Some(KeyUse::Audio { min_channels: audio.min_channels, max_channels: audio.max_channels }),
            // Kinds are to match together, and no track is video and audio: SPEKE v2 uses both as "everything".
            ([video], [audio]) if *video == VideoFilter::default() && *audio == AudioFilter::default() => {
                Some(KeyUse::All)
            }
            _ => None,
        }
    }

    pub(super) fn read(element: &Element) -> Result<Self> {
        let mut rule = Self {
            kid: element.uuid("kid")?,
            track_type: element.attribute("intendedTrackType").map(str::to_owned),
            periods: Vec::new(),
            video: Vec::new(),
            audio: Vec::new(),
        };
        for filter in &element.children {
            let kind = if filter.namespace == CPIX { filter.name.as_str() } else { "" };
            match kind {
                "KeyPeriodFilter" => {
                    known(filter, &["periodId"])?;
                    rule.periods.push(filter.required_attribute("periodId")?.to_owned());
                }
                "VideoFilter" => rule.video.push(VideoFilter::read(filter)?),
                "AudioFilter" => rule.audio.push(AudioFilter::read(filter)?),
                _ => return Err(filter.error(ErrorKind::Filter("this filter".into()))),
            }
        }
        Ok(rule)
    }
}

impl VideoFilter {
    fn is_by_pixels(&self) -> bool {
        self.hdr.is_none() && self.min_fps.is_none() && self.max_fps.is_none()
    }

    fn read(element: &Element) -> Result<Self> {
        known(element, &["minPixels", "maxPixels", "hdr", "minFps", "maxFps"])?;
        let filter = Self {
            min_pixels: element.number("minPixels")?,
            max_pixels: element.number("maxPixels")?,
            hdr: element.boolean("hdr")?,
            min_fps: element.number("minFps")?,
            max_fps: element.number("maxFps")?,
        };
        in_order(element, "maxPixels", filter.min_pixels, filter.max_pixels)?;
        in_order(element, "maxFps", filter.min_fps, filter.max_fps)?;
        Ok(filter)
    }
}

impl AudioFilter {
    fn read(element: &Element) -> Result<Self> {
        known(element, &["minChannels", "maxChannels"])?;
        let channels = |name| {
            let number = element.number(name)?.map(u32::try_from).transpose();
            number.map_err(|_| element.attribute_error(name, ErrorKind::Value("a number of channels")))
        };
        let filter = Self { min_channels: channels("minChannels")?, max_channels: channels("maxChannels")? };
        in_order(element, "maxChannels", filter.min_channels, filter.max_channels)?;
        Ok(filter)
    }
}

/// A filter with anything else cannot be followed: it could be what tells two keys apart.
fn known(filter: &Element, attributes: &[&str]) -> Result<()> {
    for (name, _) in &filter.attributes {
        if !attributes.contains(&name.as_str()) {
            return Err(filter.attribute_error(name, ErrorKind::Filter("this attribute".into())));
        }
    }
    match filter.children.first() {
        Some(child) => Err(child.error(ErrorKind::Filter("this element".into()))),
        None => Ok(()),
    }
}

fn in_order<T: PartialOrd>(filter: &Element, attribute: &str, min: Option<T>, max: Option<T>) -> Result<()> {
    match (min, max) {
        (Some(min), Some(max)) if min > max => {
            Err(filter.attribute_error(attribute, ErrorKind::Value("at least the minimum")))
        }
        _ => Ok(()),
    }
}

impl KeyPeriod {
    pub(super) fn read(element: &Element) -> Result<Self> {
        let time = match (element.attribute("start"), element.attribute("end")) {
            (Some(start), Some(end)) => Some((start.to_owned(), end.to_owned())),
            (None, None) => None,
            (None, Some(_)) => return Err(element.error(ErrorKind::Missing("start"))),
            (Some(_), None) => return Err(element.error(ErrorKind::Missing("end"))),
        };
        let offset = match (element.duration("startOffset")?, element.duration("endOffset")?) {
            (Some(start), Some(end)) if start <= end => Some((start, end)),
            (Some(_), Some(_)) => {
                return Err(element.attribute_error("endOffset", ErrorKind::Value("after startOffset")));
            }
            (None, None) => None,
            (None, Some(_)) => return Err(element.error(ErrorKind::Missing("startOffset"))),
            (Some(_), None) => return Err(element.error(ErrorKind::Missing("endOffset"))),
        };
        Ok(Self { id: element.required_attribute("id")?.to_owned(), index: element.number("index")?, time, offset })
    }
}
