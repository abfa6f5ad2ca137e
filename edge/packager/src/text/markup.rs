//! Cue text: escapes, and the timestamps inside it (WebVTT 4.2.2, "WebVTT cue timestamp").

use std::borrow::Cow;

use super::time::{self, Timestamp};

/// Writes plain text as cue text.
pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        escape_char(c, out);
    }
}

/// Writes a character as cue text.
pub(super) fn escape_char(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        _ => out.push(c),
    }
}

/// The next timestamp inside cue text: what is before its tag, its time, and what follows the tag.
fn next_timestamp(text: &str) -> Option<(&str, u64, &str)> {
    let mut from = 0usize;
    loop {
        let open = text.get(from..)?.find('<')?.checked_add(from)?;
        let (before, tag) = text.split_at_checked(open)?;
        let inside = tag.get(1..)?;
        if let Some((ms, rest)) = time::webvtt(inside)
            && let Some(after) = rest.strip_prefix('>')
        {
            return Some((before, ms, after));
        }
        from = open.checked_add(1)?;
    }
}

/// Whether parts of the text are shown at times of their own.
pub(crate) fn has_timestamps(text: &str) -> bool {
    next_timestamp(text).is_some()
}

/// Moves the timestamps inside cue text by `by` milliseconds; those that come before 0 become 0.
pub(super) fn move_timestamps(text: &str, by: i64) -> Cow<'_, str> {
    if by == 0 || !has_timestamps(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, ms, after)) = next_timestamp(rest) {
        out.push_str(before);
        out.push_str(&format!("<{}>", Timestamp(ms.saturating_add_signed(by))));
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_timestamps_move() {
        assert_eq!(move_timestamps("<b>a</b> < 00:01.000>", 5), Cow::Borrowed("<b>a</b> < 00:01.000>"));
        assert_eq!(
            move_timestamps("<00:01.000>a<<01:00:00.000><c>b</c><00:00.001>", 500),
            "<00:00:01.500>a<<01:00:00.500><c>b</c><00:00:00.501>"
        );
        assert_eq!(move_timestamps("<00:01.000", 500), "<00:01.000");
    }

    #[test]
    fn plain_text_has_no_tags() {
        let mut out = String::new();
        escape("a<b> & --> c", &mut out);
        assert_eq!(out, "a&lt;b&gt; &amp; --&gt; c");
    }
}
