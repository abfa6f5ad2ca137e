//! Configurations of sound: which one a frame has, from its header and, for AAC in ADTS, from the frames after it.

use super::reader::Context;
use super::units::{self, Unit};
use super::{EsCodec, EsConfig, Frame};
use crate::codec::{ac3_frame, adts, eac3_frame, latm, mpeg_audio};
use crate::error::Result;
use crate::limits::MAX_SAMPLE_ENTRIES;

/// What is said of a frame that is damaged.
pub(super) const DAMAGED: &str = "a frame of sound that is damaged was left out";
/// Frames that are asked whether they have SBR.
const SBR_FRAMES: usize = 8;

/// What becomes of a frame.
pub(super) enum Configured {
    Use(usize),
    /// It cannot be used.
    Drop(&'static str),
    /// The whole stream is not handled.
    LeaveOut(String),
}

/// A whole frame.
pub(super) struct Found<'a> {
    pub frame: &'a [u8],
    /// The frame and what is known of the stream after it.
    pub ahead: &'a [u8],
    /// Its header is like that of the frame before it.
    pub same: bool,
}

/// The configurations of a stream.
#[derive(Clone, Debug)]
pub(super) struct Configurations {
    codec: EsCodec,
    /// What tells them apart, in the order of the stream's list.
    keys: Vec<Vec<u8>>,
    current: Option<usize>,
}

impl Configurations {
    pub fn new(codec: EsCodec) -> Self {
        Self { codec, keys: Vec::new(), current: None }
    }

    /// Number of the configuration of the last frame that had one.
    pub fn current(&self) -> usize {
        self.current.unwrap_or(0)
    }

    /// Whether the frames after one of a new configuration must be seen first to know its configuration.
    pub fn wants_more(&self, unit: &Unit, ahead: &[u8]) -> bool {
        self.codec == EsCodec::AacAdts
            && !self.keys.iter().any(|key| *key == unit.identity.to_be_bytes())
            && adts::Header::parse(ahead).is_ok_and(|h| h.may_have_sbr())
            && blocks(ahead).count() < SBR_FRAMES
    }

    /// The configuration of a frame.
    pub fn configure(&mut self, found: &Found<'_>, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<Configured> {
        let configured = self.find(found, cx)?;
        if let Configured::Use(config) = configured {
            self.current = Some(config);
        }
        Ok(configured)
    }

    fn find(&mut self, found: &Found<'_>, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<Configured> {
        let Self { codec, keys, current } = self;
        let Found { frame, ahead, same } = *found;
        let own_header = matches!(codec, EsCodec::AacAdts | EsCodec::Ac3 | EsCodec::Mp3);
        if let Some(current) = current.filter(|_| same && own_header) {
            return Ok(Configured::Use(current));
        }
        let key: Vec<u8> = match codec {
            EsCodec::AacAdts | EsCodec::Ac3 | EsCodec::Mp3 => {
                let Ok(unit) = units::unit(*codec, frame, true) else { return Ok(Configured::Drop(DAMAGED)) };
                unit.identity.to_be_bytes().into()
            }
            EsCodec::Eac3 => eac3_frame::Eac3Unit::identity(frame).to_be_bytes().into(),
            EsCodec::AacLatm => match latm::element(frame) {
                Ok(latm::Element { specific: Some(bits), .. }) => {
                    let mut asc = Vec::new();
                    bits.copy(frame, &mut asc);
                    asc
                }
                Ok(_) => {
                    let waiting = Configured::Drop("a frame before the first StreamMuxConfig was left out");
                    return Ok(current.map_or(waiting, Configured::Use));
                }
                Err(latm::Fault::Unsupported(what)) => return refuse(cx, what),
                Err(latm::Fault::Broken(_)) => return Ok(Configured::Drop(DAMAGED)),
            },
            EsCodec::Id3 | EsCodec::Avc | EsCodec::Hevc => return Ok(Configured::Use(0)),
        };
        if let Some(known) = keys.iter().position(|k| *k == key) {
            return Ok(Configured::Use(known));
        }
        let entry = match codec {
            EsCodec::AacAdts => match adts::Header::parse(frame) {
                Ok(header) if header.channels == 0 => {
                    return refuse(cx, "channel_configuration is 0: channels by a program_config_element");
                }
                header => header.map(|h| h.sample_entry(h.may_have_sbr() && has_sbr(ahead))),
            },
            EsCodec::AacLatm => latm::config(&key).map(|c| c.sample_entry),
            EsCodec::Ac3 => ac3_frame::Ac3::parse(frame).and_then(|h| h.sample_entry()),
            EsCodec::Eac3 => eac3_frame::Eac3Unit::parse(frame, true).and_then(|u| u.sample_entry(frame)),
            EsCodec::Mp3 => match mpeg_audio::Header::parse(frame) {
                Ok(header) if header.layer != 3 => {
                    let why = format!("MPEG audio of layer {}; layer III is handled", header.layer);
                    return Ok(Configured::LeaveOut(why));
                }
                header => header.map(|h| h.sample_entry()),
            },
            EsCodec::Id3 | EsCodec::Avc | EsCodec::Hevc => return Ok(Configured::Use(0)),
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return refuse(cx, &format!("a header {error}")),
        };
        if keys.len() >= MAX_SAMPLE_ENTRIES {
            return Err(cx.limit(&format!("more than {MAX_SAMPLE_ENTRIES} configurations")));
        }
        match EsConfig::new(entry, *codec) {
            Ok(config) => {
                keys.push(key);
                cx.info.configs.push(config);
                Ok(Configured::Use(keys.len() - 1))
            }
            Err(error) => refuse(cx, error.message()),
        }
    }
}

/// A stream that begins like this is not handled; one frame of it may be damaged.
fn refuse(cx: &Context<'_, impl FnMut(Frame<'_>)>, what: &str) -> Result<Configured> {
    if cx.info.frames == 0 { Err(cx.unsupported(what)) } else { Ok(Configured::Drop(DAMAGED)) }
}

/// Raw data blocks of the whole ADTS frames that stand here one after the other, as many as are asked about SBR.
fn blocks(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    let next = move || {
        let header = adts::Header::parse(rest).ok()?;
        let (frame, after) = rest.split_at_checked(header.bytes)?;
        rest = after;
        frame.get(header.header..)
    };
    core::iter::from_fn(next).take(SBR_FRAMES)
}

/// Whether most frames from here on have SBR.
fn has_sbr(data: &[u8]) -> bool {
    let (mut with, mut all) = (0, 0);
    for block in blocks(data) {
        all += 1;
        with += usize::from(adts::ends_with_sbr(block));
    }
    all > 0 && with * 4 >= all * 3
}
