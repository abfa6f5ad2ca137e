//! Live output: from the timeline of a channel to the manifests and segments of an endpoint. `docs/live.md` tells how
//! positions, periods, parts and segments go together.
//!
//! A [`Job`] is what [`crate::job::Job`] is for assets: it says what to fetch until it has the answer.

mod append;
mod archive;
mod harvest;
mod iframes;
mod job;
mod numbering;
mod part;
mod query;
mod relocate;
mod renditions;
mod segment;
mod window;

pub use append::{Change, append, check};
pub use archive::{Fetch, Prepared};
pub use harvest::{Harvested, Stretch, index, split};
pub use job::{Documents, Job, Step, tag};
pub use numbering::{Numbering, Place};
pub use query::{End, Query};
pub use relocate::{objects, relocate};
