//! Foreign layouts, read into the neutral model.

pub mod mp4;
