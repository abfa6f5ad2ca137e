//! Byte ranges: the `Range` field of a request and the `Content-Range` field of a response (RFC 9110, 14).

use core::ops::Range;

/// What a `Range` field asks of a body whose length is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The whole body: there is no range, it is malformed, has another unit, or names several ranges.
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// A well-formed range that the body does not reach.
    Unsatisfiable,
}

/// Reads a `Range` field (RFC 9110, 14.1.2 and 14.2). Of several ranges the whole body is sent, as 14.2 allows.
pub fn wanted(field: &str, length: u64) -> Wanted {
    parse(field, length).unwrap_or(Wanted::Whole)
}

fn parse(field: &str, length: u64) -> Option<Wanted> {
    let (unit, set) = field.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let range = if first.is_empty() {
        length.saturating_sub(number(last)?)..length
    } else {
        let first = number(first)?;
        let end = if last.is_empty() {
            length
        } else {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(length)
        };
        first..end
    };
    Some(if range.start < range.end { Wanted::Part(range) } else { Wanted::Unsatisfiable })
}

/// 1*DIGIT; what does not fit into 64 bits lies beyond every body.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The `Range` field that asks for `range`, which is not empty.
pub fn request_field(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// The `Content-Range` field of a 206 with `range` of a body of `length` bytes.
pub fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
}

/// Reads the `Content-Range` field of a 206: the range, and the length of the whole if it is told.
pub fn parse_content_range(field: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (unit, rest) = field.trim().split_once(' ')?;
    let (range, length) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let length = if length == "*" { None } else { Some(number(length)?) };
    let sound = unit.eq_ignore_ascii_case("bytes") && first <= last && length.is_none_or(|n| last < n);
    sound.then_some((first..last.saturating_add(1), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_taken() {
        for (field, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-499", 0..500),
            ("bytes=500-999", 500..1000),
            ("bytes=9500-", 9500..10_000),
            ("bytes=9999-", 9999..10_000),
            ("bytes=-500", 9500..10_000),
            ("bytes=-10001", 0..10_000),
            ("bytes=9000-20000", 9000..10_000),
            ("bytes=0-99999999999999999999999", 0..10_000),
            ("bytes=-99999999999999999999999", 0..10_000),
            ("Bytes=1-2", 1..3),
            ("bytes= 1-2", 1..3),
        ] {
            assert_eq!(wanted(field, 10_000), Wanted::Part(range), "{field}");
        }
    }

    #[test]
    fn a_range_beyond_the_body_is_unsatisfiable() {
        for field in ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(field, 10_000), Wanted::Unsatisfiable, "{field}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn what_is_malformed_or_several_is_the_whole() {
        for field in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=--5",
            "bytes=1",
            "bytes=0-1,5-6",
            "bytes=0-1,",
            "items=0-1",
            "bytes=0x1-2",
            "bytes=1 -2",
        ] {
            assert_eq!(wanted(field, 10_000), Wanted::Whole, "{field}");
        }
    }

    #[test]
    fn content_ranges_are_read_as_they_are_written() {
        for (range, length) in [(0..1, 1), (5..10, 100), (99..100, 100)] {
            assert_eq!(parse_content_range(&content_range(&range, length)), Some((range, Some(length))));
        }
        assert_eq!(parse_content_range("bytes 0-9/*"), Some((0..10, None)));
        for bad in ["", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "items 0-1/10", "bytes 0-1", "bytes a-b/c"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
        assert_eq!(request_field(&(5..10)), "bytes=5-9");
    }
}
