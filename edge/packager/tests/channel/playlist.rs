//! A media playlist as a player sees it, and what must hold from one refresh to the next.

#![allow(dead_code, reason = "each of its users needs another part")]

use std::collections::BTreeMap;

/// One segment of a playlist.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub uri: String,
    /// As written.
    pub duration: String,
    pub gap: bool,
    /// The discontinuity sequence number.
    pub discontinuity: u64,
    /// The EXT-X-MAP in force.
    pub map: Option<String>,
    /// EXT-X-PROGRAM-DATE-TIME, when it has one of its own.
    pub date: Option<String>,
    pub range: Option<String>,
}

/// A playlist.
#[derive(Clone, Debug)]
pub struct Playlist {
    pub target: u64,
    pub sequence: u64,
    pub kind: Option<String>,
    pub ended: bool,
    pub entries: Vec<Entry>,
}

impl Playlist {
    pub fn read(text: &str) -> Self {
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        let value = |name: &str| {
            let mut found = text.lines().filter_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            let first = found.next();
            assert!(found.next().is_none(), "{name} stands once\n{text}");
            first
        };
        let number = |name: &str| value(name).map(|v| v.parse::<u64>().expect("a number"));
        let mut discontinuity = number("#EXT-X-DISCONTINUITY-SEQUENCE").unwrap_or(0);
        let (mut entries, mut map) = (Vec::new(), None);
        let (mut duration, mut gap, mut date, mut range) = (None, false, None, None);
        for line in lines {
            if let Some(rest) = line.strip_prefix("#EXTINF:") {
                assert!(duration.replace(rest.trim_end_matches(',').to_owned()).is_none());
            } else if line == "#EXT-X-GAP" {
                gap = true;
            } else if line == "#EXT-X-DISCONTINUITY" {
                assert!(!entries.is_empty(), "a playlist does not begin with a discontinuity");
                discontinuity += 1;
            } else if let Some(rest) = line.strip_prefix("#EXT-X-MAP:") {
                map = Some(rest.to_owned());
            } else if let Some(rest) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
                date = Some(rest.to_owned());
            } else if let Some(rest) = line.strip_prefix("#EXT-X-BYTERANGE:") {
                range = Some(rest.to_owned());
            } else if !line.starts_with('#') {
                let duration = duration.take().expect("a duration before each segment");
                let (uri, date, range) = (line.to_owned(), date.take(), range.take());
                entries.push(Entry { uri, duration, gap, discontinuity, map: map.clone(), date, range });
                gap = false;
            }
        }
        Self {
            target: number("#EXT-X-TARGETDURATION").expect("a target duration"),
            sequence: number("#EXT-X-MEDIA-SEQUENCE").expect("a media sequence number"),
            kind: value("#EXT-X-PLAYLIST-TYPE").map(str::to_owned),
            ended: text.lines().any(|l| l == "#EXT-X-ENDLIST"),
            entries,
        }
    }

    pub fn end(&self) -> u64 {
        self.sequence + self.entries.len() as u64
    }

    pub fn seconds(&self) -> f64 {
        self.entries.iter().map(|e| e.duration.parse::<f64>().expect("a number")).sum()
    }
}

/// Everything that a player has seen of one playlist.
#[derive(Default)]
pub struct Follower {
    last: Option<Playlist>,
    pub seen: BTreeMap<u64, Entry>,
}

impl Follower {
    /// Checks a refresh against all before it (RFC 8216bis, 6.2.1, 6.2.2).
    pub fn follow(&mut self, text: &str) -> Playlist {
        let playlist = Playlist::read(text);
        assert!(!playlist.entries.is_empty());
        if let Some(last) = &self.last {
            assert_eq!(playlist.target, last.target, "the target duration never changes");
            assert!(playlist.sequence >= last.sequence, "media sequence goes up\n{text}");
            assert!(playlist.end() >= last.end(), "nothing at the end goes away\n{text}");
            assert!(playlist.sequence <= last.end(), "nothing is skipped\n{text}");
            assert!(!last.ended || playlist.end() == last.end());
        }
        for (number, entry) in (playlist.sequence..).zip(&playlist.entries) {
            let duration: f64 = entry.duration.parse().expect("a number");
            assert!(duration.round() <= playlist.target as f64, "{duration} {text}");
            if let Some(before) = self.seen.get(&number) {
                assert_eq!(before.uri, entry.uri, "segment {number}");
                assert_eq!(before.duration, entry.duration, "segment {number}");
                assert_eq!(before.gap, entry.gap, "segment {number}");
                assert_eq!(before.discontinuity, entry.discontinuity, "segment {number}\n{text}");
                if !before.map.as_ref().is_some_and(|m| m.contains("BYTERANGE")) {
                    assert_eq!(before.map, entry.map, "segment {number}");
                }
                assert_eq!(before.range, entry.range, "segment {number}");
                // The first segment of a playlist has a date whether it had one or not.
                if let (Some(a), Some(b)) = (&before.date, &entry.date) {
                    assert_eq!(a, b, "segment {number}");
                }
                if number > playlist.sequence {
                    assert!(before.date.is_some() || entry.date.is_none(), "segment {number}\n{text}");
                }
            } else {
                self.seen.insert(number, entry.clone());
            }
        }
        self.last = Some(playlist.clone());
        playlist
    }
}
