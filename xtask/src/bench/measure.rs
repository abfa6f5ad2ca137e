//! Numbers of repeated measurements, and what processes used.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Clock ticks of `/proc/PID/stat` a second (`USER_HZ`, which is 100 on every architecture of Linux in use).
const TICKS: f64 = 100.0;
/// Address space without access beside a linear memory of a WebAssembly instance: the runtime keeps gigabytes of it.
const GUARD_BYTES: u64 = 1 << 30;

/// The values of repetitions of one measurement.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// Adds a repetition.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The middle value; the mean of the two in the middle of an even number; zero when there are none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }

    /// Least and greatest.
    pub fn range(&self) -> (f64, f64) {
        (self.0.iter().copied().fold(f64::INFINITY, f64::min), self.0.iter().copied().fold(0.0, f64::max))
    }

    /// Each value changed.
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().copied().map(change).collect())
    }

    /// Each value by the other's of the same repetition.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// For the machine-readable report.
    pub fn json(&self) -> Value {
        let (least, greatest) = self.range();
        json!({ "median": self.median(), "min": least, "max": greatest, "repetitions": self.0.len() })
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The value at `share` (0 to 1) of sorted times.
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let at = (times.len() as f64 * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The processes of a process group.
fn group(group: u32) -> Vec<(u32, Vec<String>)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stat = ids.filter_map(|id| {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in parentheses, may hold anything; what follows the last one is fields.
        let fields: Vec<String> = text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
        (fields.get(2)?.parse() == Ok(group)).then_some((id, fields))
    });
    stat.collect()
}

/// CPU seconds that the processes of a group have used so far, in user and system mode.
pub fn cpu_seconds(of: u32) -> f64 {
    let ticks = |fields: &Vec<String>| -> f64 { fields[11..13].iter().filter_map(|f| f.parse::<f64>().ok()).sum() };
    group(of).iter().map(|(_, fields)| ticks(fields)).sum::<f64>() / TICKS
}

/// CPU seconds of all children of this process that have ended and were waited for.
pub fn children_cpu_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = fields.get(13..15).context("/proc/self/stat is short")?;
    Ok(ticks.iter().filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// A field of `/proc/PID/status` in bytes, summed over a group, e.g. `VmHWM`, the most memory a process has had.
pub fn memory_bytes(of: u32, field: &str) -> u64 {
    let of_process = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    group(of).into_iter().filter_map(|(id, _)| of_process(id)).sum::<u64>() << 10
}

/// Bytes in memory of the largest linear memory of the WebAssembly instances in a group: a writable anonymous mapping that
/// ends where gigabytes without access begin.
pub fn linear_memory_bytes(of: u32) -> u64 {
    group(of)
        .into_iter()
        .map(|(id, _)| fs::read_to_string(format!("/proc/{id}/smaps")).unwrap_or_default())
        .map(|smaps| largest_memory(&smaps))
        .max()
        .unwrap_or(0)
}

fn largest_memory(smaps: &str) -> u64 {
    let (mut largest, mut resident, mut before) = (0, 0, None::<(u64, bool)>);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(size) = line.strip_prefix("Rss:") {
            resident = size.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) << 10;
        } else if let Some((start, end)) = first.split_once('-')
            && let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16))
        {
            let rights = words.next().unwrap_or_default();
            if rights.starts_with("---")
                && end - start >= GUARD_BYTES
                && before.is_some_and(|(at, writable)| writable && at == start)
            {
                largest = resident.max(largest);
            }
            before = Some((end, rights.starts_with("rw") && line.split_whitespace().count() == 5));
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        let series = |values: &[f64]| values.iter().copied().collect::<Series>();
        assert_eq!(series(&[]).median(), 0.0);
        assert_eq!(series(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(series(&[4.0, 1.0]).range(), (1.0, 4.0));
        assert_eq!(series(&[4.0, 9.0]).over(&series(&[2.0, 3.0])).median(), 2.5);
    }

    #[test]
    fn percentiles_are_of_sorted_times() {
        let mut times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(51));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(100));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }

    #[test]
    fn memories_lie_before_their_guards() {
        let smaps = "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \nRss:  1024 kB\n\
            7f0000200000-7f0100000000 ---p 00000000 00:00 0 \nRss: 0 kB\n\
            7f0200000000-7f0200200000 rw-p 00000000 00:00 0 [heap]\nRss: 512 kB\n\
            7f0200200000-7f0300000000 ---p 00000000 00:00 0 \nRss: 0 kB\n\
            7f0400000000-7f0400200000 rw-p 00000000 00:00 0 \nRss: 256 kB\n\
            7f0400200000-7f0400300000 ---p 00000000 00:00 0 \nRss: 0 kB\n";
        assert_eq!(largest_memory(smaps), 1 << 20);
    }

    #[test]
    fn this_process_uses_something() {
        let own = group(nix::unistd::getpgrp().as_raw() as u32);
        assert!(own.iter().any(|(id, _)| *id == std::process::id()));
        assert!(memory_bytes(nix::unistd::getpgrp().as_raw() as u32, "VmHWM") > 0);
    }
}
