//! Where the tracks of an asset of media files are cut.

use core::cmp::Ordering;

use super::SourceFile;
use super::plan::Track;
use crate::error::Result;
use crate::limits;
use crate::media::cuts::{self, Cut, Rendition, SyncSample};
use crate::media::time::Instant;
use crate::route::TrackKind;

/// Cuts all tracks; answers the whole second of each cut, and its time.
pub fn cut(tracks: &mut [Track], files: &[SourceFile], warnings: &mut Vec<String>) -> Result<(Vec<u32>, Vec<Instant>)> {
    let renditions: Vec<Rendition> = tracks.iter_mut().filter(|t| t.is_video()).map(|t| t.rendition(files)).collect();
    if renditions.is_empty() {
        return Ok(cut_audio_only(tracks));
    }
    let cuts = cuts::common(&renditions)?;
    let reference = &renditions[..1];
    let times: Vec<Instant> = cuts
        .iter()
        .filter_map(|cut| {
            let first = *cut.samples.first()?;
            let syncs = &reference.first()?.syncs;
            let at = syncs.binary_search_by_key(&first, |s| s.sample).ok()?;
            syncs.get(at).map(|s| s.time)
        })
        .collect();
    let longest = times.windows(2).map(|w| w[1].nanoseconds() - w[0].nanoseconds()).max().unwrap_or(0);
    if longest > 1_000_000_000 * i64::from(*limits::SEGMENT_SECONDS.end()) {
        warnings
            .push(format!("sync samples are up to {} s apart, so segments will be that long", longest / 1_000_000_000));
    }
    let mut seconds: Vec<u32> = cuts.iter().map(|c| c.second).collect();
    let mut times = times;
    for second in seconds_after_video(tracks, &seconds) {
        seconds.push(second);
        times.push(Instant { ticks: i64::from(second), timescale: 1 });
    }
    let mut video = 0;
    for track in tracks.iter_mut() {
        if track.is_video() {
            track.cuts = cuts.iter().filter_map(|c: &Cut| c.samples.get(video).copied()).collect();
            track.cuts.resize(seconds.len(), track.media.samples.len());
            video += 1;
        } else {
            track.cut_at(&times);
        }
    }
    Ok((seconds, times))
}

/// Sound that goes on when the pictures have ended is cut once a second, as without any; less than a tenth of a second
/// of it, usually part of a frame, is no segment of its own.
pub fn seconds_after_video(tracks: &[Track], seconds: &[u32]) -> core::ops::Range<u32> {
    let ends = |kind: TrackKind| {
        let of_kind = tracks.iter().filter(move |t| t.name.kind == kind);
        of_kind.map(|t| (t.end, u64::from(t.media.timescale)))
    };
    let second = |end: Option<u64>| end.and_then(|end| u32::try_from(end).ok()).unwrap_or(0);
    let pictures = second(ends(TrackKind::Video).map(|(end, scale)| end.div_ceil(scale)).max());
    let sound = second(ends(TrackKind::Audio).map(|(end, scale)| end.saturating_sub(scale / 10).div_ceil(scale)).max());
    let first = pictures.max(seconds.last().map_or(0, |s| s + 1));
    first..sound.max(first)
}

/// Without video every frame of audio could be a cut: one a second is enough for any segment duration.
fn cut_audio_only(tracks: &mut [Track]) -> (Vec<u32>, Vec<Instant>) {
    let seconds = tracks.iter().map(|t| t.end.div_ceil(u64::from(t.media.timescale))).max().unwrap_or(1).max(1) as u32;
    let times: Vec<Instant> = (0..seconds).map(|s| Instant { ticks: i64::from(s), timescale: 1 }).collect();
    for track in tracks.iter_mut() {
        track.cut_at(&times);
    }
    ((0..seconds).collect(), times)
}

impl Track {
    /// Its sync samples, when they are presented, and whether groups of pictures are closed.
    pub fn rendition(&mut self, files: &[SourceFile]) -> Rendition {
        let start = self.decode_time as i64 - self.edit_media_time as i64;
        let first_time = self.media.first_decode_time as i64;
        let composition = self.media.samples.first().map_or(0, |s| i64::from(s.composition_offset));
        let timescale = self.media.timescale;
        let mut syncs = Vec::new();
        let mut closed = true;
        let mut group = i64::MIN;
        for (number, (time, sample)) in self.timed().enumerate() {
            let presented = time - first_time + i64::from(sample.composition_offset) - composition + start;
            if sample.sync {
                group = presented;
                syncs.push(SyncSample { sample: number, time: Instant { ticks: presented, timescale } });
            }
            closed &= presented >= group;
        }
        let count = self.media.samples.len().max(1) as u64;
        let frame = Instant { ticks: (self.media.duration / count) as i64, timescale };
        self.closed = closed;
        Rendition { name: self.title(files), syncs, tolerance: frame.nanoseconds() / 2 }
    }

    /// When each sample is presented, in ticks; for audio, which is presented in decoding order.
    pub fn presented_times(&self) -> impl Iterator<Item = i64> {
        let mut time = self.decode_time as i64 - self.edit_media_time as i64;
        self.media.samples.iter().map(move |sample| {
            let own = time;
            time = time.saturating_add(i64::from(sample.duration));
            own
        })
    }

    /// Cuts audio at the first frame at or after each time.
    pub fn cut_at(&mut self, times: &[Instant]) {
        let timescale = self.media.timescale;
        let mut presented = self.decode_time as i64 - self.edit_media_time as i64;
        let mut samples = self.media.samples.iter();
        let mut number = 0;
        let mut cuts = Vec::with_capacity(times.len());
        for (cut, time) in times.iter().enumerate() {
            while cut > 0 && (Instant { ticks: presented, timescale }).order(*time) == Ordering::Less {
                let Some(sample) = samples.next() else { break };
                presented = presented.saturating_add(i64::from(sample.duration));
                number += 1;
            }
            cuts.push(number);
        }
        self.cuts = cuts;
    }
}
