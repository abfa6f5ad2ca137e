//! The media of the benchmark, made once with ffmpeg and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// A rendition: width, height, kilobits a second.
type Rendition = (u32, u32, u32);

/// About 12 Mbit/s: what is served in bulk.
const LADDER: [Rendition; 3] = [(1920, 1080, 8000), (1280, 720, 3000), (640, 360, 1000)];
/// Asked for is 0.85 Mbit/s; the picture needs less, so that ten hours are 2.5 GB: for what should not grow with a title's length.
const THIN: [Rendition; 3] = [(426, 240, 450), (320, 180, 230), (256, 144, 100)];
/// For a smoke run.
const SMALL: [Rendition; 3] = [(320, 180, 600), (256, 144, 300), (192, 108, 100)];
/// What is encoded; the rest is copied.
const CLIP_SECONDS: u32 = 20;

/// Titles, each of three renditions and sound.
pub struct Media {
    /// Storage of the control plane.
    pub folder: PathBuf,
    /// One minute.
    pub minute: Title,
    /// One minute at the bit rate of the long ones.
    pub thin: Title,
    /// Two hours; in a smoke run five minutes.
    pub long: Title,
    /// Ten hours; in a smoke run twenty minutes.
    pub longest: Title,
}

/// A title.
pub struct Title {
    /// Its asset's name.
    pub name: &'static str,
    /// Its files, relative to the storage.
    pub files: Vec<String>,
    /// Bytes of them.
    pub bytes: u64,
}

/// Makes what is not there yet.
pub fn prepare(folder: &Path, quick: bool) -> Result<Media> {
    fs::create_dir_all(folder)?;
    let ([full, thin], clip) = if quick { ([&SMALL, &SMALL], 4) } else { ([&LADDER, &THIN], CLIP_SECONDS) };
    let [copies, many, most] = if quick { [3, 75, 300] } else { [60, 7_200, 36_000].map(|seconds| seconds / clip) };
    let folder = folder.join(if quick { "quick" } else { "full" });
    encode(&folder, "clip", full, clip)?;
    encode(&folder, "thin-clip", thin, clip)?;
    let media = Media {
        minute: looped(&folder, "clip", "minute", copies)?,
        thin: looped(&folder, "thin-clip", "thin-minute", copies)?,
        long: looped(&folder, "thin-clip", "two-hours", many)?,
        longest: looped(&folder, "thin-clip", "ten-hours", most)?,
        folder,
    };
    hls(&media.folder, "ts", &["-hls_segment_type", "mpegts"])?;
    hls(&media.folder, "fragments", &["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init_%v.mp4"])?;
    Ok(media)
}

/// Makes something in a folder of its own, unless it is there. What was broken off is made anew.
fn once(folder: &Path, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let done = folder.join(name);
    if done.is_dir() {
        return Ok(());
    }
    println!("making {name}");
    let partial = folder.join(format!("{name}.part"));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    make(&partial)?;
    fs::rename(&partial, &done).with_context(|| format!("cannot make {}", done.display()))
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-y", "-v", "error"]);
    command
}

/// Noise over a test picture, at the bit rate of each rendition, and a tone.
fn encode(folder: &Path, name: &str, ladder: &[Rendition; 3], seconds: u32) -> Result<()> {
    once(folder, name, |folder| {
        for (number, (width, height, rate)) in ladder.iter().enumerate() {
            let mut command = ffmpeg();
            let picture = format!("testsrc2=s={width}x{height}:r=25,noise=alls=30:allf=t");
            command.args(["-f", "lavfi", "-i", &picture, "-t", &seconds.to_string(), "-pix_fmt", "yuv420p"]);
            command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-sc_threshold", "0"]);
            for option in ["-b:v", "-minrate", "-maxrate", "-bufsize"] {
                command.args([option, &format!("{rate}k")]);
            }
            process::run(command.arg(folder.join(format!("v{number}.mp4"))))?;
        }
        let tone = format!("sine=frequency=440:beep_factor=4:sample_rate=48000:d={seconds}");
        let mut command = ffmpeg();
        command.args(["-f", "lavfi", "-i", &tone, "-c:a", "aac", "-b:a", "96k", "-ac", "2"]);
        process::run(command.arg(folder.join("a0.mp4")))
    })
}

/// A title that is a clip over and over.
fn looped(folder: &Path, clip: &str, name: &'static str, copies: u32) -> Result<Title> {
    let files = ["v0.mp4", "v1.mp4", "v2.mp4", "a0.mp4"];
    once(folder, name, |made| {
        for file in files {
            let mut command = ffmpeg();
            command
                .args(["-stream_loop", &copies.saturating_sub(1).to_string(), "-i"])
                .arg(folder.join(clip).join(file));
            process::run(command.args(["-c", "copy"]).arg(made.join(file)))?;
        }
        Ok(())
    })?;
    let bytes = files.iter().map(|file| Ok(fs::metadata(folder.join(name).join(file))?.len())).sum::<Result<u64>>()?;
    Ok(Title { name, files: files.iter().map(|file| format!("{name}/{file}")).collect(), bytes })
}

/// The minute as an HLS title with segments of two seconds.
fn hls(folder: &Path, name: &str, form: &[&str]) -> Result<()> {
    once(folder, name, |made| {
        let mut command = ffmpeg();
        ["v0", "v1", "v2", "a0"].iter().for_each(|file| {
            command.arg("-i").arg(folder.join("minute").join(format!("{file}.mp4")));
        });
        command.args(["-map", "0:v", "-map", "1:v", "-map", "2:v", "-map", "3:a", "-c", "copy", "-f", "hls"]);
        command.args(["-hls_time", "2", "-hls_playlist_type", "vod", "-master_pl_name", "main.m3u8"]).args(form);
        let extension = if name == "ts" { "ts" } else { "m4s" };
        command.args(["-var_stream_map", "v:0,agroup:a v:1,agroup:a v:2,agroup:a a:0,agroup:a,default:yes"]);
        command.arg("-hls_segment_filename").arg(made.join(format!("v%v_%05d.{extension}")));
        process::run(command.arg(made.join("v%v.m3u8")))
    })
}
