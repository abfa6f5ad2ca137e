//! What is wrong with a stream and does not stop it: counted by kind, with the first places.

use core::fmt;

use crate::limits::MAX_WARNINGS;

/// Places that are named for one kind; more are counted.
const MAX_PLACES: usize = 4;

/// Where something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Ordinal of the segment, from 1.
    pub segment: u32,
    /// Packets before it in the segment.
    pub packet: u64,
    /// Its PID, where it is about one.
    pub pid: Option<u16>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} packet {}", self.segment, self.packet)?;
        if let Some(pid) = self.pid {
            write!(f, " PID 0x{pid:x}")?;
        }
        Ok(())
    }
}

/// One kind of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    what: String,
    count: u64,
    places: Vec<Spot>,
}

/// The faults that were found.
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings {
    kinds: Vec<Kind>,
    /// Faults of kinds beyond those that are kept.
    others: u64,
}

impl Warnings {
    /// Counts `count` faults of a kind at a place.
    pub fn add(&mut self, what: &str, count: u64, spot: Spot) {
        if let Some(kind) = self.kinds.iter_mut().find(|k| k.what == what) {
            kind.count = kind.count.saturating_add(count);
            if kind.places.len() < MAX_PLACES {
                kind.places.push(spot);
            }
        } else if self.kinds.len() < MAX_WARNINGS {
            self.kinds.push(Kind { what: what.into(), count, places: vec![spot] });
        } else {
            self.others = self.others.saturating_add(count);
        }
    }

    /// One line for each kind.
    pub fn lines(&self) -> Vec<String> {
        let line = |k: &Kind| {
            let places: Vec<String> = k.places.iter().map(Spot::to_string).collect();
            let more = if k.count > k.places.len() as u64 { ", ..." } else { "" };
            match k.count {
                1 => format!("{}: {}", places.join(", "), k.what),
                n => format!("{} ({n} times: {}{more})", k.what, places.join(", ")),
            }
        };
        let mut lines: Vec<String> = self.kinds.iter().map(line).collect();
        if self.others > 0 {
            lines.push(format!("{} faults of other kinds", self.others));
        }
        lines
    }
}
