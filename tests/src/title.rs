//! A title as an independent reader gets it: from the playlists of an HLS source or output, from an MPD, or from files. Each
//! rendition is put together from its segments, in pieces that begin where its timeline or its parameters break.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use m3u8_rs::{AlternativeMediaType, ByteRange, MediaSegment};

use crate::ffmpeg::{self, Reading, Sound};
use crate::fmp4;
use crate::http::{Client, resolve};
use crate::mpd::Mpd;
use crate::playlist;
use crate::vtt::{self, Cue};

/// Media that one reader can go through from its start to its end.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// A file.
    pub bytes: Vec<u8>,
    /// What is added to its timestamps to get the time of the manifest, in seconds.
    pub shift: f64,
}

/// What a playlist or a representation names.
#[derive(Clone, Debug, Default)]
pub struct Rendition {
    /// Where it was found.
    pub name: String,
    /// Whether the manifest lists it as a variant: with pictures, when the title has any.
    pub is_variant: bool,
    /// Extension of its segments.
    pub extension: String,
    /// In order.
    pub pieces: Vec<Piece>,
}

/// Subtitles of one track.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// LANGUAGE or `lang`.
    pub language: String,
    /// FORCED or role `forced-subtitle`.
    pub forced: bool,
    /// Cues of all segments, each once; times on the clock of the media, in seconds.
    pub cues: Vec<Cue>,
}

/// All of a title.
#[derive(Clone, Debug, Default)]
pub struct Title {
    /// Sound and pictures.
    pub renditions: Vec<Rendition>,
    /// Subtitles, where they are WebVTT.
    pub texts: Vec<Text>,
}

/// Brings the bytes of a URL or path.
pub type Get<'a> = dyn Fn(&str) -> Vec<u8> + 'a;

impl Title {
    /// Files, each a rendition.
    pub fn of_files(files: &[PathBuf]) -> Self {
        let rendition = |file: &PathBuf| Rendition {
            name: file.display().to_string(),
            is_variant: true,
            extension: extension(&file.to_string_lossy()).to_owned(),
            pieces: vec![Piece { bytes: std::fs::read(file).expect("a file"), shift: 0.0 }],
        };
        Self { renditions: files.iter().map(rendition).collect(), texts: Vec::new() }
    }

    /// A multivariant playlist on this machine.
    pub fn of_stored_hls(main: &Path) -> Self {
        let get = |path: &str| std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::of_hls(&get, &main.to_string_lossy())
    }

    /// A multivariant playlist and everything in it.
    pub fn of_served_hls(client: &Client, url: &str) -> Self {
        Self::of_hls(&|url| client.get(url).body, url)
    }

    fn of_hls(get: &Get<'_>, url: &str) -> Self {
        let text = get(url);
        let multivariant = m3u8_rs::parse_master_playlist_res(&text)
            .unwrap_or_else(|error| panic!("{url} is no multivariant playlist: {error:?}"));
        let mut title = Self::default();
        let mut seen = Vec::new();
        let variants = multivariant.variants.iter().filter(|variant| !variant.is_i_frame);
        for uri in variants.map(|variant| &variant.uri) {
            if !seen.contains(uri) {
                seen.push(uri.clone());
                title.renditions.push(Rendition::of_playlist(get, &resolve(url, uri), true));
            }
        }
        for one in &multivariant.alternatives {
            let Some(uri) = one.uri.as_ref().filter(|uri| !seen.contains(uri)) else { continue };
            seen.push(uri.clone());
            let list = resolve(url, uri);
            match one.media_type {
                AlternativeMediaType::Subtitles => {
                    let parts = segments(get, &list).into_iter().map(|segment| (get(&segment.url), 0.0));
                    title.texts.push(Text {
                        language: one.language.clone().unwrap_or_default(),
                        forced: one.forced,
                        cues: vtt::cues(
                            parts.collect::<Vec<_>>().iter().map(|(bytes, shift)| (&bytes[..], *shift)),
                            &list,
                        ),
                    });
                }
                _ => title.renditions.push(Rendition::of_playlist(get, &list, false)),
            }
        }
        title
    }

    /// An MPD and everything in it.
    pub fn of_dash(client: &Client, url: &str) -> Self {
        let mpd = Mpd::fetch(client, url);
        let mut renditions: BTreeMap<&str, Rendition> = BTreeMap::new();
        let mut texts = Vec::new();
        for one in &mpd.representations {
            if one.kind == "text" || one.kind == "application" {
                if one.segments.is_empty() {
                    let bytes = client.get(&one.init).body;
                    texts.push(Text {
                        language: one.attributes.get("lang").cloned().unwrap_or_default(),
                        forced: mpd.text.contains("forced-subtitle"),
                        cues: vtt::cues([(&bytes[..], mpd.periods[one.period])].into_iter(), &one.init),
                    });
                }
                continue;
            }
            let mut bytes = client.get(&one.init).body;
            for (segment, ..) in &one.segments {
                bytes.extend(client.get(segment).body);
            }
            let offset = one.presentation_time_offset as f64 / one.timescale as f64;
            let rendition = renditions.entry(&one.id).or_insert_with(|| Rendition {
                name: format!("{url} {}", one.id),
                is_variant: one.kind == "video",
                extension: "mp4".to_owned(),
                pieces: Vec::new(),
            });
            rendition.pieces.push(Piece { bytes, shift: mpd.periods[one.period] - offset });
        }
        Self { renditions: renditions.into_values().collect(), texts }
    }
}

/// A segment of a playlist, with what goes before it.
struct Segment {
    url: String,
    range: Option<(u64, u64)>,
    map: Option<(String, Option<(u64, u64)>)>,
    breaks: bool,
}

fn segments(get: &Get<'_>, url: &str) -> Vec<Segment> {
    let text = get(url);
    let list = m3u8_rs::parse_media_playlist_res(&text)
        .unwrap_or_else(|error| panic!("{url} is no media playlist: {error:?}"));
    let mut end: Option<(String, u64)> = None;
    let mut map: Option<(String, Option<(u64, u64)>)> = None;
    let mut range = |uri: &str, range: Option<&ByteRange>| {
        let range = range?;
        let follows = end.as_ref().filter(|(last, _)| last == uri).map_or(0, |(_, end)| *end);
        let start = range.offset.unwrap_or(follows);
        end = Some((uri.to_owned(), start + range.length));
        Some((start, start + range.length))
    };
    let gap = |segment: &&MediaSegment| segment.unknown_tags.iter().any(|tag| tag.tag == "X-GAP");
    let there = list.segments.iter().filter(|segment| !gap(segment));
    let mut out = Vec::new();
    for segment in there {
        let mut breaks = segment.discontinuity;
        if let Some(found) = &segment.map {
            let part = found.byte_range.as_ref();
            let part = part.map(|part| (part.offset.unwrap_or(0), part.offset.unwrap_or(0) + part.length));
            let found = Some((resolve(url, &found.uri), part));
            breaks |= map.is_some() && map != found;
            map = found;
        }
        out.push(Segment {
            url: resolve(url, &segment.uri),
            range: range(&segment.uri, segment.byte_range.as_ref()),
            map: map.clone(),
            breaks,
        });
    }
    out
}

impl Rendition {
    fn of_playlist(get: &Get<'_>, url: &str, is_variant: bool) -> Self {
        let fetch = |url: &str, range: Option<(u64, u64)>| {
            let bytes = get(url);
            range.map_or_else(|| bytes.clone(), |(start, end)| bytes[start as usize..end as usize].to_vec())
        };
        let mut rendition = Self { name: url.to_owned(), is_variant, ..Self::default() };
        for segment in segments(get, url) {
            if segment.breaks || rendition.pieces.is_empty() {
                let bytes = segment.map.map_or_else(Vec::new, |(url, range)| fetch(&url, range));
                rendition.pieces.push(Piece { bytes, shift: 0.0 });
            }
            rendition.extension = extension(&segment.url).to_owned();
            let bytes = fetch(&segment.url, segment.range);
            let piece = rendition.pieces.last_mut().expect("a piece");
            let packed = matches!(rendition.extension.as_str(), "aac" | "ac3" | "ec3" | "mp3");
            match transport_timestamp(&bytes).filter(|_| packed) {
                Some((tag, time)) => {
                    if piece.bytes.is_empty() {
                        piece.shift = time as f64 / 90_000.0;
                    }
                    piece.bytes.extend_from_slice(&bytes[tag..]);
                }
                None => {
                    assert!(!packed, "{}: packed audio without a timestamp", segment.url);
                    piece.bytes.extend(bytes);
                }
            }
        }
        rendition
    }

    /// Everything that it carries: frames of pictures, packets of sound.
    ///
    /// # Errors
    /// What ffmpeg said.
    pub fn read(&self, folder: &Path, sound: Sound) -> Result<Content, String> {
        let mut content = Content::default();
        for (index, piece) in self.pieces.iter().enumerate() {
            let extension = if self.extension == "m4s" { "mp4" } else { &self.extension };
            let file = folder.join(format!("piece.{extension}"));
            std::fs::write(&file, &piece.bytes).map_err(|error| error.to_string())?;
            let input = file.to_string_lossy();
            let streams = ffmpeg::streams(&input);
            let first = |kind: &str| streams.iter().find(|stream| stream["codec_type"] == kind);
            let (video, audio) = (first("video"), first("audio"));
            let adts = matches!(extension, "ts" | "aac") && audio.is_some_and(|stream| stream["codec_name"] == "aac");
            let reading = Reading {
                input: &input,
                video: if video.is_some() { &[0] } else { &[] },
                audio: if audio.is_some() { &[0] } else { &[] },
                options: &[],
                decode: true,
                sound: if adts && sound == Sound::Packets { Sound::WithoutAdts } else { sound },
            };
            let streams = ffmpeg::read(&reading).map_err(|error| format!("{} piece {index}: {error}", self.name))?;
            let start = if extension == "mp4" { fmp4::first_presentation(&piece.bytes) } else { None };
            for (track, found) in [(&mut content.video, streams.video), (&mut content.audio, streams.audio)] {
                for stream in found {
                    let wrong = start.zip(stream.times.first()).map_or(0.0, |(right, first)| right - first);
                    track.pieces.push(track.hashes.len());
                    track.hashes.extend(stream.hashes);
                    track.times.extend(stream.times.iter().map(|time| time + wrong + piece.shift));
                }
            }
        }
        Ok(content)
    }
}

/// What one rendition carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Decoded frames.
    pub video: Track,
    /// Packets, or frames of samples.
    pub audio: Track,
}

/// Frames or packets of all pieces of a rendition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// A hash of each.
    pub hashes: Vec<String>,
    /// Presentation time of each in seconds.
    pub times: Vec<f64>,
    /// Where each piece begins.
    pub pieces: Vec<usize>,
}

impl Track {
    /// The piece that a frame or packet is in.
    pub fn piece(&self, index: usize) -> usize {
        self.pieces.partition_point(|start| *start <= index).saturating_sub(1)
    }
}

/// Length of the ID3 tag in front of packed audio, and the time that it tells (RFC 8216 3.4).
fn transport_timestamp(bytes: &[u8]) -> Option<(usize, u64)> {
    const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
    let size = bytes.get(6..10).filter(|_| bytes.starts_with(b"ID3"))?;
    let length = 10 + size.iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    let tag = bytes.get(..length)?;
    let at = tag.windows(OWNER.len()).position(|window| window == OWNER)? + OWNER.len();
    Some((length, u64::from_be_bytes(tag.get(at..at + 8)?.try_into().ok()?)))
}

fn extension(url: &str) -> &str {
    let name = url.rsplit('/').next().unwrap_or(url);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Every URL that a player could be led to from a playback URL, itself included; each once.
pub fn every_url(client: &Client, url: &str) -> Vec<String> {
    if url.ends_with(".mpd") { Mpd::fetch(client, url).every_url() } else { playlist::every_url(client, url) }
}
