//! Single tags, read by `m3u8-rs`.

use m3u8_rs::{AlternativeMedia, ByteRange, Map, VariantStream};

use super::attributes::{Attributes, Form};

/// EXT-X-STREAM-INF.
pub(super) fn variant(attributes: &Attributes<'_>) -> Option<VariantStream> {
    let kept = [
        ("BANDWIDTH", Form::Plain),
        ("CODECS", Form::Quoted),
        ("AUDIO", Form::Quoted),
        ("VIDEO", Form::Quoted),
        ("SUBTITLES", Form::Quoted),
        ("CLOSED-CAPTIONS", Form::QuotedUnlessNone),
    ];
    let text = attributes.rewrite("EXT-X-STREAM-INF", &kept);
    m3u8_rs::parse_master_playlist_res(text.as_bytes()).ok()?.variants.pop()
}

/// EXT-X-MEDIA.
pub(super) fn rendition(attributes: &Attributes<'_>) -> Option<AlternativeMedia> {
    let mut kept = vec![
        ("TYPE", Form::Plain),
        ("GROUP-ID", Form::Quoted),
        ("NAME", Form::Quoted),
        ("LANGUAGE", Form::Quoted),
        ("DEFAULT", Form::Plain),
        ("AUTOSELECT", Form::Plain),
        ("CHARACTERISTICS", Form::Quoted),
        ("CHANNELS", Form::Quoted),
    ];
    // m3u8-rs refuses these where RFC 8216 does not define them.
    match attributes.get("TYPE") {
        Some("CLOSED-CAPTIONS") => kept.push(("INSTREAM-ID", Form::Quoted)),
        Some("SUBTITLES") => kept.extend([("URI", Form::Quoted), ("FORCED", Form::Plain)]),
        _ => kept.push(("URI", Form::Quoted)),
    }
    let text = attributes.rewrite("EXT-X-MEDIA", &kept);
    m3u8_rs::parse_master_playlist_res(text.as_bytes()).ok()?.alternatives.pop()
}

/// EXT-X-MAP.
pub(super) fn map(attributes: &Attributes<'_>) -> Option<Map> {
    let kept = [("URI", Form::Quoted), ("BYTERANGE", Form::Quoted)];
    segment(&attributes.rewrite("EXT-X-MAP", &kept))?.map
}

/// EXT-X-BYTERANGE.
pub(super) fn byte_range(value: &str) -> Option<ByteRange> {
    let well_formed = value.bytes().all(|b| b.is_ascii_digit() || b == b'@');
    if well_formed { segment(&format!("#EXTM3U\n#EXT-X-BYTERANGE:{value}\n"))?.byte_range } else { None }
}

fn segment(text: &str) -> Option<m3u8_rs::MediaSegment> {
    let text = format!("{text}segment\n");
    m3u8_rs::parse_media_playlist_res(text.as_bytes()).ok()?.segments.into_iter().next()
}
