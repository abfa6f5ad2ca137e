//! Where the time of a request went.

use std::fmt::Write;
use std::time::Duration;

/// Parts of the time until the head of an answer.
#[derive(Default)]
pub struct Timing {
    /// Documents, and the timeline of a live channel.
    pub documents: Duration,
    /// Reads of the index.
    pub index: Duration,
    /// The core's work.
    pub make: Duration,
    /// The head of the first read of media.
    pub origin: Duration,
}

impl Timing {
    /// The `Server-Timing` field, in milliseconds.
    pub fn field(&self) -> String {
        let mut field = String::with_capacity(64);
        for (name, duration) in
            [("doc", self.documents), ("index", self.index), ("make", self.make), ("origin", self.origin)]
        {
            let separator = if field.is_empty() { "" } else { ", " };
            let micros = duration.as_micros();
            let _ = write!(field, "{separator}{name};dur={}.{:03}", micros / 1000, micros % 1000);
        }
        field
    }
}
