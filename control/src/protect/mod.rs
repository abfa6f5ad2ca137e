//! Content protection: what configurations say of it, the keys of assets, and how they become documents.

pub mod documents;
pub mod ingest;
pub mod job;
pub mod key_server;
pub mod key_set;
pub mod settings;
pub mod signalling;
mod source;
pub mod static_keys;
pub mod view;

pub use key_set::KeySet;
pub use settings::{Protection, SecretText};
pub use source::protection as settings_of;
pub use view::ProtectionView;
