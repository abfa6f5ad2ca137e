//! Media to bytes.

pub mod fmp4;
pub mod init;
pub mod webvtt;
pub mod wvtt;
