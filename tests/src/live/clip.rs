//! Media that is encoded once and then pushed by hand. Every picture and nearly every packet of sound is unlike all others, so that
//! a recording can be read as numbers.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::ffmpeg::{self, Reading, Sound};
use crate::tools::{program, succeed};

/// Pictures of a segment, which takes a second.
pub const FRAMES: u32 = 25;
const DEADLINE: Duration = Duration::from_secs(120);
/// The ladder: width, height, bits a second.
const LADDER: [(u32, u32, &str); 2] = [(256, 144, "250k"), (192, 108, "150k")];

/// What segments are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Transport streams.
    Transport,
    /// Fragmented MP4.
    Fragments,
}

/// What to encode.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What the segments are in.
    pub container: Container,
    /// Which second of the test picture it begins with; clips that overlap have pictures of the same numbers.
    pub first: u32,
    /// How many seconds it has, and so how many segments.
    pub seconds: u32,
    /// The encoder's clock at its beginning, in seconds.
    pub clock: f64,
}

/// An encoded ladder of two renditions, each with sound, in closed segments of a second.
#[derive(Debug)]
pub struct Clip {
    /// How it was made.
    pub spec: Spec,
    /// Its multivariant playlist.
    pub multivariant: Vec<u8>,
    /// The renditions, best first.
    pub renditions: Vec<Rendition>,
}

/// A rendition of a clip.
#[derive(Debug)]
pub struct Rendition {
    /// Its initialization section, of fragments.
    pub init: Option<Vec<u8>>,
    /// Its segments.
    pub segments: Vec<Vec<u8>>,
}

impl Clip {
    /// Encodes one.
    pub fn make(spec: Spec) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ffmpeg = Command::new(program(&["ffmpeg"]));
        ffmpeg.current_dir(folder.path()).args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        ffmpeg.args(["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25"]);
        // A tone that never sounds the same twice.
        ffmpeg.args(["-f", "lavfi", "-i", "aevalsrc=0.3*sin(2*PI*(300+7*t)*t):s=48000"]);
        let (first, seconds) = (spec.first, spec.seconds);
        let mut graph = format!("[0:v]trim=start={first},setpts=PTS-STARTPTS,split={}", LADDER.len());
        (0..LADDER.len()).for_each(|n| graph.push_str(&format!("[s{n}]")));
        for (n, (width, height, _)) in LADDER.iter().enumerate() {
            graph.push_str(&format!(";[s{n}]scale={width}:{height}[v{n}]"));
        }
        graph.push_str(&format!(";[1:a]atrim=start={first},asetpts=PTS-STARTPTS,asplit={}", LADDER.len()));
        (0..LADDER.len()).for_each(|n| graph.push_str(&format!("[a{n}]")));
        ffmpeg.args(["-filter_complex", &graph]);
        for kind in ["v", "a"] {
            for n in 0..LADDER.len() {
                ffmpeg.args(["-map", &format!("[{kind}{n}]")]);
            }
        }
        ffmpeg.args(["-t", &seconds.to_string(), "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1"]);
        ffmpeg.args(["-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-bf", "2"]);
        for (n, (_, _, rate)) in LADDER.iter().enumerate() {
            ffmpeg.args([&format!("-b:v:{n}"), *rate]);
        }
        ffmpeg.args(["-c:a", "aac", "-ac", "1", "-b:a", "48k", "-output_ts_offset", &spec.clock.to_string()]);
        ffmpeg.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-master_pl_name", "main.m3u8"]);
        ffmpeg.args(["-var_stream_map", "v:0,a:0 v:1,a:1"]);
        if spec.container == Container::Fragments {
            ffmpeg.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init_%v.mp4"]);
        }
        let extension = spec.extension();
        ffmpeg.args(["-hls_segment_filename", &format!("v%v_%03d.{extension}"), "v%v.m3u8"]);
        succeed(&mut ffmpeg, DEADLINE);
        let read = |name: &str| {
            std::fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name} of {spec:?}: {error}"))
        };
        let renditions = (0..LADDER.len()).map(|n| Rendition {
            init: (spec.container == Container::Fragments).then(|| read(&format!("init_{n}.mp4"))),
            segments: (0..seconds).map(|segment| read(&format!("v{n}_{segment:03}.{extension}"))).collect(),
        });
        let renditions = renditions.collect();
        assert!(!folder.path().join(format!("v0_{seconds:03}.{extension}")).exists(), "more segments than seconds");
        Self { spec, multivariant: read("main.m3u8"), renditions }
    }
}

impl Spec {
    /// What names of its segments end in.
    pub fn extension(&self) -> &'static str {
        match self.container {
            Container::Transport => "ts",
            Container::Fragments => "m4s",
        }
    }
}

/// What of clips is in a piece of media.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Rendition and number of the pictures, in order of presentation; the number counts in the test picture.
    pub pictures: Vec<(usize, u32)>,
    /// Numbers of the packets of sound, where they have one of their own. They count in a clip; clips are 100,000 apart.
    pub sounds: Vec<Option<u32>>,
}

/// The pictures and sounds of some clips.
#[derive(Debug, Default)]
pub struct Content {
    pictures: HashMap<String, (usize, u32)>,
    sounds: HashMap<String, u32>,
    common: HashSet<String>,
}

impl Content {
    /// Reads clips.
    pub fn of(clips: &[&Clip]) -> Self {
        let mut content = Self::default();
        for (number, clip) in clips.iter().enumerate() {
            for (rendition, one) in clip.renditions.iter().enumerate() {
                let mut bytes = one.init.clone().unwrap_or_default();
                bytes.extend(one.segments.concat());
                let streams = decode(&bytes, clip.spec.extension(), true, true);
                let streams = streams.unwrap_or_else(|error| panic!("{:?}: {error}", clip.spec));
                let [pictures, sounds] = [&streams.video[0].hashes, &streams.audio[0].hashes];
                assert_eq!(pictures.len(), (clip.spec.seconds * FRAMES) as usize, "pictures of {:?}", clip.spec);
                for (at, hash) in (clip.spec.first * FRAMES..).zip(pictures) {
                    let before = content.pictures.insert(hash.clone(), (rendition, at));
                    // Two clips of the same time may have the same pictures, but not at different times.
                    assert!(before.is_none_or(|b| b == (rendition, at)), "pictures {before:?} and {at} are the same");
                }
                if rendition > 0 {
                    continue;
                }
                for (at, hash) in (number as u32 * 100_000..).zip(sounds) {
                    if content.sounds.insert(hash.clone(), at).is_some() {
                        content.common.insert(hash.clone());
                    }
                }
            }
        }
        assert!(content.common.len() < 20, "{} packets of sound are not unlike others", content.common.len());
        content
    }

    /// What is in `bytes`, whose name would end in `extension`.
    ///
    /// # Errors
    /// What a reader complained about; a picture or a sound that is in no clip.
    pub fn read(&self, bytes: &[u8], extension: &str, video: bool, audio: bool) -> Result<Heard, String> {
        let streams = decode(bytes, extension, video, audio)?;
        let mut heard = Heard::default();
        for (at, hash) in streams.video.iter().flat_map(|stream| &stream.hashes).enumerate() {
            let known = self.pictures.get(hash).copied();
            let last = heard.pictures.last();
            heard.pictures.push(known.ok_or_else(|| format!("picture {at}, after {last:?}, is in no clip"))?);
        }
        for (at, hash) in streams.audio.iter().flat_map(|stream| &stream.hashes).enumerate() {
            let known = self.sounds.get(hash).copied();
            let known = known.ok_or_else(|| format!("sound {at} after {:?} is in no clip", heard.sounds.last()))?;
            heard.sounds.push((!self.common.contains(hash)).then_some(known));
        }
        Ok(heard)
    }
}

fn decode(bytes: &[u8], extension: &str, video: bool, audio: bool) -> Result<ffmpeg::Streams, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(format!("media.{extension}"));
    write(&file, bytes);
    let transport = extension == "ts";
    let reading = Reading {
        input: &file.to_string_lossy(),
        video: if video { &[0] } else { &[] },
        audio: if audio { &[0] } else { &[] },
        options: if transport { &[] } else { &["-f", "mov", "-ignore_editlist", "1"] },
        decode: true,
        sound: if transport { Sound::WithoutAdts } else { Sound::Packets },
    };
    ffmpeg::read(&reading)
}

fn write(file: &Path, bytes: &[u8]) {
    std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
