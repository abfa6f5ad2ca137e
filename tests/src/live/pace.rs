//! The pace of an encoder.

use std::time::{Duration, Instant};

/// Sleeps until second after second has begun, as an encoder does; when it is late, it catches up.
pub struct Pace {
    next: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { next: Instant::now() }
    }
}

impl Pace {
    /// Waits for the next second.
    pub fn wait(&mut self) {
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += Duration::from_secs(1);
    }
}
