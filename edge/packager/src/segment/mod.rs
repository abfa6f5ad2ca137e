//! Media to bytes.

pub mod fmp4;
pub mod init;
pub mod packed;
pub mod ts;
mod ts_audio;
mod ts_order;
mod ts_program;
mod ts_video;
