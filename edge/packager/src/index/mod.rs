//! The sidecar index of an asset. `docs/index.md` describes the bytes; the two files here write and read them.
//!
//! A head with everything that manifests need, then for each track one block of samples per cut. The blocks of a track
//! follow each other, so the samples of any segment are one stretch of the index.

pub mod block;
pub mod cues;
pub mod entry;
pub mod events;
pub mod head;

pub use head::{Fragment, Head, Track};
