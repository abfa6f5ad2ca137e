//! How often somebody may ask: a bucket of tokens for each asker, in a table of bounded size.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Askers that are remembered. One more, and those whose bucket is full again are forgotten.
const MAX_ASKERS: usize = 100_000;

/// Lets each asker ask `burst` times at once, and `per_second` times a second in the long run.
pub struct Limiter {
    burst: f64,
    per_second: f64,
    hash: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// A limiter that has seen nobody.
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst: f64::from(burst),
            per_second: f64::from(per_second.max(1)),
            hash: RandomState::new(),
            buckets: Mutex::default(),
        }
    }

    /// Counts a request of `asker` at `now`.
    ///
    /// # Errors
    /// How long to wait, when there were too many.
    pub fn ask(&self, asker: impl Hash, now: Instant) -> Result<(), Duration> {
        let asker = self.hash.hash_one(asker);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_ASKERS && !buckets.contains_key(&asker) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            // All of them are busy: nobody is kept out for what others do.
            if buckets.len() >= MAX_ASKERS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(asker).or_insert(Bucket { left: self.burst, at: now });
        *bucket = Bucket { left: self.filled(*bucket, now), at: now };
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / self.per_second))
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let limiter = Limiter::new(3, 2);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(limiter.ask("a", start).is_ok());
        }
        assert_eq!(limiter.ask("a", start), Err(Duration::from_millis(500)));
        assert!(limiter.ask("b", start).is_ok(), "another has a bucket of their own");
        let later = start + Duration::from_millis(600);
        assert!(limiter.ask("a", later).is_ok());
        assert!(limiter.ask("a", later).is_err());
        let much_later = start + Duration::from_secs(3600);
        for _ in 0..3 {
            assert!(limiter.ask("a", much_later).is_ok());
        }
        assert!(limiter.ask("a", much_later).is_err(), "a bucket holds no more than the burst");
    }

    #[test]
    fn the_table_stays_bounded() {
        let limiter = Limiter::new(2, 1);
        let start = Instant::now();
        for asker in 0..MAX_ASKERS + 10 {
            limiter.ask(asker, start).unwrap();
        }
        assert!(limiter.buckets.lock().unwrap().len() <= MAX_ASKERS);
    }
}
