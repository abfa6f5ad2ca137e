//! FairPlay Streaming, in HLS only.

use super::line::Line;
use crate::config::{Kid, Scheme};

/// KEYFORMAT.
pub const FORMAT: &str = "com.apple.streamingkeydelivery";

/// The line for a key. The initialisation vector comes with the licence, so no IV stands here.
pub fn line(scheme: Scheme, uri: &str) -> Line {
    Line::new(scheme, uri).in_format(FORMAT)
}

/// Where a key is when nothing else was said: licence servers that look keys up find the key id.
pub fn uri(kid: Kid) -> String {
    format!("skd://{kid}")
}
