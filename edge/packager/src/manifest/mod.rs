//! A snapshot of a title to the text of a manifest.

pub mod dash;
pub mod hls;
