//! Delivery of clear keys to players: who may have them, and how often they may ask.

mod limit;
pub mod token;

pub use limit::Limiter;
