//! Packed audio (RFC 8216 section 3.4): an ID3 tag with the time of the first frame, then frames and nothing else.
//!
//! Timed metadata is left out: the format has a place for the tag in front and for nothing after it.

use crate::segment::ts::{AudioCodec, AudioStream, TIME_OFFSET};
use crate::ts::write::WRAP;

/// Bytes of the tag that a segment begins with.
pub const TAG_BYTES: u64 = 73;

/// Length of a segment in bytes: of this many frames, whose bytes as they are stored are `bytes` together.
pub fn length(stream: &AudioStream, frames: u64, bytes: u64) -> u64 {
    let headers = frames.saturating_mul(stream.header_bytes() as u64);
    TAG_BYTES.saturating_add(headers).saturating_add(bytes)
}

/// Appends the tag of a segment whose first frame is presented at `pts`, in ticks of 90 kHz from presentation time 0.
pub fn tag(pts: i64, out: &mut Vec<u8>) {
    const OWNER: &[u8; 45] = b"com.apple.streaming.transportStreamTimestamp\0";
    const FRAME_BYTES: u8 = OWNER.len() as u8 + 8;
    // ID3v2.4 without flags; sizes below 128 are the same in the seven-bit form
    out.extend_from_slice(b"ID3\x04\0\0\0\0\0");
    out.push(10 + FRAME_BYTES);
    out.extend_from_slice(b"PRIV\0\0\0");
    out.push(FRAME_BYTES);
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(OWNER);
    out.extend_from_slice(&pts.saturating_add(TIME_OFFSET).rem_euclid(WRAP).to_be_bytes());
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
