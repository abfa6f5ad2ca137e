//! Common encryption (ISO/IEC 23001-7): which bytes of a sample are protected, and with which initialisation vector.

pub mod subsample;
