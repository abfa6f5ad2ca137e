//! Widevine: the `WidevinePsshData` message in a `pssh` box of version 0.
//!
//! The message is a protocol buffer. Its field `algorithm` (1, AES-CTR) is read but not written: it was replaced by
//! `protection_scheme`, says nothing true about cbcs, and licence servers look at the key ids only; shaka-packager dropped
//! it too. Players from before `protection_scheme` take counter mode when neither is there.

use super::pssh::Pssh;
use crate::bytes::reader::{Reader, ShortRead};
use crate::bytes::writer::Writer;
use crate::config::{Kid, Scheme, System};
use crate::error::{Error, Result};
use crate::limits;

/// The message. Fields that nothing here needs are skipped when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Field 1, an old form of `protection_scheme`: 1 is AES-CTR.
    pub algorithm: Option<u64>,
    /// Field 2.
    pub key_ids: Vec<Kid>,
    /// Field 3: name of the content provider.
    pub provider: Option<String>,
    /// Field 4: what the provider calls the content.
    pub content_id: Option<Vec<u8>>,
    /// Field 9: the four characters of the scheme, as a number.
    pub protection_scheme: Option<u32>,
}

const ALGORITHM: u64 = 1;
const KEY_IDS: u64 = 2;
const PROVIDER: u64 = 3;
const CONTENT_ID: u64 = 4;
const PROTECTION_SCHEME: u64 = 9;

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

impl Header {
    /// The message, fields in ascending order.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let bytes = |out: &mut Vec<u8>, field: u64, value: &[u8]| {
            out.varint(field << 3 | BYTES);
            out.blob(value);
        };
        let number = |out: &mut Vec<u8>, field: u64, value: Option<u64>| {
            if let Some(value) = value {
                out.varint(field << 3 | VARINT);
                out.varint(value);
            }
        };
        number(&mut out, ALGORITHM, self.algorithm);
        self.key_ids.iter().for_each(|kid| bytes(&mut out, KEY_IDS, &kid.0));
        if let Some(provider) = &self.provider {
            bytes(&mut out, PROVIDER, provider.as_bytes());
        }
        if let Some(content_id) = &self.content_id {
            bytes(&mut out, CONTENT_ID, content_id);
        }
        number(&mut out, PROTECTION_SCHEME, self.protection_scheme.map(u64::from));
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// `BadSource` when it is not one or a known field has the wrong form, `Limit` for more than
    /// [`limits::MAX_WIDEVINE_FIELDS`] fields.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::fields(bytes).map_err(|e| e.context("Widevine header"))
    }

    fn fields(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, 0);
        let mut header = Self::default();
        let mut count = 0;
        while reader.left() > 0 {
            count += 1;
            if count > limits::MAX_WIDEVINE_FIELDS {
                return Err(Error::limit(format!("more than {} fields", limits::MAX_WIDEVINE_FIELDS)));
            }
            let tag = reader.varint().map_err(short)?;
            let (field, form) = (tag >> 3, tag & 7);
            let wrong = |what: &str| Error::bad_source(format!("field {field} {what}"));
            match (field, form) {
                (0, _) => return Err(wrong("does not exist")),
                (ALGORITHM, VARINT) => header.algorithm = Some(reader.varint().map_err(short)?),
                (KEY_IDS, BYTES) => {
                    let value = bytes_of(&mut reader)?;
                    let kid = value.try_into().map_err(|_| wrong(&format!("has {} bytes, not 16", value.len())))?;
                    header.key_ids.push(Kid(kid));
                }
                (PROVIDER, BYTES) => {
                    let value = core::str::from_utf8(bytes_of(&mut reader)?);
                    header.provider = Some(value.map_err(|_| wrong("is not UTF-8"))?.to_owned());
                }
                (CONTENT_ID, BYTES) => header.content_id = Some(bytes_of(&mut reader)?.to_vec()),
                (PROTECTION_SCHEME, VARINT) => {
                    let value = u32::try_from(reader.varint().map_err(short)?);
                    header.protection_scheme = Some(value.map_err(|_| wrong("has more than 32 bits"))?);
                }
                (ALGORITHM | KEY_IDS | PROVIDER | CONTENT_ID | PROTECTION_SCHEME, _) => {
                    return Err(wrong(&format!("has the form {form}")));
                }
                (_, VARINT) => drop(reader.varint().map_err(short)?),
                (_, BYTES) => drop(bytes_of(&mut reader)?),
                (_, FIXED_32) => drop(reader.take(4).map_err(short)?),
                (_, FIXED_64) => drop(reader.take(8).map_err(short)?),
                _ => return Err(wrong(&format!("has the form {form}"))),
            }
        }
        Ok(header)
    }
}

fn short(e: ShortRead) -> Error {
    Error::bad_source(e.to_string())
}

fn bytes_of<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let length = reader.varint().map_err(short)?;
    reader.take(usize::try_from(length).unwrap_or(usize::MAX)).map_err(short)
}

/// The four characters of a scheme of ISO/IEC 23001-7.
pub fn four_characters(scheme: Scheme) -> [u8; 4] {
    if scheme == Scheme::Cenc { *b"cenc" } else { *b"cbcs" }
}

/// The box for a key. `content_id` is left out when it is empty.
pub fn pssh(kid: Kid, scheme: Scheme, content_id: &str) -> Pssh {
    let header = Header {
        key_ids: vec![kid],
        content_id: (!content_id.is_empty()).then(|| content_id.as_bytes().to_vec()),
        protection_scheme: Some(u32::from_be_bytes(four_characters(scheme))),
        ..Header::default()
    };
    Pssh { system: System::Widevine.id(), key_ids: None, data: header.write() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_a_round_trip() {
        let header = Header {
            algorithm: Some(1),
            key_ids: vec![Kid([1; 16]), Kid([2; 16])],
            provider: Some("someone".into()),
            content_id: Some(b"a title".to_vec()),
            protection_scheme: Some(0x6362_6373),
        };
        let bytes = header.write();
        assert_eq!(Header::read(&bytes).unwrap(), header);
        for end in 0..bytes.len() {
            // What ends between two fields is a shorter message.
            let shorter = Header::read(&bytes[..end]);
            assert!(shorter.is_err() || shorter.unwrap().write() == bytes[..end], "{end}");
        }
    }

    /// What the first version of the key server interface shows: AES-CTR, a key id, a provider, a content id, a policy.
    #[test]
    fn the_form_of_old_key_servers_is_read() {
        let kid = [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f];
        let mut bytes = vec![0x08, 0x01, 0x12, 0x10];
        bytes.extend_from_slice(&kid);
        bytes.extend_from_slice(b"\x1a\x0dwidevine_test\x22\x05abcde\x2a\x02SD");
        let header = Header::read(&bytes).unwrap();
        assert_eq!((header.algorithm, header.key_ids.as_slice()), (Some(1), [Kid(kid)].as_slice()));
        assert_eq!((header.provider.as_deref(), header.content_id), (Some("widevine_test"), Some(b"abcde".to_vec())));
        assert_eq!(header.protection_scheme, None);
    }

    #[test]
    fn wrong_fields_are_refused() {
        for bad in [
            b"\x00\x00".as_slice(),
            b"\x08",
            b"\x10\x01",
            b"\x12\x0f0123456789abcde",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x1a\x01\xff",
            b"\x48\xff\xff\xff\xff\xff\x01",
            b"\x53",
            b"\x57\x00",
        ] {
            assert!(Header::read(bad).is_err(), "{bad:x?}");
        }
        assert!(Header::read(&[0x50, 0].repeat(limits::MAX_WIDEVINE_FIELDS + 1)).is_err());
        assert!(Header::read(b"\x55\x00\x00\x00\x00\x59\x00\x00\x00\x00\x00\x00\x00\x00\x50\x07").is_ok());
    }
}
