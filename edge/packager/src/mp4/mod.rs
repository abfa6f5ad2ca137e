//! ISO BMFF (ISO/IEC 14496-12): reading of what stored media need, and writing of what CMAF needs.

pub mod boxes;
pub mod fragment;
pub mod movie;
pub mod sample_table;

pub use boxes::{Box, FourCc};
