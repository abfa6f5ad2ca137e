//! One segment of an endpoint, out of the parts that its positions are in.

use bytes::Bytes;

use super::append;
use super::archive::Archive;
use super::numbering::Place;
use super::part::PartHead;
use super::renditions::{self, Offer, is_sample_aes};
use crate::config::{Iv, Scheme};
use crate::error::{Error, Result};
use crate::index::{Head, Track};
use crate::job::{cues, text_segment};
use crate::limits;
use crate::media::delivery::Delivery;
use crate::media::presentation::{Presentation, Rendition};
use crate::prepared;
use crate::response::Part;
use crate::route::{SegmentFormat, TrackName};
use crate::segment::fmp4::{self, Preceding};
use crate::segment::gather::Stored;
use crate::segment::recipe::Secret;
use crate::segment::transport::{self, Blocks, Encryption};
use crate::segment::ts::Before;

/// Which segment is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub place: Place,
    pub track: TrackName,
    pub format: SegmentFormat,
}

/// Sequence numbers of movie fragments ascend from position to position: none has more cuts.
const POSITION_CUTS: u64 = 64;
/// Each position has initialisation vectors of its own under cenc: none has more samples.
const POSITION_SAMPLES: u64 = limits::MAX_SEGMENT_SAMPLES as u64;

/// Makes a segment: the body and the media type; `None` while something has to be fetched.
///
/// # Errors
/// `NotFound` when the track has no such segment, `BadSource` when the parts break their format.
pub(super) fn make(archive: &mut Archive, offer: &Offer, asked: &Asked) -> Result<Option<(&'static str, Vec<Part>)>> {
    let positions = asked.place.positions.clone();
    let Some(parts) = archive.parts(positions.clone())? else { return Ok(None) };
    let mut joined: Option<Head> = None;
    for part in &parts {
        match &mut joined {
            None => joined = Some(append::slice(&part.head, part.cuts(&positions))),
            Some(head) => {
                append::check(head, &part.head)
                    .map_err(|change| Error::bad_source(format!("the parts of a period differ: {change}")))?;
                append::join(head, &part.head, part.cuts(&positions));
            }
        }
    }
    let Some(head) = joined else { return Err(Error::internal("a segment without parts")) };
    let cuts = head.cuts.len();
    let presentation = renditions::present(offer, head, core::slice::from_ref(&(0..cuts)))?;
    let found = presentation.offered().find(|(track, _)| track.name == asked.track);
    let found = found.ok_or_else(|| Error::not_found(format!("this endpoint offers no track {}", asked.track)));
    let (track, rendition) = found?;
    let delivered = rendition.delivery.format();
    if delivered != Some(asked.format) {
        let message = match delivered {
            Some(own) => format!("segments of track {} end in .{}", track.name, own.extension()),
            None => format!("track {} has no segments here", track.name),
        };
        return Err(Error::not_found(message));
    }
    let making = Making { presentation: &presentation, parts: &parts, place: &asked.place, track, rendition };
    let Some(blocks) = making.fetch(archive)? else { return Ok(None) };
    let content_type = crate::job::content_type(track, rendition.delivery);
    Ok(Some((content_type, making.write(archive, &blocks)?)))
}

/// A segment in the making.
struct Making<'a> {
    presentation: &'a Presentation,
    parts: &'a [std::sync::Arc<PartHead>],
    place: &'a Place,
    track: &'a Track,
    rendition: &'a Rendition,
}

/// The blocks of a track, those of all positions one after the other.
type TrackBlocks<'a> = (&'a Track, Bytes);

impl<'a> Making<'a> {
    fn head(&self) -> &'a Head {
        &self.presentation.head
    }

    fn program(&self) -> Option<transport::Program<'a>> {
        let Delivery::Transport { audio } = self.rendition.delivery else { return None };
        Some(prepared::program(self.head(), self.track, self.rendition, audio))
    }

    /// The tracks whose samples are in the segment.
    fn tracks(&self) -> Vec<&'a Track> {
        match (self.program(), self.rendition.delivery) {
            (Some(program), _) => program.tracks().collect(),
            (None, Delivery::Cmaf) => {
                [self.track].into_iter().chain(prepared::events(self.head(), self.track)).collect()
            }
            _ => vec![self.track],
        }
    }

    /// Where a track is in the heads.
    fn at(&self, track: &Track) -> Result<usize> {
        let at = self.head().tracks.iter().position(|t| t.name == track.name);
        at.ok_or_else(|| Error::internal("a segment without its track"))
    }

    /// The blocks of the tracks.
    fn fetch(&self, archive: &mut Archive) -> Result<Option<Vec<TrackBlocks<'a>>>> {
        let tracks = self.tracks();
        let needed: u64 =
            tracks.iter().flat_map(|t| &t.fragments).map(|f| u64::from(f.block_bytes)).fold(0, u64::saturating_add);
        if needed > limits::MAX_SEGMENT_INDEX_BYTES {
            return Err(Error::limit(format!("the index has {needed} bytes for this segment")));
        }
        let mut complete = true;
        let mut blocks = Vec::with_capacity(tracks.len());
        for track in tracks {
            let at = self.at(track)?;
            let mut whole = Vec::new();
            for part in self.parts {
                complete &= match part.is_open {
                    true => self.fetch_open(archive, part, at, &mut whole)?,
                    false => self.fetch_part(archive, part, at, &mut whole)?,
                };
            }
            blocks.push((track, whole.into()));
        }
        Ok(complete.then_some(blocks))
    }

    /// Appends the blocks of a track in the open part; false while something has to be fetched. All of the object of a
    /// position is fetched: it is small, and the other tracks of the segment need it too.
    fn fetch_open(&self, archive: &mut Archive, part: &PartHead, at: usize, out: &mut Vec<u8>) -> Result<bool> {
        let own = part.positions();
        let mut complete = true;
        for position in self.place.positions.start.max(own.start)..self.place.positions.end.min(own.end) {
            let cuts = part.cuts(&(position..position + 1));
            let length = |track: &Track| {
                let fragments = track.fragments.get(cuts.clone()).unwrap_or_default();
                fragments.iter().map(|f| u64::from(f.block_bytes)).sum::<u64>()
            };
            let lengths: Vec<u64> = part.head.tracks.iter().map(length).collect();
            let total = lengths.iter().sum();
            if total > limits::MAX_SEGMENT_INDEX_BYTES {
                return Err(Error::limit(format!("position {position} has {total} bytes of blocks")));
            }
            let path = archive.timeline.blocks_path(position);
            match archive.bytes(path, 0..total) {
                Some(bytes) => {
                    let start: u64 = lengths.iter().take(at).sum();
                    let end = start + lengths.get(at).copied().unwrap_or(0);
                    out.extend_from_slice(bytes.get(start as usize..end as usize).unwrap_or_default());
                }
                None => complete = false,
            }
        }
        Ok(complete)
    }

    /// Appends the blocks of a track in a part, out of the pieces in which all of its segments are read.
    fn fetch_part(&self, archive: &mut Archive, part: &PartHead, at: usize, out: &mut Vec<u8>) -> Result<bool> {
        let Some(track) = part.head.tracks.get(at) else { return Err(Error::internal("a part without a track")) };
        let wanted = track.blocks(part.cuts(&self.place.positions));
        let path = archive.timeline.part_path(part.positions().start);
        let mut complete = true;
        for piece in track.pieces(&wanted) {
            if piece.end - piece.start > limits::MAX_SEGMENT_INDEX_BYTES {
                return Err(Error::limit(format!("{path}: a piece of {} bytes", piece.end - piece.start)));
            }
            match archive.bytes(path.clone(), piece.clone()) {
                Some(bytes) => {
                    let (start, end) = (wanted.start.max(piece.start), wanted.end.min(piece.end));
                    let within = (start - piece.start) as usize..(end.max(start) - piece.start) as usize;
                    out.extend_from_slice(bytes.get(within).unwrap_or_default());
                }
                None => complete = false,
            }
        }
        Ok(complete)
    }

    fn write(&self, archive: &Archive, blocks: &[TrackBlocks<'_>]) -> Result<Vec<Part>> {
        let stored = |wanted: &Track| {
            let found = blocks.iter().find(|(track, _)| track.name == wanted.name);
            let found = found.map(|(track, blocks)| Stored { track, blocks, sources: &[] });
            found.ok_or_else(|| Error::internal("a segment without its track"))
        };
        let own = stored(self.track)?;
        let segment = self.rendition.segments.first().ok_or_else(|| Error::internal("a segment without times"))?;
        match self.rendition.delivery {
            Delivery::Cmaf => {
                let events = prepared::events(self.head(), self.track).map(stored).transpose()?;
                let protection = self.rendition.protection.as_ref().map(|p| p.segment(0));
                let position = self.place.positions.start;
                let before = Preceding {
                    cuts: position.wrapping_mul(POSITION_CUTS) as u32,
                    samples: position.wrapping_mul(POSITION_SAMPLES),
                };
                let salt = &archive.timeline.id;
                fmp4::write(&fmp4::Source { track: own, events, protection, salt, before }, segment)
            }
            Delivery::Transport { .. } => {
                let program = self.program().ok_or_else(|| Error::internal("a transport stream without a program"))?;
                self.has_samples()?;
                let audio = program.audio.map(stored).transpose()?;
                let events = program.events.map(stored).transpose()?;
                let before = self.before(program)?;
                let blocks = Blocks { video: own, audio, events };
                Ok(vec![transport::write(self.head(), blocks, segment, before, self.encryption()?)?])
            }
            Delivery::Packed(_) => {
                self.has_samples()?;
                Ok(vec![transport::write_packed(own, segment, self.encryption()?)?])
            }
            Delivery::Webvtt | Delivery::Wvtt => {
                let read = cues(own, segment)?;
                let package_type = self.presentation.configuration.package_type;
                let bytes = text_segment(self.track, self.rendition.delivery, package_type, segment, &read)?;
                Ok(vec![Part::Bytes(bytes)])
            }
            Delivery::WebvttFile | Delivery::Absent => Err(Error::internal("a segment in no form")),
        }
    }

    /// `NotFound` for a segment that a playlist lists as a gap.
    fn has_samples(&self) -> Result<()> {
        if self.track.fragments.iter().any(|f| f.samples > 0) {
            return Ok(());
        }
        Err(Error::not_found(format!("track {} has nothing in segment {}", self.track.name, self.place.number)))
    }

    /// What stands before the segment in the timeline, as far as continuity counters depend on it.
    fn before(&self, program: transport::Program<'_>) -> Result<Before> {
        let Some(part) = self.parts.first() else { return Err(Error::internal("a segment without parts")) };
        let cut = part.cuts(&self.place.positions).start;
        let sample_aes = is_sample_aes(self.rendition);
        let packets = |track: &Track| {
            let at = self.at(track)?;
            let counter = |counters: &[u8]| counters.get(at).map_or(0, |n| u64::from(*n));
            let Some(own) = part.head.tracks.get(at) else { return Err(Error::internal("a part without a track")) };
            let fragments = own.fragments.get(..cut).unwrap_or_default();
            let mut count = fragments.iter().fold(counter(&part.counters.packets), |n, f| n + u64::from(f.packets));
            if sample_aes {
                let more = fragments.iter().map(|f| u64::from(f.sample_aes_packets)).sum::<u64>();
                count += more + counter(&part.counters.sample_aes);
            }
            Ok::<_, Error>(count)
        };
        Ok(Before {
            segments: self.place.number,
            video: packets(program.video)?,
            audio: program.audio.map(packets).transpose()?.unwrap_or(0),
            id3: program.events.map(packets).transpose()?.unwrap_or(0),
        })
    }

    fn encryption(&self) -> Result<Encryption> {
        let Some((protection, key)) = self.rendition.protection.as_ref().and_then(|p| Some((p, p.key(0)?))) else {
            return Ok(Encryption::Clear);
        };
        // Without an initialisation vector it is the media sequence number (RFC 8216bis, 5.2).
        let iv = match protection.scheme {
            Scheme::Aes128 => key.iv.or(Some(Iv(u128::from(self.place.number).to_be_bytes()))),
            _ => key.iv,
        };
        match (protection.scheme, iv) {
            (Scheme::Aes128, Some(iv)) => Ok(Encryption::Segment(Secret { key: key.clone(), iv })),
            (Scheme::SampleAes, Some(iv)) => {
                Ok(Encryption::Samples { secret: Secret { key: key.clone(), iv }, from: 0 })
            }
            (scheme, _) => Err(Error::internal(format!("a transport stream cannot have {}", scheme.as_str()))),
        }
    }
}
