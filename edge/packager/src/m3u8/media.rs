//! Media playlists (RFC 8216, 4.3.2 and 4.3.3).

use core::ops::Range;

use super::attributes::Attributes;
use super::line::{self, Line};
use super::multivariant::refuse_key;
use super::{tag, uri};
use crate::error::{Error, Result};
use crate::limits;

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Storage path of the playlist.
    pub path: String,
    /// EXT-X-TARGETDURATION in seconds; 0 when there is none.
    pub target_duration: u64,
    /// EXT-X-ENDLIST: no segment will be added.
    pub ended: bool,
    /// EXT-X-PLAYLIST-TYPE:VOD.
    pub vod: bool,
    /// In order.
    pub segments: Vec<Segment>,
    /// The initialization sections that segments use.
    pub maps: Vec<Map>,
    /// What looks wrong, for people.
    pub warnings: Vec<String>,
}

/// A media segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Line of its URI, from 1.
    pub line: usize,
    /// Storage path.
    pub path: String,
    /// EXTINF in microseconds.
    pub duration: u64,
    /// EXT-X-BYTERANGE with its offset worked out; `None` for the whole object.
    pub range: Option<Range<u64>>,
    /// Which of the playlist's maps applies.
    pub map: Option<usize>,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// EXT-X-PROGRAM-DATE-TIME, as it stands.
    pub program_date_time: Option<String>,
    /// EXT-X-GAP: there is no such media.
    pub gap: bool,
}

/// EXT-X-MAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Line of the tag, from 1.
    pub line: usize,
    /// Storage path.
    pub path: String,
    /// BYTERANGE; `None` for the whole object.
    pub range: Option<Range<u64>>,
}

/// Tags that apply to the next segment only.
#[derive(Debug, Default)]
struct Pending<'a> {
    duration: Option<u64>,
    range: Option<(Line<'a>, &'a str)>,
    discontinuity: bool,
    program_date_time: Option<String>,
    gap: bool,
}

impl Media {
    /// Reads the finished playlist at `path`.
    ///
    /// # Errors
    /// As [`Self::read_live`], and `Unsupported` for a live one.
    pub fn read(path: &str, bytes: &[u8]) -> Result<Self> {
        let playlist = Self::read_live(path, bytes)?;
        if !playlist.ended {
            // Whatever its type says: a playlist of type VOD without it was cut off when it was written or copied.
            return Err(Error::unsupported(format!(
                "{path}: a live playlist, or one that was cut off, as it has no EXT-X-ENDLIST; an asset needs a finished one"
            )));
        }
        Ok(playlist)
    }

    /// Reads the playlist at `path`, finished or not.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, with path and line: for a multivariant playlist, encryption, URIs that lead out
    /// of the storage, no segments, anything that cannot be read.
    pub fn read_live(path: &str, bytes: &[u8]) -> Result<Self> {
        let lines = line::lines(path, bytes)?;
        let mut playlist = Self { path: path.to_owned(), ..Self::default() };
        let mut pending = Pending::default();
        let mut map: Option<usize> = None;
        for line in &lines {
            let Some((name, value)) = line.tag() else {
                playlist.segment(line, core::mem::take(&mut pending), map)?;
                continue;
            };
            match name {
                "EXTINF" => pending.duration = Some(read_duration(line, value)?),
                "EXT-X-BYTERANGE" => pending.range = Some((*line, value)),
                "EXT-X-DISCONTINUITY" => pending.discontinuity = true,
                "EXT-X-PROGRAM-DATE-TIME" => pending.program_date_time = Some(value.to_owned()),
                "EXT-X-GAP" => pending.gap = true,
                "EXT-X-KEY" => refuse_key(line, value)?,
                "EXT-X-MAP" => map = Some(playlist.map(line, value)?),
                "EXT-X-TARGETDURATION" => playlist.target_duration = value.parse().unwrap_or(0),
                "EXT-X-ENDLIST" => playlist.ended = true,
                "EXT-X-PLAYLIST-TYPE" => playlist.vod = value == "VOD",
                "EXT-X-I-FRAMES-ONLY" => {
                    return Err(line.unsupported("a playlist of I-frames cannot stand for a rendition"));
                }
                "EXT-X-SKIP" => return Err(line.unsupported("EXT-X-SKIP: a delta update is no whole playlist")),
                "EXT-X-STREAM-INF" | "EXT-X-MEDIA" => {
                    return Err(line.bad(format_args!(
                        "{name} makes this a multivariant playlist; a variant has to be a media playlist"
                    )));
                }
                _ => {}
            }
        }
        if playlist.segments.is_empty() {
            return Err(Error::bad_source(format!("{path}: the playlist has no segments")));
        }
        Ok(playlist)
    }

    /// The sum of the segments' durations in microseconds.
    pub fn duration(&self) -> u64 {
        self.segments.iter().fold(0, |sum, s| sum.saturating_add(s.duration))
    }

    /// Whether the segments' durations are whole seconds, as up to version 2.
    pub fn whole_seconds(&self) -> bool {
        self.segments.iter().all(|s| s.duration % 1_000_000 == 0)
    }

    fn segment(&mut self, line: &Line<'_>, pending: Pending<'_>, map: Option<usize>) -> Result<()> {
        if self.segments.len() >= limits::MAX_PLAYLIST_SEGMENTS {
            return Err(line.over_limit(format_args!("more than {} segments", limits::MAX_PLAYLIST_SEGMENTS)));
        }
        let path = uri::resolve(line.playlist, line.text).map_err(|reason| line.bad(reason))?;
        let Some(duration) = pending.duration else {
            return Err(line.bad(format_args!("the segment {path:?} has no EXTINF")));
        };
        let range = match pending.range {
            Some((tag, value)) => Some(self.byte_range(&tag, value, &path)?),
            None => None,
        };
        self.segments.push(Segment {
            line: line.number,
            path,
            duration,
            range,
            map,
            discontinuity: pending.discontinuity,
            program_date_time: pending.program_date_time,
            gap: pending.gap,
        });
        Ok(())
    }

    /// Without an offset the range begins where that of the segment before it ended, in the same resource (4.3.2.2).
    fn byte_range(&self, line: &Line<'_>, value: &str, path: &str) -> Result<Range<u64>> {
        let bad = || line.bad(format_args!("{value:?} is no byte range"));
        let range = tag::byte_range(value).ok_or_else(bad)?;
        let start = match range.offset {
            Some(offset) => offset,
            None => {
                let before = self.segments.last().filter(|s| s.path == path).and_then(|s| s.range.as_ref());
                let before = before.ok_or_else(|| {
                    line.bad(format_args!(
                        "the byte range {value:?} has no offset, and the segment before it is no range of the same file"
                    ))
                })?;
                before.end
            }
        };
        let end = start.checked_add(range.length).filter(|end| *end > start).ok_or_else(bad)?;
        Ok(start..end)
    }

    fn map(&mut self, line: &Line<'_>, value: &str) -> Result<usize> {
        let attributes = Attributes::read(value);
        let map = tag::map(&attributes).ok_or_else(|| line.bad("EXT-X-MAP cannot be read: it needs a URI"))?;
        let path = uri::resolve(line.playlist, &map.uri).map_err(|reason| line.bad(reason))?;
        let range = match map.byte_range {
            Some(range) => {
                let start = range.offset.unwrap_or(0);
                let end = start.checked_add(range.length).filter(|end| *end > start);
                Some(start..end.ok_or_else(|| line.bad("the BYTERANGE of EXT-X-MAP is out of range"))?)
            }
            None => None,
        };
        // Packagers that repeat the tag before every segment mean one section.
        if let Some(same) = self.maps.iter().rposition(|m| m.path == path && m.range == range) {
            return Ok(same);
        }
        if self.maps.len() >= limits::MAX_PLAYLIST_MAPS {
            return Err(line.over_limit(format_args!("more than {} EXT-X-MAP", limits::MAX_PLAYLIST_MAPS)));
        }
        self.maps.push(Map { line: line.number, path, range });
        Ok(self.maps.len() - 1)
    }
}

/// The duration of EXTINF, exactly, in microseconds; further digits are rounded.
fn read_duration(line: &Line<'_>, value: &str) -> Result<u64> {
    let number = value.split(',').next().unwrap_or_default().trim();
    let bad = || line.bad(format_args!("EXTINF {number:?} is no duration"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if number.is_empty() || number == "." || !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    if seconds > limits::MAX_DURATION_SECONDS {
        return Err(line.over_limit(format_args!("EXTINF {number} is more than {} s", limits::MAX_DURATION_SECONDS)));
    }
    let mut micros = fraction.bytes().chain(core::iter::repeat(b'0')).take(6);
    let micros = micros.by_ref().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let half = u64::from(fraction.as_bytes().get(6).is_some_and(|d| *d >= b'5'));
    Ok(seconds * 1_000_000 + micros + half)
}
