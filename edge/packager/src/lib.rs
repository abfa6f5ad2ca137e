//! The sans-IO core of edgepack: from a stored index and a request to the bytes of a manifest or a segment.

pub mod access;
pub mod aes;
pub mod bytes;
pub mod cenc;
pub mod codec;
pub mod config;
pub mod drm;
pub mod error;
pub mod index;
pub mod ingest;
pub mod job;
pub mod limits;
pub mod live;
pub mod m3u8;
pub mod make;
pub mod manifest;
pub mod media;
pub mod mp4;
mod prepared;
pub mod response;
pub mod route;
pub mod sealing;
pub mod segment;
pub mod source;
pub mod text;
pub mod ts;

pub use error::{Error, ErrorKind, Result};
pub use prepared::Prepared;
