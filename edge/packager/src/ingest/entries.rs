//! Sample entries of the tracks of an asset, and why a track cannot be packaged.

use crate::codec::{self, Config};
use crate::error::Error;
use crate::mp4::movie::Handler;
use crate::source::mp4::OwnedEntry;
use crate::text;

/// What a sample entry says.
#[derive(Clone, Debug)]
pub enum Format {
    /// Of sound or picture.
    Media(Box<Config>),
    /// Of text.
    Text(text::Entry),
}

impl Format {
    /// Of sound or picture.
    pub fn config(&self) -> Option<&Config> {
        match self {
            Self::Media(config) => Some(config),
            Self::Text(_) => None,
        }
    }
}

/// Why a track cannot be packaged, and how far that reaches.
#[derive(Debug)]
pub enum Refusal {
    /// The others can be played without it.
    Track(Error),
    /// The asset would not be what its owner means.
    Asset(Error),
}

/// What a sample entry says.
pub fn read_entry(handler: Handler, entry: &OwnedEntry) -> Result<Format, Refusal> {
    let data = entry.bytes.get(entry.header..).unwrap_or_default();
    let place = format!("sample entry {} at byte {}", entry.kind, entry.offset);
    let handler = match handler {
        Handler::Video => codec::Handler::Video,
        Handler::Audio => codec::Handler::Audio,
        Handler::Text => {
            let read = text::Entry::read(entry.kind.0, data).map(Format::Text);
            return read.map_err(|error| Refusal::Track(error.context(place)));
        }
    };
    let sample_entry = codec::SampleEntry { fourcc: entry.kind.0, handler, data };
    let config = Config::parse(&sample_entry).map(|config| Format::Media(Box::new(config)));
    config.map_err(|error| match error.kind {
        codec::ErrorKind::Encrypted => Refusal::Asset(Error::unsupported(format!(
            "the media are encrypted ({place}); only clear media can be ingested"
        ))),
        codec::ErrorKind::Unsupported(_) => Refusal::Track(Error::unsupported(format!("{place}: {error}"))),
        codec::ErrorKind::Malformed => {
            let content = entry.offset + entry.header as u64;
            Refusal::Asset(Error::bad_source(format!("{place}, content from byte {content}: {error}")))
        }
    })
}
