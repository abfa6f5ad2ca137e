//! Content keys on their way to an edge: XChaCha20-Poly1305 under a key that only control and that edge know.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::config::Kid;
use crate::error::{Error, Result};

/// Bytes of the nonce, which stands in front of what is sealed. It is drawn at random for each seal.
pub const NONCE_BYTES: usize = 24;

/// A content key: 16 bytes. It cannot be printed, compares in constant time, and is wiped when dropped.
#[derive(Clone)]
pub struct ContentKey([u8; 16]);

impl Drop for ContentKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for ContentKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ContentKey {}

impl ContentKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a cipher or for whoever may have the key.
    pub fn reveal(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What content keys are sealed with. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct SealingKey([u8; 32]);

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl SealingKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key in its text form, 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is anything else; the text is not in the error.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| Error::bad_source("the sealing key is not 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }

    /// Its text form.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0))
    }

    /// Seals a content key for the place `document` (a document's key) under `kid`; nonce, ciphertext and tag in standard
    /// base64. A nonce is never used twice.
    ///
    /// # Errors
    /// `Internal`, which does not happen with 16 bytes.
    pub fn seal(&self, document: &str, kid: Kid, key: &ContentKey, nonce: [u8; NONCE_BYTES]) -> Result<String> {
        let aad = context(document, kid);
        let payload = Payload { msg: key.reveal(), aad: &aad };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("a content key could not be sealed"))?;
        Ok(STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Opens what [`Self::seal`] made for the same place and key id.
    ///
    /// # Errors
    /// `BadSource` when it was made with another key or for another place, or was changed.
    pub fn open(&self, document: &str, kid: Kid, sealed: &str) -> Result<ContentKey> {
        let wrong = || Error::bad_source(format!("key {kid} was not sealed for this edge, or was changed since"));
        let bytes = STANDARD.decode(sealed).map_err(|_| wrong())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(wrong)?;
        let aad = context(document, kid);
        let payload = Payload { msg: sealed, aad: &aad };
        let opened = self.cipher().decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new);
        let key = opened.ok().and_then(|bytes| <[u8; 16]>::try_from(bytes.as_slice()).ok());
        key.map(ContentKey::new).ok_or_else(wrong)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.0))
    }
}

/// What a sealed key is bound to.
fn context(document: &str, kid: Kid) -> Vec<u8> {
    [b"edgepack content key\0".as_slice(), document.as_bytes(), b"\0", &kid.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_only_where_it_belongs() {
        let sealing = SealingKey::new([7; 32]);
        let (kid, key) = (Kid([1; 16]), ContentKey::new([9; 16]));
        let sealed = sealing.seal("keys/g/a/c", kid, &key, [3; NONCE_BYTES]).unwrap();
        assert!(sealing.open("keys/g/a/c", kid, &sealed).unwrap() == key);
        let refused = |sealing: &SealingKey, document: &str, kid: Kid, sealed: &str| {
            assert!(sealing.open(document, kid, sealed).is_err(), "{document} {kid}");
        };
        refused(&sealing, "keys/g/b/c", kid, &sealed);
        refused(&sealing, "keys/g/a/c", Kid([2; 16]), &sealed);
        refused(&SealingKey::new([8; 32]), "keys/g/a/c", kid, &sealed);
        let mut bytes = STANDARD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            refused(&sealing, "keys/g/a/c", kid, &STANDARD.encode(&bytes));
            bytes[at] ^= 1;
        }
        for length in 0..bytes.len() {
            refused(&sealing, "keys/g/a/c", kid, &STANDARD.encode(&bytes[..length]));
        }
        refused(&sealing, "keys/g/a/c", kid, "no base64");
    }
}
