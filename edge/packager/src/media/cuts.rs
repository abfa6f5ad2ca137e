//! Where a title may be cut: sync samples that all video renditions have in common, at most one a second.
//!
//! A segment of `n` whole seconds begins at the first common sync sample at or after a multiple of `n`. Such a boundary is
//! always also the first one at or after some whole second, so keeping only those loses nothing for any `n`.

use crate::error::{Error, Result};

use super::time::Instant;

/// A sync sample: its number in the track, and when it is presented.
#[derive(Clone, Copy, Debug)]
pub struct SyncSample {
    /// Counted from 0 among the samples that are kept.
    pub sample: usize,
    /// Presentation time.
    pub time: Instant,
}

/// The sync samples of one video rendition, ascending.
#[derive(Debug)]
pub struct Rendition {
    /// For messages.
    pub name: String,
    /// The first is the first sample of the rendition.
    pub syncs: Vec<SyncSample>,
    /// Half of the usual duration of a frame in nanoseconds: times closer than this are the same frame.
    pub tolerance: i64,
}

/// A place where all tracks are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last whole second at or before it.
    pub second: u32,
    /// For each rendition, the sample it begins with.
    pub samples: Vec<usize>,
}

/// Finds the cuts of a ladder. The first is where every rendition begins, whatever the time.
///
/// # Errors
/// `BadSource` with the first two times that disagree, when several renditions have several sync samples but none in
/// common.
pub fn common(renditions: &[Rendition]) -> Result<Vec<Cut>> {
    let Some((reference, others)) = renditions.split_first() else { return Ok(Vec::new()) };
    let tolerance = renditions.iter().map(|r| r.tolerance).min().unwrap_or(0);
    let mut cuts = vec![Cut { second: 0, samples: vec![0; renditions.len()] }];
    let mut cursors = vec![1usize; others.len()];
    let mut disagreement: Option<(Instant, &str, Instant, &str)> = None;
    let mut in_common = 0usize;
    for sync in reference.syncs.iter().skip(1) {
        let time = sync.time.nanoseconds();
        let mut samples = vec![sync.sample];
        for (other, cursor) in others.iter().zip(&mut cursors) {
            while other.syncs.get(*cursor).is_some_and(|s| s.time.nanoseconds() < time.saturating_sub(tolerance)) {
                *cursor += 1;
            }
            match other.syncs.get(*cursor) {
                Some(s) if s.time.nanoseconds() <= time.saturating_add(tolerance) => samples.push(s.sample),
                next => {
                    if disagreement.is_none()
                        && let Some(next) = next.or(other.syncs.get(1..).and_then(<[_]>::last))
                    {
                        disagreement = Some((sync.time, &reference.name, next.time, &other.name));
                    }
                    break;
                }
            }
        }
        if samples.len() < renditions.len() {
            continue;
        }
        in_common += 1;
        let second = u32::try_from(time.saturating_add(tolerance) / 1_000_000_000).unwrap_or(u32::MAX);
        if cuts.last().is_none_or(|last| second > last.second) {
            cuts.push(Cut { second, samples });
        }
    }
    match disagreement {
        Some((a, first, b, second)) if in_common == 0 => Err(Error::bad_source(format!(
            "the renditions have no sync sample in common: {first} has one at {a}, {second} has its nearest at {b}; \
             encode the ladder with one fixed key frame interval"
        ))),
        _ => Ok(cuts),
    }
}

/// The first sample of each segment of `target` seconds, as positions among the cuts; `seconds` are those of the cuts.
pub fn boundaries(seconds: &[u32], target: u32) -> Vec<usize> {
    let target = target.max(1);
    let mut boundaries = Vec::new();
    let mut next = 0u32;
    for (cut, &second) in seconds.iter().enumerate() {
        if cut == 0 || second >= next {
            boundaries.push(cut);
            next = (second / target + 1).saturating_mul(target);
        }
    }
    boundaries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendition(name: &str, timescale: u32, times: &[i64]) -> Rendition {
        let syncs = times.iter().enumerate();
        let syncs = syncs.map(|(n, &ticks)| SyncSample { sample: n * 10, time: Instant { ticks, timescale } });
        Rendition { name: name.into(), syncs: syncs.collect(), tolerance: 20_000_000 }
    }

    fn seconds(cuts: &[Cut]) -> Vec<u32> {
        cuts.iter().map(|c| c.second).collect()
    }

    #[test]
    fn the_common_set_is_used() {
        let two = rendition("a", 10, &[0, 20, 40, 60, 80, 100, 120]);
        let three = rendition("b", 1000, &[0, 3000, 6001, 9000, 11_999]);
        let cuts = common(&[two, three]).unwrap();
        assert_eq!(seconds(&cuts), [0, 6, 12]);
        assert_eq!(cuts[1].samples, [30, 20]);
    }

    #[test]
    fn no_common_set_is_refused_with_the_first_two_times() {
        let error = common(&[rendition("a.mp4", 10, &[0, 20, 40]), rendition("b.mp4", 10, &[0, 25, 45])]).unwrap_err();
        assert!(
            error.message().contains("a.mp4 has one at 2.000000 s, b.mp4 has its nearest at 2.500000 s"),
            "{error}"
        );
        // A rendition of a single group of pictures has nothing to disagree with.
        assert_eq!(common(&[rendition("a", 10, &[0, 20]), rendition("b", 10, &[0])]).unwrap().len(), 1);
    }

    #[test]
    fn one_cut_a_second_is_enough_for_any_target() {
        // Every fourth of a second, against the rule itself.
        let all: Vec<i64> = (0..400).map(|n| n * 9 + 2).collect();
        let cuts = common(&[rendition("a", 36, &all)]).unwrap();
        for target in 1..=30u32 {
            let kept = boundaries(&seconds(&cuts), target);
            let kept: Vec<usize> = kept.iter().map(|&c| cuts[c].samples[0] / 10).collect();
            let mut wanted = vec![0usize];
            for n in 1.. {
                let Some(first) = all.iter().position(|t| *t >= i64::from(n * target) * 36) else { break };
                if wanted.last() != Some(&first) {
                    wanted.push(first);
                }
            }
            assert_eq!(kept, wanted, "{target}");
        }
    }

    #[test]
    fn long_groups_of_pictures_make_long_segments() {
        assert_eq!(boundaries(&[0, 5, 20, 21, 24, 25], 6), [0, 2, 4]);
        assert_eq!(boundaries(&[0], 6), [0]);
        assert_eq!(boundaries(&[], 6), [] as [usize; 0]);
    }
}
