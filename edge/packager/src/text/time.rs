//! Timestamps: WebVTT 6.3 and what SubRip files make of it. All in milliseconds.

use core::fmt;

/// A latest time, so that sums of times cannot overflow: about three hundred thousand years.
const LATEST: u64 = 1 << 53;

/// Milliseconds, displayed as WebVTT writes them: `HH:MM:SS.mmm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0;
        write!(f, "{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
    }
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())
}

/// Exactly `count` digits.
fn exactly(text: &str, count: usize) -> Option<(u64, &str)> {
    let (digits, rest) = digits(text)?;
    Some((digits.parse().ok().filter(|_| digits.len() == count)?, rest))
}

fn sum(hours: u64, minutes: u64, seconds: u64, ms: u64) -> Option<u64> {
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let total = hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)?;
    total.checked_mul(1000)?.checked_add(ms).filter(|ms| *ms <= LATEST)
}

/// Reads a WebVTT timestamp (the steps "collect a WebVTT timestamp") from the start of `text`; gives what follows it.
pub fn webvtt(text: &str) -> Option<(u64, &str)> {
    let (first, rest) = digits(text)?;
    let value = first.parse::<u64>().ok()?;
    let hours = first.len() != 2 || value > 59;
    let (second, rest) = exactly(rest.strip_prefix(':')?, 2)?;
    let (hours, minutes, seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (third, rest) = exactly(rest, 2)?;
            (value, second, third, rest)
        }
        None if hours => return None,
        None => (0, value, second, rest),
    };
    let (ms, rest) = exactly(rest.strip_prefix('.')?, 3)?;
    Some((sum(hours, minutes, seconds, ms)?, rest))
}

/// Reads a SubRip timestamp from the start of `text`: hours are optional, the fraction has one to three digits after a
/// comma or a point, and fields may have one digit or spaces around them, as many tools write them.
pub fn subrip(text: &str) -> Option<(u64, &str)> {
    let number = |text| -> Option<(u64, &str)> {
        let (digits, rest) = digits(str::trim_start(text))?;
        Some((digits.parse().ok()?, rest.trim_start_matches(' ')))
    };
    let (first, rest) = number(text)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    let (hours, minutes, seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (third, rest) = number(rest)?;
            (first, second, third, rest)
        }
        None => (0, first, second, rest),
    };
    let (ms, rest) = match rest.strip_prefix([',', '.']) {
        Some(rest) => {
            let (fraction, rest) = digits(rest.trim_start_matches(' '))?;
            let scale = [100, 10, 1].get(fraction.len().checked_sub(1)?)?;
            (fraction.parse::<u64>().ok()? * scale, rest)
        }
        None => (0, rest),
    };
    Some((sum(hours, minutes, seconds, ms)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webvtt_timestamps_are_strict() {
        let read = |text| webvtt(text).map(|(ms, rest)| (ms, rest.len()));
        assert_eq!(read("00:01.500"), Some((1500, 0)));
        assert_eq!(read("01:02:03.004 x"), Some((3_723_004, 2)));
        assert_eq!(read("123:00:00.000"), Some((442_800_000, 0)));
        assert_eq!(read("60:00.000"), None, "sixty can only be hours, and then seconds are missing");
        assert_eq!(read("60:00:00.000"), Some((216_000_000, 0)));
        for bad in
            ["", "1:00.000", "00:60.000", "00:0.000", "00:00.00", "00:00.0000", "00:00,000", "00:00:00", ":00.000"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read("99999999999999999999:00:00.000"), None);
        assert_eq!(read("9999999999999999:00:00.000"), None);
    }

    #[test]
    fn subrip_timestamps_are_as_people_write_them() {
        let read = |text| subrip(text).map(|(ms, _)| ms);
        assert_eq!(read("00:00:01,234"), Some(1234));
        assert_eq!(read("0:0:1,2"), Some(1200));
        assert_eq!(read("01:02.003"), Some(62_003));
        assert_eq!(read("00 : 00 : 01 , 200"), Some(1200));
        assert_eq!(read("00:00:01"), Some(1000));
        assert_eq!(read("00:00:01,2345"), None);
        assert_eq!(read("--> 00:00:01,234"), None);
    }

    #[test]
    fn what_is_displayed_reads_back() {
        for ms in [0, 1, 999, 59_999, 3_599_999, 360_000_000, LATEST] {
            assert_eq!(webvtt(&Timestamp(ms).to_string()), Some((ms, "")));
        }
    }
}
