//! Frames of sound and ID3 tags as they stand in an elementary stream one after the other.

use super::EsCodec;
use crate::bytes::bits::{Error, Result};
use crate::codec::{ac3_frame, adts, eac3_frame, latm, mpeg_audio};
use crate::limits::MAX_ID3_TAG_BYTES;

/// Bytes of an ID3v2 header and of its footer (ID3v2.4 clause 3.1).
const ID3_HEADER_BYTES: usize = 10;

/// A frame that begins where it was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// All its bytes, those of its header as well.
    pub bytes: usize,
    /// What stays the same while the configuration does; 0 where only the whole frame says.
    pub identity: u64,
}

/// Reads the header of a frame. `end` says that no more data follow.
///
/// # Errors
/// `End` when more bytes are needed, `Range` when no frame begins here.
pub(super) fn unit(codec: EsCodec, data: &[u8], end: bool) -> Result<Unit> {
    let (bytes, identity) = match codec {
        EsCodec::AacAdts => adts::Header::parse(data).map(|h| (h.bytes, h.identity()))?,
        EsCodec::AacLatm => (latm::element_bytes(data)?, 0),
        EsCodec::Ac3 => ac3_frame::Ac3::parse(data).map(|h| (h.bytes, h.identity()))?,
        EsCodec::Eac3 => (eac3_frame::Eac3Unit::parse(data, end)?.bytes, 0),
        EsCodec::Mp3 => mpeg_audio::Header::parse(data).map(|h| (h.bytes, h.identity()))?,
        EsCodec::Id3 => (id3(data)?, 0),
        EsCodec::Avc | EsCodec::Hevc => return Err(Error::Range),
    };
    Ok(Unit { bytes, identity })
}

/// Whether a frame may begin with these bytes, of which there is one at least.
pub(super) fn may_begin(codec: EsCodec, data: &[u8]) -> bool {
    let first: &[u8] = match codec {
        EsCodec::AacAdts | EsCodec::Mp3 => &[0xff],
        EsCodec::AacLatm => &[0x56],
        EsCodec::Ac3 | EsCodec::Eac3 => &[0x0b, 0x77],
        EsCodec::Id3 => b"ID3",
        EsCodec::Avc | EsCodec::Hevc => &[],
    };
    data.iter().zip(first).all(|(byte, wanted)| byte == wanted)
}

fn id3(data: &[u8]) -> Result<usize> {
    if data.iter().zip(b"ID3").any(|(byte, wanted)| byte != wanted) {
        return Err(Error::Range);
    }
    let [_, _, _, version, revision, flags, size @ ..] = *data.first_chunk::<ID3_HEADER_BYTES>().ok_or(Error::End)?;
    if version == 0xff || revision == 0xff || size.iter().any(|byte| byte & 0x80 != 0) {
        return Err(Error::Range);
    }
    let size = size.iter().fold(0usize, |n, byte| n << 7 | usize::from(*byte));
    let footer = if flags & 0x10 != 0 { ID3_HEADER_BYTES } else { 0 };
    let bytes = ID3_HEADER_BYTES + size + footer;
    if bytes > MAX_ID3_TAG_BYTES { Err(Error::Range) } else { Ok(bytes) }
}

/// Why a whole frame has no neutral form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It breaks its format.
    Broken,
    /// It is correct and not handled.
    Unsupported(&'static str),
}

/// Appends the neutral form of a whole frame: without ADTS header, without LATM.
pub(super) fn neutral(codec: EsCodec, unit: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match codec {
        EsCodec::AacAdts => {
            let header = adts::Header::parse(unit).map_err(|_| Fault::Broken)?;
            if header.blocks > 1 {
                return Err(Fault::Unsupported("several raw data blocks in an ADTS frame"));
            }
            out.extend_from_slice(unit.get(header.header..).unwrap_or_default());
        }
        EsCodec::AacLatm => match latm::element(unit) {
            Ok(element) => element.frame.copy(unit, out),
            Err(latm::Fault::Broken(_)) => return Err(Fault::Broken),
            Err(latm::Fault::Unsupported(what)) => return Err(Fault::Unsupported(what)),
        },
        _ => out.extend_from_slice(unit),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tag = [b'I', b'D', b'3', 4, 0, 0, 0, 0, 1, 2, 9];
        assert_eq!(unit(EsCodec::Id3, &tag, false), Ok(Unit { bytes: 10 + 130, identity: 0 }));
        let mut footer = tag;
        footer[5] = 0x10;
        assert_eq!(unit(EsCodec::Id3, &footer, false).unwrap().bytes, 10 + 130 + 10);
        assert_eq!(unit(EsCodec::Id3, &tag[..9], false), Err(Error::End));
        assert_eq!(unit(EsCodec::Id3, b"IDx", false), Err(Error::Range));
        assert_eq!(unit(EsCodec::Id3, &[b'I', b'D', b'3', 4, 0, 0, 0x7f, 0, 1, 2], false), Err(Error::Range));
        assert!(may_begin(EsCodec::Id3, b"I") && !may_begin(EsCodec::Id3, b"IE"));
    }
}
