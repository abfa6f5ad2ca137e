//! edgepack seen from outside: the release binary of the control plane, with the real component in its embedded edge, on
//! free ports, over a folder of its own.
//!
//! Nothing here skips: what is missing fails the test and says which command brings it.

pub mod browser;
pub mod control;
pub mod edge;
pub mod ffmpeg;
pub mod fmp4;
pub mod http;
pub mod live;
pub mod media;
pub mod mpd;
pub mod playlist;
pub mod source;
pub mod title;
pub mod tools;
pub mod ts;
pub mod vtt;

pub use control::{Asset, Control, Setup};
pub use edge::Edge;
