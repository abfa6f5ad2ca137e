//! CMAF renditions of HLS: initialization sections and segments of movie fragments, read as their bytes arrive.

use core::ops::Range;
use std::collections::VecDeque;

use bytes::{Buf, BytesMut};

use super::mp4::SourceTrack;
use crate::error::{Error, Result};
use crate::limits;
use crate::media::sample::Sample;
use crate::mp4::boxes::{Box, Header};
use crate::mp4::fragment;
use crate::mp4::movie::{Movie, TrackExtends};

/// What was found, in the order of the bytes.
#[derive(Debug)]
pub enum Found<'a> {
    /// A movie header: the tracks of what follows, without samples.
    Movie {
        /// The tracks of sound, picture and text.
        tracks: Vec<SourceTrack>,
        /// Defaults of their fragments.
        extends: Vec<TrackExtends>,
        /// What was left out, for people.
        warnings: Vec<String>,
    },
    /// The samples of a track in a fragment begin.
    Fragment {
        /// `track_ID`.
        track: u32,
        /// `tfdt`, in ticks of the track.
        decode_time: Option<u64>,
        /// Where its `moof` begins in the object.
        moof: u64,
        /// Whether the `moof` has only this track and stays right wherever it stands.
        movable: bool,
    },
    /// The `mdat` that follows a `moof` at once.
    Data {
        /// Where the `moof` begins in the object.
        moof: u64,
        /// Where the `mdat` ends.
        end: u64,
    },
    /// A sample of the fragment.
    Sample {
        /// `track_ID`.
        track: u32,
        /// Its offset is one of the object.
        sample: Sample,
        /// Its bytes.
        data: &'a [u8],
    },
    /// An event message box (ISO/IEC 23009-1, 5.10.3.3), whole, with its header.
    Message(&'a [u8]),
}

/// Reads objects, or byte ranges of them, one after the other.
#[derive(Debug, Default)]
pub struct FragmentReader {
    extends: Vec<TrackExtends>,
    movie_seen: bool,
    /// What is held, and where in the object it begins.
    held: BytesMut,
    held_at: u64,
    /// Next box.
    at: u64,
    /// End of the range that is read.
    end: u64,
    /// Samples of fragments that have been read, until their bytes come.
    queue: VecDeque<Pending>,
    boxes: usize,
    /// Where the box before begins, if it is a `moof`.
    last_moof: Option<u64>,
}

#[derive(Debug)]
enum Pending {
    Fragment { track: u32, decode_time: Option<u64>, moof: u64, movable: bool },
    Sample { track: u32, sample: Sample },
}

impl FragmentReader {
    /// Starts to read a range of an object.
    pub fn begin(&mut self, range: Range<u64>) {
        self.held.clear();
        self.queue.clear();
        self.boxes = 0;
        self.last_moof = None;
        (self.held_at, self.at, self.end) = (range.start, range.start, range.end);
    }

    /// Whether a movie header has come.
    pub fn has_movie(&self) -> bool {
        self.movie_seen
    }

    /// Brings the next bytes of the range.
    ///
    /// # Errors
    /// `BadSource`, `Unsupported` or `Limit`, with box and byte offset in the object; and what `found` refuses.
    pub fn push(&mut self, bytes: &[u8], found: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        self.held.extend_from_slice(bytes);
        loop {
            let more = self.read_samples(found)?;
            if !self.read_box(found)? && !more {
                break;
            }
        }
        // What is behind both the next box and the next sample is not needed any more.
        let waiting = self.queue.iter().filter_map(|p| match p {
            Pending::Sample { sample, .. } => Some(sample.offset),
            Pending::Fragment { .. } => None,
        });
        let keep = waiting.min().unwrap_or(self.at).min(self.at).saturating_sub(self.held_at);
        let drop = usize::try_from(keep).unwrap_or(usize::MAX).min(self.held.len());
        self.held.advance(drop);
        self.held_at += drop as u64;
        Ok(())
    }

    /// Checks that the range was complete.
    ///
    /// # Errors
    /// `BadSource` when a box or a sample is cut off.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(Pending::Sample { sample, .. }) = self.queue.front() {
            return Err(Error::bad_source(format!(
                "a sample at bytes {}..{} is cut off: the segment ends at byte {}",
                sample.offset,
                sample.offset + u64::from(sample.size),
                self.end
            )));
        }
        if self.at < self.end && self.end - self.at >= 8 {
            return Err(Error::bad_source(format!("the box at byte {} is cut off at byte {}", self.at, self.end)));
        }
        Ok(())
    }

    fn view(&self, at: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.held_at)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.held.get(start..end)
    }

    /// Gives out the samples whose bytes are there; answers whether there were any.
    fn read_samples(&mut self, found: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<bool> {
        let mut any = false;
        while let Some(pending) = self.queue.pop_front() {
            match pending {
                Pending::Fragment { track, decode_time, moof, movable } => {
                    found(Found::Fragment { track, decode_time, moof, movable })?;
                }
                Pending::Sample { track, sample } => {
                    if sample.offset < self.held_at {
                        return Err(Error::unsupported(format!(
                            "a sample of track {track} at byte {} lies before its moof",
                            sample.offset
                        )));
                    }
                    let Some(data) = self.view(sample.offset, u64::from(sample.size)) else {
                        self.queue.push_front(pending);
                        break;
                    };
                    found(Found::Sample { track, sample, data })?;
                }
            }
            any = true;
        }
        Ok(any)
    }

    /// Reads the next box, if what is needed of it is there.
    fn read_box(&mut self, found: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<bool> {
        let left = self.end.saturating_sub(self.at);
        if left < 8 {
            return Ok(false);
        }
        let Some(head) = self.view(self.at, left.min(Header::MAX_LENGTH as u64)) else { return Ok(false) };
        let header = Header::read(head, self.at, "")?;
        let size = header.size.unwrap_or(left);
        if size > left {
            return Err(Error::bad_source(format!(
                "{} at byte {}: box size {size} runs past the end of the segment at byte {}",
                header.kind, self.at, self.end
            )));
        }
        let whole = match &header.kind.0 {
            b"moov" => Some(limits::MAX_MOOV_BYTES),
            b"moof" => Some(limits::MAX_MOOF_BYTES),
            b"emsg" => Some(limits::MAX_SMALL_BOX_BYTES),
            _ => None,
        };
        if let Some(limit) = whole {
            if size > limit {
                return Err(Error::limit(format!(
                    "{} at byte {}: box size {size} is above {limit}",
                    header.kind, self.at
                )));
            }
            // Samples come out before the fragment after them is read.
            let waiting = header.kind.0 == *b"moof" && !self.queue.is_empty();
            let (at, start) = (self.at, self.at - self.held_at);
            if waiting || self.view(at, size).is_none() {
                return Ok(false);
            }
            let (start, size) = (start as usize, size as usize);
            let bytes = self.held.get(start..start + size).unwrap_or_default();
            let content = bytes.get(usize::from(header.length)..).unwrap_or_default();
            let top = Box::top(header.kind, at, at + u64::from(header.length), content);
            match &header.kind.0 {
                b"emsg" => found(Found::Message(bytes))?,
                b"moov" => {
                    let (extends, movie) = read_movie(&top)?;
                    self.extends = extends;
                    self.movie_seen = true;
                    found(movie)?;
                }
                _ if !self.movie_seen => return Err(top.bad("a movie fragment without an initialization section")),
                _ => {
                    let fragments = fragment::read(&top, &self.extends, self.end, limits::MAX_SEGMENT_SAMPLES)?;
                    let single = fragments.len() == 1;
                    for fragment in fragments {
                        let (track, decode_time) = (fragment.track_id, fragment.decode_time);
                        let movable = single && !fragment.explicit_base && decode_time.is_some();
                        self.queue.push_back(Pending::Fragment { track, decode_time, moof: at, movable });
                        let samples = fragment.samples.into_iter();
                        self.queue.extend(samples.map(|sample| Pending::Sample { track, sample }));
                    }
                }
            }
        }
        match &header.kind.0 {
            b"moof" => self.last_moof = Some(self.at),
            b"mdat" => {
                if let Some(moof) = self.last_moof.take() {
                    found(Found::Data { moof, end: self.at + size })?;
                }
            }
            _ => self.last_moof = None,
        }
        self.boxes += 1;
        if self.boxes > limits::MAX_TOP_LEVEL_BOXES {
            return Err(Error::limit(format!("more than {} boxes at the top level", limits::MAX_TOP_LEVEL_BOXES)));
        }
        self.at += size;
        Ok(true)
    }
}

fn read_movie<'a>(moov: &Box<'_>) -> Result<(Vec<TrackExtends>, Found<'a>)> {
    let movie = Movie::read(moov)?;
    if movie.tracks.is_empty()
        && let Some(reason) = movie.broken_tracks.first()
    {
        return Err(Error::bad_source(reason.clone()));
    }
    let mut warnings: Vec<String> =
        movie.broken_tracks.iter().map(|reason| format!("a track was left out: {reason}")).collect();
    warnings.extend(movie.other_tracks.iter().map(|(id, handler)| {
        format!("track {id} was left out: its handler {handler} is neither sound nor picture nor text")
    }));
    let tracks = movie.tracks.into_iter().map(|t| SourceTrack::new(t, movie.timescale, Vec::new()));
    let extends = movie.extends.clone();
    Ok((movie.extends, Found::Movie { tracks: tracks.collect(), extends, warnings }))
}
