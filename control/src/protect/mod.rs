//! Content protection: what configurations and endpoints say of it, their keys, and how those become documents.

pub mod documents;
mod endpoint;
pub mod ingest;
pub mod job;
pub mod key_server;
pub mod key_set;
pub mod settings;
pub mod signalling;
mod source;
pub mod static_keys;
pub mod target;
pub mod view;

pub use key_set::KeySet;
pub use settings::{Protection, SecretText};
pub use target::{Stored, Target};
pub use view::ProtectionView;
