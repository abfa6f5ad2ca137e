//! Which stretch of a live channel a viewer asks for: the query of a playback URL.

use core::fmt;

use crate::error::{Error, Result};
use crate::limits;
use crate::media::date;

/// The time shift that a query asks for. `Display` gives its one form, which playlists pass on to the playlists they name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// `start`: where the window begins, milliseconds since 1970 UTC.
    pub start_ms: Option<u64>,
    /// `end` or `vodend`: where it ends.
    pub end: Option<End>,
    /// `offset`: how many seconds it is behind the live edge.
    pub offset_seconds: Option<u32>,
}

/// Where a window ends, milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// `end`: it is live until then.
    Live(u64),
    /// `vodend`: it is whole and closed at once.
    Vod(u64),
}

impl End {
    /// When.
    pub fn ms(self) -> u64 {
        match self {
            Self::Live(ms) | Self::Vod(ms) => ms,
        }
    }
}

impl Query {
    /// Reads a query, without its question mark. Parameters of other names mean nothing here.
    ///
    /// # Errors
    /// `BadRequest` with the parameter: a value that is no time or number, a parameter given twice, `start` together with
    /// `offset`, a window that ends before it begins. `Limit` when it is too long.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > limits::MAX_QUERY_BYTES {
            return Err(Error::limit(format!("the query has more than {} bytes", limits::MAX_QUERY_BYTES)));
        }
        let (mut start_ms, mut end, mut vod_end, mut offset_seconds) = (None, None, None, None);
        for (name, value) in text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            match name {
                "start" => set(&mut start_ms, name, value, time(value))?,
                "end" => set(&mut end, name, value, time(value))?,
                "vodend" => set(&mut vod_end, name, value, time(value))?,
                "offset" => set(&mut offset_seconds, name, value, decimal(value))?,
                _ => {}
            }
        }
        if start_ms.is_some() && offset_seconds.is_some() {
            return Err(Error::bad_request("start and offset cannot be given together"));
        }
        let (name, end) = match (end, vod_end) {
            (_, Some(ms)) => ("vodend", Some(End::Vod(ms))),
            (Some(ms), None) => ("end", Some(End::Live(ms))),
            (None, None) => ("", None),
        };
        match (start_ms, end) {
            (Some(start), Some(end)) if end.ms() <= start => {
                let (end, start) = (date::format(end.ms()), date::format(start));
                return Err(Error::bad_request(format!("{name}: {end} is not after start, {start}")));
            }
            (None, Some(End::Vod(_))) => return Err(Error::bad_request("vodend: there is no start")),
            _ => {}
        }
        Ok(Self { start_ms, end, offset_seconds })
    }

    /// Whether it asks for nothing: the live edge.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first of its parameters, for messages.
    pub(super) fn first_name(&self) -> &'static str {
        match self {
            Self { start_ms: Some(_), .. } => "start",
            Self { offset_seconds: Some(_), .. } => "offset",
            Self { end: Some(End::Vod(_)), .. } => "vodend",
            _ => "end",
        }
    }
}

fn set<T>(out: &mut Option<T>, name: &str, value: &str, read: Option<T>) -> Result<()> {
    let wanted = match name {
        "offset" => "a number of seconds",
        _ => "a UTC time: RFC 3339 or seconds since 1970",
    };
    let read = read.ok_or_else(|| Error::bad_request(format!("{name}: {value:?} is not {wanted}")))?;
    if out.replace(read).is_some() {
        return Err(Error::bad_request(format!("{name} is given twice")));
    }
    Ok(())
}

/// RFC 3339, or seconds since 1970 with or without a fraction; in milliseconds.
fn time(value: &str) -> Option<u64> {
    let value = decoded(value)?;
    let (seconds, fraction) = value.split_once('.').unwrap_or((&value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) {
        return date::parse(&value);
    }
    let ms = fraction.bytes().chain([b'0'; 2]).take(3).fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0'));
    seconds.parse::<u64>().ok().filter(|s| *s <= MAX_SECONDS).map(|s| s * 1000 + ms)
}

/// The year 9999: dates have no form after it.
const MAX_SECONDS: u64 = 253_402_300_799;

fn decimal(value: &str) -> Option<u32> {
    value.bytes().all(|b| b.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

/// Takes percent signs away. A plus stays one, because zones of times begin with it.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            rest = after;
            let digit = |b: &u8| char::from(*b).to_digit(16);
            let [high, low] = digits else { return None };
            u8::try_from(digit(high)? << 4 | digit(low)?).ok()?
        } else {
            *first
        });
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut time = |f: &mut fmt::Formatter<'_>, name: &str, ms: u64| {
            write!(f, "{separator}{name}={}", ms / 1000)?;
            separator = "&";
            if ms.is_multiple_of(1000) { Ok(()) } else { write!(f, ".{:03}", ms % 1000) }
        };
        if let Some(ms) = self.start_ms {
            time(f, "start", ms)?;
        }
        match self.end {
            Some(End::Live(ms)) => time(f, "end", ms)?,
            Some(End::Vod(ms)) => time(f, "vodend", ms)?,
            None => {}
        }
        match self.offset_seconds {
            Some(seconds) => write!(f, "{separator}offset={seconds}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for (text, written) in [
            ("", ""),
            ("a=b&&token=%zz&start", "error"),
            ("utm=1&session=x", ""),
            ("start=1767225600", "start=1767225600"),
            ("start=2026-01-01T00:00:00Z", "start=1767225600"),
            ("start=2026-01-01T08%3A00%3A00.5%2b08:00", "start=1767225600.500"),
            ("start=2026-01-01T08:00:00+08:00&end=1767225601.25", "start=1767225600&end=1767225601.250"),
            ("end=1767225602&vodend=1767225601&start=1767225600", "start=1767225600&vodend=1767225601"),
            ("end=1767225602", "end=1767225602"),
            ("offset=30", "offset=30"),
            ("end=1767225602&offset=0", "end=1767225602&offset=0"),
        ] {
            let query = Query::parse(text);
            if written == "error" {
                assert!(query.is_err(), "{text}");
                continue;
            }
            let query = query.unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(query.to_string(), written);
            assert_eq!(Query::parse(written).unwrap(), query);
            assert_eq!(query.is_empty(), written.is_empty());
        }
    }

    #[test]
    fn refusals_name_the_parameter() {
        for (text, message) in [
            ("start=1767225600&offset=3", "start and offset"),
            ("offset=3&start=1767225600", "start and offset"),
            ("start=yesterday", "start: \"yesterday\" is not a UTC time"),
            ("end=", "end: \"\" is not"),
            ("vodend=99999999999999999999", "vodend: "),
            ("start=%GG", "start: "),
            ("start=2026-01-01T00:00:00%", "start: "),
            ("offset=-1", "offset: \"-1\" is not a number of seconds"),
            ("offset=4294967296", "offset: "),
            ("offset=+1", "offset: "),
            ("start=10&end=9", "end: 1970-01-01T00:00:09.000Z is not after start, 1970-01-01T00:00:10.000Z"),
            ("start=10&end=20&vodend=10", "vodend: "),
            ("vodend=10", "vodend: there is no start"),
            ("start=10&start=10", "start is given twice"),
        ] {
            let error = Query::parse(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::BadRequest, "{text}");
            assert!(error.message().starts_with(message), "{text}: {error}");
        }
        assert_eq!(Query::parse(&"a".repeat(5000)).unwrap_err().kind(), crate::ErrorKind::Limit);
    }
}
