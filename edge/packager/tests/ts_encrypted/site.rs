//! Assets, and everything that they answer under a configuration.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use packager::config::{PackageType, Scheme, SourceObject};
use packager::ingest::IndexedAsset;
use packager::response::{Part, Response};
use packager::route::Resource;

use crate::drive;

/// H.264 of which two pictures are noise, nearly 1 MB each, and AAC: samples that are encrypted in more than one go.
const LARGE: &str = "large samples";

/// MP4 files, or one playlist.
pub const ASSETS: [&[&str]; 18] = [
    &["small/h264_aac.mp4"],
    &["small/fragmented.mp4"],
    &["small/audio_delayed_750ms.mp4"],
    &["small/open_gop.mp4"],
    &["late audio"],
    &["small/hevc_hvc1.mp4"],
    &["small/h264_aac.mp4", "small/ac3.mp4"],
    &["small/ac3.mp4"],
    &["small/eac3_51.mp4"],
    &["small/aac_51.mp4"],
    &["ladder/video_180p.mp4", "ladder/video_720p.mp4", "ladder/audio_eng.mp4", "text/eng.vtt"],
    &["hls/ts/main.m3u8"],
    &["hls/ts_demuxed/main.m3u8"],
    &["hls/cmaf/main.m3u8"],
    &["hls/codecs/ac3/main.m3u8"],
    &["hls/codecs/eac3/main.m3u8"],
    &["hls/codecs/mp3/main.m3u8"],
    &[LARGE],
];

/// An asset that was ingested.
pub struct Asset {
    pub name: String,
    root: PathBuf,
    files: Vec<Vec<u8>>,
    indexed: IndexedAsset,
}

/// A scheme, the segments of the clear lead, and the keys.
pub type Protected<'a> = (Scheme, u32, &'a [drive::TestKey]);

/// Made once for all tests, which run at the same time.
fn large() -> Vec<u8> {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    let make = || {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("large samples.mp4");
        let picture = "testsrc2=s=848x480:r=25:d=1.2,noise=alls=100:allf=t:enable='not(mod(n,15))'";
        let made = Command::new("ffmpeg")
            .args(["-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", picture])
            .args(["-f", "lavfi", "-i", "sine=f=440:r=48000:d=1.2", "-c:v", "libx264", "-preset", "ultrafast"])
            .args(["-qp", "1", "-g", "15", "-bf", "0", "-pix_fmt", "yuv420p", "-threads", "1", "-c:a", "aac"])
            .arg(&path)
            .status()
            .expect("ffmpeg is there");
        assert!(made.success(), "ffmpeg: {made}");
        let file = fs::read(&path).expect("what ffmpeg made");
        assert!(file.len() > 2 << 20, "{} bytes", file.len());
        file
    };
    FILE.get_or_init(make).clone()
}

fn file(media: &Path, name: &str) -> Vec<u8> {
    if name == LARGE {
        return large();
    }
    let late = name == "late audio";
    let path = media.join(if late { "small/audio_delayed_750ms.mp4" } else { name });
    let mut file = fs::read(path).expect("the fixture is there");
    if late {
        // An empty edit of 728 ms becomes one of 2.728 s.
        let empty = [728u32.to_be_bytes(), u32::MAX.to_be_bytes()].concat();
        let places = file.windows(8).enumerate().filter(|(_, w)| *w == empty).map(|(at, _)| at);
        let [place] = places.collect::<Vec<_>>()[..] else { panic!("an edit list that begins with 728 ms") };
        file[place..place + 4].copy_from_slice(&2728u32.to_be_bytes());
    }
    file
}

impl Asset {
    pub fn ingest(names: &[&str]) -> Self {
        let media = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media");
        let (root, files, indexed) = match names {
            [list] if list.ends_with(".m3u8") => {
                let (folder, file) = list.rsplit_once('/').expect("a folder");
                let root = media.join(folder);
                let read = |object: &str| fs::read(root.join(object)).ok().map(|bytes| (Bytes::from(bytes), None));
                let indexed = drive::ingest_playlist(file, read).expect("the fixture is ingested");
                (root, Vec::new(), indexed)
            }
            _ => {
                let files: Vec<Vec<u8>> = names.iter().map(|name| file(&media, name)).collect();
                let slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
                let indexed = drive::ingest(&slices).expect("the fixture is ingested");
                (media, files, indexed)
            }
        };
        Self { name: names.join(" "), root, files, indexed }
    }

    fn read(&self, object: &SourceObject, range: Range<u64>) -> Vec<u8> {
        let range = range.start as usize..range.end as usize;
        match object.path.strip_suffix(".mp4").and_then(|number| number.parse::<usize>().ok()) {
            Some(number) if number < self.files.len() => self.files[number][range].to_vec(),
            _ => fs::read(self.root.join(&object.path)).expect("an object of the source")[range].to_vec(),
        }
    }

    pub fn bytes_of(&self, parts: &[Part]) -> Vec<u8> {
        drive::bytes_of(parts, 1999, |object, range| self.read(object, range))
    }

    pub fn site(&self, seconds: u32, separate: bool, protected: Option<Protected<'_>>) -> Site {
        self.try_site(seconds, separate, protected).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Everything that is answered, each body as long as was promised; or why there is no manifest.
    pub fn try_site(&self, seconds: u32, separate: bool, protected: Option<Protected<'_>>) -> packager::Result<Site> {
        let index = &self.indexed.index;
        let sizes: Vec<u64> = self.files.iter().map(|f| f.len() as u64).collect();
        let mut documents = drive::documents(PackageType::Hls, seconds, index, self.indexed.head_bytes, &sizes);
        Arc::make_mut(&mut documents.configuration).audio_separation = separate;
        if let Some((scheme, lead, keys)) = protected {
            drive::protect_hls(&mut documents, scheme, lead, keys);
        }
        let extension = PackageType::Hls.manifest_extension();
        drive::respond(&documents, Resource::Manifest { name: "index".into(), extension }, index)?;
        let tag = format!("{:016x}/", packager::job::tag(&documents));
        let mut site = Site { bodies: BTreeMap::new(), made: Vec::new() };
        for (resource, response) in drive::crawl(&documents, index, usize::MAX) {
            let path = resource.to_string().replace(&tag, "");
            let mut body = self.bytes_of(&response.parts);
            assert_eq!(body.len() as u64, response.len(), "{path}");
            if path.ends_with(".m3u8") {
                body = String::from_utf8(body).expect("playlists are text").replace(&tag, "").into_bytes();
            }
            if response.parts.iter().any(|part| matches!(part, Part::Made { .. })) {
                site.made.push((path.clone(), response));
            }
            site.bodies.insert(path, body);
        }
        Ok(site)
    }
}

/// What an asset answers, by path without its tag.
pub struct Site {
    pub bodies: BTreeMap<String, Vec<u8>>,
    /// The bodies that are made.
    pub made: Vec<(String, Response)>,
}

impl Site {
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.bodies.keys().map(String::as_str)
    }

    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.bodies[path].clone()).expect("playlists are text")
    }

    /// The media playlists.
    pub fn playlists(&self) -> Vec<String> {
        self.paths().filter(|path| path.ends_with("playlist.m3u8")).map(str::to_owned).collect()
    }

    fn path(playlist: &str, uri: &str) -> String {
        playlist.rsplit_once('/').map_or(uri.to_owned(), |(folder, _)| format!("{folder}/{uri}"))
    }

    /// The segments of a playlist with their media sequence numbers, without gaps.
    pub fn segments(&self, playlist: &str) -> Vec<(usize, String)> {
        let text = self.text(playlist);
        let first = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")).expect("a number");
        let first: usize = first.parse().expect("a number");
        let uris = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).enumerate();
        let uris = uris.filter(|(_, uri)| !uri.starts_with("gap."));
        uris.map(|(place, uri)| (first + place, Self::path(playlist, uri))).collect()
    }

    /// The segments and byte ranges of an I-frame playlist.
    pub fn ranges(&self, playlist: &str) -> Vec<(String, Range<usize>)> {
        let (mut range, mut found) = (0..0, Vec::new());
        for line in self.text(playlist).lines() {
            if let Some(value) = line.strip_prefix("#EXT-X-BYTERANGE:") {
                let (length, start) = value.split_once('@').expect("a length and a start");
                let (length, start): (usize, usize) = (length.parse().unwrap(), start.parse().unwrap());
                range = start..start + length;
            } else if !line.starts_with('#') && !line.is_empty() {
                found.push((Self::path(playlist, line), range.clone()));
            }
        }
        found
    }
}

/// What the tag of packed audio holds.
pub struct Tag {
    pub time: Vec<u8>,
    /// Audio setup information.
    pub setup: Option<Vec<u8>>,
}

/// The tag of packed audio, and what follows it.
pub fn packed(body: &[u8]) -> (Tag, &[u8]) {
    let size = |bytes: &[u8]| bytes[..4].iter().fold(0, |n, b| n << 7 | usize::from(*b));
    assert_eq!(body[..6], *b"ID3\x04\0\0");
    let end = 10 + size(&body[6..]);
    let (mut at, mut private) = (10, BTreeMap::new());
    while at < end {
        assert_eq!(body[at..at + 4], *b"PRIV");
        let content = &body[at + 10..at + 10 + size(&body[at + 4..])];
        let owner = content.iter().position(|b| *b == 0).expect("an owner");
        private.insert(String::from_utf8_lossy(&content[..owner]).into_owned(), content[owner + 1..].to_vec());
        at += 10 + content.len();
    }
    assert_eq!(at, end);
    let time = private.remove("com.apple.streaming.transportStreamTimestamp").expect("a time");
    (Tag { time, setup: private.remove("com.apple.streaming.audioDescription") }, &body[end..])
}
