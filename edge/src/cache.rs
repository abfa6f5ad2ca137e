//! What an instance remembers: least recently used first out, within a budget of bytes. Losing all of it costs only time.

use core::fmt::Display;
use core::ops::Range;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use packager::config::SourceObject;
use packager::response::{Part, Response};
use packager::{Prepared, limits, live};

/// All that an instance may remember, in bytes. Ranges of indexes, prepared heads and answers share what documents and
/// timelines leave: a title of ten hours needs most of it for its head, many short ones need it for their answers.
pub const CACHE_BYTES: usize = 24 << 20;
/// The share of documents.
const DOCUMENT_BYTES: usize = 1 << 20;
/// The share of timelines; the largest has a place in it.
const TIMELINE_BYTES: usize = 2 * limits::MAX_TIMELINE_BYTES;
/// An answer with more bytes of ours is made again each time.
const MAX_RENDERED_BYTES: usize = 1 << 20;
/// What an entry costs beside its value: key, links, allocations.
const ENTRY_BYTES: usize = 256;

/// A map that forgets what was used least recently when its weight passes a budget.
pub struct Lru<V> {
    budget: usize,
    weight: usize,
    clock: u64,
    slots: HashMap<Rc<str>, Slot<V>>,
    ages: BTreeMap<u64, Rc<str>>,
}

struct Slot<V> {
    value: V,
    weight: usize,
    used: u64,
}

impl<V> Lru<V> {
    /// An empty map with a budget in bytes.
    pub fn new(budget: usize) -> Self {
        Self { budget, weight: 0, clock: 0, slots: HashMap::new(), ages: BTreeMap::new() }
    }

    /// The value of a key, which becomes the most recently used.
    pub fn get(&mut self, key: &str) -> Option<&mut V> {
        let slot = self.slots.get_mut(key)?;
        let name = self.ages.remove(&slot.used)?;
        self.clock += 1;
        slot.used = self.clock;
        self.ages.insert(self.clock, name);
        Some(&mut slot.value)
    }

    /// Whether a value of `weight` bytes can be kept at all.
    pub fn takes(&self, weight: usize) -> bool {
        weight.saturating_add(ENTRY_BYTES) <= self.budget
    }

    /// Keeps a value that holds about `weight` bytes; what is too large for the budget is not kept.
    pub fn put(&mut self, key: &str, value: V, weight: usize) {
        self.remove(key);
        if !self.takes(weight) {
            return;
        }
        let weight = weight + ENTRY_BYTES;
        while self.weight + weight > self.budget {
            let Some((_, oldest)) = self.ages.pop_first() else { break };
            if let Some(slot) = self.slots.remove(&oldest) {
                self.weight -= slot.weight;
            }
        }
        self.clock += 1;
        let key: Rc<str> = key.into();
        self.ages.insert(self.clock, key.clone());
        self.slots.insert(key, Slot { value, weight, used: self.clock });
        self.weight += weight;
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &str) {
        if let Some(slot) = self.slots.remove(key) {
            self.ages.remove(&slot.used);
            self.weight -= slot.weight;
        }
    }
}

/// Everything that is remembered but documents.
pub struct Cache(Lru<Entry>);

enum Entry {
    Index(Bytes),
    Prepared(Arc<Prepared>),
    Live(Arc<live::Prepared>),
    Rendered(Rc<Response>),
}

impl Default for Cache {
    fn default() -> Self {
        Self(Lru::new(CACHE_BYTES - DOCUMENT_BYTES - TIMELINE_BYTES))
    }
}

impl Cache {
    /// Bytes of a sidecar index; see [`index_key`].
    pub fn index(&mut self, key: &str) -> Option<Bytes> {
        match self.0.get(key) {
            Some(Entry::Index(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Keeps bytes of a sidecar index.
    pub fn keep_index(&mut self, key: &str, bytes: &Bytes) {
        self.0.put(key, Entry::Index(bytes.clone()), bytes.len());
    }

    /// What a job learnt; see [`prepared_key`].
    pub fn prepared(&mut self, key: &str) -> Option<Arc<Prepared>> {
        match self.0.get(key) {
            Some(Entry::Prepared(prepared)) => Some(prepared.clone()),
            _ => None,
        }
    }

    /// Keeps what a job learnt.
    pub fn keep_prepared(&mut self, key: &str, prepared: Arc<Prepared>) {
        let weight = prepared.memory();
        self.0.put(key, Entry::Prepared(prepared), weight);
    }

    /// What jobs learnt of the timeline of a channel; see [`live_key`].
    pub fn live(&mut self, key: &str) -> Option<Arc<live::Prepared>> {
        match self.0.get(key) {
            Some(Entry::Live(prepared)) => Some(prepared.clone()),
            _ => None,
        }
    }

    /// Keeps what a job learnt of a timeline.
    pub fn keep_live(&mut self, key: &str, prepared: Arc<live::Prepared>) {
        let weight = prepared.memory();
        self.0.put(key, Entry::Live(prepared), weight);
    }

    /// An answer; see [`rendered_key`].
    pub fn rendered(&mut self, key: &str) -> Option<Rc<Response>> {
        match self.0.get(key) {
            Some(Entry::Rendered(response)) => Some(response.clone()),
            _ => None,
        }
    }

    /// Keeps an answer unless it holds many bytes of ours. Bytes of media are only named in it, never kept.
    pub fn keep_rendered(&mut self, key: &str, response: &Rc<Response>) {
        let mut last: Option<&Arc<SourceObject>> = None;
        let mut ours = 0;
        for part in &response.parts {
            ours += size_of::<Part>();
            ours += match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::Source { object, .. } if last.is_some_and(|last| Arc::ptr_eq(last, object)) => 0,
                Part::Source { object, .. } => {
                    last = Some(object);
                    object.memory()
                }
                Part::Made { recipe, .. } => recipe.memory(),
            };
        }
        if ours <= MAX_RENDERED_BYTES {
            self.0.put(key, Entry::Rendered(response.clone()), ours);
        }
    }
}

/// The key of a range of the index with this digest, or of a live one at this path.
pub fn index_key(digest: &str, range: &Range<u64>) -> String {
    format!("index {digest} {}-{}", range.start, range.end)
}

/// The key of what jobs learn under two documents; see [`crate::store::Resolved::identity`].
pub fn prepared_key(identity: &str) -> String {
    format!("prepared {identity}")
}

/// The key of what jobs learn of the timeline of a channel.
pub fn live_key(channel_group: &str, channel: &str) -> String {
    format!("live {channel_group}/{channel}")
}

/// The key of the answer to a resource under the documents that `identity` names.
pub fn rendered_key(resource: &impl Display, identity: &str) -> String {
    format!("rendered {resource} {identity}")
}

/// An empty memory for documents.
pub fn documents<V>() -> Lru<V> {
    Lru::new(DOCUMENT_BYTES)
}

/// An empty memory for timelines.
pub fn timelines<V>() -> Lru<V> {
    Lru::new(TIMELINE_BYTES)
}

/// Which reads are under way in this instance, so that equal ones wait for the first.
#[derive(Default)]
pub struct Flights(RefCell<HashSet<String>>);

/// A read that is under way until this is dropped.
pub struct Flight<'a> {
    flights: &'a Flights,
    key: String,
}

impl Flights {
    /// Takes off, unless the same is under way already.
    pub fn start(&self, key: &str) -> Option<Flight<'_>> {
        self.0.borrow_mut().insert(key.to_owned()).then(|| Flight { flights: self, key: key.to_owned() })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.0.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let mut lru = Lru::new(3 * (100 + ENTRY_BYTES));
        for key in ["a", "b", "c"] {
            lru.put(key, key, 100);
        }
        assert_eq!(lru.get("a"), Some(&mut "a"));
        lru.put("d", "d", 100);
        assert!(lru.get("b").is_none());
        for key in ["a", "c", "d"] {
            assert!(lru.get(key).is_some(), "{key}");
        }
        lru.put("e", "e", 200 + ENTRY_BYTES);
        assert!(lru.get("a").is_none() && lru.get("c").is_none() && lru.get("d").is_some() && lru.get("e").is_some());
        assert!(lru.weight <= lru.budget);
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_takes_the_old_value_with_it() {
        let mut lru = Lru::new(1000);
        lru.put("a", 1, 10);
        lru.put("a", 2, 1000);
        assert!(lru.get("a").is_none());
        assert_eq!((lru.weight, lru.slots.len(), lru.ages.len()), (0, 0, 0));
        lru.put("a", 3, usize::MAX);
        assert!(lru.get("a").is_none());
    }

    #[test]
    fn a_new_value_replaces_the_old_one_and_its_weight() {
        let mut lru = Lru::new(10_000);
        for weight in [10, 500, 20] {
            lru.put("a", weight, weight);
        }
        assert_eq!(lru.get("a"), Some(&mut 20));
        assert_eq!((lru.weight, lru.slots.len(), lru.ages.len()), (20 + ENTRY_BYTES, 1, 1));
    }

    #[test]
    fn one_flight_at_a_time() {
        let flights = Flights::default();
        let first = flights.start("a");
        assert!(first.is_some() && flights.start("a").is_none() && flights.start("b").is_some());
        drop(first);
        assert!(flights.start("a").is_some());
    }
}
