//! What the segments of a rendition hold: it is found out from the first one, and the others have to be alike.

use core::ops::Range;

use super::cmaf::Fragments;
use super::stream::Stream;
use super::tags::Tag;
use super::text::Subtitles;
use super::ts::Packets;
use crate::error::{Error, Result};
use crate::source::hls::Container;

/// A segment, or an initialization section, that begins.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its number among the segments of the rendition.
    pub number: usize,
    /// Where its object stands in the space of the rendition.
    pub base: u64,
    /// Which bytes of the object it is.
    pub range: Range<u64>,
    /// EXT-X-DISCONTINUITY tags up to it.
    pub discontinuity: u32,
    /// Whether the playlist gives it an initialization section.
    pub has_map: bool,
    /// Whether it is an initialization section itself.
    pub initialization: bool,
}

/// The content of a rendition.
#[derive(Debug, Default)]
pub enum Content {
    /// Nothing was read yet; holes that were announced so far, in microseconds.
    #[default]
    Unknown,
    /// Movie fragments.
    Fragments(Box<Fragments>),
    /// Transport streams.
    Packets(Box<Packets>),
    /// WebVTT.
    Subtitles(Subtitles),
}

impl Content {
    fn container(&self) -> Option<Container> {
        match self {
            Self::Unknown => None,
            Self::Fragments(_) => Some(Container::Fragments),
            Self::Packets(_) => Some(Container::Transport),
            Self::Subtitles(_) => Some(Container::Webvtt),
        }
    }

    /// The segment before the next one is over; `discontinuity` begins with that.
    ///
    /// # Errors
    /// What is wrong at its end.
    pub fn end_segment(&mut self, discontinuity: bool) -> Result<()> {
        match self {
            Self::Packets(packets) => packets.end_segment(discontinuity),
            _ => Ok(()),
        }
    }

    /// A segment begins with these bytes, which are pushed next.
    ///
    /// # Errors
    /// `BadSource` or `Unsupported` when they are not of a container that can be read, or of another one than before.
    pub fn begin(&mut self, segment: Segment, first: &[u8]) -> Result<()> {
        let container = Container::of(first).map_err(|what| Error::bad_source(format!("it is {what}")))?;
        if segment.has_map && container != Container::Fragments {
            return Err(Error::bad_source(format!("it is {container}, although the playlist has EXT-X-MAP")));
        }
        match self.container() {
            None => {
                *self = match container {
                    Container::Fragments => Self::Fragments(Box::default()),
                    Container::Transport => Self::Packets(Box::default()),
                    Container::Webvtt => Self::Subtitles(Subtitles::default()),
                    other => return Err(Error::unsupported(format!("it is {other}, which cannot be read"))),
                }
            }
            Some(before) if before != container => {
                return Err(Error::bad_source(format!("it is {container}, the segments before it are {before}")));
            }
            Some(_) => {}
        }
        match self {
            Self::Unknown => {}
            Self::Fragments(fragments) => fragments.begin(segment),
            Self::Packets(packets) => packets.begin(&segment),
            Self::Subtitles(subtitles) => subtitles.begin(segment),
        }
        Ok(())
    }

    /// Brings the next bytes of the segment.
    ///
    /// # Errors
    /// What the container refuses.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Unknown => Ok(()),
            Self::Fragments(fragments) => fragments.push(bytes),
            Self::Packets(packets) => packets.push(bytes),
            Self::Subtitles(subtitles) => subtitles.push(bytes),
        }
    }

    /// The segment is complete.
    ///
    /// # Errors
    /// `BadSource` when it is cut off.
    pub fn finish_segment(&mut self) -> Result<()> {
        match self {
            Self::Unknown | Self::Packets(_) => Ok(()),
            Self::Fragments(fragments) => fragments.finish_segment(),
            Self::Subtitles(subtitles) => subtitles.finish_segment(),
        }
    }

    /// All segments have been read.
    ///
    /// # Errors
    /// What is wrong at the end of the last one.
    pub fn finish(&mut self) -> Result<()> {
        if let Self::Packets(packets) = self {
            packets.finish()?;
        }
        self.streams_mut().iter_mut().for_each(Stream::finish);
        Ok(())
    }

    /// Media of this many microseconds are missing.
    pub fn expect_hole(&mut self, micros: u64) {
        match self {
            // Frames of the segment before it are still to come.
            Self::Packets(packets) => packets.expect_hole(micros),
            _ => self.streams_mut().iter_mut().for_each(|s| s.expect_hole(micros)),
        }
    }

    /// The tracks.
    pub fn streams(&self) -> &[Stream] {
        match self {
            Self::Unknown | Self::Subtitles(_) => &[],
            Self::Fragments(fragments) => &fragments.streams,
            Self::Packets(packets) => &packets.streams,
        }
    }

    /// The tracks, to be changed.
    pub fn streams_mut(&mut self) -> &mut [Stream] {
        match self {
            Self::Unknown | Self::Subtitles(_) => &mut [],
            Self::Fragments(fragments) => &mut fragments.streams,
            Self::Packets(packets) => &mut packets.streams,
        }
    }

    /// The tracks, to be kept.
    pub fn take_streams(&mut self) -> Vec<Stream> {
        match self {
            Self::Unknown | Self::Subtitles(_) => Vec::new(),
            Self::Fragments(fragments) => core::mem::take(&mut fragments.streams),
            Self::Packets(packets) => core::mem::take(&mut packets.streams),
        }
    }

    /// The timed ID3 tags, to be kept.
    pub fn take_tags(&mut self) -> Vec<Tag> {
        match self {
            Self::Unknown | Self::Subtitles(_) => Vec::new(),
            Self::Fragments(fragments) => core::mem::take(&mut fragments.tags),
            Self::Packets(packets) => core::mem::take(&mut packets.tags),
        }
    }

    /// The subtitles, to be kept.
    pub fn take_subtitles(&mut self) -> Option<Subtitles> {
        match self {
            Self::Subtitles(subtitles) => Some(core::mem::take(subtitles)),
            _ => None,
        }
    }

    /// What looks wrong, for people.
    pub fn take_warnings(&mut self) -> Vec<String> {
        match self {
            Self::Unknown | Self::Subtitles(_) => Vec::new(),
            Self::Fragments(fragments) => core::mem::take(&mut fragments.warnings),
            Self::Packets(packets) => core::mem::take(&mut packets.warnings),
        }
    }
}
