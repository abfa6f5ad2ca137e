//! Frames and times of real streams, as ffmpeg sees them.

use std::path::PathBuf;

use packager::source::transport::{ElementaryStream, EsCodec};

use crate::ffmpeg;
use crate::learn::{self, Learned};

/// Segments of each title that are compared.
const SEGMENTS: usize = 1;

/// How many frames were compared, or what differs.
fn compare(stream: &ElementaryStream, ours: &[Learned], theirs: &ffmpeg::Stream) -> Result<usize, String> {
    if stream.codec == EsCodec::Eac3 && ours.len() < theirs.packets.len() {
        // Each sync frame is a packet for ffmpeg; a sample has all six blocks.
        let all = |data: &mut dyn Iterator<Item = &Vec<u8>>| data.fold(Vec::new(), |all, d| [all, d.clone()].concat());
        let same = all(&mut ours.iter().map(|f| &f.data)) == all(&mut theirs.packets.iter().map(|p| &p.data));
        return if same { Ok(ours.len()) } else { Err("sync frames differ".into()) };
    }
    let before = theirs.packets.len().checked_sub(ours.len());
    // Pictures before the first one that can be decoded are left out.
    let before = before.filter(|n| *n == 0 || stream.codec.is_video());
    let before = before.ok_or_else(|| format!("{} frames, ffmpeg has {}", ours.len(), theirs.packets.len()))?;
    let rate = |config: usize| stream.configs[config].config.audio().map_or(90_000, |a| u64::from(a.sample_rate));
    for (index, (a, b)) in ours.iter().zip(&theirs.packets[before..]).enumerate() {
        if a.data != b.data {
            return Err(format!("frame {index} of {} bytes, ffmpeg has {}", a.data.len(), b.data.len()));
        }
        // After a part of a frame ffmpeg gives two frames the same time.
        if theirs.packets.get(before + index + 1).is_some_and(|next| next.pts == b.pts) {
            continue;
        }
        let shift = if a.offset_samples > 0 { u64::from(a.offset_samples) * 90_000 / rate(a.config) } else { 0 };
        for (ours, theirs) in [(a.pts + shift, b.pts), (a.dts + shift, b.dts)] {
            let Some(theirs) = theirs else { continue };
            let apart = (theirs - ours as i64).rem_euclid(1 << 33);
            if apart.min((1 << 33) - apart) > 2 && !a.estimated {
                return Err(format!("frame {index} at {ours}, ffmpeg has {theirs}"));
            }
        }
    }
    Ok(ours.len())
}

#[test]
fn frames_and_times_are_those_of_ffmpeg() {
    let (mut files, mut frames) = (0, 0);
    let mut differences = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in crate::shared() {
        // Segments of one title are alike.
        let folder = path.parent().unwrap().to_owned();
        let alike = path.components().any(|c| c.as_os_str() == "hls");
        if alike && folders.iter().filter(|f| **f == folder).count() >= SEGMENTS {
            continue;
        }
        folders.push(folder);
        // What is damaged is repaired in another way by ffmpeg.
        if path.components().any(|c| c.as_os_str() == "malformed") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let Ok(rendition) = learn::learn(&[(false, &bytes)], &[1 << 16]) else { continue };
        let Some(theirs) = ffmpeg::streams(&path) else { return };
        files += 1;
        for (stream, ours) in rendition.streams.iter().zip(&rendition.frames) {
            // ffmpeg gives LATM with its headers; it is compared with ADTS of the same frames elsewhere.
            if ours.is_empty() || stream.codec == EsCodec::AacLatm {
                continue;
            }
            let Some(theirs) = theirs.iter().find(|s| s.pid == stream.pid) else { continue };
            match compare(stream, ours, theirs) {
                Ok(count) => frames += count,
                Err(what) => differences.push(format!("{} {}: {what}", path.display(), theirs.codec)),
            }
        }
    }
    println!("compared with ffmpeg: {files} files, {frames} frames");
    assert!(differences.is_empty(), "{differences:#?}");
}
