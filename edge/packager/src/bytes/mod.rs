//! Reading and writing bytes and bits, bounded.

pub mod bits;
