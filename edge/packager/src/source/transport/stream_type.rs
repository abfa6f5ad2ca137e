//! What the streams of a program map are (ISO/IEC 13818-1 table 2-34, ATSC A/53, ETSI TS 101 154).

use super::EsCodec;
use crate::ts::psi::MapEntry;

/// What a stream is to the reader.
pub(super) enum Kind {
    /// Its frames are read.
    Read(EsCodec),
    /// It carries no media that would be missed: tables, cue messages.
    Data,
    /// Media that are not handled; what they are.
    LeftOut(&'static str),
    /// Media that are encrypted (SAMPLE-AES).
    Encrypted,
}

/// What a stream of a program map is.
pub(super) fn kind(entry: &MapEntry) -> Kind {
    let registration = entry.descriptors.registration.as_ref();
    match entry.stream_type {
        0x01 | 0x02 => Kind::LeftOut("MPEG-1 or MPEG-2 video"),
        0x03 | 0x04 => Kind::Read(EsCodec::Mp3),
        0x06 => private(entry),
        0x0f => Kind::Read(EsCodec::AacAdts),
        0x10 => Kind::LeftOut("MPEG-4 part 2 video"),
        0x11 => Kind::Read(EsCodec::AacLatm),
        0x15 => match entry.descriptors.metadata_format.as_ref().or(registration) {
            None | Some(b"ID3 ") => Kind::Read(EsCodec::Id3),
            Some(_) => Kind::Data,
        },
        0x1b => Kind::Read(EsCodec::Avc),
        0x1c => Kind::LeftOut("MPEG-4 audio without transport"),
        0x1f | 0x20 => Kind::LeftOut("an enhancement layer of H.264"),
        0x24 => Kind::Read(EsCodec::Hevc),
        0x21 | 0x32 => Kind::LeftOut("JPEG 2000 or JPEG XS"),
        0x2d | 0x2e => Kind::LeftOut("MPEG-H 3D audio"),
        0x33 => Kind::LeftOut("H.266"),
        0x42 => Kind::LeftOut("AVS video"),
        0x80 => Kind::LeftOut("LPCM or DigiCipher video"),
        0x81 => Kind::Read(EsCodec::Ac3),
        0x82 if registration == Some(b"HDMV") => Kind::LeftOut("DTS"),
        0x85 | 0x8a => Kind::LeftOut("DTS"),
        0x83 => Kind::LeftOut("Dolby TrueHD"),
        0x84 | 0x87 => Kind::Read(EsCodec::Eac3),
        0xc1 | 0xc2 | 0xcf | 0xdb => Kind::Encrypted,
        0xea => Kind::LeftOut("VC-1"),
        // Sections, metadata, cue messages (SCTE 35) and what DSM-CC uses.
        0x05 | 0x08..=0x0e | 0x13 | 0x14 | 0x16..=0x19 | 0x82 | 0x86 | 0xc0 => Kind::Data,
        _ => Kind::LeftOut("not known"),
    }
}

/// `PES_packet_private_data`: descriptors say what it is.
fn private(entry: &MapEntry) -> Kind {
    let descriptors = &entry.descriptors;
    match descriptors.registration.as_ref() {
        Some(b"AC-3") => return Kind::Read(EsCodec::Ac3),
        Some(b"EAC3") => return Kind::Read(EsCodec::Eac3),
        Some(b"HEVC") => return Kind::Read(EsCodec::Hevc),
        Some(b"ID3 ") => return Kind::Read(EsCodec::Id3),
        Some(b"Opus") => return Kind::LeftOut("Opus"),
        Some(b"AV01") => return Kind::LeftOut("AV1"),
        Some(b"AC-4") => return Kind::LeftOut("AC-4"),
        Some(b"DTS1" | b"DTS2" | b"DTS3") => return Kind::LeftOut("DTS"),
        _ => {}
    }
    if descriptors.ac3 {
        return Kind::Read(EsCodec::Ac3);
    }
    if descriptors.eac3 {
        return Kind::Read(EsCodec::Eac3);
    }
    for tag in &descriptors.tags {
        match tag {
            0x56 => return Kind::LeftOut("teletext"),
            0x59 => return Kind::LeftOut("DVB subtitles"),
            0x7b => return Kind::LeftOut("DTS"),
            0x7c => return Kind::LeftOut("AAC in private data"),
            _ => {}
        }
    }
    Kind::LeftOut("private data that no descriptor names")
}
