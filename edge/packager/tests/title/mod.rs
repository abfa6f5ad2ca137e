//! An asset made of fixtures.

#![allow(dead_code, reason = "each of its users needs another part")]

use core::ops::Range;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use packager::config::{PackageType, SourceObject};
use packager::job::Documents;
use packager::response::Part;
use packager::route::{Resource, TrackFile};

use crate::drive;

/// The fixtures.
pub fn media() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media")
}

/// An asset, its index, and where its objects are.
pub struct Title {
    pub index: Vec<u8>,
    pub head_bytes: u64,
    sources: Vec<String>,
    root: PathBuf,
}

impl Title {
    pub fn of_playlist(folder: &str) -> Self {
        let root = media().join("hls");
        let read = |path: &str| Some((fs::read(root.join(path)).ok()?.into(), None));
        let indexed = drive::ingest_playlist(&format!("{folder}/main.m3u8"), read).expect("the fixture is ingested");
        Self { index: indexed.index, head_bytes: indexed.head_bytes, sources: Vec::new(), root }
    }

    pub fn of_files(names: &[&str]) -> Self {
        let root = media();
        let files: Vec<Vec<u8>> = names.iter().map(|n| fs::read(root.join(n)).expect("a fixture")).collect();
        let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let indexed = drive::ingest(&slices).expect("the fixture is ingested");
        let sources = names.iter().map(|n| (*n).to_owned()).collect();
        Self { index: indexed.index, head_bytes: indexed.head_bytes, sources, root }
    }

    pub fn documents(&self, package_type: PackageType, separate: bool) -> Documents {
        let size = |name: &String| fs::metadata(self.root.join(name)).expect("a fixture").len();
        let sizes: Vec<u64> = self.sources.iter().map(size).collect();
        let mut documents = drive::documents(package_type, 6, &self.index, self.head_bytes, &sizes);
        Arc::make_mut(&mut documents.configuration).audio_separation = separate;
        documents
    }

    pub fn read(&self, object: &SourceObject, range: Range<u64>) -> Vec<u8> {
        let name = match object.path.trim_end_matches(".mp4").parse::<usize>() {
            Ok(number) if !self.sources.is_empty() => &self.sources[number],
            _ => &object.path,
        };
        let bytes = fs::read(self.root.join(name)).expect("a fixture");
        bytes[range.start as usize..range.end as usize].to_vec()
    }

    /// Every segment of the asset under a package type, with all of its bytes.
    pub fn segments(&self, package_type: PackageType, separate: bool) -> Vec<(Resource, Vec<Part>, Vec<u8>)> {
        self.segments_of(&self.documents(package_type, separate))
    }

    /// Every segment that these documents make of the asset, with all of its bytes.
    pub fn segments_of(&self, documents: &Documents) -> Vec<(Resource, Vec<Part>, Vec<u8>)> {
        let found = drive::crawl(documents, &self.index, usize::MAX).into_iter();
        let segments =
            found.filter(|(resource, _)| matches!(resource, Resource::Tagged { file: TrackFile::Segment { .. }, .. }));
        let whole = segments.map(|(resource, response)| {
            let bytes = drive::bytes_of(&response.parts, 1 << 20, |object, range| self.read(object, range));
            assert_eq!(bytes.len() as u64, response.len(), "the length of {resource} is known before its bytes");
            (resource, response.parts, bytes)
        });
        whole.collect()
    }
}
