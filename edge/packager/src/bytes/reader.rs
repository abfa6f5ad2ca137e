//! A cursor over bytes that came from outside: it can run out, but it cannot run over.

/// A read went past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortRead {
    /// Position of the read, counted from the start of the whole input.
    pub at: u64,
    /// How many bytes were wanted.
    pub wanted: u64,
    /// How many were left.
    pub left: u64,
}

impl core::fmt::Display for ShortRead {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes wanted at byte {}, {} left", self.wanted, self.at, self.left)
    }
}

/// A big-endian cursor. `base` is where the slice stands in the whole input, for messages.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Reader<'a> {
    /// Reads `data`, whose first byte is byte `base` of the whole input.
    pub fn new(data: &'a [u8], base: u64) -> Self {
        Self { rest: data, at: base }
    }

    /// Position in the whole input.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// When fewer are left; nothing is consumed then.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ShortRead> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(ShortRead { at: self.at, wanted: count as u64, left: self.rest.len() as u64 });
        };
        self.rest = rest;
        self.at += count as u64;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ShortRead> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// An 8-bit number.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u8(&mut self) -> Result<u8, ShortRead> {
        self.array().map(u8::from_be_bytes)
    }

    /// A 16-bit number.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u16(&mut self) -> Result<u16, ShortRead> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u32(&mut self) -> Result<u32, ShortRead> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn u64(&mut self) -> Result<u64, ShortRead> {
        self.array().map(u64::from_be_bytes)
    }

    /// An unsigned LEB128 number of at most ten bytes, as the sidecar index uses them.
    ///
    /// # Errors
    /// As [`Self::take`]; a number past 64 bits reads as a short read too.
    pub fn varint(&mut self) -> Result<u64, ShortRead> {
        // One byte is by far the most frequent length.
        if let Some((&first, rest)) = self.rest.split_first()
            && first < 0x80
        {
            self.rest = rest;
            self.at += 1;
            return Ok(u64::from(first));
        }
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ShortRead { at: start, wanted: 11, left: 10 })
    }

    /// A signed number in zigzag form.
    ///
    /// # Errors
    /// As [`Self::varint`].
    pub fn zigzag(&mut self) -> Result<i64, ShortRead> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::writer::Writer;

    #[test]
    fn numbers_survive_a_round_trip() {
        let values = [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        let signed = [0, -1, 1, -64, 64, i64::MIN, i64::MAX];
        let mut out = Vec::new();
        values.iter().for_each(|v| out.varint(*v));
        signed.iter().for_each(|v| out.zigzag(*v));
        let mut reader = Reader::new(&out, 0);
        for value in values {
            assert_eq!(reader.varint(), Ok(value));
        }
        for value in signed {
            assert_eq!(reader.zigzag(), Ok(value));
        }
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn running_out_is_an_error_with_the_place() {
        let mut reader = Reader::new(&[1, 2, 3], 100);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u32(), Err(ShortRead { at: 102, wanted: 4, left: 1 }));
        assert_eq!(reader.u8(), Ok(3));
        assert!(Reader::new(&[0xff; 11], 0).varint().is_err());
        assert!(Reader::new(&[0xff, 0xff], 0).varint().is_err());
    }
}
