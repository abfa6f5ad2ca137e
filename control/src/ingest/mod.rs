//! From stored media to playable assets, and what encoders push.

pub mod assets;
mod playlist;
mod pushed_playlist;
mod pushed_segment;
pub(crate) mod reading;
pub mod receive;
mod receiver;
mod sweep;

pub use receiver::{MAX_CONCURRENT_UPLOADS, Receiver};
pub use sweep::{sweep_channels, sweep_indexes};
