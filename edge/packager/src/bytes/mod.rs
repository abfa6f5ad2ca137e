//! Bounded reading of bits and bytes, and plain writing of big-endian bytes.

pub mod bits;
pub mod reader;
pub mod writer;

pub use reader::Reader;
