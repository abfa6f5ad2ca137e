//! Bounded reading and plain writing of big-endian bytes.

pub mod reader;
pub mod writer;

pub use reader::Reader;
