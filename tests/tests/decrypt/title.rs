//! Titles, ingested and packaged by the crate itself: no server and no component.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use e2e::media;
use packager::config::{PackageType, Scheme, SourceObject};
use packager::index::Head;
use packager::ingest::IndexedAsset;
use packager::media::segmenter;
use packager::route::{Resource, SegmentFormat, TrackFile, TrackKind, TrackName};

use crate::drive;

/// Segments of two seconds: tracks of several.
const SECONDS: u32 = 2;

/// What a title is made of.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that make one MP4, in this order.
    File(Vec<PathBuf>),
    /// A folder with `main.m3u8`.
    Playlist(PathBuf),
    /// A transport stream, the only segment of its playlist, of so many seconds.
    Transport(PathBuf, f64),
}

/// What was ingested, with the bytes of its sources.
pub struct Title {
    objects: BTreeMap<String, Bytes>,
    indexed: IndexedAsset,
}

/// A track of a title as CMAF: its header and all of its segments.
pub struct Track {
    pub name: TrackName,
    /// Of RFC 6381.
    pub codec: String,
    /// Header and segments, one after the other.
    pub bytes: Vec<u8>,
}

impl Title {
    pub fn ingest(source: &Source) -> Self {
        let read = |path: &Path| -> Bytes {
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
        };
        let mut objects = BTreeMap::new();
        match source {
            Source::File(paths) => {
                let whole: Vec<u8> = paths.iter().flat_map(|path| read(path)).collect();
                let indexed = drive::ingest(&[&whole]).unwrap_or_else(|| panic!("{paths:?} is not ingested"));
                objects.insert("0.mp4".to_owned(), whole.into());
                return Self { objects, indexed };
            }
            Source::Playlist(folder) => {
                for path in media::files_below(folder) {
                    let name = path.strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
                    objects.insert(name, read(&path));
                }
            }
            Source::Transport(path, seconds) => {
                let list = format!(
                    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{}\n#EXTINF:{seconds},\n0.ts\n#EXT-X-ENDLIST\n",
                    seconds.ceil()
                );
                let main = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000000\nlist.m3u8\n";
                objects.insert("main.m3u8".to_owned(), main.into());
                objects.insert("list.m3u8".to_owned(), list.into());
                objects.insert("0.ts".to_owned(), read(path));
            }
        }
        let object = |path: &str| objects.get(path).map(|bytes| (bytes.clone(), None));
        let indexed = drive::ingest_playlist("main.m3u8", object).unwrap_or_else(|error| panic!("{source:?}: {error}"));
        Self { objects, indexed }
    }

    /// All tracks with pictures or sound, in the clear or protected by the key of [`drive`].
    pub fn tracks(&self, scheme: Option<Scheme>) -> Vec<Track> {
        let index = &self.indexed.index;
        let head_bytes = self.indexed.head_bytes;
        let sizes: Vec<u64> = self.objects.get("0.mp4").map(|object| object.len() as u64).into_iter().collect();
        let mut documents = drive::documents(PackageType::Cmaf, SECONDS, index, head_bytes, &sizes);
        if let Some(scheme) = scheme {
            drive::protect(&mut documents, drive::plain(scheme));
        }
        let tag = packager::job::tag(&documents);
        let head = Head::read(&index[..head_bytes as usize], index.len() as u64).expect("what was written is read");
        let mut tracks = Vec::new();
        for (track, segments) in head.tracks.iter().zip(segmenter::ladder(&head, SECONDS)) {
            if track.hidden || !matches!(track.name.kind, TrackKind::Video | TrackKind::Audio) {
                continue;
            }
            let numbers = 1..=segments.len() as u32;
            let segment = |number| TrackFile::Segment { number, format: SegmentFormat::Cmaf };
            let bytes = std::iter::once(TrackFile::Init(1)).chain(numbers.map(segment)).flat_map(|file| {
                let resource = Resource::Tagged { tag, track: track.name, file };
                let response = drive::respond(&documents, resource, index)
                    .unwrap_or_else(|error| panic!("{} {file}: {error}", track.name));
                let bytes = drive::bytes_of(&response.parts, 1 << 16, |object, range| self.read(object, range));
                assert_eq!(bytes.len() as u64, response.len(), "{} {file}: its length was known before", track.name);
                bytes
            });
            tracks.push(Track { name: track.name, codec: track.codec.clone(), bytes: bytes.collect() });
        }
        tracks
    }

    fn read(&self, object: &SourceObject, range: Range<u64>) -> Vec<u8> {
        self.objects[&object.path][range.start as usize..range.end as usize].to_vec()
    }
}
