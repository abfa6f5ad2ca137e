//! Makes the media in `tests/media` with ffmpeg: nothing in it comes from elsewhere.
//!
//! Every frame can be told from every other by people (burnt-in name, time and frame number) and by machines: a bar of
//! twelve cells along the bottom edge, one twelfth of the height, shows the frame number in binary, lowest bit on the
//! left, white for 1. Every second of sound has its own pitch. Encoders run with one thread and without metadata, so the
//! same ffmpeg makes the same bytes again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::checks;
use crate::process::{self, Steps};
use crate::tools::{self, root};

mod captions;
mod hls;
mod id3;
mod text;

const FRAME_RATE: u32 = 25;
/// Frames from one key frame to the next.
const GROUP: u32 = 50;
const LADDER_SECONDS: u32 = 16;
/// Length of the small files.
const SECONDS: u32 = 4;

/// `cargo xtask fixtures`
pub fn make() -> Result<()> {
    tools::require(&[&tools::FFMPEG, &tools::PYTHON])?;
    let media = root().join("tests/media");
    let mut steps = Steps::default();
    steps.step("ladder", || ladder(&media.join("ladder")))?;
    steps.step("small files", || small(&media.join("small")))?;
    steps.step("shaka-packager", checks::packaging_tools)?;
    steps.step("HLS", || hls::make(&media.join("hls")))?;
    steps.step("text", || text::make(&media.join("text")))?;
    steps.summary();
    Ok(())
}

struct Rung {
    width: u32,
    height: u32,
    kilobits: u32,
    profile: &'static str,
    level: &'static str,
}

const RUNGS: [Rung; 3] = [
    Rung { width: 320, height: 180, kilobits: 90, profile: "main", level: "1.3" },
    Rung { width: 640, height: 360, kilobits: 220, profile: "main", level: "3.0" },
    Rung { width: 1280, height: 720, kilobits: 560, profile: "high", level: "3.1" },
];

/// One video file per rung, one audio file per language.
fn ladder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for rung in &RUNGS {
        let name = format!("{}p", rung.height);
        let rate = |factor: u32| format!("{}k", rung.kilobits * factor / 10);
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-f", "lavfi", "-i", &Scene::new(rung, LADDER_SECONDS, &name).graph()]);
        x264(&mut ffmpeg);
        ffmpeg.args(["-preset", "slow", "-profile:v", rung.profile, "-level:v", rung.level]);
        ffmpeg.args(["-b:v", &rate(10), "-maxrate", &rate(14), "-bufsize", &rate(20)]);
        finish(&mut ffmpeg, &["-movflags", "+faststart"], &folder.join(format!("video_{name}.mp4")))?;
    }
    for (language, hertz) in [("eng", 400), ("fra", 1400)] {
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-f", "lavfi", "-i", &tones(hertz, LADDER_SECONDS, "stereo")]);
        ffmpeg.args(["-c:a", "aac", "-b:a", "48k", "-metadata:s:a:0", &format!("language={language}")]);
        finish(&mut ffmpeg, &["-movflags", "+faststart"], &folder.join(format!("audio_{language}.mp4")))?;
    }
    Ok(())
}

/// Small files, each with one trait that has broken packagers.
fn small(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let to = |name: &str| folder.join(name);
    let base = to("h264_aac.mp4");

    // The plain case, and the same samples in other layouts.
    let mut plain = both("h264");
    x264(&mut plain);
    plain.args(["-b:v", "90k", "-c:a", "aac", "-b:a", "32k"]);
    finish(&mut plain, &["-movflags", "+faststart"], &base)?;
    for (name, flags) in [
        ("moov_at_end.mp4", &["-movflags", "0"][..]),
        ("fragmented.mp4", &["-movflags", "+frag_keyframe+empty_moov+default_base_moof+skip_trailer"]),
        ("fragmented_sidx.mp4", &["-movflags", "+frag_keyframe+empty_moov+default_base_moof+dash+global_sidx"]),
        ("fragmented_mfra.mp4", &["-movflags", "+frag_keyframe+empty_moov"]),
    ] {
        finish(input(&base).args(["-map", "0", "-c", "copy"]), flags, &to(name))?;
    }
    let bytes = fs::read(to("moov_at_end.mp4"))?;
    let wide = wide_chunk_offsets(&bytes).context("moov_at_end.mp4 is not as ffmpeg writes it")?;
    fs::write(to("co64_moov_at_end.mp4"), wide)?;
    fs::remove_file(to("moov_at_end.mp4"))?;

    // Times.
    let mut variable = both("vfr");
    variable.args(["-vf", "select='not(eq(mod(n,7),3))*not(between(n,30,41))'", "-vsync", "vfr"]);
    x264(&mut variable);
    variable.args(["-b:v", "90k", "-c:a", "aac", "-b:a", "32k"]);
    finish(&mut variable, &[], &to("variable_frame_rate.mp4"))?;
    let mut delayed = input(&base);
    delayed.args(["-itsoffset", "0.75", "-i"]).arg(&base).args(["-map", "0:v", "-map", "1:a", "-c", "copy"]);
    finish(&mut delayed, &[], &to("audio_delayed_750ms.mp4"))?;
    let mut open = video("open");
    open.args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1", "-g", "50", "-bf", "3", "-b:v", "90k"]);
    open.args(["-x264-params", "open-gop=1:b-pyramid=normal:threads=1:lookahead-threads=1:scenecut=0"]);
    finish(&mut open, &[], &to("open_gop.mp4"))?;

    // Codecs.
    let hevc =
        "keyint=50:min-keyint=50:scenecut=0:open-gop=0:bframes=2:pools=none:frame-threads=1:log-level=error:info=0";
    for (name, tag) in [("hevc_hvc1.mp4", "hvc1"), ("hevc_hev1.mp4", "hev1")] {
        let mut ffmpeg = video(tag);
        ffmpeg.args(["-c:v", "libx265", "-pix_fmt", "yuv420p", "-preset", "fast", "-b:v", "90k", "-tag:v", tag]);
        finish(ffmpeg.args(["-x265-params", hevc]), &[], &to(name))?;
    }
    let mut av1 = both("av1");
    av1.args(["-c:v", "libaom-av1", "-pix_fmt", "yuv420p", "-cpu-used", "8", "-row-mt", "0", "-threads", "1"]);
    av1.args(["-b:v", "90k", "-g", "50", "-keyint_min", "50", "-c:a", "flac", "-compression_level", "8"]);
    finish(av1.args(["-ac", "1", "-strict", "experimental"]), &[], &to("av1_flac.mp4"))?;
    let mut vp9 = both("vp9");
    vp9.args(["-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-cpu-used", "5", "-row-mt", "0", "-threads", "1"]);
    vp9.args(["-b:v", "90k", "-g", "50", "-keyint_min", "50", "-c:a", "libopus", "-b:a", "32k"]);
    finish(&mut vp9, &[], &to("vp9_opus.mp4"))?;
    for (name, layout, codec, rate) in [
        ("ac3.mp4", "stereo", "ac3", "96k"),
        ("eac3_51.mp4", "5.1", "eac3", "128k"),
        ("aac_51.mp4", "5.1", "aac", "96k"),
    ] {
        let mut ffmpeg = ffmpeg();
        ffmpeg.args(["-f", "lavfi", "-i", &tones(500, SECONDS, layout), "-c:a", codec, "-b:a", rate]);
        finish(&mut ffmpeg, &[], &to(name))?;
    }
    Ok(())
}

fn ffmpeg() -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-y", "-fflags", "+bitexact"]);
    ffmpeg
}

fn input(path: &Path) -> Command {
    let mut ffmpeg = ffmpeg();
    ffmpeg.arg("-i").arg(path);
    ffmpeg
}

/// The small picture.
fn video(name: &str) -> Command {
    let mut ffmpeg = ffmpeg();
    ffmpeg.args(["-f", "lavfi", "-i", &Scene::new(&RUNGS[0], SECONDS, name).graph()]);
    ffmpeg
}

/// The small picture with sound.
fn both(name: &str) -> Command {
    let mut ffmpeg = video(name);
    ffmpeg.args(["-f", "lavfi", "-i", &tones(600, SECONDS, "stereo"), "-map", "0:v", "-map", "1:a"]);
    ffmpeg
}

fn x264(ffmpeg: &mut Command) {
    let group = GROUP.to_string();
    ffmpeg.args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1", "-bf", "2"]);
    ffmpeg.args(["-g", &group, "-keyint_min", &group, "-sc_threshold", "0", "-video_track_timescale", "90000"]);
    ffmpeg.args(["-x264-params", "open-gop=0:b-pyramid=none:threads=1:lookahead-threads=1"]);
}

fn finish(ffmpeg: &mut Command, muxer: &[&str], to: &Path) -> Result<()> {
    ffmpeg.args(["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]);
    process::run(ffmpeg.args(muxer).arg(to))
}

/// A moving picture.
struct Scene<'a> {
    width: u32,
    height: u32,
    /// Frames a second.
    rate: u32,
    frames: u32,
    name: &'a str,
}

impl<'a> Scene<'a> {
    /// At the usual frame rate.
    fn new(rung: &Rung, seconds: u32, name: &'a str) -> Self {
        Self { width: rung.width, height: rung.height, rate: FRAME_RATE, frames: seconds * FRAME_RATE, name }
    }

    /// As ffmpeg's filter graph: an animated picture with its name, time and frame number.
    fn graph(&self) -> String {
        let Self { width, height, rate, frames, name } = self;
        let bar = height / 12;
        let top = height - bar;
        let cells: String = (0..12)
            .map(|bit| {
                let (left, right) = (bit * width / 12, (bit + 1) * width / 12);
                format!(
                    ",drawbox=x={left}:y={top}:w={}:h={bar}:color=white:t=fill:enable='mod(floor(n/{}),2)'",
                    right - left,
                    1 << bit
                )
            })
            .collect();
        let text = font().map_or_else(String::new, |font| {
            let (left, above, size) = (width / 20, height / 10, height / 12);
            format!(
                ",drawtext=fontfile={}:text='{name} %{{pts\\:hms}} %{{n}}':x={left}:y={above}:fontsize={size}\
                 :fontcolor=white:box=1:boxcolor=black@0.6",
                font.display()
            )
        });
        let seconds = f64::from(*frames) / f64::from(*rate);
        format!(
            "testsrc2=s=1280x720:r={rate}:d={seconds},format=yuv420p[back];\
             mandelbrot=s=320x180:r={rate}:maxiter=80:end_pts=4000,format=yuv420p,trim=duration={seconds}[corner];\
             [back][corner]overlay=x=900:y=60:shortest=1,scale={width}:{height}:flags=bilinear,\
             drawbox=x=0:y={top}:w={width}:h={bar}:color=black:t=fill{cells}{text}"
        )
    }
}

fn font() -> Option<PathBuf> {
    ["dejavu/DejaVuSansMono.ttf", "liberation/LiberationMono-Regular.ttf"]
        .iter()
        .map(|name| Path::new("/usr/share/fonts/truetype").join(name))
        .find(|path| path.is_file())
}

/// A tone that rises by 10 Hz each second; each channel has a loudness of its own.
fn tones(hertz: u32, seconds: impl std::fmt::Display, layout: &str) -> String {
    let channels = match layout {
        "mono" => 1,
        "5.1" => 6,
        _ => 2,
    };
    let expressions: Vec<String> = (0..channels)
        .map(|channel| format!("{}*sin(2*PI*({hertz}+10*floor(t))*t)", 0.4 / f64::from(channel + 1)))
        .collect();
    format!("aevalsrc={}:s=48000:d={seconds}:c={layout}", expressions.join("|"))
}

/// `file` with every `stco` made a `co64`. No offset changes, because `moov` comes last.
fn wide_chunk_offsets(file: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(file.len() + 1024);
    let mut rest = file;
    while !rest.is_empty() {
        let (kind, whole, after) = split_box(rest)?;
        if kind == *b"moov" {
            out.extend(widened(whole)?)
        } else {
            out.extend_from_slice(whole)
        }
        rest = after;
    }
    Some(out)
}

fn widened(whole: &[u8]) -> Option<Vec<u8>> {
    let (kind, body) = (whole.get(4..8)?, whole.get(8..)?);
    let (kind, body) = match kind {
        b"stco" => {
            let mut wide = body.get(..8)?.to_vec();
            for offset in body.get(8..)?.chunks_exact(4) {
                wide.extend([0; 4]);
                wide.extend_from_slice(offset);
            }
            (&b"co64"[..], wide)
        }
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
            let mut children = Vec::new();
            let mut rest = body;
            while !rest.is_empty() {
                let (_, child, after) = split_box(rest)?;
                children.extend(widened(child)?);
                rest = after;
            }
            (kind, children)
        }
        _ => return Some(whole.to_vec()),
    };
    let length = u32::try_from(body.len() + 8).ok()?;
    Some([&length.to_be_bytes()[..], kind, &body].concat())
}

/// The first box: its kind, all of it, and what follows it.
fn split_box(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let (whole, after) = bytes.split_at_checked(length.max(8))?;
    Some((kind, whole, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_offsets_become_wide_at_any_depth() {
        let stco = [&20u32.to_be_bytes()[..], b"stco", &[0; 4], &1u32.to_be_bytes(), &7u32.to_be_bytes()].concat();
        let stbl = [&28u32.to_be_bytes()[..], b"stbl", &stco].concat();
        let moov = [&36u32.to_be_bytes()[..], b"moov", &stbl].concat();
        let free = [&9u32.to_be_bytes()[..], b"free", b"x"].concat();
        let wide = wide_chunk_offsets(&[free.clone(), moov].concat()).unwrap();
        let co64 = [&24u32.to_be_bytes()[..], b"co64", &[0; 4], &1u32.to_be_bytes(), &7u64.to_be_bytes()].concat();
        let stbl = [&32u32.to_be_bytes()[..], b"stbl", &co64].concat();
        let moov = [&40u32.to_be_bytes()[..], b"moov", &stbl].concat();
        assert_eq!(wide, [free, moov].concat());
        assert_eq!(wide_chunk_offsets(&wide[..20]), None);
    }
}
