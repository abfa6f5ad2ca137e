//! Live channels from outside: encoders that push, viewers that follow, and the rules that what they see has to keep.

use std::time::{SystemTime, UNIX_EPOCH};

mod archive;
mod audience;
mod channel;
mod clip;
mod dash;
mod encoder;
mod harvest;
mod hls;
mod later;
mod numbered;
mod pace;
mod pair;
mod player;
mod pusher;
mod recording;
mod rules;
mod tap;

pub use archive::whole_window;
pub use audience::{Audience, Stall, Viewer, Watched};
pub use channel::{Channel, Ingest};
pub use clip::{Clip, Container, Content, FRAMES, Heard, Spec};
pub use dash::DashRecorder;
pub use encoder::{Encoder, Feed, LADDER, SEGMENT_SECONDS};
pub use harvest::Harvest;
pub use hls::HlsRecorder;
pub use numbered::{Number, numbers};
pub use pace::Pace;
pub use pair::Pair;
pub use player::play;
pub use pusher::Pusher;
pub use recording::{Chunk, Recording, Track};
pub use rules::{Entry, Rules, Snapshot};
pub use tap::{Taken, Tap};

/// Now, milliseconds since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from(now.as_millis()).expect("milliseconds")
}
