//! Bodies that are made from media while they are sent: samples taken out of a source, and written into an output.
//!
//! A [`Recipe`] says what is read and what comes of it; its length is known before a byte of media is. A [`Maker`] carries
//! it out: the caller gives it bytes of the objects as they arrive and takes the bytes of the body.

mod encryptor;
mod envelope;
mod input;
mod maker;
mod samples;

pub use crate::segment::recipe::{Program, Read, Recipe, Section, Share, Stream};
pub use input::Input;
pub use maker::{Maker, Progress};
