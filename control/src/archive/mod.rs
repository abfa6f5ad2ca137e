//! Storage of media and indexes.

mod origin_read;
mod storage;

pub use origin_read::{Conditions, OpenedObject, RangeRequest, Unopened};
pub use storage::{ObjectInfo, Storage, is_full};
