//! Where an HLS title can be cut: where segments of the source begin in all video renditions, and between them at sync
//! samples that they have in common, at most once a second.

use crate::error::{Error, Result};
use crate::index::head;
use crate::media::cuts::{Rendition, SyncSample};
use crate::media::time::Instant;

/// A video rendition, and the sync samples with which its segments begin.
#[derive(Debug)]
pub struct Ladder {
    /// Its sync samples.
    pub rendition: Rendition,
    /// Numbers of the first sync sample of each segment, ascending.
    pub starts: Vec<usize>,
}

/// A place where all video renditions can be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonCut {
    /// For the index; periods are not marked.
    pub cut: head::Cut,
    /// When the first rendition is presented there.
    pub time: i64,
    /// For each rendition, the sample it begins with.
    pub samples: Vec<usize>,
}

/// Finds the cuts. The first is where every rendition begins, whatever the time.
///
/// # Errors
/// `BadSource` with the first two times that disagree, when several renditions have several sync samples but none in
/// common.
pub fn common(ladders: &[Ladder]) -> Result<Vec<CommonCut>> {
    let Some((reference, others)) = ladders.split_first() else { return Ok(Vec::new()) };
    let tolerance = ladders.iter().map(|l| l.rendition.tolerance).min().unwrap_or(0);
    let first = CommonCut {
        cut: head::Cut { second: 0, source_segment: true, period: false },
        time: reference.rendition.syncs.first().map_or(0, |s| s.time.nanoseconds()),
        samples: vec![0; ladders.len()],
    };
    let mut all = vec![first];
    let mut cursors = vec![0usize; others.len()];
    let mut disagreement: Option<(Instant, &str, Instant, &str)> = None;
    for sync in reference.rendition.syncs.iter().skip(1) {
        let mut samples = vec![sync.sample];
        let mut segment = is_start(reference, sync.sample);
        for (other, cursor) in others.iter().zip(&mut cursors) {
            let Some(found) = near(&other.rendition.syncs, cursor, sync.time, tolerance) else {
                let next = other.rendition.syncs.get(*cursor).or(other.rendition.syncs.last());
                if let Some(next) = next.filter(|_| disagreement.is_none() && other.rendition.syncs.len() > 1) {
                    disagreement = Some((sync.time, &reference.rendition.name, next.time, &other.rendition.name));
                }
                break;
            };
            segment &= is_start(other, found);
            samples.push(found);
        }
        if samples.len() == ladders.len() && samples.iter().all(|s| *s > 0) {
            let time = sync.time.nanoseconds();
            let second = u32::try_from(time.saturating_add(tolerance) / 1_000_000_000).unwrap_or(u32::MAX);
            all.push(CommonCut { cut: head::Cut { second, source_segment: segment, period: false }, time, samples });
        }
    }
    match disagreement {
        Some((a, first, b, second)) if all.len() == 1 => Err(Error::bad_source(format!(
            "the renditions have no sync sample in common: {first} has one at {a}, {second} has its nearest at {b}; \
             encode the ladder with one fixed key frame interval"
        ))),
        _ => Ok(thin_out(all)),
    }
}

/// The sync sample at a time, if there is one.
fn near(syncs: &[SyncSample], cursor: &mut usize, time: Instant, tolerance: i64) -> Option<usize> {
    let time = time.nanoseconds();
    while syncs.get(*cursor).is_some_and(|s| s.time.nanoseconds() < time.saturating_sub(tolerance)) {
        *cursor += 1;
    }
    syncs.get(*cursor).filter(|s| s.time.nanoseconds() <= time.saturating_add(tolerance)).map(|s| s.sample)
}

fn is_start(ladder: &Ladder, sample: usize) -> bool {
    ladder.starts.binary_search(&sample).is_ok()
}

/// Keeps every start of a segment, and of the others those that are at least a second after the cut before them.
fn thin_out(all: Vec<CommonCut>) -> Vec<CommonCut> {
    let mut kept: Vec<CommonCut> = Vec::with_capacity(all.len());
    for cut in all {
        let far = kept.last().is_none_or(|last| cut.time.saturating_sub(last.time) >= 1_000_000_000);
        if far || cut.cut.source_segment {
            kept.push(cut);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(times: &[i64], starts: &[usize]) -> Ladder {
        let syncs = times.iter().enumerate();
        let syncs = syncs.map(|(n, &ticks)| SyncSample { sample: n * 5, time: Instant { ticks, timescale: 10 } });
        let rendition = Rendition { name: "v".into(), syncs: syncs.collect(), tolerance: 20_000_000 };
        Ladder { rendition, starts: starts.iter().map(|n| n * 5).collect() }
    }

    #[test]
    fn segments_of_all_renditions_are_marked() {
        let a = ladder(&[0, 5, 20, 25, 40, 60], &[0, 2, 4, 5]);
        let b = ladder(&[0, 5, 20, 25, 40, 60], &[0, 2, 5]);
        let cuts = common(&[a, b]).unwrap();
        let cuts: Vec<_> = cuts.iter().map(|c| (c.cut.second, c.cut.source_segment, c.samples[0])).collect();
        assert_eq!(cuts, [(0, true, 0), (2, true, 10), (4, false, 20), (6, true, 25)]);
    }

    #[test]
    fn starts_that_not_all_have_are_no_cuts() {
        let cuts = common(&[ladder(&[0, 20, 40], &[0, 1, 2]), ladder(&[0, 30, 40], &[0, 1, 2])]).unwrap();
        assert_eq!(cuts.iter().map(|c| c.cut.second).collect::<Vec<_>>(), [0, 4]);
        let error = common(&[ladder(&[0, 20], &[]), ladder(&[0, 30], &[])]).unwrap_err();
        assert!(error.message().contains("no sync sample in common"), "{error}");
        assert_eq!(common(&[ladder(&[0, 20], &[]), ladder(&[0], &[])]).unwrap().len(), 1);
    }
}
