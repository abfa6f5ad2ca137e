//! The neutral model that every source is read into and every output is made from.

pub mod cuts;
pub mod date;
pub mod delivery;
pub mod presentation;
pub mod protection;
pub mod sample;
pub mod segmenter;
pub mod time;
pub mod window;
