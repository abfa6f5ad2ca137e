//! Programs of others that encrypt and decrypt.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::tools;
use packager::config::Scheme;

use crate::drive;

/// No clip of the tests needs longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// What ffmpeg found in a track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Packets in order of decoding: presentation time and hash.
    pub packets: Vec<(String, String)>,
    /// Hashes of what they decode to.
    pub frames: Vec<String>,
    /// The first complaint.
    pub complaint: Option<String>,
}

/// What is taken of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Its packets, and what they decode to.
    Both,
    /// Its packets alone.
    Packets,
}

/// Reads a track with ffmpeg, decrypting it with `key` when there is one; or why it could not.
///
/// It gets the track through a pipe: of an input in which it can seek ffmpeg 5 takes the auxiliary information of the wrong
/// fragments when there is no `sidx`, in the files of other packagers too.
pub fn ffmpeg(file: &Path, key: Option<&[u8; 16]>, take: Take) -> Result<Found, String> {
    let mut ffmpeg = Command::new(tools::program(&["ffmpeg"]));
    ffmpeg.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1"]);
    if let Some(key) = key {
        ffmpeg.args(["-decryption_key", &hex::encode(key)]);
    }
    ffmpeg.args(["-ignore_editlist", "1", "-autorotate", "0", "-i", "pipe:0", "-map", "0:0", "-c:0", "copy"]);
    if take == Take::Both {
        ffmpeg.args(["-map", "0:0", "-enc_time_base", "-1"]);
    }
    ffmpeg.args(["-vsync", "passthrough", "-copyts", "-f", "framehash", "-hash", "md5", "-"]);
    let input = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let output = tools::run_with(&mut ffmpeg, Stdio::from(input), DEADLINE);
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaint = errors.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, complaint.unwrap_or_default()));
    }
    let mut found = Found { complaint, ..Found::default() };
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let [stream, _, time, _, _, hash, ..] = columns[..] else { return Err(format!("ffmpeg wrote {line:?}")) };
        match stream {
            "0" => found.packets.push((time.to_owned(), hash.to_owned())),
            _ => found.frames.push(hash.to_owned()),
        }
    }
    Ok(found)
}

/// Decrypts a track with shaka-packager into a file beside it; or what it complained about.
pub fn decrypt(file: &Path, key: &[u8; 16]) -> Result<PathBuf, String> {
    let output = file.with_extension(format!("{}.mp4", hex::encode(&key[..2])));
    let keys = format!("key_id={}:key={}", hex::encode(drive::KID.0), hex::encode(key));
    shaka(file, &output, &["--enable_raw_key_decryption", "--keys", &keys])
}

/// Encrypts a clear track with shaka-packager into a file beside it.
pub fn encrypt(file: &Path, scheme: Scheme) -> Result<PathBuf, String> {
    let output = file.with_extension(format!("{}.mp4", scheme.as_str()));
    let keys = format!("label=:key_id={}:key={}", hex::encode(drive::KID.0), hex::encode(drive::KEY));
    // Under cenc it counts on from eight bytes.
    let iv = hex::encode(&drive::IV.0[..if scheme == Scheme::Cenc { 8 } else { 16 }]);
    let scheme = ["--protection_scheme", scheme.as_str(), "--iv", &iv, "--clear_lead", "0"];
    shaka(file, &output, &[&["--enable_raw_key_encryption", "--keys", &keys], &scheme[..]].concat())
}

fn shaka(file: &Path, output: &Path, arguments: &[&str]) -> Result<PathBuf, String> {
    let mut packager = Command::new(tools::shaka_packager());
    packager.arg(format!("in={},stream=0,output={}", file.display(), output.display())).args(arguments);
    let done = tools::run(&mut packager, DEADLINE);
    if done.status.success() && output.is_file() {
        return Ok(output.to_path_buf());
    }
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!("{}: {}", done.status, last.unwrap_or_default()))
}
