//! HLS playlists as a source (RFC 8216): a multivariant playlist, and the media playlists that it names.
//!
//! Lines are told apart here, so that every message names one, and each tag is then read by `m3u8-rs` on its own: nothing
//! in one line can change how another is read, and reading takes time in proportion to the length.

mod attributes;
mod line;
mod media;
mod multivariant;
mod tag;
mod uri;

pub use media::{Map, Media, Segment};
pub use multivariant::{InstreamId, Multivariant, Rendition, RenditionKind, Variant};
