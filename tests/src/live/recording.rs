//! What a client got.

use std::collections::BTreeMap;

use super::clip::{Content, FRAMES, Heard};

/// Some media that one initialization section and one clock are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The initialization section, if there is one, and all segments.
    pub bytes: Vec<u8>,
    /// How many segments.
    pub segments: usize,
}

/// What was recorded of one rendition.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// What the manifest says that it is: part of its URL, or its id.
    pub name: String,
    /// `ts`, or `mp4` for fragments.
    pub extension: &'static str,
    /// Whether it has pictures, and whether it has sound.
    pub kinds: (bool, bool),
    /// In order.
    pub chunks: Vec<Chunk>,
    /// Numbers of the segments that were said to be lost.
    pub gaps: Vec<u64>,
    /// How many discontinuities were seen, or, of DASH, changes of the period.
    pub breaks: usize,
}

/// What a client got, and how that went.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// All renditions.
    pub tracks: Vec<Track>,
    /// How often a manifest was loaded.
    pub refreshes: usize,
    /// When something new was in the playlist of the first rendition, milliseconds since 1970; of HLS that was followed.
    pub news_ms: Vec<u64>,
    /// How often nobody answered, or 502 or 503.
    pub waits: usize,
}

impl Track {
    /// What of the clips is in it.
    pub fn heard(&self, content: &Content) -> Heard {
        let mut all = Heard::default();
        for (at, chunk) in self.chunks.iter().enumerate() {
            let heard = content.read(&chunk.bytes, self.extension, self.kinds.0, self.kinds.1);
            let heard = heard.unwrap_or_else(|error| {
                let file = crate::tools::results().join(format!(
                    "chunk-{}-{at}.{}",
                    self.name.replace('/', "-"),
                    self.extension
                ));
                let _ = std::fs::write(&file, &chunk.bytes);
                panic!("{}, chunk {at} of {} segments, kept as {}: {error}", self.name, chunk.segments, file.display())
            });
            all.pictures.extend(heard.pictures);
            all.sounds.extend(heard.sounds);
        }
        all
    }
}

impl Recording {
    /// Fails unless every rendition of pictures has exactly the pictures of these seconds of the test picture, in this order, and
    /// every sound goes on without loss or repetition but for `breaks` places.
    pub fn assert_seconds(&self, what: &str, content: &Content, seconds: &[u32], breaks: usize) {
        let wanted: Vec<u32> = seconds.iter().flat_map(|second| second * FRAMES..(second + 1) * FRAMES).collect();
        let mut renditions = BTreeMap::new();
        for track in &self.tracks {
            let heard = track.heard(content);
            if track.kinds.0 {
                let numbers: Vec<u32> = heard.pictures.iter().map(|(_, number)| *number).collect();
                assert!(numbers == wanted, "{what}, {}: {}", track.name, difference(&numbers, &wanted));
                let of: Vec<usize> = heard.pictures.iter().map(|(rendition, _)| *rendition).collect();
                assert!(of.iter().all(|one| *one == of[0]), "{what}, {}: pictures of different renditions", track.name);
                renditions.entry(of[0]).or_insert_with(Vec::new).push(track.name.clone());
            }
            if track.kinds.1 {
                assert_sound(&format!("{what}, {}", track.name), &heard.sounds, breaks);
            }
        }
        assert_eq!(renditions.len(), 2, "{what}: both renditions: {renditions:?}");
        assert!(self.tracks.iter().any(|track| track.kinds.1), "{what}: no sound");
    }
}

/// Fails unless the packets follow one another but for `breaks` places.
fn assert_sound(what: &str, sounds: &[Option<u32>], breaks: usize) {
    let known: Vec<(usize, u32)> = sounds.iter().enumerate().filter_map(|(at, one)| Some((at, (*one)?))).collect();
    assert!(known.len() > FRAMES as usize, "{what}: {} packets of sound", known.len());
    let steps =
        known.windows(2).filter(|pair| pair[1].1.checked_sub(pair[0].1) != u32::try_from(pair[1].0 - pair[0].0).ok());
    let steps: Vec<String> = steps.map(|pair| format!("{} after {}", pair[1].1, pair[0].1)).collect();
    assert!(steps.len() <= breaks, "{what}: sound does not go on: {}", steps.join(", "));
}

fn difference(numbers: &[u32], wanted: &[u32]) -> String {
    let at = numbers.iter().zip(wanted).position(|(a, b)| a != b).unwrap_or(numbers.len().min(wanted.len()));
    let around = |all: &[u32]| all[at.saturating_sub(2).min(all.len())..(at + 4).min(all.len())].to_vec();
    format!(
        "{} pictures, not {}; from picture {at} on they differ: {:?}, not {:?}",
        numbers.len(),
        wanted.len(),
        around(numbers),
        around(wanted)
    )
}
