//! Foreign layouts, read into the neutral model.

pub mod edit;
pub mod hls;
pub mod hls_cmaf;
pub mod mp4;
pub mod transport;
