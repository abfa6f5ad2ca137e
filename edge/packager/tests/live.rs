//! What live manifests say holds from one refresh to the next, whatever happens to the channel in between.

#![allow(clippy::disallowed_methods, reason = "a test may read files")]

mod channel;
mod drive;
#[path = "channel/playlist.rs"]
mod playlist;

use std::collections::BTreeMap;
use std::sync::Arc;

use channel::{Channel, Request, Source};
use packager::ErrorKind;
use packager::config::{Endpoint, PackageType};
use packager::live::Prepared;
use playlist::{Follower, Playlist};
use sha2::{Digest, Sha256};

/// The playlists that a multivariant playlist names, I-frame playlists included, each once.
fn playlists(text: &str) -> Vec<String> {
    let quoted = text.split("URI=\"").skip(1).filter_map(|t| t.split('"').next());
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut all: Vec<String> = lines.chain(quoted).map(|uri| format!("/v1/g/c/e/{uri}")).collect();
    all.sort();
    all.dedup();
    all
}

fn beside(url: &str, name: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    format!("{}/{name}", path.rsplit_once('/').expect("a path").0)
}

/// What a player of HLS does: follows all playlists, and remembers what it got for each URL.
#[derive(Default)]
struct Player {
    followers: BTreeMap<String, Follower>,
    bytes: BTreeMap<String, [u8; 32]>,
    prepared: Option<Arc<Prepared>>,
}

impl Player {
    fn get(&mut self, channel: &Channel, endpoint: &Endpoint, url: &str) -> packager::response::Response {
        let timeline = channel.timeline();
        let request = Request { endpoint, keys: None, timeline: &timeline, now_ms: channel.now_ms() };
        let (response, prepared, _) = channel.ask(&request, url, self.prepared.clone());
        let response = response.unwrap_or_else(|e| panic!("{url}: {e}"));
        // What an earlier job learnt changes nothing.
        let (fresh, _, cost) = channel.ask(&request, url, None);
        assert_eq!(fresh.expect("the same again"), response, "{url}");
        assert!(cost.rounds <= 8, "{url}: {cost:?}");
        self.prepared = prepared;
        response
    }

    /// One refresh of everything; `fetch` tells which segments of each playlist are fetched, counted from its end.
    fn refresh(&mut self, channel: &Channel, endpoint: &Endpoint, fetch: &[usize]) -> BTreeMap<String, Playlist> {
        let main = drive::text_of(&self.get(channel, endpoint, "/v1/g/c/e/main.m3u8"));
        let mut found = BTreeMap::new();
        for url in playlists(&main) {
            let text = drive::text_of(&self.get(channel, endpoint, &url));
            let playlist = self.followers.entry(url.clone()).or_default().follow(&text);
            for entry in fetch.iter().filter_map(|n| playlist.entries.iter().rev().nth(*n)) {
                let segment = beside(&url, &entry.uri);
                if entry.gap {
                    continue;
                }
                let map = entry.map.as_ref().and_then(|m| m.split('"').nth(1)).map(|uri| beside(&url, uri));
                for url in map.into_iter().chain([segment]) {
                    let response = self.get(channel, endpoint, &url);
                    let hash: [u8; 32] = Sha256::digest(channel.body(&response)).into();
                    assert_eq!(*self.bytes.entry(url.clone()).or_insert(hash), hash, "{url} keeps its bytes");
                }
            }
            found.insert(url, playlist);
        }
        found
    }
}

/// Two renditions of pictures and two of sound, positions of two seconds.
fn cmaf(part_positions: u32, listing_parts: usize) -> Channel {
    Channel::new(Source::new("cmaf", 1), 2, part_positions, listing_parts)
}

#[test]
fn a_window_slides_over_hundreds_of_positions() {
    for (package_type, seconds) in [(PackageType::Cmaf, 6), (PackageType::Hls, 6), (PackageType::Cmaf, 2)] {
        let mut channel = cmaf(64, 64);
        let endpoint = channel::hls(package_type, seconds, 5);
        let (mut player, mut windows) = (Player::default(), 0);
        channel.begin(3_000_000, false);
        for step in 0..210u64 {
            match step {
                40 => channel.begin(channel.edge() + 7_123_000, true),
                95 => channel.begin(channel.edge() + 4_000_000, false),
                99 => channel.begin(channel.edge() + 500_000, true),
                _ => {}
            }
            // The second video is not there for a while, the first sound for another.
            let missing: &[usize] = match step {
                60..=62 => &[1],
                66..=67 => &[0, 1, 2, 3],
                120..=131 => &[2],
                _ => &[],
            };
            channel.push(missing);
            if step == 150 {
                channel.remove(70);
                assert!(channel.timeline.periods[0].first > 0, "a period is gone");
            }
            let group = u64::from(seconds / 2);
            if channel.timeline.next < group || (step > 20 && step % 3 == 1 && !(58..=135).contains(&step)) {
                continue;
            }
            let found = player.refresh(&channel, &endpoint, &[0, 1, 4]);
            let whole = found.iter().filter(|(url, _)| url.ends_with("playlist.m3u8"));
            let sequences: Vec<(u64, u64)> = whole.clone().map(|(_, p)| (p.sequence, p.end())).collect();
            assert!(sequences.windows(2).all(|w| w[0] == w[1]), "all lists have the same segments: {sequences:?}");
            for (url, playlist) in whole {
                assert_eq!(playlist.target, 6.max(u64::from(seconds)) / 6 * u64::from(seconds));
                assert_eq!(playlist.kind, None);
                assert!(!playlist.ended);
                if step > 20 {
                    assert!(playlist.entries.len() >= 5, "{url}");
                    assert!(playlist.seconds() >= 3.0 * playlist.target as f64 - 0.1, "{url}");
                    windows += 1;
                }
            }
        }
        assert!(windows > 100);
        let gaps = |url: &str| {
            let follower = player.followers.iter().find(|(own, _)| own.ends_with(url)).expect(url).1;
            follower.seen.values().filter(|e| e.gap).count()
        };
        // Of the three positions that are missing one segment of six seconds has nothing; the two in all tracks are less.
        match (package_type, seconds) {
            (PackageType::Hls, _) => assert_eq!((gaps("v0/playlist.m3u8"), gaps("v1/playlist.m3u8")), (0, 0)),
            (_, 6) => assert_eq!((gaps("v0/playlist.m3u8"), gaps("a0/playlist.m3u8")), (0, 4)),
            _ => {
                assert_eq!((gaps("v0/playlist.m3u8"), gaps("v1/playlist.m3u8")), (2, 5));
                assert_eq!((gaps("v1/iframes.m3u8"), gaps("a0/playlist.m3u8")), (5, 14));
            }
        }
        let last = player.followers.values().flat_map(|f| f.seen.values()).map(|e| e.discontinuity).max();
        assert_eq!(last, Some(2));
        channel.end();
        for (_, playlist) in player.refresh(&channel, &endpoint, &[0]) {
            assert!(playlist.ended);
        }
    }
}

#[test]
fn what_is_gone_or_not_there_yet_is_not_found() {
    let mut channel = cmaf(4, 2);
    let endpoint = channel::hls(PackageType::Cmaf, 6, 3);
    assert_eq!(channel.get(&endpoint, "/v1/g/c/e/main.m3u8").unwrap_err().kind(), ErrorKind::NotFound);
    channel.begin(0, false);
    channel.push(&[]);
    assert_eq!(channel.get(&endpoint, "/v1/g/c/e/main.m3u8").unwrap_err().kind(), ErrorKind::NotFound);
    (0..40).for_each(|_| channel.push(&[]));
    let main = channel.text(&endpoint, "/v1/g/c/e/main.m3u8");
    let tag = drive::tag_in(&main);
    let status = |channel: &Channel, file: &str| {
        channel.get(&endpoint, &format!("/v1/g/c/e/{tag:016x}/{file}")).map(|_| ()).map_err(|e| e.kind())
    };
    assert_eq!(status(&channel, "v0/0.m4s"), Ok(()));
    assert_eq!(status(&channel, "v0/12.m4s"), Ok(()));
    for absent in ["v0/13.m4s", "v0/14.m4s", "v0/18446744073709551615.m4s", "v0/1.ts", "v9/1.m4s", "v0/init1.mp4"] {
        assert_eq!(status(&channel, absent), Err(ErrorKind::NotFound), "{absent}");
    }
    channel.remove(9);
    assert_eq!(channel.timeline.first, 8);
    for (file, answer) in [("v0/2.m4s", Err(ErrorKind::NotFound)), ("v0/3.m4s", Ok(())), ("v0/init0.mp4", Ok(()))] {
        assert_eq!(status(&channel, file), answer, "{file}");
    }
    for other in ["/v1/g/c/e/index.m3u8", "/v1/g/c/e/main.mpd", "/v1/g/c/e/0123456789abcdef/v0/3.m4s"] {
        assert_eq!(channel.get(&endpoint, other).unwrap_err().kind(), ErrorKind::NotFound, "{other}");
    }
}
