//! Media to bytes.

pub mod emsg;
pub mod fmp4;
pub mod gather;
pub mod init;
