//! What a transport stream says of its program: PAT and PMT.

use crate::segment::audio_setup::AudioSetup;
use crate::segment::ts_audio::{AudioCodec, AudioStream};
use crate::segment::ts_video::{VideoCodec, VideoStream};

const PROGRAM_NUMBER: u16 = 1;
pub(super) const PAT_PID: u16 = 0;
pub(super) const PMT_PID: u16 = 0x1000;
pub(super) const VIDEO_PID: u16 = 0x100;
pub(super) const AUDIO_PID: u16 = 0x101;
pub(super) const ID3_PID: u16 = 0x102;
/// No packet has this; as the PCR PID it says that there is no clock.
const NO_PID: u16 = 0x1fff;

/// What a segment carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Video; it carries the clock.
    pub video: Option<VideoStream>,
    /// Audio; without video it carries the clock.
    pub audio: Option<Audio>,
    /// Whether there is timed metadata.
    pub id3: bool,
}

/// The audio of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// How its frames are written.
    pub stream: AudioStream,
    /// ISO 639-2 code, where it is known.
    pub language: Option<[u8; 3]>,
}

/// What PAT and PMT have after the section length: an identifier, a version, current, section 0 of 0.
fn table_start(identifier: u16, version: u8) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    vec![high, low, 0xc1 | version << 1, 0, 0]
}

/// The PAT after its section length (ISO/IEC 13818-1, 2.4.4.3): one program.
pub(super) fn association() -> Vec<u8> {
    const TRANSPORT_STREAM_ID: u16 = 1;
    let mut out = table_start(TRANSPORT_STREAM_ID, 0);
    out.extend_from_slice(&PROGRAM_NUMBER.to_be_bytes());
    out.extend_from_slice(&(0xe000 | PMT_PID).to_be_bytes());
    out
}

/// The PMT after its section length (2.4.4.9), in the clear or under SAMPLE-AES. A title may begin in the clear, so these are two
/// versions.
pub(super) fn map(program: &Program, sample_aes: bool) -> Vec<u8> {
    let clock = match (&program.video, &program.audio) {
        (Some(_), _) => VIDEO_PID,
        (None, Some(_)) => AUDIO_PID,
        (None, None) => NO_PID,
    };
    let mut out = table_start(PROGRAM_NUMBER, u8::from(sample_aes));
    out.extend_from_slice(&(0xe000 | clock).to_be_bytes());
    with_length(&mut out, |out| {
        if program.id3 {
            // metadata_pointer_descriptor (2.6.58): ID3 by its registered name, service 0, in this program
            const POINTER: &[u8; 17] = b"\x25\x0f\xff\xffID3 \xffID3 \x00\x1f\x00\x01";
            out.extend_from_slice(POINTER);
        }
    });
    if let Some(video) = &program.video {
        let (stream_type, registration) = match video.codec() {
            VideoCodec::Avc => (0x1b, None),
            VideoCodec::Hevc => (0x24, Some(b"HEVC")),
        };
        match video.codec() {
            VideoCodec::Avc if sample_aes => {
                elementary_stream(&mut out, 0xdb, VIDEO_PID, |out| private_data_descriptor(out, b"zavc"));
            }
            _ => elementary_stream(&mut out, stream_type, VIDEO_PID, |out| registration_descriptor(out, registration)),
        }
    }
    if let Some(audio) = &program.audio {
        // AC-3 and E-AC-3 as ATSC A/52 annex A and G have it, which is what HLS players know.
        let (stream_type, registration) = match audio.stream.codec() {
            AudioCodec::Aac(_) => (0x0f, None),
            AudioCodec::Ac3 => (0x81, Some(b"AC-3")),
            AudioCodec::Eac3 => (0x87, Some(b"EAC3")),
            AudioCodec::Mp3 { low_rate: false } => (0x03, None),
            AudioCodec::Mp3 { low_rate: true } => (0x04, None),
        };
        let encrypted = match audio.stream.codec() {
            AudioCodec::Aac(_) => Some((0xcf, b"aacd")),
            AudioCodec::Ac3 => Some((0xc1, b"ac3d")),
            AudioCodec::Eac3 => Some((0xc2, b"ec3d")),
            AudioCodec::Mp3 { .. } => None,
        };
        let encrypted = encrypted.zip(audio.stream.setup()).filter(|_| sample_aes);
        elementary_stream(&mut out, encrypted.map_or(stream_type, |((own, _), _)| own), AUDIO_PID, |out| {
            match encrypted {
                Some(((_, indicator), setup)) => {
                    private_data_descriptor(out, indicator);
                    setup_descriptor(out, setup);
                }
                None => registration_descriptor(out, registration),
            }
            if let Some(language) = audio.language {
                // ISO_639_language_descriptor (2.6.18), audio type undefined
                out.extend_from_slice(&[0x0a, 4]);
                out.extend_from_slice(&language);
                out.push(0);
            }
        });
    }
    if program.id3 {
        elementary_stream(&mut out, 0x15, ID3_PID, |out| {
            // metadata_descriptor (2.6.60): the same, no decoder configuration
            const METADATA: &[u8; 15] = b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f";
            out.extend_from_slice(METADATA);
        });
    }
    out
}

/// private_data_indicator_descriptor (2.6.28)
fn private_data_descriptor(out: &mut Vec<u8>, indicator: &[u8; 4]) {
    out.extend_from_slice(&[0x0f, 4]);
    out.extend_from_slice(indicator);
}

/// registration_descriptor (2.6.8) of what is not registered: audio setup information.
fn setup_descriptor(out: &mut Vec<u8>, setup: &AudioSetup) {
    const FORMAT: &[u8; 4] = b"apad";
    out.extend_from_slice(&[0x05, (FORMAT.len() + setup.bytes().len()) as u8]);
    out.extend_from_slice(FORMAT);
    out.extend_from_slice(setup.bytes());
}

fn registration_descriptor(out: &mut Vec<u8>, format: Option<&[u8; 4]>) {
    if let Some(format) = format {
        out.extend_from_slice(&[0x05, 4]);
        out.extend_from_slice(format);
    }
}

fn elementary_stream(out: &mut Vec<u8>, stream_type: u8, pid: u16, descriptors: impl FnOnce(&mut Vec<u8>)) {
    out.push(stream_type);
    out.extend_from_slice(&(0xe000 | pid).to_be_bytes());
    with_length(out, descriptors);
}

/// Four reserved bits, a length of 12 bits, and what `fill` appends.
fn with_length(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    fill(out);
    let length = 0xf000 | (out.len() - at - 2) as u16;
    if let Some(field) = out.get_mut(at..at + 2) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}
