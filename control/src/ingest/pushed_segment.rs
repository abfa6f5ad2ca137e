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
    let encrypted = |what: &str| format!("the media are encrypted ({what}); only clear media can be packaged");
    let mut has_moov = false;
    for (name, content) in boxes(bytes) {
        match &name {
            b"moof" => return find_encryption(content, 0).map_or(Ok(UploadKind::Segment), |what| Err(encrypted(what))),
            b"moov" => {
                find_encryption(content, 0).map_or(Ok(()), |what| Err(encrypted(what)))?;
                has_moov = true;
            }
            b"mdat" => return Err("media stand before their movie fragment (moof)".to_owned()),
            _ => {}
        }
    }
    if has_moov { Ok(UploadKind::Init) } else { Err("there is neither a moov nor a moof box at its start".to_owned()) }
}

/// Boxes in each other on the way to a sample entry; more are not looked into.
const MAX_DEPTH: usize = 6;
/// Fields of `stsd` before its first entry (ISO/IEC 14496-12, 8.5.2): version and flags, and their number.
const STSD_FIELDS: usize = 8;

/// What says in the content of a box that media are encrypted (ISO/IEC 23001-7): a sample entry, or auxiliary information.
fn find_encryption(content: &[u8], depth: usize) -> Option<&'static str> {
    boxes(content).find_map(|(name, inside)| match &name {
        b"encv" => Some("sample entry encv"),
        b"enca" => Some("sample entry enca"),
        b"senc" => Some("box senc"),
        b"stsd" if depth < MAX_DEPTH => find_encryption(inside.get(STSD_FIELDS..)?, depth + 1),
        b"trak" | b"mdia" | b"minf" | b"stbl" | b"traf" if depth < MAX_DEPTH => find_encryption(inside, depth + 1),
        _ => None,
    })
}

/// Type and content of the boxes in `bytes`, as far as they are there.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (header, size, name) = box_header(bytes)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(bytes.len());
        let (whole, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        Some((name, whole.get(header..)?))
    })
}

/// Length of the header, size and type of the box that `bytes` begin with (ISO/IEC 14496-12, 4.2.2).
fn box_header(bytes: &[u8]) -> Option<(usize, u64, [u8; 4])> {
    let size = u32::from_be_bytes(*bytes.first_chunk()?);
    let name = *bytes.get(4..)?.first_chunk()?;
    Some(match size {
        0 => (8, u64::MAX, name),
        1 => (16, u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?), name),
        size => (8, size.into(), name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&[u8; 4]]) -> Vec<u8> {
        names.iter().flat_map(|name| [&12_u32.to_be_bytes()[..], *name, b"....".as_slice()].concat()).collect()
    }

    #[test]
    fn the_container_is_the_one_of_the_channel() {
        use ChannelProtocol::{Hls, HlsCmaf};
        let mut ts = vec![0; 376];
        (ts[0], ts[188]) = (0x47, 0x47);
        assert_eq!(sniff(Hls, &ts), Ok("ts"));
        assert_eq!(sniff(HlsCmaf, &made(&[b"ftyp", b"moov"])), Ok("mp4"));
        assert_eq!(sniff(HlsCmaf, &made(&[b"styp", b"moof"])), Ok("m4s"));
        for (protocol, bytes, reason) in [
            (HlsCmaf, &ts[..], "HLS_CMAF, and this is a transport stream"),
            (Hls, &made(&[b"styp"]), "made of boxes"),
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
        assert_eq!(kind(HlsCmaf, &made(&[b"ftyp", b"free", b"moov"])), Ok(UploadKind::Init));
        assert_eq!(kind(HlsCmaf, &made(&[b"styp", b"sidx", b"moof", b"mdat"])), Ok(UploadKind::Segment));
        assert_eq!(kind(HlsCmaf, &made(&[b"ftyp", b"moov", b"moof"])), Ok(UploadKind::Segment));
        assert!(kind(HlsCmaf, &made(&[b"ftyp", b"mdat", b"moov"])).unwrap_err().contains("before"));
        assert!(kind(HlsCmaf, &made(&[b"ftyp"])).unwrap_err().contains("neither"));
        assert!(kind(HlsCmaf, &[0, 0, 0, 1, b'f', b't', b'y', b'p']).is_err());
        let nested = |names: &[&[u8; 4]]| {
            names.iter().rev().fold(Vec::new(), |inside: Vec<u8>, name| {
                let fields = if *name == b"stsd" { vec![0; 8] } else { Vec::new() };
                let size = u32::try_from(8 + fields.len() + inside.len()).unwrap().to_be_bytes();
                [&size[..], *name, &fields, &inside].concat()
            })
        };
        let entry = |kind| nested(&[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", kind]);
        assert_eq!(kind(HlsCmaf, &entry(b"avc1")), Ok(UploadKind::Init));
        for encrypted in [entry(b"encv"), entry(b"enca"), nested(&[b"moof", b"traf", b"senc"])] {
            assert!(kind(HlsCmaf, &encrypted).unwrap_err().contains("encrypted"));
        }
        let deep = nested(&[&[b"moov"][..], &[b"trak"; 8000], &[b"encv"]].concat());
        assert_eq!(kind(HlsCmaf, &deep), Ok(UploadKind::Init), "nobody looks so far");
        assert!(kind(HlsCmaf, &[0, 0, 0, 0, b'm', b'o', b'o', b'v']).is_ok(), "up to the end");
    }
}
