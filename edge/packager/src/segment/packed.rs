//! Packed audio (RFC 8216 section 3.4): an ID3 tag with the time of the first frame, then frames and nothing else.
//!
//! Timed metadata is left out: the format has a place for the tag in front and for nothing after it.

use crate::segment::ts::{AudioCodec, AudioSetup, AudioStream, TIME_OFFSET};
use crate::ts::write::WRAP;

/// Owner of the frame of the tag that holds the time.
const TIME_OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
/// Owner of the frame that holds audio setup information, under SAMPLE-AES.
const SETUP_OWNER: &[u8] = b"com.apple.streaming.audioDescription\0";
/// Bytes of the header of a tag, and of that of each of its frames.
const HEADER_BYTES: usize = 10;

/// Length of a segment in bytes: of this many frames, whose bytes as they are stored are `bytes` together; under SAMPLE-AES or
/// not.
pub fn length(stream: &AudioStream, frames: u64, bytes: u64, sample_aes: bool) -> u64 {
    let headers = frames.saturating_mul(stream.header_bytes() as u64);
    let tag = HEADER_BYTES + content_bytes(stream.setup().filter(|_| sample_aes));
    (tag as u64).saturating_add(headers).saturating_add(bytes)
}

/// Bytes of a tag after its header.
fn content_bytes(setup: Option<&AudioSetup>) -> usize {
    let setup = setup.map_or(0, |setup| HEADER_BYTES + SETUP_OWNER.len() + setup.bytes().len());
    HEADER_BYTES + TIME_OWNER.len() + 8 + setup
}

/// Appends the tag (ID3v2.4, without flags) of a segment whose first frame is presented at `pts`, in ticks of 90 kHz from
/// presentation time 0. `setup` is there under SAMPLE-AES.
pub fn tag(pts: i64, setup: Option<&AudioSetup>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"ID3\x04\0\0");
    out.extend_from_slice(&seven_bits(content_bytes(setup)));
    private(TIME_OWNER, &pts.saturating_add(TIME_OFFSET).rem_euclid(WRAP).to_be_bytes(), out);
    if let Some(setup) = setup {
        private(SETUP_OWNER, setup.bytes(), out);
    }
}

/// Appends a private frame (4.27 of ID3v2.4).
fn private(owner: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"PRIV");
    out.extend_from_slice(&seven_bits(owner.len() + data.len()));
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(owner);
    out.extend_from_slice(data);
}

/// A size in four bytes of seven bits.
fn seven_bits(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (size >> shift & 0x7f) as u8)
}

/// Appends a frame as it is stored.
pub fn frame(stream: &AudioStream, frame: &[u8], out: &mut Vec<u8>) {
    stream.frame(frame, |part| out.extend_from_slice(part));
}

/// Extension of file names.
pub fn extension(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::Aac(_) => "aac",
        AudioCodec::Ac3 => "ac3",
        AudioCodec::Eac3 => "ec3",
        AudioCodec::Mp3 { .. } => "mp3",
    }
}

/// Media type.
pub fn media_type(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::Aac(_) => "audio/aac",
        AudioCodec::Ac3 => "audio/ac3",
        AudioCodec::Eac3 => "audio/eac3",
        AudioCodec::Mp3 { .. } => "audio/mpeg",
    }
}
