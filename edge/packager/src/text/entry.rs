//! Sample entries of text tracks in MP4 files.

use super::{stpp, tx3g, wvtt};
use crate::error::{Error, Result};
use crate::mp4::boxes::FourCc;

/// Which cues are to be shown to viewers who asked for no subtitles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forced {
    /// None.
    #[default]
    None,
    /// Some; their samples say so.
    Some,
    /// All.
    All,
}

/// A sample entry of timed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `wvtt`: WebVTT, ISO/IEC 14496-30 clause 6.
    Wvtt(wvtt::Entry),
    /// `tx3g`: 3GPP timed text, TS 26.245.
    Tx3g(tx3g::Entry),
    /// `stpp`: XML (TTML), ISO/IEC 14496-12 clause 12.6.3.
    Stpp(stpp::Entry),
}

impl Entry {
    /// Reads a sample entry. `data` is what follows its box header.
    ///
    /// # Errors
    /// `Unsupported` for other types, `BadSource` when it is broken, `Limit` when its header blocks are too large.
    pub fn read(kind: [u8; 4], data: &[u8]) -> Result<Self> {
        match &kind {
            b"wvtt" => wvtt::Entry::read(data).map(Self::Wvtt),
            b"tx3g" => tx3g::Entry::read(data).map(Self::Tx3g),
            b"stpp" => stpp::Entry::read(data).map(Self::Stpp),
            b"enct" | b"encs" => Err(Error::unsupported(format!("the text is encrypted ({})", FourCc(kind)))),
            _ => Err(Error::unsupported(format!(
                "text of the type {} is not handled: wvtt, tx3g and stpp are",
                FourCc(kind)
            ))),
        }
    }

    /// RFC 6381 string of the track as it is packaged; text in `tx3g` becomes WebVTT. `sample` is a sample of an `stpp`
    /// track, whose profile it may name.
    pub fn codecs(&self, sample: Option<&[u8]>) -> String {
        match self {
            Self::Wvtt(_) | Self::Tx3g(_) => "wvtt".to_owned(),
            Self::Stpp(entry) => entry.codecs(sample),
        }
    }

    /// Whether the entry says that its text is forced.
    pub fn forced(&self) -> Forced {
        match self {
            Self::Tx3g(entry) => entry.forced,
            Self::Wvtt(_) | Self::Stpp(_) => Forced::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn other_entries_are_refused_by_name() {
        for (kind, word) in [(*b"text", "text"), (*b"c608", "c608"), (*b"enct", "encrypted")] {
            let error = Entry::read(kind, &[0; 64]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(word), "{error}");
        }
    }

    #[test]
    fn tx3g_is_packaged_as_webvtt() {
        let entry = Entry::read(*b"tx3g", &[0; 64]).unwrap();
        assert_eq!((entry.codecs(None), entry.forced()), ("wvtt".to_owned(), Forced::None));
    }
}
