//! Keys that an operator chose.

use hkdf::Hkdf;
use packager::config::{self, Iv, KeyUse, Kid};
use packager::sealing::ContentKey;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key_set::{KeySet, StoredKey};
use super::settings::{Protection, StaticKey};

/// The key itself.
///
/// # Errors
/// What is wrong with it; the key is not in it.
pub fn secret(key: &StaticKey) -> Result<ContentKey, &'static str> {
    let mut bytes = Zeroizing::new([0; 16]);
    let text = key.key.reveal();
    hex::decode_to_slice(text, bytes.as_mut_slice())
        .map_err(|_| "use 32 hexadecimal digits, the 16 bytes of the key")?;
    Ok(ContentKey::new(*bytes))
}

/// The id of a key: the one given, else one made from the key, from which nothing about the key can be told.
///
/// # Errors
/// What is wrong with it.
pub fn kid(key: &StaticKey) -> Result<Kid, String> {
    match &key.kid {
        Some(text) => text.parse(),
        None => {
            let mut kid = [0; 16];
            let expanded = Hkdf::<Sha256>::new(None, secret(key)?.reveal()).expand(b"edgepack key id", &mut kid);
            expanded.map_err(|_| "internal error: a key id could not be derived".to_owned())?;
            // A UUID of version 8 (RFC 9562, 5.8).
            let [_, _, _, _, _, _, version, _, variant, ..] = &mut kid;
            (*version, *variant) = (*version & 0x0f | 0x80, *variant & 0x3f | 0x80);
            Ok(Kid(kid))
        }
    }
}

/// The keys of a configuration that was checked.
///
/// # Errors
/// The field that is wrong.
pub fn key_set(protection: &Protection, keys: &[StaticKey]) -> Result<KeySet, String> {
    let scheme: config::Scheme = protection.scheme.into();
    let iv = |text: &Option<String>| text.clone().map(Iv::try_from).transpose();
    let constant = iv(&protection.constant_iv)?;
    let stored = |key: &StaticKey| {
        let own = iv(&key.iv)?.or(constant);
        Ok(StoredKey::new(scheme, kid(key)?, &secret(key)?, KeyUse::from(key.usage), own))
    };
    let keys = keys.iter().map(stored).collect::<Result<_, String>>()?;
    Ok(KeySet { scheme, keys, clear_video: false, clear_audio: false })
}
