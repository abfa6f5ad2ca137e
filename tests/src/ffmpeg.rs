//! ffmpeg and ffprobe as independent readers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::tools::{program, run, succeed};

/// No clip of the tests needs longer.
const DEADLINE: Duration = Duration::from_secs(180);

/// What ffmpeg got from one stream: a hash for every decoded video frame or every audio packet, with its time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    /// Hashes, in order of presentation for video, of storage for audio.
    pub hashes: Vec<String>,
    /// Presentation times in seconds.
    pub times: Vec<f64>,
}

/// Everything that was asked for of one input.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// Decoded video.
    pub video: Vec<Stream>,
    /// Audio packets, not decoded.
    pub audio: Vec<Stream>,
}

/// How to read an input.
pub struct Reading<'a> {
    /// File or URL.
    pub input: &'a str,
    /// Positions among the video streams.
    pub video: &'a [usize],
    /// Positions among the audio streams.
    pub audio: &'a [usize],
    /// Options in front of the input.
    pub options: &'a [&'a str],
    /// Whether video is decoded; else its packets are taken as they are.
    pub decode: bool,
    /// What is taken of audio.
    pub sound: Sound,
}

/// What is taken of audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sound {
    /// Its packets.
    #[default]
    Packets,
    /// Its packets, AAC without ADTS headers: as MP4 has them.
    WithoutAdts,
    /// Its samples, decoded.
    Samples,
}

/// Decodes video and copies audio of an input.
///
/// # Errors
/// What ffmpeg said, when it failed or complained.
pub fn read(reading: &Reading<'_>) -> Result<Streams, String> {
    if reading.video.is_empty() && reading.audio.is_empty() {
        return Ok(Streams::default());
    }
    let mut ffmpeg = Command::new(program(&["ffmpeg"]));
    ffmpeg.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1"]);
    ffmpeg.args(reading.options).args(["-autorotate", "0", "-i", reading.input]);
    for index in reading.video {
        ffmpeg.args(["-map", &format!("0:v:{index}")]);
    }
    for index in reading.audio {
        ffmpeg.args(["-map", &format!("0:a:{index}")]);
    }
    // Times as they are stored, not rounded to a guessed frame rate.
    if reading.decode {
        ffmpeg.args(["-enc_time_base", "-1"]);
    } else {
        ffmpeg.args(["-c:v", "copy"]);
    }
    ffmpeg.args(match reading.sound {
        Sound::Packets => &["-c:a", "copy"][..],
        Sound::WithoutAdts => &["-c:a", "copy", "-bsf:a", "aac_adtstoasc"],
        Sound::Samples => &["-c:a", "pcm_s16le"],
    });
    ffmpeg.args(["-vsync", "passthrough", "-copyts", "-f", "framehash", "-hash", "md5", "-"]);
    let output = run(&mut ffmpeg, DEADLINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaint = errors.lines().map(str::trim).find(|line| !line.is_empty() && !is_harmless(line));
    if let Some(complaint) = complaint {
        return Err(complaint.to_owned());
    }
    if !output.status.success() {
        return Err(format!("ffmpeg: {}", output.status));
    }
    parse(&String::from_utf8_lossy(&output.stdout), reading)
}

/// What ffmpeg says of streams that are fine.
fn is_harmless(line: &str) -> bool {
    // Said of the muxer's clock when a copied stream has equal times; nothing is changed by it.
    line.contains("non monotonically increasing dts") || line.contains("deprecated pixel format")
}

fn parse(text: &str, reading: &Reading<'_>) -> Result<Streams, String> {
    let mut bases = vec![1.0; reading.video.len() + reading.audio.len()];
    let mut all = vec![Stream::default(); bases.len()];
    let bad = |line: &str| format!("ffmpeg wrote {line:?}");
    for line in text.lines() {
        if let Some(base) = line.strip_prefix("#tb ") {
            let parsed = base.split_once(": ").and_then(|(index, ratio)| {
                let (numerator, denominator) = ratio.split_once('/')?;
                Some((index.parse::<usize>().ok()?, numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?))
            });
            let (index, base) = parsed.ok_or_else(|| bad(line))?;
            *bases.get_mut(index).ok_or_else(|| bad(line))? = base;
        } else if !line.starts_with('#') {
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            // Hashes of side data may follow, which a demuxer of one format has and another does not.
            let [index, _, time, _, _, hash, ..] = columns[..] else { return Err(bad(line)) };
            let index: usize = index.parse().map_err(|_| bad(line))?;
            let stream = all.get_mut(index).ok_or_else(|| bad(line))?;
            stream.times.push(time.parse::<f64>().map_err(|_| bad(line))? * bases[index]);
            stream.hashes.push(hash.to_owned());
        }
    }
    let audio = all.split_off(reading.video.len());
    Ok(Streams { video: all, audio })
}

/// The streams that ffprobe sees, as its JSON describes them.
pub fn streams(input: &str) -> Vec<Value> {
    let mut ffprobe = Command::new(program(&["ffprobe"]));
    ffprobe.args(["-v", "quiet", "-show_streams", "-of", "json", input]);
    let output = run(&mut ffprobe, DEADLINE);
    let parsed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    parsed["streams"].as_array().cloned().unwrap_or_default()
}

/// Everything that ffprobe complains about when it reads every packet of a file.
pub fn complaints(file: &Path) -> String {
    let mut ffprobe = Command::new(program(&["ffprobe"]));
    ffprobe.args(["-v", "error", "-show_packets", "-of", "null"]).arg(file);
    let output = run(ffprobe.args(["-of", "csv"]), DEADLINE);
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        text.push_str(&output.status.to_string());
    }
    text
}

/// Picture types of all frames of a video file, in order of presentation, e.g. `IBBP`.
pub fn picture_types(file: &Path) -> String {
    let mut ffprobe = Command::new(program(&["ffprobe"]));
    ffprobe.args(["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pict_type", "-of", "csv=p=0"]);
    let text = String::from_utf8_lossy(&succeed(ffprobe.arg(file), DEADLINE)).into_owned();
    text.lines().filter_map(|line| line.trim().chars().next()).collect()
}
