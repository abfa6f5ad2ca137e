//! HLS as an independent reader (m3u8-rs) sees it.

use m3u8_rs::{MasterPlaylist, MediaPlaylist};

use crate::http::{Client, resolve};

/// A multivariant playlist and everything it names.
pub struct Multivariant {
    /// Where it came from.
    pub url: String,
    /// Its text.
    pub text: String,
    /// What m3u8-rs read.
    pub parsed: MasterPlaylist,
}

/// A media playlist or an I-frame playlist.
pub struct Media {
    /// Where it came from.
    pub url: String,
    /// Its text.
    pub text: String,
    /// What m3u8-rs read.
    pub parsed: MediaPlaylist,
}

impl Multivariant {
    /// Fetches and reads it.
    pub fn fetch(client: &Client, url: &str) -> Self {
        let text = client.get(url).text();
        match m3u8_rs::parse_master_playlist_res(text.as_bytes()) {
            Ok(parsed) => Self { url: url.to_owned(), text, parsed },
            Err(error) => panic!("{url} is no multivariant playlist: {error:?}\n{text}"),
        }
    }

    /// URLs of the media playlists: those of the variants, then those of the other renditions; each once.
    pub fn media_urls(&self) -> Vec<String> {
        let variants = self.parsed.variants.iter().filter(|variant| !variant.is_i_frame).map(|variant| &variant.uri);
        let others = self.parsed.alternatives.iter().filter_map(|alternative| alternative.uri.as_ref());
        let mut urls = Vec::new();
        for uri in variants.chain(others) {
            let url = resolve(&self.url, uri);
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        urls
    }

    /// URLs of the I-frame playlists.
    pub fn iframe_urls(&self) -> Vec<String> {
        let lists = self.parsed.variants.iter().filter(|variant| variant.is_i_frame);
        lists.map(|list| resolve(&self.url, &list.uri)).collect()
    }
}

impl Media {
    /// Fetches and reads it.
    pub fn fetch(client: &Client, url: &str) -> Self {
        let text = client.get(url).text();
        match m3u8_rs::parse_media_playlist_res(text.as_bytes()) {
            Ok(parsed) => Self { url: url.to_owned(), text, parsed },
            Err(error) => panic!("{url} is no media playlist: {error:?}\n{text}"),
        }
    }

    /// URL of the initialization section.
    pub fn init_url(&self) -> String {
        let map = self.parsed.segments.first().and_then(|segment| segment.map.as_ref());
        let map = map.unwrap_or_else(|| panic!("{} has no EXT-X-MAP", self.url));
        resolve(&self.url, &map.uri)
    }

    /// URLs of all initialization sections; none with transport streams and text.
    pub fn init_urls(&self) -> Vec<String> {
        let maps = self.parsed.segments.iter().filter_map(|segment| segment.map.as_ref());
        maps.map(|map| resolve(&self.url, &map.uri)).collect()
    }

    /// URLs of the segments that are there: a gap has a URI that no player loads.
    pub fn segment_urls(&self) -> Vec<String> {
        let gap = |segment: &&m3u8_rs::MediaSegment| segment.unknown_tags.iter().any(|tag| tag.tag == "X-GAP");
        let there = self.parsed.segments.iter().filter(|segment| !gap(segment));
        there.map(|segment| resolve(&self.url, &segment.uri)).collect()
    }
}

/// The track that a URL of ours belongs to, such as `v0` or `a1`.
pub fn track(url: &str) -> &str {
    url.rsplit('/').nth(1).unwrap_or_default()
}

/// Every URL that a player could be led to from a multivariant playlist, itself included; each once.
pub fn every_url(client: &Client, url: &str) -> Vec<String> {
    let multivariant = Multivariant::fetch(client, url);
    let mut urls = vec![url.to_owned()];
    for list in multivariant.media_urls().into_iter().chain(multivariant.iframe_urls()) {
        let media = Media::fetch(client, &list);
        urls.push(list);
        urls.extend(media.init_urls());
        urls.extend(media.segment_urls());
    }
    let mut seen = std::collections::BTreeSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    urls
}
