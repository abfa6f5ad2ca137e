//! Pictures are found in an elementary stream of H.264 or H.265.

use std::collections::VecDeque;

use super::depacketizer::Data;
use super::places::Places;
use super::reader::Context;
use super::splitter::{Splitter, Unit};
use super::{EsCodec, EsConfig, Frame, Place, Stamp};
use crate::codec::{Access, HeaderFault, NalCodec, Role, VideoHeaders};
use crate::error::{Error, Result};
use crate::limits::{MAX_SAMPLE_BYTES, MAX_SAMPLE_ENTRIES};

/// Times are modulo this.
const TIMES: u64 = 1 << 33;
/// Duration of a picture without a time of its own while none is known: 25 a second.
const UNKNOWN_DURATION: u64 = 3600;
/// A longer distance of two pictures says nothing about those between others: a second.
const MAX_DURATION: u64 = 90_000;

/// One elementary stream.
#[derive(Clone, Debug)]
pub(super) struct Video {
    splitter: Splitter,
    pictures: Pictures,
}

impl Video {
    pub fn new(codec: EsCodec) -> Self {
        let codec = if codec == EsCodec::Hevc { NalCodec::Hevc } else { NalCodec::Avc };
        Self { splitter: Splitter::default(), pictures: Pictures::new(codec) }
    }

    /// A PES packet with times begins.
    pub fn stamp(&mut self, pts: u64, dts: u64) {
        let at = self.splitter.end();
        let stamps = &mut self.pictures.stamps;
        if stamps.back().is_some_and(|s| s.at == at) {
            stamps.pop_back();
        }
        stamps.push_back(Stamp { at, pts, dts });
    }

    /// Bytes of the stream.
    pub fn data(&mut self, data: &Data<'_>, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        let Self { splitter, pictures } = self;
        pictures.places.push(splitter.end(), data)?;
        splitter.push(data.bytes, u64::MAX)?;
        self.pump(cx)
    }

    fn pump(&mut self, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        let Self { splitter, pictures } = self;
        while let Some(unit) = splitter.next() {
            pictures.unit(&unit, splitter.bytes(&unit), cx)?;
        }
        pictures.trim(splitter.pending());
        Ok(())
    }

    /// Packets are missing: the unit that they were part of ends, and what follows is none until another begins.
    pub fn gap(&mut self, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        self.pump(cx)?;
        let Self { splitter, pictures } = self;
        match splitter.close() {
            Some(unit) => pictures.unit(&unit, splitter.bytes(&unit), cx),
            None => Ok(()),
        }
    }

    /// The bytes that come next do not follow what was before; `other` says that they are something else altogether.
    pub fn reset(&mut self, other: bool, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        self.gap(cx)?;
        self.pictures.reset(other, cx);
        Ok(())
    }
}

/// NAL units after the last slice: they belong to the picture before them or to the one after them.
#[derive(Clone, Debug, Default)]
struct Ahead {
    first: Option<u64>,
    end: u64,
    stamp: Option<Stamp>,
    /// A PES packet with a PTS begins with them: the picture before is over.
    forced: bool,
    /// A recovery point without delay is among them.
    recovers: bool,
}

/// The picture that is being put together.
#[derive(Clone, Debug, Default)]
struct Picture {
    first: Option<u64>,
    end: u64,
    stamp: Option<Stamp>,
    has_slice: bool,
    access: Access,
    config: Option<usize>,
}

#[derive(Clone, Debug)]
struct Pictures {
    codec: NalCodec,
    headers: VideoHeaders,
    places: Places,
    stamps: VecDeque<Stamp>,
    /// Neutral form of the picture, and from `settled` on of what is ahead.
    sample: Vec<u8>,
    settled: usize,
    picture: Picture,
    ahead: Ahead,
    /// Where the last NAL unit ended.
    unit_end: u64,
    /// Of the last picture, and how far the pictures are apart.
    last: Option<Stamp>,
    unstamped: u64,
    duration: Option<u64>,
    needs_sync: bool,
    run: u32,
    broken: bool,
}

impl Pictures {
    fn new(codec: NalCodec) -> Self {
        Self {
            codec,
            headers: VideoHeaders::new(codec),
            places: Places::default(),
            stamps: VecDeque::new(),
            sample: Vec::new(),
            settled: 0,
            picture: Picture::default(),
            ahead: Ahead::default(),
            unit_end: 0,
            last: None,
            unstamped: 0,
            duration: None,
            needs_sync: true,
            run: 0,
            broken: false,
        }
    }

    fn trim(&mut self, pending: u64) {
        let first = [self.picture.first, self.ahead.first].into_iter().flatten().min();
        self.places.trim(first.map_or(pending, |first| first.min(pending)));
        // Of several PES packets that no unit begins in, the last one's times count.
        while self.stamps.get(1).is_some_and(|next| next.at <= pending) {
            self.stamps.pop_front();
        }
    }

    fn unit(&mut self, unit: &Unit, nal: &[u8], cx: &mut Context<'_, impl FnMut(Frame<'_>)>) -> Result<()> {
        let mut stamp = None;
        while let Some(next) = self.stamps.front().copied().filter(|s| s.at <= unit.code) {
            self.stamps.pop_front();
            stamp = Some(next);
        }
        if let Some(stamp) = stamp {
            // A PES packet that begins inside a unit says when the next picture is, and not that this one is over.
            if self.unit_end <= stamp.at {
                self.settle();
                self.ahead.forced = true;
            }
            self.ahead.stamp = Some(stamp);
        }
        self.unit_end = unit.end;
        match self.codec.role(nal) {
            Role::Dropped => Ok(()),
            Role::ParameterSet => {
                match self.headers.parameter_set(nal) {
                    Ok(true) => self.refresh(self.picture.config, cx),
                    Ok(false) => {}
                    Err(fault) => cx.warn(fault_text(fault)),
                }
                Ok(())
            }
            Role::Leading => {
                self.ahead.recovers |= self.headers.recovers(nal);
                self.append(unit, nal)
            }
            Role::Trailing => {
                let alone = self.ahead.first.is_none();
                self.append(unit, nal)?;
                if alone && !self.ahead.forced {
                    self.settle();
                }
                Ok(())
            }
            Role::Slice { first, access } => self.slice((first, access), unit, nal, cx),
        }
    }

    fn slice(
        &mut self,
        (first, access): (bool, Access),
        unit: &Unit,
        nal: &[u8],
        cx: &mut Context<'_, impl FnMut(Frame<'_>)>,
    ) -> Result<()> {
        let second_field = first && self.headers.second_field(nal);
        let new_time = match (self.ahead.stamp, self.picture.stamp) {
            (Some(ahead), Some(now)) => ahead.pts != now.pts,
            _ => true,
        };
        let lost_start = self.ahead.forced && !first && new_time;
        if self.picture.has_slice && ((first && !second_field) || lost_start) {
            self.emit(cx);
        }
        if self.picture.has_slice {
            if self.ahead.forced {
                self.ahead.stamp = None;
            }
        } else {
            let recovers = self.ahead.recovers && self.headers.intra(nal);
            let access = if access == Access::None && recovers { Access::Open } else { access };
            let config = match self.headers.picture(access != Access::None) {
                Ok(Some((config, changed))) => {
                    if changed {
                        self.refresh(Some(config), cx);
                    }
                    Some(config)
                }
                Ok(None) => None,
                Err(_) => return Err(cx.limit(&format!("more than {MAX_SAMPLE_ENTRIES} configurations"))),
            };
            let (first, end) = (self.picture.first, self.picture.end);
            let stamp = self.ahead.stamp.take().or(self.picture.stamp);
            self.picture = Picture { first, end, stamp, has_slice: true, access, config };
        }
        self.append(unit, nal)?;
        self.settle();
        (self.ahead.forced, self.ahead.recovers) = (false, false);
        Ok(())
    }

    /// Appends a unit to what is ahead.
    fn append(&mut self, unit: &Unit, nal: &[u8]) -> Result<()> {
        if self.sample.len() + nal.len() > MAX_SAMPLE_BYTES as usize {
            return Err(Error::limit(format!("a picture of more than {MAX_SAMPLE_BYTES} bytes")));
        }
        self.sample.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        self.sample.extend_from_slice(nal);
        self.ahead.first.get_or_insert(unit.code);
        self.ahead.end = unit.end;
        Ok(())
    }

    /// What is ahead belongs to the picture.
    fn settle(&mut self) {
        if let Some(first) = self.ahead.first.take() {
            self.picture.first.get_or_insert(first);
            self.picture.end = self.ahead.end;
        }
        self.settled = self.sample.len();
    }

    /// The picture is whole.
    fn emit(&mut self, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) {
        let picture = core::mem::take(&mut self.picture);
        let times = self.times(picture.stamp);
        let sync = picture.access != Access::None;
        if sync && picture.config.is_some() {
            self.needs_sync = false;
        }
        let place = picture.first.and_then(|first| self.places.find(first, picture.end));
        let sample = self.sample.get(..self.settled).unwrap_or_default();
        match (times, picture.config, place) {
            (Some(times), Some(config), Some(place)) if !self.needs_sync => {
                self.run += u32::from(core::mem::take(&mut self.broken));
                cx.give(Frame {
                    stream: 0,
                    config,
                    pts: times.pts,
                    dts: times.dts,
                    offset_samples: 0,
                    estimated: picture.stamp.is_none(),
                    sync,
                    open: picture.access == Access::Open,
                    data: sample,
                    duration_samples: 0,
                    place: Place { run: self.run, ..place },
                });
            }
            (times, config, _) => {
                cx.warn(match (times, config) {
                    (None, _) => "a picture before the first PES packet with a PTS was left out",
                    (_, None) if sync => "a picture without its parameter sets was left out",
                    _ => "a picture before the first one that decoding can start with was left out",
                });
                self.broken = true;
            }
        }
        self.sample.drain(..self.settled);
        self.settled = 0;
    }

    /// Its own times, or times estimated from the pictures before it.
    fn times(&mut self, own: Option<Stamp>) -> Option<Stamp> {
        let pictures = self.unstamped + 1;
        match (own, self.last) {
            (Some(own), last) => {
                if let Some(last) = last {
                    let distance = own.dts.wrapping_sub(last.dts) & (TIMES - 1);
                    let duration = distance / pictures;
                    if (1..=MAX_DURATION).contains(&duration) {
                        self.duration = Some(duration);
                    }
                }
                (self.last, self.unstamped) = (Some(own), 0);
                Some(own)
            }
            (None, Some(last)) => {
                let later = self.duration.unwrap_or(UNKNOWN_DURATION).saturating_mul(pictures);
                self.unstamped = pictures;
                let add = |time: u64| time.wrapping_add(later) & (TIMES - 1);
                Some(Stamp { at: last.at, pts: add(last.pts), dts: add(last.dts) })
            }
            (None, None) => None,
        }
    }

    /// Nothing more belongs to the picture.
    fn reset(&mut self, other: bool, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) {
        self.settle();
        if self.picture.has_slice {
            self.emit(cx);
        }
        self.sample.clear();
        self.stamps.clear();
        (self.settled, self.unstamped) = (0, 0);
        (self.picture, self.ahead, self.last) = Default::default();
        self.broken = true;
        if other {
            self.headers.discontinuity();
            self.needs_sync = true;
        }
    }

    /// The sample entry of a configuration is new or has changed.
    fn refresh(&mut self, config: Option<usize>, cx: &mut Context<'_, impl FnMut(Frame<'_>)>) {
        let Some(index) = config else { return };
        let codec = cx.info.codec;
        let entry = self.headers.sample_entry(index).map_err(|error| error.to_string());
        let made = entry.and_then(|entry| EsConfig::new(entry, codec).map_err(|e| e.to_string()));
        match made {
            Ok(config) => match cx.info.configs.get_mut(index) {
                Some(old) => *old = config,
                None => cx.info.configs.push(config),
            },
            Err(error) => cx.warn(&format!("parameter sets that make no sample entry: {error}")),
        }
    }
}

fn fault_text(fault: HeaderFault) -> &'static str {
    match fault {
        HeaderFault::Broken(_) => "a parameter set that cannot be read was left out",
        HeaderFault::TooMany => "a parameter set was left out: there are too many for a sample entry",
        HeaderFault::TooManyConfigurations => "too many configurations",
    }
}
