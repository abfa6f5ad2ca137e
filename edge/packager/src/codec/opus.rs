//! Opus in ISO BMFF: `OpusSpecificBox`.

use crate::bytes::bits::{Bits, Error, Result};

/// Reads the payload of `dOps` and gives the number of channels.
pub(super) fn channels(data: &[u8]) -> Result<u32> {
    let mut r = Bits::new(data);
    if r.byte()? != 0 {
        return Err(Error::Range);
    }
    let channels = u32::from(r.byte()?);
    // PreSkip, InputSampleRate, OutputGain
    r.take(8)?;
    if r.byte()? != 0 {
        r.take(2)?;
        r.take(channels as usize)?;
    }
    if channels == 0 { Err(Error::Range) } else { Ok(channels) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        assert_eq!(channels(&[0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]), Ok(2));
        assert_eq!(channels(&[0, 6, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 1, 4, 2, 0, 4, 1, 2, 3, 5]), Ok(6));
        assert_eq!(channels(&[0, 6, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 1, 4, 2, 0]), Err(Error::End));
        assert_eq!(channels(&[1; 11]), Err(Error::Range));
    }
}
