//! Checks of segments and initialization sections that encoders push.

use packager::source::hls::Container;

use crate::db::channels::ChannelProtocol;
use crate::db::uploads::UploadKind;

/// Bytes at the start of a segment by which its container is known.
pub const SNIFF_BYTES: usize = 512;

/// Whether an upload that begins with `bytes` is of the container that its channel takes. Answers the extension of its object.
///
/// # Errors
/// What it is instead, for people.
pub fn sniff(protocol: ChannelProtocol, bytes: &[u8]) -> Result<&'static str, String> {
    if bytes.is_empty() {
        return Err("the body is empty".to_owned());
    }
    let container = Container::of(bytes).map_err(|what| format!("this is no segment: it is {what}"))?;
    match (protocol, container) {
        (ChannelProtocol::Hls, Container::Transport) => Ok("ts"),
        (ChannelProtocol::HlsCmaf, Container::Fragments) => {
            let first = bytes.get(4..8).unwrap_or_default();
            Ok(if matches!(first, b"ftyp" | b"moov") { "mp4" } else { "m4s" })
        }
        (ChannelProtocol::Hls, other) => {
            Err(format!("the channel takes HLS with transport streams, and this is {other}"))
        }
        (ChannelProtocol::HlsCmaf, other) => Err(format!("the channel takes HLS_CMAF, and this is {other}")),
    }
}

/// What a stored object is, by its first bytes: as many as are enough to see the boxes before the media.
///
/// # Errors
/// What is wrong with it, for people.
pub fn kind(protocol: ChannelProtocol, bytes: &[u8]) -> Result<UploadKind, String> {
    if protocol == ChannelProtocol::Hls {
        return Ok(UploadKind::Segment);
    }
    let (mut rest, mut has_moov) = (bytes, false);
    while let Some((size, name)) = box_header(rest) {
        match &name {
            b"moof" => return Ok(UploadKind::Segment),
            b"moov" => has_moov = true,
            b"mdat" => return Err("media stand before their movie fragment (moof)".to_owned()),
            _ => {}
        }
        let Some(next) = usize::try_from(size).ok().filter(|size| *size >= 8).and_then(|size| rest.get(size..)) else {
            break;
        };
        rest = next;
    }
    if has_moov { Ok(UploadKind::Init) } else { Err("there is neither a moov nor a moof box at its start".to_owned()) }
}

/// Size and type of the box that `bytes` begin with (ISO/IEC 14496-12, 4.2.2).
fn box_header(bytes: &[u8]) -> Option<(u64, [u8; 4])> {
    let size = u32::from_be_bytes(*bytes.first_chunk()?);
    let name = *bytes.get(4..)?.first_chunk()?;
    let size = match size {
        0 => u64::MAX,
        1 => u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?),
        size => size.into(),
    };
    Some((size, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(names: &[&[u8; 4]]) -> Vec<u8> {
        names.iter().flat_map(|name| [&12_u32.to_be_bytes()[..], *name, b"....".as_slice()].concat()).collect()
    }

    #[test]
    fn the_container_is_the_one_of_the_channel() {
        use ChannelProtocol::{Hls, HlsCmaf};
        let mut ts = vec![0; 376];
        (ts[0], ts[188]) = (0x47, 0x47);
        assert_eq!(sniff(Hls, &ts), Ok("ts"));
        assert_eq!(sniff(HlsCmaf, &boxes(&[b"ftyp", b"moov"])), Ok("mp4"));
        assert_eq!(sniff(HlsCmaf, &boxes(&[b"styp", b"moof"])), Ok("m4s"));
        for (protocol, bytes, reason) in [
            (HlsCmaf, &ts[..], "HLS_CMAF, and this is a transport stream"),
            (Hls, &boxes(&[b"styp"]), "made of boxes"),
            (Hls, b"", "empty"),
            (Hls, b"<html></html>", "HTML"),
            (HlsCmaf, b"#EXTM3U\n", "playlist"),
        ] {
            let found = sniff(protocol, bytes).unwrap_err();
            assert!(found.contains(reason), "{found}");
        }
    }

    #[test]
    fn initialization_sections_have_no_fragment() {
        use ChannelProtocol::HlsCmaf;
        assert_eq!(kind(HlsCmaf, &boxes(&[b"ftyp", b"free", b"moov"])), Ok(UploadKind::Init));
        assert_eq!(kind(HlsCmaf, &boxes(&[b"styp", b"sidx", b"moof", b"mdat"])), Ok(UploadKind::Segment));
        assert_eq!(kind(HlsCmaf, &boxes(&[b"ftyp", b"moov", b"moof"])), Ok(UploadKind::Segment));
        assert!(kind(HlsCmaf, &boxes(&[b"ftyp", b"mdat", b"moov"])).unwrap_err().contains("before"));
        assert!(kind(HlsCmaf, &boxes(&[b"ftyp"])).unwrap_err().contains("neither"));
        assert!(kind(HlsCmaf, &[0, 0, 0, 1, b'f', b't', b'y', b'p']).is_err());
        assert!(kind(HlsCmaf, &[0, 0, 0, 0, b'm', b'o', b'o', b'v']).is_ok(), "up to the end");
    }
}
