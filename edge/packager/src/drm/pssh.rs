//! Protection system specific header boxes (ISO/IEC 23001-7, 8.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::bytes::reader::{Reader, ShortRead};
use crate::bytes::writer::Writer;
use crate::config::Kid;
use crate::error::{Error, Result};
use crate::limits;

/// What the W3C calls the common system: a box that names key ids and nothing else (W3C, "cenc" Initialization Data Format,
/// 4). Players' Clear Key understands it.
pub const COMMON_SYSTEM: [u8; 16] = 0x1077efec_c0b2_4d02_ace3_3c1e52e2fb4b_u128.to_be_bytes();

/// A `pssh` box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pssh {
    /// System id.
    pub system: [u8; 16],
    /// Key ids of a box of version 1; `None` in one of version 0, which has no place for them.
    pub key_ids: Option<Vec<Kid>>,
    /// What only the system understands.
    pub data: Vec<u8>,
}

impl Pssh {
    /// The whole box.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.data.len());
        out.full_box(b"pssh", u8::from(self.key_ids.is_some()), 0, |b| {
            b.extend_from_slice(&self.system);
            if let Some(key_ids) = &self.key_ids {
                b.u32(key_ids.len() as u32);
                key_ids.iter().for_each(|kid| b.extend_from_slice(&kid.0));
            }
            b.u32(self.data.len() as u32);
            b.extend_from_slice(&self.data);
        });
        out
    }

    /// The whole box in standard base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.write())
    }

    /// Reads exactly one box of version 0 or 1. Sizes have to agree with each other to the byte.
    ///
    /// # Errors
    /// `BadSource` when it is anything else, `Limit` for more than [`limits::MAX_PSSH_KEY_IDS`] key ids.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > limits::MAX_SIGNALLING_BYTES {
            return Err(Error::limit(format!("pssh: {} bytes", bytes.len())));
        }
        Self::fields(&mut Reader::new(bytes, 0), bytes.len()).map_err(|e| e.context("pssh"))
    }

    /// Reads a whole box from standard base64. White space, with which some servers break lines, is left out.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_base64(text: &str) -> Result<Self> {
        Self::read(&super::decode_base64("pssh", text)?)
    }

    fn fields(reader: &mut Reader<'_>, length: usize) -> Result<Self> {
        let short = |e: ShortRead| Error::bad_source(e.to_string());
        let size = reader.u32().map_err(short)?;
        let kind: [u8; 4] = reader.array().map_err(short)?;
        if kind != *b"pssh" {
            return Err(Error::bad_source(format!("the box is a {:?}", kind.escape_ascii().to_string())));
        }
        if size as usize != length {
            return Err(Error::bad_source(format!("the box says {size} bytes, there are {length}")));
        }
        let version = reader.u32().map_err(short)?;
        let system = reader.array().map_err(short)?;
        let key_ids = match version {
            0 => None,
            0x0100_0000 => {
                let count = reader.u32().map_err(short)? as usize;
                if count > limits::MAX_PSSH_KEY_IDS {
                    return Err(Error::limit(format!("{count} key ids")));
                }
                Some((0..count).map(|_| reader.array().map(Kid)).collect::<Result<_, _>>().map_err(short)?)
            }
            other => return Err(Error::bad_source(format!("version and flags are {other:#010x}"))),
        };
        let bytes = reader.u32().map_err(short)? as usize;
        let data = reader.take(bytes).map_err(short)?.to_vec();
        match reader.left() {
            0 => Ok(Self { system, key_ids, data }),
            left => Err(Error::bad_source(format!("{left} bytes after the data"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes() -> [Pssh; 4] {
        let system = *b"0123456789abcdef";
        let two = vec![Kid([1; 16]), Kid([2; 16])];
        [
            Pssh { system, key_ids: None, data: Vec::new() },
            Pssh { system, key_ids: None, data: vec![7; 300] },
            Pssh { system, key_ids: Some(two), data: vec![8; 3] },
            Pssh { system, key_ids: Some(Vec::new()), data: Vec::new() },
        ]
    }

    #[test]
    fn boxes_survive_a_round_trip() {
        for pssh in boxes() {
            assert_eq!(Pssh::read(&pssh.write()).unwrap(), pssh);
            let broken = pssh.to_base64().replace('A', "A\n ");
            assert_eq!(Pssh::from_base64(&broken).unwrap(), pssh);
        }
    }

    #[test]
    fn what_is_not_exactly_one_box_is_refused() {
        for pssh in boxes() {
            let good = pssh.write();
            for end in 0..good.len() {
                assert!(Pssh::read(&good[..end]).is_err(), "{end}");
            }
            assert!(Pssh::read(&[good.as_slice(), &[0]].concat()).is_err());
            assert!(Pssh::read(&[good.as_slice(), &good].concat()).is_err());
            for at in (0..12).chain(28..32) {
                let mut bad = good.clone();
                bad[at] ^= 0x40;
                assert!(Pssh::read(&bad).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn counts_allocate_nothing() {
        let mut huge = Vec::new();
        huge.full_box(b"pssh", 1, 0, |b| {
            b.extend_from_slice(&COMMON_SYSTEM);
            b.u32(u32::MAX);
        });
        assert_eq!(Pssh::read(&huge).unwrap_err().kind(), crate::ErrorKind::Limit);
        assert!(Pssh::read(&vec![0; limits::MAX_SIGNALLING_BYTES + 1]).is_err());
    }
}
