//! Live channels from outside: encoders that push, viewers that follow, and the rules that what they see has to keep.

mod channel;
mod clip;
mod dash;
mod encoder;
mod harvest;
mod hls;
mod later;
mod pace;
mod player;
mod pusher;
mod recording;
mod rules;

pub use channel::{Channel, Ingest};
pub use clip::{Clip, Container, Content, FRAMES, Heard, Spec};
pub use dash::DashRecorder;
pub use encoder::Encoder;
pub use harvest::Harvest;
pub use hls::HlsRecorder;
pub use pace::Pace;
pub use player::play;
pub use pusher::Pusher;
pub use recording::{Chunk, Recording, Track};
pub use rules::{Entry, Rules, Snapshot};
