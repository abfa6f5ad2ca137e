//! Media to bytes.

mod audio_setup;
mod auxiliary;
pub mod emsg;
pub mod fmp4;
pub mod gather;
pub mod init;
pub mod packed;
pub mod recipe;
pub mod sample_aes;
pub mod transport;
pub mod ts;
mod ts_audio;
mod ts_order;
mod ts_program;
mod ts_video;
pub mod webvtt;
pub mod wvtt;
