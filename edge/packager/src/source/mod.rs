//! Foreign layouts, read into the neutral model.

pub mod edit;
pub mod mp4;
pub mod transport;
