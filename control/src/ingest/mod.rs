//! From stored media to playable assets.

pub mod assets;
mod playlist;
mod reading;
mod sweep;

pub use sweep::sweep_indexes;
