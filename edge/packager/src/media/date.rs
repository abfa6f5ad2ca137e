//! Dates as manifests and requests write them (RFC 3339, UTC), and milliseconds since 1970.

/// The days of a cycle of the Gregorian calendar: 400 years.
const CYCLE_DAYS: u64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years that begin in March have their leap day at the end.
const EPOCH_DAYS: u64 = 719_468;
/// The last millisecond of the year 9999, behind which dates have no form.
const MAX_MS: u64 = 253_402_300_799_999;

/// `2026-01-31T09:05:00.250Z`; times after the year 9999 are given as its last.
pub fn format(ms: u64) -> String {
    let ms = ms.min(MAX_MS);
    let (days, of_day) = (ms / 86_400_000 + EPOCH_DAYS, ms % 86_400_000);
    let (cycle, of_cycle) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / (CYCLE_DAYS - 1)) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let (month, next) = if march < 10 { (march + 3, 0) } else { (march - 9, 1) };
    let year = cycle * 400 + year + next;
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Reads an RFC 3339 date and time from 1970 on, to whole milliseconds; what is smaller is cut off. A leap second is the
/// second after it. `None` when it is none.
pub fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) || day == 0 || day > days_of(year, month) {
        return None;
    }
    let (time, rest) = rest.split_at_checked(8)?;
    let mut parts = time.split(':');
    let (hour, minute, second) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (ms, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at_checked(digits).filter(|_| digits > 0)?;
            let thousandths = fraction.bytes().chain([b'0'; 2]).take(3);
            (thousandths.fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0')), zone)
        }
    };
    let shifted = if month > 2 { year } else { year.checked_sub(1)? };
    let (cycle, of_cycle) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = cycle * CYCLE_DAYS + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year;
    let seconds = (days.checked_sub(EPOCH_DAYS)? * 24 + hour) * 3600 + minute * 60 + second;
    let local = i64::try_from(seconds).ok()?;
    let utc = u64::try_from(local - offset(zone)?).ok()?;
    Some(utc * 1000 + ms).filter(|ms| *ms <= MAX_MS)
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some(sign * seconds)
}

fn days_of(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn number(text: &str, digits: usize) -> Option<u64> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2026-11-21T16:04:00.250Z", 1_795_277_040_250),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
            ("9999-12-31T23:59:59.999Z", MAX_MS),
        ] {
            assert_eq!(format(ms), text);
            assert_eq!(parse(text), Some(ms));
        }
        for day in 0..60_000 {
            let ms = day * 86_400_000 + day;
            assert_eq!(parse(&format(ms)), Some(ms));
        }
        assert_eq!(format(u64::MAX), format(MAX_MS));
    }

    #[test]
    fn zones_and_fractions() {
        assert_eq!(parse("2026-01-01T08:00:00+08:00"), parse("2026-01-01T00:00:00Z"));
        assert_eq!(parse("2025-12-31T19:30:00.5-04:30"), parse("2026-01-01T00:00:00.500Z"));
        assert_eq!(parse("2026-01-01t00:00:00.1239999z"), parse("2026-01-01T00:00:00.123Z"));
        for bad in [
            "",
            "2026-01-01",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+8:00",
            "2026-01-01T00:00:00+24:00",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-01-0\u{e9}T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
