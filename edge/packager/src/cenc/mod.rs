//! Common encryption (ISO/IEC 23001-7): which bytes of a sample are protected, and with which initialisation vector.

mod cipher;
pub mod subsample;

pub use cipher::{Cipher, Mode, VIDEO_PATTERN, counter_base};
