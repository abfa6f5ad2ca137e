//! HLS playlists (RFC 8216bis).

mod keys;
mod media;
mod multivariant;
mod renditions;

pub use media::{Iframe, iframes, media};
pub use multivariant::multivariant;

/// Media type of every playlist (RFC 8216bis, 4).
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";
