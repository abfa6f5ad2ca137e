//! Cues, and documents of them.

use std::borrow::Cow;

use super::map::TimestampMap;
use super::markup;
use crate::error::{Error, Result};
use crate::limits;

/// A piece of text and when it is shown.
///
/// Readers of this module give cues that can stand in a WebVTT file as they are: no line of `payload` is empty or holds
/// an arrow, `identifier` and `settings` are single lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cue {
    /// First moment, in milliseconds.
    pub start: u64,
    /// End, in milliseconds; after `start`.
    pub end: u64,
    /// WebVTT cue identifier; empty for none.
    pub identifier: String,
    /// WebVTT cue settings, `name:value` separated by single spaces; empty for none.
    pub settings: String,
    /// WebVTT cue text, lines separated by LF.
    pub payload: String,
}

/// A cue as an index holds it: borrowed, with its place in the order of all cues of the track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CueRef<'a> {
    /// Place among all cues of the track, from 0; the order is by `start`.
    pub ordinal: u32,
    /// First moment, in milliseconds.
    pub start: u64,
    /// End, in milliseconds; after `start`.
    pub end: u64,
    /// WebVTT cue identifier; empty for none.
    pub identifier: &'a str,
    /// WebVTT cue settings; empty for none.
    pub settings: &'a str,
    /// WebVTT cue text.
    pub payload: &'a str,
}

impl CueRef<'_> {
    /// A copy that owns its text.
    pub fn to_cue(&self) -> Cue {
        Cue {
            start: self.start,
            end: self.end,
            identifier: self.identifier.to_owned(),
            settings: self.settings.to_owned(),
            payload: self.payload.to_owned(),
        }
    }

    /// Whether the cue is shown at some moment of `start..end`, in milliseconds.
    pub fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start < end && self.end > start
    }
}

impl Cue {
    /// The cue as a reference, at its place among all cues.
    pub fn at(&self, ordinal: u32) -> CueRef<'_> {
        CueRef {
            ordinal,
            start: self.start,
            end: self.end,
            identifier: &self.identifier,
            settings: &self.settings,
            payload: &self.payload,
        }
    }

    /// Makes sure that the cue can stand in a WebVTT file as it is.
    pub(super) fn make_safe(&mut self) {
        if let Cow::Owned(changed) = line_safe(&self.identifier) {
            self.identifier = changed;
        }
        if let Cow::Owned(changed) = payload_safe(&self.payload) {
            self.payload = changed;
        }
        self.settings = settings(&self.settings);
    }

    /// Whether everything but the times is the same.
    pub(super) fn has_same_text(&self, other: &Self) -> bool {
        self.payload == other.payload && self.settings == other.settings && self.identifier == other.identifier
    }

    /// Moves the cue by `by` milliseconds, the timestamps inside its text too. What comes before 0 is cut off; `None`
    /// when nothing is left.
    pub fn moved(mut self, by: i64) -> Option<Self> {
        let end = self.end.checked_add_signed(by).filter(|end| *end > 0)?;
        self.start = self.start.saturating_add_signed(by);
        self.end = end;
        if let Cow::Owned(payload) = markup::move_timestamps(&self.payload, by) {
            self.payload = payload;
        }
        Some(self)
    }
}

/// What a text file or a text track holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// STYLE and REGION blocks, separated by blank lines and without one at the end: what has to stand in every segment.
    pub header: String,
    /// Cues, in the order of the source.
    pub cues: Vec<Cue>,
    /// How cue times relate to the transport stream of an HLS source.
    pub timestamp_map: Option<TimestampMap>,
    /// What was left out, and where; at most [`limits::MAX_WARNINGS`] and one that counts the rest.
    pub warnings: Vec<String>,
}

impl Document {
    /// Sorts the cues by their start; cues that start together keep their order.
    pub fn sort(&mut self) {
        self.cues.sort_by_key(|cue| cue.start);
    }

    /// Moves all cues by `by` milliseconds. Cues that end before 0 are left out.
    #[must_use]
    pub fn moved(mut self, by: i64) -> Self {
        self.cues = self.cues.into_iter().filter_map(|cue| cue.moved(by)).collect();
        self
    }

    /// Appends a cue of a source, made safe to write.
    ///
    /// # Errors
    /// `Limit`, with the place that `place` gives.
    pub(super) fn push(&mut self, mut cue: Cue, place: impl Fn() -> String) -> Result<()> {
        if self.cues.len() >= limits::MAX_TEXT_CUES {
            return Err(Error::limit(format!("{}: more than {} cues", place(), limits::MAX_TEXT_CUES)));
        }
        let bytes = cue.payload.len().saturating_add(cue.settings.len()).saturating_add(cue.identifier.len());
        if bytes > limits::MAX_CUE_BYTES {
            return Err(Error::limit(format!(
                "{}: a cue of {bytes} bytes, more than {}",
                place(),
                limits::MAX_CUE_BYTES
            )));
        }
        cue.make_safe();
        self.cues.push(cue);
        Ok(())
    }

    /// Appends a block of the header.
    ///
    /// # Errors
    /// `Limit`, with the place that `place` gives.
    pub(super) fn push_header(&mut self, block: &str, place: impl Fn() -> String) -> Result<()> {
        if self.header.len().saturating_add(block.len()) > limits::MAX_TEXT_HEADER_BYTES {
            return Err(Error::limit(format!(
                "{}: STYLE and REGION blocks of more than {} bytes",
                place(),
                limits::MAX_TEXT_HEADER_BYTES
            )));
        }
        if !self.header.is_empty() {
            self.header.push_str("\n\n");
        }
        self.header.push_str(block);
        Ok(())
    }
}

/// Collects warnings, and counts what is too much.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<String>,
    more: usize,
}

impl Warnings {
    pub fn push(&mut self, warning: impl FnOnce() -> String) {
        if self.kept.len() < limits::MAX_WARNINGS {
            self.kept.push(warning());
        } else {
            self.more += 1;
        }
    }

    pub fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("{} more of this kind", self.more));
        }
        self.kept
    }
}

/// The settings that have the form `name:value`, separated by single spaces.
fn settings(text: &str) -> String {
    let well_formed = |setting: &&str| {
        setting.split_once(':').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
            && !setting.contains("-->")
    };
    text.split_ascii_whitespace().filter(well_formed).collect::<Vec<_>>().join(" ").replace('\0', "\u{fffd}")
}

/// Text that can stand in a single line of a WebVTT file: no line end, no arrow.
pub(crate) fn line_safe(text: &str) -> Cow<'_, str> {
    if !text.contains(['\n', '\r', '\0']) && !text.contains("-->") {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(['\n', '\r'], " ").replace('\0', "\u{fffd}").replace("-->", "==>"))
}

/// Text that can stand as the lines of a WebVTT cue: no blank line, which would end it, and no arrow, which would begin
/// another.
pub(crate) fn payload_safe(text: &str) -> Cow<'_, str> {
    let safe = !text.contains(['\r', '\0'])
        && !text.contains("\n\n")
        && !text.starts_with('\n')
        && !text.ends_with('\n')
        && !text.contains("-->");
    if safe {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}").replace("-->", "--&gt;");
    let mut out = String::with_capacity(text.len());
    for line in text.trim_matches('\n').split('\n') {
        if !out.is_empty() {
            out.push('\n');
        }
        // A line of one space is shown as the blank line that was meant.
        out.push_str(if line.is_empty() { " " } else { line });
    }
    if out == " " {
        out.clear();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_can_be_smuggled() {
        assert_eq!(payload_safe("a\nb"), Cow::Borrowed("a\nb"));
        assert_eq!(payload_safe("a\n\n00:01.000 --> 00:02.000\r\nx\r\r"), "a\n \n00:01.000 --&gt; 00:02.000\nx");
        assert_eq!(payload_safe("\n\n"), "");
        assert_eq!(payload_safe("a--->b"), "a---&gt;b");
        assert_eq!(line_safe("a\r\nb --> c ---> d"), "a  b ==> c -==> d");
        for text in ["\n", "\r\r", "a\0", "--> --> -->", "---->", "\n \n", "x\n\n\ny"] {
            let once = payload_safe(text).into_owned();
            assert_eq!(payload_safe(&once), Cow::Borrowed(once.as_str()), "{text:?}");
            assert!(!once.contains("-->") && !once.contains("\n\n"));
            assert!(!line_safe(text).contains("-->") && !line_safe(text).contains(['\n', '\r']));
        }
    }

    #[test]
    fn only_settings_of_the_right_form_stay() {
        assert_eq!(
            settings(" line:0   align:start\t:x y: z position:50%,center "),
            "line:0 align:start position:50%,center"
        );
    }

    #[test]
    fn a_cue_moves_with_its_inner_timestamps() {
        let cue = |start, end, payload: &str| Cue { start, end, payload: payload.into(), ..Cue::default() };
        let moved = cue(5000, 7000, "a<00:00:06.000>b").moved(-5500).unwrap();
        assert_eq!(moved, cue(0, 1500, "a<00:00:00.500>b"));
        assert_eq!(cue(5000, 7000, "").moved(-7000), None);
        assert_eq!(cue(5000, 7000, "").moved(i64::MIN), None);
        assert!(cue(5000, 7000, "x").moved(i64::MAX).is_some());
    }
}
