//! Ticks, timescales, and the one way to go from one to another.

use core::cmp::Ordering;

/// `value` ticks of 1/`from` s in ticks of 1/`to` s, rounded to the nearest, halves up. Saturates at the ends of `i64`.
pub fn rescale(value: i64, from: u32, to: u32) -> i64 {
    let (from, to) = (i128::from(from.max(1)), i128::from(to));
    let scaled = (i128::from(value) * to * 2 + from).div_euclid(from * 2);
    scaled.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// A point in time: ticks of 1/`timescale` s.
#[derive(Clone, Copy, Debug)]
pub struct Instant {
    /// Ticks.
    pub ticks: i64,
    /// Ticks a second.
    pub timescale: u32,
}

impl Instant {
    /// Compares exactly.
    pub fn order(self, other: Self) -> Ordering {
        let left = i128::from(self.ticks) * i128::from(other.timescale);
        left.cmp(&(i128::from(other.ticks) * i128::from(self.timescale)))
    }

    /// In ticks of another timescale, rounded as [`rescale`] does.
    pub fn in_timescale(self, timescale: u32) -> i64 {
        rescale(self.ticks, self.timescale, timescale)
    }

    /// In nanoseconds, rounded as [`rescale`] does.
    pub fn nanoseconds(self) -> i64 {
        self.in_timescale(1_000_000_000)
    }
}

impl core::fmt::Display for Instant {
    /// Seconds with six decimals.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let micros = self.in_timescale(1_000_000);
        let sign = if micros < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:06} s", micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000)
    }
}

/// The greatest common divisor; 0 only of nothing but zeros.
pub fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_on_both_sides_of_zero() {
        assert_eq!(rescale(1, 2, 1), 1);
        assert_eq!(rescale(-1, 2, 1), 0);
        assert_eq!(rescale(-3, 2, 1), -1);
        assert_eq!(rescale(1024, 48_000, 90_000), 1920);
        assert_eq!(rescale(i64::MAX, 1, u32::MAX), i64::MAX);
    }

    #[test]
    fn equal_times_are_equal_in_any_timescale() {
        let a = Instant { ticks: 1001, timescale: 30_000 };
        let b = Instant { ticks: 3003, timescale: 90_000 };
        assert_eq!(a.order(b), Ordering::Equal);
        assert_eq!(a.to_string(), "0.033367 s");
    }
}
