//! Transport streams: elementary streams become frames in the neutral form. [`TransportReader`] learns at ingest where every
//! frame is, [`Extractor`] takes frames out at request time. Both cut with the same code.
//!
//! The neutral form is that of ISO BMFF: NAL units with four-byte lengths, without delimiters, filler, ends of sequences
//! and parameter sets (those are in the sample entry); raw AAC frames; sync frames of AC-3 and, for E-AC-3, all of one
//! access unit; layer III frames; whole ID3 tags.

mod audio;
mod audio_config;
mod demultiplexer;
mod depacketizer;
mod extractor;
mod places;
mod reader;
mod splitter;
mod stream_type;
mod units;
mod video;
mod warnings;

use core::ops::Range;

use bytes::Bytes;

pub use extractor::Extractor;
pub use reader::TransportReader;

use crate::codec::Config;

/// Codecs of elementary streams that are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EsCodec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// AAC in ADTS.
    AacAdts,
    /// AAC in LOAS and LATM.
    AacLatm,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
    /// Layer III of MPEG-1 and MPEG-2 audio.
    Mp3,
    /// Timed ID3 tags.
    Id3,
}

impl EsCodec {
    /// Whether its frames are pictures.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc)
    }

    /// Whether its frames are sound.
    pub fn is_audio(self) -> bool {
        !self.is_video() && self != Self::Id3
    }
}

/// An elementary stream. Its number stays when its PID or the version of the program map changes: the n-th stream of a
/// codec is the same one as before.
#[derive(Clone, Debug)]
pub struct ElementaryStream {
    /// What its frames are.
    pub codec: EsCodec,
    /// PID that it has now, or had last.
    pub pid: u16,
    /// ISO 639-2 code, as the descriptor has it.
    pub language: Option<String>,
    /// Audio description: sound for those who do not see.
    pub audio_description: bool,
    /// The configurations, in order of their first frame; none for ID3. A sample entry may still grow while the stream is
    /// read: parameter sets that come late and contradict nothing are added. Final after [`TransportReader::finish`].
    pub configs: Vec<EsConfig>,
    /// How many frames were given.
    pub frames: u64,
    /// Why there are no frames, when the stream turned out to be of a kind that is not handled.
    pub left_out: Option<String>,
}

/// A configuration of an elementary stream.
#[derive(Clone, Debug)]
pub struct EsConfig {
    /// A whole sample entry box (`avc1`, `hvc1`, `mp4a`, `ac-3`, `ec-3`), made from the stream's own headers.
    pub sample_entry: Bytes,
    /// What the sample entry says.
    pub config: Config,
}

/// A frame in the neutral form.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Number of the elementary stream.
    pub stream: usize,
    /// Number of its configuration; 0 for ID3.
    pub config: usize,
    /// PTS, 33 bits in ticks of 90 kHz. For sound it is that of the anchor: the last frame that had one of its own.
    pub pts: u64,
    /// DTS, 33 bits; for sound that of the anchor.
    pub dts: u64,
    /// Sound: samples from the anchor to this frame, at the rate that the configuration says; 0 for the anchor itself.
    /// Samples of frames that were lost on the way are estimated and counted.
    pub offset_samples: u32,
    /// Video: PTS and DTS are not in the stream, but estimated from the pictures before (several in one PES packet).
    pub estimated: bool,
    /// Decoding can start here: IDR; BLA and CRA; for H.264 also a recovery point without delay at an I picture, which
    /// is all that many broadcasts have. Sound and ID3: always.
    pub sync: bool,
    /// With `sync`: pictures that follow and are shown before it may refer to pictures before it (CRA, recovery point).
    /// A player that starts here drops or damages those.
    pub open: bool,
    /// The neutral form.
    pub data: &'a [u8],
    /// Sound: samples of this frame at the rate that the configuration says. Otherwise 0.
    pub duration_samples: u32,
    /// Where its bytes are.
    pub place: Place,
}

/// Where the bytes of a frame are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// PID that carries it.
    pub pid: u16,
    /// Frames of one stream with the same number follow each other without anything between them that an [`Extractor`]
    /// would have to judge: read from the first one's packets and skip to the last one's packets, they come out one after
    /// the other. Where the number changes, reading must start anew.
    pub run: u32,
    /// From the first byte of the packet that holds its first byte to the end of the one that holds its last byte, counted
    /// over all bytes that were pushed.
    pub packets: Range<u64>,
    /// Bytes of the elementary stream between the start of the first packet's payload (after a PES header, if it has one)
    /// and the first byte of the frame.
    pub skip: u32,
}

/// A PTS and DTS and the place in the elementary stream from which on it counts.
#[derive(Clone, Copy, Debug)]
struct Stamp {
    at: u64,
    pts: u64,
    dts: u64,
}
