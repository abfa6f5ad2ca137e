//! A bounded bit cursor, most significant bit first, with Exp-Golomb codes (ITU-T H.264 clause 9.1) and, for NAL units,
//! emulation prevention bytes left out while reading (clause 7.3.1).

use core::fmt;

/// Why bits could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The data ends before the element does.
    End,
    /// A value that the syntax does not allow.
    Range,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "ends too early",
            Self::Range => "has a value out of range",
        })
    }
}

impl core::error::Error for Error {}

/// Shorthand of this module.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// A bit cursor over bytes. It reads no byte before a bit of it is asked for.
#[derive(Clone, Debug)]
pub struct Bits<'a> {
    data: &'a [u8],
    next: usize,
    current: u8,
    left: u32,
    zeros: u8,
    nal: bool,
}

impl<'a> Bits<'a> {
    /// Reads plain bytes.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, current: 0, left: 0, zeros: 0, nal: false }
    }

    /// Reads a NAL unit: a byte 3 after two zero bytes is left out.
    pub fn nal(data: &'a [u8]) -> Self {
        Self { nal: true, ..Self::new(data) }
    }

    fn load(&mut self) -> Result<()> {
        let mut byte = *self.data.get(self.next).ok_or(Error::End)?;
        self.next += 1;
        if self.nal {
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                byte = *self.data.get(self.next).ok_or(Error::End)?;
                self.next += 1;
            }
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        }
        self.current = byte;
        self.left = 8;
        Ok(())
    }

    /// One bit as a flag.
    ///
    /// # Errors
    /// [`Error::End`].
    pub fn flag(&mut self) -> Result<bool> {
        if self.left == 0 {
            self.load()?;
        }
        self.left -= 1;
        Ok((self.current >> self.left) & 1 == 1)
    }

    /// `count` bits, at most 32, as a number.
    ///
    /// # Errors
    /// [`Error::End`]; [`Error::Range`] when more than 32 bits are asked for.
    pub fn bits(&mut self, count: u32) -> Result<u32> {
        if count > 32 {
            return Err(Error::Range);
        }
        let mut value = 0u64;
        let mut wanted = count;
        while wanted > 0 {
            if self.left == 0 {
                self.load()?;
            }
            let take = wanted.min(self.left);
            self.left -= take;
            let part = (u64::from(self.current) >> self.left) & ((1 << take) - 1);
            value = (value << take) | part;
            wanted -= take;
        }
        Ok(value as u32)
    }

    /// Eight bits.
    ///
    /// # Errors
    /// [`Error::End`].
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.bits(8)? as u8)
    }

    /// Passes over bits.
    ///
    /// # Errors
    /// [`Error::End`].
    pub fn skip(&mut self, count: u32) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let step = left.min(32);
            self.bits(step)?;
            left -= step;
        }
        Ok(())
    }

    /// `ue(v)`.
    ///
    /// # Errors
    /// [`Error::End`]; [`Error::Range`] for a code of more than 32 leading zeros or a value above `u32::MAX - 1`.
    pub fn ue(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Error::Range);
            }
        }
        let rest = self.bits(zeros)?;
        Ok(((1u64 << zeros) - 1 + u64::from(rest)) as u32)
    }

    /// `ue(v)` that must not pass `max`.
    ///
    /// # Errors
    /// [`Error::End`]; [`Error::Range`].
    pub fn ue_max(&mut self, max: u32) -> Result<u32> {
        let value = self.ue()?;
        if value > max { Err(Error::Range) } else { Ok(value) }
    }

    /// `se(v)`.
    ///
    /// # Errors
    /// As [`Self::ue`].
    pub fn se(&mut self) -> Result<i32> {
        let value = i64::from(self.ue()?);
        Ok((if value & 1 == 1 { (value + 1) / 2 } else { -(value / 2) }) as i32)
    }

    /// `su(n)` of AV1: `count` bits, the first of them the sign.
    ///
    /// # Errors
    /// [`Error::End`].
    pub fn su(&mut self, count: u32) -> Result<i32> {
        let value = i64::from(self.bits(count)?);
        let sign = 1i64.checked_shl(count.saturating_sub(1)).unwrap_or(0);
        Ok((if value & sign != 0 { value - 2 * sign } else { value }) as i32)
    }

    /// Bytes of the input that were touched, emulation prevention bytes included: a byte that was begun counts.
    pub fn touched(&self) -> usize {
        self.next
    }

    /// Bits of the input that were read, in plain bytes.
    pub fn position(&self) -> usize {
        self.next * 8 - self.left as usize
    }

    /// Whether the cursor stands between two bytes.
    pub fn aligned(&self) -> bool {
        self.left == 0
    }

    /// Passes over the rest of a byte that was begun.
    pub fn align(&mut self) {
        self.left = 0;
    }

    /// The bytes after the ones that were touched.
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.next..).unwrap_or_default()
    }

    /// The next `count` whole bytes as they are stored, after [`Self::align`].
    ///
    /// # Errors
    /// [`Error::End`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        self.align();
        let end = self.next.checked_add(count).ok_or(Error::End)?;
        let bytes = self.data.get(self.next..end).ok_or(Error::End)?;
        self.next = end;
        self.zeros = 0;
        Ok(bytes)
    }
}

/// `Ceil(Log2(count))`: the bits that number `count` things; 0 for none or one.
pub fn ceil_log2(count: u32) -> u32 {
    if count <= 1 { 0 } else { 32 - (count - 1).leading_zeros() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_of_table_9_2() {
        // 1 010 011 00100 00101 | then se: 1 010 011 00100
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1101_0011, 0b0010_0000]);
        assert_eq!([(); 5].map(|()| bits.ue().unwrap()), [0, 1, 2, 3, 4]);
        assert_eq!([(); 4].map(|()| bits.se().unwrap()), [0, 1, -1, 2]);
    }

    #[test]
    fn emulation_prevention_is_left_out_lazily() {
        let mut bits = Bits::nal(&[0, 0, 3, 1, 0, 0, 3]);
        assert_eq!(bits.bits(16).unwrap(), 0);
        assert_eq!(bits.touched(), 2, "the byte 3 belongs to what follows");
        assert_eq!(bits.byte().unwrap(), 1);
        assert_eq!(bits.touched(), 4);
        assert_eq!(bits.bits(16).unwrap(), 0);
        assert_eq!(bits.byte(), Err(Error::End));
    }

    #[test]
    fn bounds() {
        assert_eq!(Bits::new(&[0; 8]).ue(), Err(Error::Range));
        assert_eq!(Bits::new(&[0]).ue(), Err(Error::End));
        assert_eq!(Bits::new(&[0; 8]).bits(33), Err(Error::Range));
        assert_eq!(Bits::new(&[1, 2]).take(3), Err(Error::End));
        assert_eq!(Bits::new(&[0xff]).su(4).unwrap(), -1);
        assert_eq!([0, 1, 2, 3, 4, 5].map(ceil_log2), [0, 0, 1, 2, 2, 3]);
    }
}
