//! Titles that the tests package, in every form that a source can have.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ffmpeg::Sound;
use crate::title::Title;
use crate::{Asset, Control, media};

/// A title.
pub struct Source {
    /// What the tests call it, and its asset's name.
    pub name: &'static str,
    kind: Kind,
    /// Length of a frame of sound in seconds.
    pub frame: f64,
    /// What is compared of sound.
    pub sound: Sound,
    /// What a player sees of it.
    pub seen: Seen,
}

enum Kind {
    /// Files, each a rendition, a sound or subtitles; subtitles have a language.
    Files(Vec<(PathBuf, Option<&'static str>)>),
    /// A folder with `main.m3u8`.
    Hls(PathBuf),
}

/// What players must find.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// In seconds.
    pub duration: f64,
    /// Lines of each rendition.
    pub heights: &'static [u32],
    /// Times, and the number of the frame that is shown then.
    pub frames: &'static [(f64, u32)],
    /// Language, whether forced, when, and what is shown.
    pub cues: &'static [(&'static str, bool, f64, &'static str)],
    /// How many subtitles there are.
    pub texts: usize,
}

const AAC_48: f64 = 1024.0 / 48_000.0;

/// 25 frames a second.
const FRAMES: &[(f64, u32)] = &[(13.02, 325), (5.02, 125), (9.02, 225)];

impl Source {
    fn hls(name: &'static str, folder: &str, seen: Seen) -> Self {
        Self { name, kind: Kind::Hls(media::hls(folder)), frame: AAC_48, sound: Sound::Packets, seen }
    }

    fn files(name: &'static str, files: Vec<(PathBuf, Option<&'static str>)>, seen: Seen) -> Self {
        Self { name, kind: Kind::Files(files), frame: AAC_48, sound: Sound::Packets, seen }
    }

    /// Makes it an asset; waits for the end.
    pub fn ingest(&self, control: &Control, group: &str) -> Asset {
        self.submit(control, group, self.name);
        control.finished(self.name)
    }

    /// As [`Self::ingest`]; fails unless the asset can be played.
    pub fn playable(&self, control: &Control, group: &str) -> Asset {
        let asset = self.ingest(control, group);
        assert_eq!(asset.status(), "PLAYABLE", "{}: {}\n{}", self.name, asset.failure(), asset.json);
        asset
    }

    /// Stores it and starts an ingest.
    pub fn submit(&self, control: &Control, group: &str, asset: &str) {
        let media = match &self.kind {
            Kind::Files(files) => {
                let sources = files.iter().map(|(file, language)| {
                    let path = format!("films/{asset}/{}", control.store_in(file, &format!("films/{asset}")));
                    let mut source = json!({ "path": path });
                    if let Some(language) = language {
                        source["language"] = json!(language);
                    }
                    source
                });
                json!({ "sources": sources.collect::<Vec<Value>>() })
            }
            Kind::Hls(folder) => {
                let path = format!("films/{asset}");
                control.store_folder(folder, &path);
                json!({ "source": { "path": format!("{path}/main.m3u8") } })
            }
        };
        control.submit_media(group, asset, media);
    }

    /// The source itself, as it is stored. Of files only those with sound and pictures.
    pub fn title(&self) -> Title {
        match &self.kind {
            Kind::Files(files) => {
                let media = files.iter().filter(|(_, language)| language.is_none()).map(|(file, _)| file.clone());
                Title::of_files(&media.collect::<Vec<_>>())
            }
            Kind::Hls(folder) => Title::of_stored_hls(&folder.join("main.m3u8")),
        }
    }
}

/// The forms that operators store titles in.
pub fn main() -> Vec<Source> {
    let ladder = || media::ladder().into_iter().map(|file| (file, None)).collect::<Vec<_>>();
    let ladder_seen = Seen { duration: 16.0, heights: &[180, 360, 720], frames: FRAMES, ..Seen::default() };
    let low = Seen { duration: 18.0, heights: &[144, 180], frames: FRAMES, ..Seen::default() };
    let mut with_text = ladder();
    with_text.push((media::text("eng.vtt"), Some("en")));
    with_text.push((media::text("fra.srt"), Some("fr")));
    const ENGLISH: (&str, bool, f64, &str) = ("en", false, 6.5, "Across six seconds");
    const FRENCH: (&str, bool, f64, &str) = ("fr", false, 12.1, "Une longue – très longue");
    vec![
        Source::files("mp4", ladder(), ladder_seen.clone()),
        Source::files("mp4_text", with_text, Seen { texts: 2, cues: &[ENGLISH, FRENCH], ..ladder_seen }),
        Source::hls("hls_ts", "ts", low.clone()),
        Source::hls(
            "hls_ts_demuxed",
            "ts_demuxed",
            Seen {
                texts: 4,
                cues: &[
                    ("en", false, 3.0, "Two lines,\nthe second of them"),
                    ENGLISH,
                    FRENCH,
                    ("fr", true, 9.5, "PANNEAU"),
                ],
                ..low.clone()
            },
        ),
        Source::hls("hls_cmaf", "cmaf", low.clone()),
        Source {
            frame: 1024.0 / 44_100.0,
            ..Source::hls(
                "operator",
                "operator",
                // 30 frames a second; the count begins anew at 15.5 s.
                Seen {
                    duration: 34.7,
                    heights: &[180, 360],
                    frames: &[(8.02, 240), (20.02, 135), (33.02, 525)],
                    ..Seen::default()
                },
            )
        },
    ]
}

/// Those, and small ones with other codecs and packagers.
pub fn all() -> Vec<Source> {
    let small = Seen { duration: 4.0, heights: &[180], frames: &[(3.02, 75)], ..Seen::default() };
    let mut sources = main();
    sources.extend([
        Source::hls("hls_cmaf_ranges", "cmaf_ranges", Seen { heights: &[144], ..main()[2].seen.clone() }),
        Source::hls("hls_ts_hevc", "codecs/hevc", small.clone()),
        Source { frame: 1536.0 / 48_000.0, ..Source::hls("hls_ts_ac3", "codecs/ac3", small.clone()) },
        Source { frame: 1536.0 / 48_000.0, ..Source::hls("hls_ts_eac3", "codecs/eac3", small.clone()) },
        Source { frame: 1152.0 / 48_000.0, ..Source::hls("hls_ts_mp3", "codecs/mp3", small.clone()) },
        // ffmpeg does not take AAC frames out of LATM; the samples must be the same.
        Source { sound: Sound::Samples, ..Source::hls("hls_ts_latm", "codecs/latm", small.clone()) },
        Source::hls("hls_ts_cea608", "codecs/cea608", small.clone()),
        Source::hls("hls_ts_id3", "id3", small),
    ]);
    sources
}
