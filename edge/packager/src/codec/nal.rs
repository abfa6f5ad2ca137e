//! NAL units of an elementary stream: which of them go into samples, and what they say about pictures (ITU-T H.264 clause
//! 7.4.1, ITU-T H.265 clause 7.4.2.2).

use super::hevc::layer_id;
use crate::bytes::bits::{Bits, Result};

/// H.264 or H.265.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NalCodec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
}

/// What a NAL unit is to a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Data of a picture.
    Slice {
        /// The first of its picture.
        first: bool,
        /// Where decoding can start.
        access: Access,
    },
    /// Goes into the sample of the picture after it.
    Leading,
    /// Goes into the sample of the picture before it.
    Trailing,
    /// Goes into the sample entry.
    ParameterSet,
    /// Goes nowhere: delimiters, ends of sequences, filler, enhancement layers, and what is no NAL unit.
    Dropped,
}

/// Whether decoding can start at a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// It cannot.
    #[default]
    None,
    /// Nothing after it refers to anything before it: IDR, BLA.
    Closed,
    /// Pictures shown before it may refer to what is before it: CRA, or a recovery point.
    Open,
}

impl NalCodec {
    /// What a NAL unit is, from its first bytes only.
    pub fn role(self, nal: &[u8]) -> Role {
        match self {
            Self::Avc => avc(nal),
            Self::Hevc => hevc(nal),
        }
    }

    /// Whether a NAL unit goes into the sample.
    pub fn keeps(self, nal: &[u8]) -> bool {
        !matches!(self.role(nal), Role::ParameterSet | Role::Dropped)
    }
}

fn avc(nal: &[u8]) -> Role {
    // One byte is a header without content; forbidden_zero_bit says that it is damaged.
    let [header, second, ..] = *nal else { return Role::Dropped };
    if header & 0x80 != 0 {
        return Role::Dropped;
    }
    // first_mb_in_slice of 0 is a single bit of 1.
    let first = second & 0x80 != 0;
    match header & 31 {
        1 | 2 => Role::Slice { first, access: Access::None },
        3 | 4 => Role::Slice { first: false, access: Access::None },
        5 => Role::Slice { first, access: Access::Closed },
        6 | 14 | 16..=18 => Role::Leading,
        7 | 8 | 13 | 15 => Role::ParameterSet,
        0 | 9..=12 => Role::Dropped,
        _ => Role::Trailing,
    }
}

fn hevc(nal: &[u8]) -> Role {
    let [header, _, third, ..] = *nal else { return Role::Dropped };
    if header & 0x80 != 0 || layer_id(nal) != 0 {
        return Role::Dropped;
    }
    let first = third & 0x80 != 0;
    match header >> 1 & 63 {
        0..=9 => Role::Slice { first, access: Access::None },
        16..=20 => Role::Slice { first, access: Access::Closed },
        21 => Role::Slice { first, access: Access::Open },
        32..=34 => Role::ParameterSet,
        35..=38 => Role::Dropped,
        39 | 41..=44 | 48..=55 => Role::Leading,
        _ => Role::Trailing,
    }
}

/// Messages of one SEI NAL unit that are looked at.
const MAX_MESSAGES: usize = 64;
/// `payloadType` of a recovery point.
const RECOVERY_POINT: u32 = 6;

/// `recovery_frame_cnt` of a recovery point in an SEI NAL unit of H.264 (clause D.1.8).
pub(super) fn recovery_frames(nal: &[u8]) -> Option<u32> {
    let mut r = Bits::nal(nal);
    if r.byte().ok()? & 31 != 6 {
        return None;
    }
    for _ in 0..MAX_MESSAGES {
        let kind = chained(&mut r).ok()?;
        let size = chained(&mut r).ok()?;
        if kind == RECOVERY_POINT {
            return r.ue().ok();
        }
        r.skip(size.checked_mul(8)?).ok()?;
    }
    None
}

/// `payloadType` and `payloadSize`: bytes of 255 that add up, and a last one.
fn chained(r: &mut Bits<'_>) -> Result<u32> {
    let mut value = 0u32;
    loop {
        let byte = r.byte()?;
        value = value.saturating_add(byte.into());
        if byte != 255 {
            return Ok(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles() {
        let avc = |nal: &[u8]| NalCodec::Avc.role(nal);
        assert_eq!(avc(&[0x65, 0x88]), Role::Slice { first: true, access: Access::Closed });
        assert_eq!(avc(&[0x41, 0x40]), Role::Slice { first: false, access: Access::None });
        assert_eq!(
            (avc(&[0x67, 1]), avc(&[0x09, 0xf0]), avc(&[0x06, 5])),
            (Role::ParameterSet, Role::Dropped, Role::Leading)
        );
        assert_eq!((avc(&[0x65]), avc(&[0xe5, 0x88]), avc(&[])), (Role::Dropped, Role::Dropped, Role::Dropped));
        let hevc = |nal: &[u8]| NalCodec::Hevc.role(nal);
        assert_eq!(hevc(&[0x26, 1, 0x80]), Role::Slice { first: true, access: Access::Closed });
        assert_eq!(hevc(&[0x2a, 1, 0x80]), Role::Slice { first: true, access: Access::Open });
        assert_eq!(hevc(&[0x02, 1, 0x00]), Role::Slice { first: false, access: Access::None });
        assert_eq!((hevc(&[0x40, 1, 0]), hevc(&[0x02, 9, 0x80])), (Role::ParameterSet, Role::Dropped));
        assert_eq!((hevc(&[0x4e, 1, 0]), hevc(&[0x7c, 1, 0])), (Role::Leading, Role::Trailing));
    }

    #[test]
    fn recovery_point() {
        assert_eq!(recovery_frames(&[6, 5, 1, 9, 6, 1, 0x84, 0x80]), Some(0));
        assert_eq!(recovery_frames(&[6, 6, 1, 0x44, 0x80]), Some(1));
        assert_eq!(recovery_frames(&[6, 5, 200, 1]), None);
    }
}
