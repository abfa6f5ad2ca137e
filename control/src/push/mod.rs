//! Documents on their way to edges.

mod client;
pub mod documents;
mod reconcile;
mod send;

pub use client::Client;
pub use reconcile::Reconciler;
pub use send::{Outcome, push_once};
