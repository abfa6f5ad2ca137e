//! HLS playlists (RFC 8216bis).

mod keys;
mod live;
mod media;
mod multivariant;
mod renditions;

pub use live::{LiveIframe, live_iframes, live_media};
pub use media::{FIRST_SEQUENCE_NUMBER, Iframe, iframes, media};
pub use multivariant::multivariant;

/// Media type of every playlist (RFC 8216bis, 4).
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";
