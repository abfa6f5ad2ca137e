//! What live ingest has under way, in memory: how many uploads each input has, and refusals that are counted in the database
//! now and then only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::db::channel_inputs::Target;

/// Uploads of one input at the same time: sixteen renditions of one encoder, each with its segment and its playlist.
pub const MAX_CONCURRENT_UPLOADS: usize = 32;

/// Attempts with wrong credentials are written at most this often for an input: whoever makes them shall not keep the
/// database busy.
const DENIED_INTERVAL: Duration = Duration::from_secs(1);

/// Channel and input.
type Key = (i64, i64);

/// See the module.
#[derive(Default)]
pub struct Receiver {
    under_way: Arc<Mutex<HashMap<Key, usize>>>,
    denied: Mutex<HashMap<Key, Denied>>,
}

/// Attempts with wrong credentials.
struct Denied {
    /// Those that are not in the database yet.
    waiting: i64,
    written: Option<Instant>,
}

/// The place of an upload among those of its input; given back when it is dropped.
pub struct Place {
    under_way: Arc<Mutex<HashMap<Key, usize>>>,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.remove(&self.key);
            }
        }
    }
}

impl Receiver {
    /// A place for an upload; `None` when the input has [`MAX_CONCURRENT_UPLOADS`].
    pub fn begin(&self, target: &Target) -> Option<Place> {
        let key = (target.channel_id, target.input);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(key).or_default();
        if *count >= MAX_CONCURRENT_UPLOADS {
            return None;
        }
        *count += 1;
        Some(Place { under_way: self.under_way.clone(), key })
    }

    /// Counts an attempt with wrong credentials. Answers how many are to be written now, if any.
    pub fn deny(&self, target: &Target, now: Instant) -> Option<i64> {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = denied.entry((target.channel_id, target.input)).or_insert(Denied { waiting: 0, written: None });
        entry.waiting += 1;
        if entry.written.is_some_and(|at| now.saturating_duration_since(at) < DENIED_INTERVAL) {
            return None;
        }
        entry.written = Some(now);
        Some(std::mem::take(&mut entry.waiting))
    }

    /// Attempts with wrong credentials that are not in the database yet.
    pub fn denied(&self, channel_id: i64, input: i64) -> i64 {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.get(&(channel_id, input)).map_or(0, |entry| entry.waiting)
    }

    /// Forgets a channel that is gone.
    pub fn forget(&self, channel_id: i64) {
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        denied.retain(|(channel, _), _| *channel != channel_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::channels::ChannelProtocol;

    fn target(input: i64) -> Target {
        Target {
            channel_id: 7,
            input,
            uid: String::new(),
            protocol: ChannelProtocol::Hls,
            username: String::new(),
            password_hash: Vec::new(),
        }
    }

    #[test]
    fn each_input_has_so_many_places() {
        let receiver = Receiver::default();
        let mut places: Vec<Place> = (0..MAX_CONCURRENT_UPLOADS).map(|_| receiver.begin(&target(1)).unwrap()).collect();
        assert!(receiver.begin(&target(1)).is_none());
        assert!(receiver.begin(&target(2)).is_some(), "the other input has its own");
        places.pop();
        assert!(receiver.begin(&target(1)).is_some());
        places.clear();
        assert!(receiver.under_way.lock().unwrap().is_empty());
    }

    #[test]
    fn wrong_credentials_are_written_now_and_then() {
        let receiver = Receiver::default();
        let start = Instant::now();
        assert_eq!(receiver.deny(&target(1), start), Some(1));
        assert_eq!(receiver.deny(&target(1), start), None);
        assert_eq!(receiver.deny(&target(1), start), None);
        assert_eq!((receiver.denied(7, 1), receiver.denied(7, 2)), (2, 0));
        assert_eq!(receiver.deny(&target(1), start + DENIED_INTERVAL), Some(3));
        assert_eq!(receiver.denied(7, 1), 0);
    }
}
