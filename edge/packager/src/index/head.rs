//! The head of an index: cuts, tracks, and what every track has between two cuts.

use core::ops::Range;

use bytes::Bytes;

use crate::bytes::writer::Writer;
pub use crate::codec::VideoRange;
use crate::error::{Error, Result};
use crate::limits;
use crate::route::{TrackKind, TrackName};
use read::{Broken, read_head};

mod read;
mod write;

/// First bytes of an index.
pub const MAGIC: [u8; 4] = *b"EPIX";
/// The layout written and read here.
pub const VERSION: u8 = 3;

/// The head of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whether every fragment of video has the clock of a transport stream for just as long as its samples last, whatever is
    /// beside it: heads of a live timeline are taken apart and put together.
    pub alone: bool,
    /// The places where every track can be cut, ascending. The first is where the title begins.
    pub cuts: Vec<Cut>,
    /// The tracks, in the order of the sources.
    pub tracks: Vec<Track>,
}

/// A place where every track can be cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The last whole second at or before it; 0 for the first.
    pub second: u32,
    /// Whether a segment of the source begins here, in every rendition.
    pub source_segment: bool,
    /// Whether the sample entry of any track changes here, so that a new period begins. Not set for the first.
    pub period: bool,
}

/// A track.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Its name in URLs.
    pub name: TrackName,
    /// Where its samples are.
    pub storage: Storage,
    /// Ticks a second of all its times.
    pub timescale: u32,
    /// All durations and composition offsets are multiples of this many ticks.
    pub unit: u32,
    /// Media time at which presentation time 0 is: the priming of audio. 0 for video, unless its fragments are passed on
    /// as stored.
    pub edit_media_time: u64,
    /// Presentation time at which the track ends, in ticks.
    pub end: u64,
    /// Duration of every sample, in ticks, if they all have the same.
    pub constant_duration: Option<u32>,
    /// Whether any sample has a composition offset.
    pub composition: bool,
    /// The most by which a sample is presented before its decoding time, in ticks: transport streams, which do not know
    /// negative composition offsets, decode everything that much earlier.
    pub reorder: u32,
    /// Where sync samples are.
    pub sync: SyncLayout,
    /// Whether every fragment begins with a sync sample that nothing presented before it follows in decoding order.
    pub closed: bool,
    /// Whether blocks carry the clear and protected stretches of samples.
    pub stretches: bool,
    /// Whether blocks carry by how much samples change when they are written into a transport stream.
    pub annex_b: bool,
    /// Whether fragments carry how many packets of a transport stream they take; codecs that have no place there do not.
    pub transport: bool,
    /// Whether SAMPLE-AES has a form for it in a transport stream or as packed audio.
    pub sample_aes: bool,
    /// How the fragments of the source can be passed on as they are stored.
    pub stored: Option<Stored>,
    /// Whether manifests leave it out: a copy of another track, which only serves to be multiplexed with its video.
    pub hidden: bool,
    /// Whether it plays when the viewer has not chosen.
    pub default: bool,
    /// The sample entries in use, whole boxes as they were stored.
    pub sample_entries: Vec<Bytes>,
    /// RFC 6381 codec string.
    pub codec: String,
    /// Codec string of an enhancement that players may use instead (HLS SUPPLEMENTAL-CODECS).
    pub supplemental_codec: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// ISO 639-2/T, for the media header.
    pub language_code: [u8; 3],
    /// Name shown to viewers.
    pub label: Option<String>,
    /// `urn:mpeg:dash:role:2011`.
    pub role: Option<String>,
    /// Bits a second over the whole track.
    pub average_bitrate: u64,
    /// Most bits a second between two cuts.
    pub peak_bitrate: u64,
    /// What only video or only audio has.
    pub media: Media,
    /// One for each cut.
    pub fragments: Vec<Fragment>,
    /// Where the pieces of the index begin in which the blocks of the track are fetched, and where the last one ends.
    /// Derived from the fragments when a head is read.
    pub pieces: Vec<u64>,
}

/// About how long a piece is: long enough to serve many segments, short enough to be read for one.
const PIECE_BYTES: u64 = 16 << 10;

/// Where the samples of a track are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In one of the asset's source files; extents are byte ranges in it.
    File(u16),
    /// In many objects, which blocks name; extents are byte ranges in the space that the objects form one after the other.
    Objects {
        /// What the paths of all objects begin with.
        prefix: String,
    },
    /// In many objects, which blocks name, as an elementary stream of an MPEG-2 transport stream.
    Transport {
        /// What the paths of all objects begin with.
        prefix: String,
        /// How the samples lie in the elementary stream.
        stream: ElementaryStream,
    },
    /// In the blocks themselves: cues and timed metadata.
    Index,
}

impl Storage {
    /// What the paths of objects begin with.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Objects { prefix } | Self::Transport { prefix, .. } => prefix,
            Self::File(_) | Self::Index => "",
        }
    }
}

/// How samples lie in an elementary stream of a transport stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementaryStream {
    /// H.264 byte stream.
    Avc,
    /// H.265 byte stream.
    Hevc,
    /// AAC with ADTS headers.
    Adts,
    /// AAC in LOAS/LATM.
    Latm,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
    /// MPEG-1/2 layer III.
    Mp3,
}

impl ElementaryStream {
    const ALL: [Self; 7] = [Self::Avc, Self::Hevc, Self::Adts, Self::Latm, Self::Ac3, Self::Eac3, Self::Mp3];

    fn number(self) -> u8 {
        Self::ALL.iter().position(|s| *s == self).unwrap_or(0) as u8
    }
}

/// What the init segment has to say so that fragments can be passed on as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// `track_ID` in `tfhd`.
    pub track_id: u32,
    /// `default_sample_description_index` of `trex`.
    pub description: u32,
    /// `default_sample_duration` of `trex`.
    pub duration: u32,
    /// `default_sample_size` of `trex`.
    pub size: u32,
    /// `default_sample_flags` of `trex`.
    pub flags: u32,
}

/// Where the sync samples of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncLayout {
    /// Every sample is one.
    All,
    /// The first sample of every fragment, and no other.
    First,
    /// Blocks say it.
    Listed,
}

/// What only one kind of track has.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// Video.
    Video(Video),
    /// Audio.
    Audio(Audio),
    /// Subtitles.
    Text(Text),
    /// Timed metadata: ID3 tags.
    Metadata,
}

/// A track of subtitles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What its samples are.
    pub format: TextFormat,
    /// Whether only what has to be translated is in it, to be shown even when the viewer wants no subtitles.
    pub forced: bool,
}

/// What the samples of a track of subtitles are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// WebVTT cues in the blocks of the index.
    Webvtt {
        /// STYLE and REGION blocks that belong in front of every segment.
        header: String,
    },
    /// TTML documents (`stpp`, ISO/IEC 14496-30) in the source.
    Stpp,
}

/// What a playlist says about a caption channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionService {
    /// `CC1` to `CC4` or `SERVICE1` to `SERVICE63`.
    pub channel: String,
    /// BCP 47.
    pub language: Option<String>,
    /// Name shown to viewers.
    pub label: Option<String>,
}

/// A video track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Video {
    /// Width of the coded picture that is shown, in samples.
    pub width: u32,
    /// See `width`.
    pub height: u32,
    /// Sample aspect ratio.
    pub aspect: (u32, u32),
    /// Presentation matrix of the track header.
    pub matrix: [u32; 9],
    /// Frames a second as a fraction.
    pub frame_rate: (u32, u32),
    /// Dynamic range.
    pub range: VideoRange,
    /// CEA-608 channels (1 to 4) that carry captions.
    pub cea608: Vec<u8>,
    /// CEA-708 services (1 to 63) that carry captions.
    pub cea708: Vec<u8>,
    /// What is known of them beyond their presence.
    pub captions: Vec<CaptionService>,
    /// Ordinal of the audio track that the source multiplexes with it.
    pub companion: Option<u16>,
}

/// An audio track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audio {
    /// Samples a second that come out of the decoder.
    pub sample_rate: u32,
    /// Number of channels of the bed.
    pub channels: u32,
    /// Complexity index of Dolby Digital Plus with joint object coding, if it is that.
    pub joc: Option<u8>,
}

impl Audio {
    /// The value of HLS CHANNELS.
    pub fn hls_channels(&self) -> String {
        match self.joc {
            Some(complexity) => format!("{complexity}/JOC"),
            None => self.channels.to_string(),
        }
    }
}

/// What a track has between two cuts. May be empty for audio that begins late or ends early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Number of samples.
    pub samples: u32,
    /// Bytes of all samples.
    pub bytes: u64,
    /// Decoding time of the first sample, in ticks of the output.
    pub decode_time: u64,
    /// Composition offset of the first sample, in ticks.
    pub composition_offset: i32,
    /// Bytes of the first sample, for video; else 0. When fragments are passed on as stored: from the start of the
    /// fragment to the end of its first sample.
    pub first_sample_bytes: u32,
    /// Which of the track's sample entries describes the samples, counted from 1.
    pub description: u32,
    /// Packets of a transport stream that hold its samples, if the track has that.
    pub packets: u32,
    /// Packets of a transport stream with nothing but the clock, for video; else 0.
    pub clocks: u32,
    /// Packets of a transport stream up to the end of its first sample, for video; else 0.
    pub first_sample_packets: u32,
    /// Packets that video takes more under SAMPLE-AES, if it has that; else 0.
    pub sample_aes_packets: u32,
    /// How many of these are before the end of its first sample.
    pub sample_aes_first_packets: u32,
    /// Length of the boxes as they are stored, if they can be passed on.
    pub stored_bytes: u64,
    /// Entries of `senc` (subsamples) that its samples have under cenc; 0 for tracks that are protected as a whole.
    pub cenc_subsamples: u32,
    /// The same under cbcs.
    pub cbcs_subsamples: u32,
    /// Where its block starts in the index.
    pub block_offset: u64,
    /// Length of its block.
    pub block_bytes: u32,
}

impl Track {
    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        matches!(self.media, Media::Video(_))
    }

    /// Whether its blocks and fragments carry how many packets it takes more under SAMPLE-AES.
    pub(crate) fn grows(&self) -> bool {
        self.is_video() && self.transport && self.sample_aes
    }

    /// Decoding time of the first sample of `fragment`, or where the track ends in decoding time.
    pub fn decode_time(&self, fragment: usize) -> u64 {
        self.fragments.get(fragment).map_or(self.end + self.edit_media_time, |f| f.decode_time)
    }

    /// Presentation time of the first sample of `fragment`, or the end of the track.
    pub fn start(&self, fragment: usize) -> u64 {
        self.fragments.get(fragment).map_or(self.end, |f| {
            let time = f.decode_time.saturating_add_signed(i64::from(f.composition_offset));
            time.saturating_sub(self.edit_media_time)
        })
    }

    /// The sample entry, counted from 1, of the samples at a cut or, where there are none, of the next ones.
    pub fn description(&self, cut: usize) -> u32 {
        let rest = self.fragments.get(cut..).unwrap_or_default();
        rest.iter().find(|f| f.samples > 0).or(self.fragments.last()).map_or(1, |f| f.description)
    }

    /// Where the blocks of these fragments are in the index.
    pub fn blocks(&self, fragments: Range<usize>) -> Range<u64> {
        let blocks = self.fragments.get(fragments).unwrap_or_default();
        match (blocks.first(), blocks.last()) {
            (Some(first), Some(last)) => first.block_offset..last.block_offset + u64::from(last.block_bytes),
            _ => 0..0,
        }
    }

    /// The pieces of the index that hold these bytes of its blocks. Every segment is served from the same pieces, so they
    /// are worth caching.
    pub fn pieces(&self, blocks: &Range<u64>) -> Vec<Range<u64>> {
        let first = self.pieces.partition_point(|start| *start <= blocks.start).saturating_sub(1);
        let pieces = self.pieces.get(first..).unwrap_or_default().windows(2).map(|w| w[0]..w[1]);
        pieces.take_while(|piece| piece.start < blocks.end).collect()
    }

    fn divide(&mut self) {
        let mut start = self.fragments.first().map_or(0, |f| f.block_offset);
        self.pieces = vec![start];
        for fragment in &self.fragments {
            let end = fragment.block_offset + u64::from(fragment.block_bytes);
            if end - start >= PIECE_BYTES {
                self.pieces.push(end);
                start = end;
            }
        }
        let end = self.fragments.last().map_or(0, |f| f.block_offset + u64::from(f.block_bytes));
        if end > start {
            self.pieces.push(end);
        }
    }

    /// About how many bytes of memory it holds.
    fn memory(&self) -> usize {
        self.fragments.capacity() * size_of::<Fragment>()
            + self.sample_entries.iter().map(Bytes::len).sum::<usize>()
            + 1024
    }
}

impl Head {
    /// About how many bytes of memory it holds.
    pub fn memory(&self) -> usize {
        self.cuts.capacity() * size_of::<Cut>() + self.tracks.iter().map(Track::memory).sum::<usize>()
    }

    /// The track with this name.
    pub fn track(&self, name: TrackName) -> Option<&Track> {
        self.tracks.iter().find(|t| t.name == name)
    }

    /// Writes the head. Blocks are laid out after it, track by track, so their offsets in `self` are not used.
    pub fn write(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.varint(self.cuts.len() as u64);
        let mut last = 0;
        for cut in &self.cuts {
            let marks = u64::from(cut.source_segment) | u64::from(cut.period) << 1;
            body.varint(u64::from(cut.second.saturating_sub(last)) << 2 | marks);
            last = cut.second;
        }
        body.varint(self.tracks.len() as u64);
        for track in &self.tracks {
            track.write(&mut body);
        }
        let mut head = Vec::with_capacity(body.len() + PREFIX_BYTES);
        head.extend_from_slice(&MAGIC);
        head.push(VERSION);
        head.push(u8::from(self.alone));
        head.extend_from_slice(&[0; 2]);
        head.u32((body.len() + PREFIX_BYTES) as u32);
        head.append(&mut body);
        head
    }

    /// Reads a head; `index_bytes` is the length of the whole index, which bounds where blocks may be.
    ///
    /// # Errors
    /// `BadSource` when it is no such head, with the byte.
    pub fn read(data: &[u8], index_bytes: u64) -> Result<Self> {
        read_head(data, index_bytes).map_err(|e| match e {
            Broken::Short(e) => Error::bad_source(format!("index: {e}")),
            Broken::Value(what, at) => {
                Error::bad_source(format!("index: {what} before byte {at} of the head is out of range"))
            }
        })
    }
}

/// Magic, version, reserved bytes, and the length of the head.
const PREFIX_BYTES: usize = 12;

const CONSTANT_DURATION: u64 = 1;
const COMPOSITION: u64 = 2;
const STRETCHES: u64 = 4;
const CLOSED: u64 = 8;
const ANNEX_B: u64 = 16;
const TRANSPORT: u64 = 32;
const STORED: u64 = 64;
const HIDDEN: u64 = 128;
const DEFAULT: u64 = 256;
const SAMPLE_AES: u64 = 512;
