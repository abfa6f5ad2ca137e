//! The lines of a playlist (RFC 8216, 4.1).

use core::fmt;

use crate::error::{Error, Result};
use crate::limits;

/// A line, with its place for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Storage path of the playlist.
    pub playlist: &'a str,
    /// Counted from 1.
    pub number: usize,
    /// Without white space at its ends.
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// Name and value of a tag; `None` for a URI or a comment.
    pub fn tag(&self) -> Option<(&'a str, &'a str)> {
        if !self.text.starts_with("#EXT") {
            return None;
        }
        let (name, value) = self.text.split_once(':').unwrap_or((self.text, ""));
        Some((name.get(1..)?.trim_end(), value.trim()))
    }

    /// Whether it is a URI.
    pub fn is_uri(&self) -> bool {
        !self.text.is_empty() && !self.text.starts_with('#')
    }

    /// `BadSource` at this line.
    pub fn bad(&self, what: impl fmt::Display) -> Error {
        Error::bad_source(self.place(what))
    }

    /// `Unsupported` at this line.
    pub fn unsupported(&self, what: impl fmt::Display) -> Error {
        Error::unsupported(self.place(what))
    }

    /// `Limit` at this line.
    pub fn over_limit(&self, what: impl fmt::Display) -> Error {
        Error::limit(self.place(what))
    }

    /// A message with playlist and line in front.
    pub fn place(&self, what: impl fmt::Display) -> String {
        format!("{}: line {}: {what}", self.playlist, self.number)
    }
}

/// Takes a playlist apart. A byte order mark is allowed, although RFC 8216 forbids it.
///
/// # Errors
/// `Limit` when it is too long; `BadSource` when it is empty, no UTF-8, or does not begin with `#EXTM3U`.
pub(super) fn lines<'a>(path: &'a str, bytes: &'a [u8]) -> Result<Vec<Line<'a>>> {
    if bytes.len() > limits::MAX_PLAYLIST_BYTES {
        return Err(Error::limit(format!(
            "{path}: the playlist has {} bytes, more than {}",
            bytes.len(),
            limits::MAX_PLAYLIST_BYTES
        )));
    }
    let text = core::str::from_utf8(bytes).map_err(|e| {
        let line = bytes.get(..e.valid_up_to()).unwrap_or_default().iter().filter(|b| **b == b'\n').count() + 1;
        Error::bad_source(format!("{path}: line {line}: byte {} is no UTF-8, so this is no playlist", e.valid_up_to()))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Error::bad_source(format!("{path}: the playlist is empty")));
    }
    if !text.starts_with("#EXTM3U") {
        return Err(Error::bad_source(format!("{path}: line 1: a playlist begins with #EXTM3U, this does not")));
    }
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let line = Line { playlist: path, number: number + 1, text: text.trim() };
        if line.text.len() > limits::MAX_PLAYLIST_LINE_BYTES {
            return Err(line.over_limit(format_args!(
                "it has {} bytes, more than {}",
                line.text.len(),
                limits::MAX_PLAYLIST_LINE_BYTES
            )));
        }
        if line.tag().is_some_and(|(name, _)| name == "EXT-X-DEFINE") {
            return Err(line.unsupported("EXT-X-DEFINE: playlists with variables are not supported"));
        }
        if line.tag().is_some() || line.is_uri() {
            lines.push(line);
        }
    }
    Ok(lines)
}
