//! Documents on their way to edges.

mod client;
pub mod documents;
mod push;
mod reconcile;

pub use client::Client;
pub use push::{Outcome, push_once};
pub use reconcile::Reconciler;
