//! Checks of playlists that encoders push.

use std::collections::BTreeSet;

use packager::m3u8::{Media, Multivariant};

use crate::db::uploads::UploadKind;

/// A playlist that was taken.
pub struct Pushed {
    /// A media playlist or a multivariant one.
    pub kind: UploadKind,
    /// Names of the segments and initialization sections in it.
    pub names: BTreeSet<String>,
}

/// Reads the playlist `name`. `is_first` tells that there was none of this name that was still going on: one that comes
/// finished then is no live playlist. Later the same means that the encoder is done.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check(name: &str, text: &[u8], is_first: bool) -> Result<Pushed, String> {
    let says = |tag: &str| text.split(|b| *b == b'\n').any(|line| line.trim_ascii().starts_with(tag.as_bytes()));
    if says("#EXT-X-STREAM-INF:") {
        Multivariant::read(name, text).map_err(|error| error.message().to_owned())?;
        return Ok(Pushed { kind: UploadKind::Multivariant, names: BTreeSet::new() });
    }
    if !says("#EXTINF:") && !says("#EXT-X-KEY:") && !is_ended(text) && text.starts_with(b"#EXTM3U") {
        // An encoder that has just begun.
        return Ok(Pushed { kind: UploadKind::Playlist, names: BTreeSet::new() });
    }
    let media = Media::read_live(name, text).map_err(|error| error.message().to_owned())?;
    if media.vod {
        return Err(format!("{name}: EXT-X-PLAYLIST-TYPE says VOD; a live channel takes playlists that go on"));
    }
    if media.ended && is_first {
        return Err(format!(
            "{name}: the first playlist of this name has EXT-X-ENDLIST, so it is of a recording; a live channel takes playlists \
             that go on"
        ));
    }
    let names = media.segments.into_iter().map(|s| s.path).chain(media.maps.into_iter().map(|m| m.path)).collect();
    Ok(Pushed { kind: UploadKind::Playlist, names })
}

/// Whether a media playlist says that nothing will follow.
pub fn is_ended(text: &[u8]) -> bool {
    text.split(|b| *b == b'\n').any(|line| line.trim_ascii() == b"#EXT-X-ENDLIST")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n\
                        #EXTINF:2.0,\nseg7.m4s\n#EXTINF:2.0,\n../other/seg%208.m4s\n";

    #[test]
    fn live_playlists_name_their_media() {
        let pushed = check("video/index.m3u8", LIVE.as_bytes(), true).unwrap();
        assert_eq!(pushed.kind, UploadKind::Playlist);
        assert_eq!(
            pushed.names.into_iter().collect::<Vec<_>>(),
            ["other/seg 8.m4s", "video/init.mp4", "video/seg7.m4s"]
        );
        let begun = check("a.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n", true).unwrap();
        assert!(begun.names.is_empty());
        let all = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nvideo.m3u8\n";
        assert_eq!(check("a.m3u8", all.as_bytes(), true).unwrap().kind, UploadKind::Multivariant);
    }

    #[test]
    fn the_end_comes_after_a_beginning() {
        let ended = format!("{LIVE}#EXT-X-ENDLIST\n");
        assert!(check("a/b.m3u8", ended.as_bytes(), false).is_ok());
        assert!(is_ended(ended.as_bytes()) && !is_ended(LIVE.as_bytes()));
        let reason = check("a/b.m3u8", ended.as_bytes(), true).err().unwrap();
        assert!(reason.contains("EXT-X-ENDLIST"), "{reason}");
    }

    #[test]
    fn what_cannot_be_packaged_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("hello", "#EXTM3U"),
            ("#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\na.ts\n", "VOD"),
            ("#EXTM3U\n#EXT-X-PLAYLIST-TYPE: VOD\r\n#EXTINF:2,\na.ts\n", "VOD"),
            ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:2,\na.ts\n", "encrypted"),
            ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n", "encrypted"),
            ("#EXTM3U\n#EXTINF:2,\nhttps://example.com/a.ts\n", "leads out"),
            ("#EXTM3U\n#EXTINF:2,\n../../../a.ts\n", "leads out"),
            ("#EXTM3U\n#EXT-X-STREAM-INF:CODECS=\"x\"\na.m3u8\n", "BANDWIDTH"),
            ("#EXTM3U\n#EXTINF:two,\na.ts\n", "duration"),
        ] {
            let found = check("v/a.m3u8", text.as_bytes(), true).err().unwrap_or_else(|| panic!("{text}"));
            assert!(found.contains(reason), "{text}: {found}");
        }
    }
}
