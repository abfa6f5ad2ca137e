//! Titles out of MP4 files.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use packager::media::time::rescale;
use packager::mp4::movie::Handler;
use packager::segment::ts::{Audio, AudioStream, Program, TIMESCALE, Unit, VideoStream};
use packager::source::edit;
use packager::source::mp4::{FileReader, SourceTrack};

use super::title::{Cut, Sample, Title};

/// Where the media of the tests are.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/media").join(name)
}

fn samples(file: &[u8], track: &SourceTrack, size: impl Fn(&[u8], bool) -> u32) -> Vec<Sample> {
    let placement = edit::place(&track.edits, track.movie_timescale, track.timescale).0;
    let shift = placement.delay - placement.media_time;
    // What has to be decoded before it is presented moves all decoding times, as it does in files with positive offsets.
    let reorder = track.samples.iter().map(|s| i64::from(s.composition_offset)).min().unwrap_or(0).min(0);
    let in_clock = |ticks| rescale(ticks, track.timescale, TIMESCALE);
    let mut time = shift;
    let mut samples = Vec::new();
    for sample in &track.samples {
        let bytes = file[sample.offset as usize..][..sample.size as usize].to_vec();
        let unit = Unit {
            size: size(&bytes, sample.sync),
            dts: in_clock(time + reorder),
            pts: in_clock(time + i64::from(sample.composition_offset)),
            sync: sample.sync,
            spare: 0,
        };
        time += i64::from(sample.duration);
        samples.push((unit, bytes));
    }
    samples
}

/// A file and its tracks; nothing when the crate refuses it.
fn read(path: &Path) -> Option<(Vec<u8>, Vec<SourceTrack>)> {
    let file = std::fs::read(path).expect("the file is there");
    let mut reader = FileReader::new(file.len() as u64);
    while let Some(range) = reader.wanted() {
        let bytes = Bytes::copy_from_slice(&file[range.start as usize..range.end as usize]);
        reader.supply(bytes).ok()?;
    }
    Some((file, reader.finish().ok()?.0))
}

/// The first sample entry of every track.
pub fn sample_entries(name: &str) -> Vec<(Handler, Vec<u8>)> {
    let (_, tracks) = read(&path(name)).expect("the fixture is read");
    tracks.iter().map(|track| (track.handler, track.sample_entries[0].bytes.to_vec())).collect()
}

/// The first video and the first audio of a fixture as a title that is cut at every key frame.
pub fn title(name: &str) -> Title {
    title_of(&path(name)).expect("codecs of transport streams")
}

/// The first video and the first audio of any file that have codecs of transport streams.
pub fn title_of(path: &Path) -> Option<Title> {
    let (file, tracks) = read(path)?;
    let of = |handler| tracks.iter().filter(move |track| track.handler == handler && !track.samples.is_empty());
    let mut program = Program::default();
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for track in of(Handler::Video).take(1) {
        let Ok(stream) = VideoStream::from_sample_entry(&track.sample_entries.first()?.bytes) else { continue };
        video = samples(&file, track, |sample, sync| stream.access_unit_bytes(sample, sync));
        program.video = Some(stream);
    }
    for track in of(Handler::Audio).take(1) {
        let Ok(stream) = AudioStream::from_sample_entry(&track.sample_entries.first()?.bytes) else { continue };
        audio = samples(&file, track, |sample, _| sample.len() as u32);
        program.audio = Some(Audio { stream, language: Some(*b"eng") });
    }
    (program != Program::default()).then(|| Title { program, cuts: cut(video, audio) })
}

/// Cuts at every sync sample of the video, or every two seconds.
pub fn cut(video: Vec<Sample>, audio: Vec<Sample>) -> Vec<Cut> {
    let start = video.iter().chain(&audio).map(|s| s.0.dts).min().unwrap_or(0);
    let end = video.iter().chain(&audio).map(|s| s.0.pts).max().unwrap_or(0) + 1;
    let mut cuts: Vec<Cut> = Vec::new();
    if video.is_empty() {
        for sample in audio {
            if cuts.last().is_none_or(|cut| sample.0.pts >= cut.span.start + 180_000) {
                let at = sample.0.pts;
                cuts.push(Cut { span: at..end, ..Cut::default() });
            }
            cuts.last_mut().unwrap().audio.push(sample);
        }
    } else {
        for sample in video {
            if sample.0.sync || cuts.is_empty() {
                let at = if cuts.is_empty() { start } else { sample.0.dts };
                cuts.push(Cut { span: at..end, ..Cut::default() });
            }
            cuts.last_mut().unwrap().video.push(sample);
        }
        let times: Vec<i64> = cuts.iter().skip(1).map(|cut| cut.video[0].0.pts).collect();
        for sample in audio {
            let number = times.partition_point(|time| *time <= sample.0.pts);
            cuts[number].audio.push(sample);
        }
    }
    for number in 1..cuts.len() {
        cuts[number - 1].span.end = cuts[number].span.start;
    }
    cuts
}
