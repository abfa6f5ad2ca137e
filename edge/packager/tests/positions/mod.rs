//! Positions of a live timeline out of the playlists that are stored: as if an encoder had pushed their segments.

#![allow(dead_code, clippy::disallowed_methods, reason = "each test uses a part of it; a test may read files")]

use std::fs;
use std::path::{Path, PathBuf};

use packager::ingest::live::{Checked, Layout, Position, Reader, Set, position};
use packager::m3u8::{Media, Multivariant};
use packager::media::time::Instant;
use packager::source::hls::Container;

/// Where the playlists are.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media/hls")
}

/// A title as an encoder pushes it.
pub struct Pushed {
    /// What the encoder says of its renditions.
    pub multivariant: Multivariant,
    /// For each media playlist its own.
    pub playlists: Vec<Media>,
    root: PathBuf,
}

impl Pushed {
    /// The playlists of a folder of the fixtures.
    pub fn new(folder: &str) -> Self {
        let root = fixtures();
        let read = |path: &str| fs::read(root.join(path)).expect("a playlist");
        let path = format!("{folder}/main.m3u8");
        let multivariant = Multivariant::read(&path, &read(&path)).expect("a multivariant playlist");
        let paths = Set::playlists(&multivariant).expect("playlists");
        let playlists = paths.iter().map(|path| Media::read(path, &read(path)).expect("a media playlist")).collect();
        Self { multivariant, playlists, root }
    }

    /// A segment of a playlist, read in pieces.
    pub fn segment(&self, playlist: usize, number: usize) -> packager::Result<Checked> {
        let media = &self.playlists[playlist];
        let segment = &media.segments[number];
        let bytes = fs::read(self.root.join(&segment.path)).expect("a segment");
        let container = if segment.map.is_some() { Container::Fragments } else { Container::Transport };
        let mut reader = Reader::new(segment.path.clone(), bytes.len() as u64, None, container);
        if let Some(map) = segment.map.map(|n| &media.maps[n]) {
            reader.initialization(&map.path, &fs::read(self.root.join(&map.path)).expect("an init section"))?;
        }
        for piece in bytes.chunks(7 * 188) {
            reader.push(piece)?;
        }
        reader.finish()
    }

    /// All segments of a position, without those of `lost` playlists.
    pub fn set(&self, number: usize, lost: &[usize]) -> Set<'_> {
        let segment = |n| (!lost.contains(&n)).then(|| self.segment(n, number).expect("a segment that is read"));
        let segments = (0..self.playlists.len()).map(segment).collect();
        Set { multivariant: Some(&self.multivariant), segments, prefix: "" }
    }

    /// All positions, the first at `at`; `lost` says which playlists are missing in which.
    pub fn positions(&self, at: Instant, lost: impl Fn(usize) -> Vec<usize>) -> Vec<Position> {
        let mut layout: Option<Layout> = None;
        let mut positions = Vec::new();
        let mut first: Option<Instant> = None;
        for number in 0..self.playlists[0].segments.len() {
            let set = self.set(number, &lost(number));
            let start = set.segments.iter().flatten().next().expect("one segment").start();
            let from = *first.get_or_insert(start);
            let ticks = start.ticks - from.ticks + at.in_timescale(start.timescale);
            let made = position(set, Instant { ticks, timescale: start.timescale }, layout.as_ref());
            let made = made.unwrap_or_else(|e| panic!("position {number}: {e}"));
            layout = Some(made.layout.clone());
            positions.push(made);
        }
        positions
    }
}
