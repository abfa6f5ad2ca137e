//! What is secret in the database, and what edges get: sealed under keys made from one master key, which is in the
//! environment only.

use anyhow::{Context as _, Result, bail};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use packager::sealing::SealingKey;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::db::{self, Db};

/// The variable of the environment that holds the master key.
pub const MASTER_KEY_VARIABLE: &str = "CONTROL_MASTER_KEY";
/// How an operator makes a master key.
pub const HOW_TO_MAKE: &str = "make one with `openssl rand -hex 32`, keep it safe, and start the control plane with it as \
                               CONTROL_MASTER_KEY";

/// Bytes of the nonce in front of what is sealed; it is drawn at random each time.
const NONCE_BYTES: usize = 24;
/// What the check value says once it is opened.
const CHECK_TEXT: &[u8] = b"edgepack master key";

/// The key that all others are made from: 64 hexadecimal digits. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl MasterKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// When it is anything else; the text is not in the error.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(text.trim(), &mut bytes).is_err() {
            bail!("the master key is not 64 hexadecimal digits; {HOW_TO_MAKE}");
        }
        Ok(Self(bytes))
    }

    /// What the edge of this name opens its keys with.
    pub fn edge(&self, name: &str) -> SealingKey {
        SealingKey::new(*self.derive("edge", name))
    }

    /// A key for one purpose (RFC 5869: HKDF with SHA-256).
    fn derive(&self, purpose: &str, name: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [b"edgepack ", purpose.as_bytes(), b"\0", name.as_bytes()].concat();
        // 32 bytes are far below the 255 blocks that HKDF can make.
        if Hkdf::<Sha256>::new(None, &self.0).expand(&info, key.as_mut_slice()).is_err() {
            tracing::error!("a key could not be derived");
        }
        key
    }
}

/// What a secret is, so that one can never be opened in the place of another.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// The check value.
    Check,
    /// The protection of the configuration with this row.
    Protection(i64),
    /// The content keys of an asset under a configuration, both by row.
    AssetKeys {
        /// The asset.
        asset: i64,
        /// The configuration.
        configuration: i64,
    },
    /// The protection of the endpoint with this row.
    EndpointProtection(i64),
    /// The content keys of the endpoint with this row.
    EndpointKeys(i64),
    /// The password of an input of a channel.
    InputPassword {
        /// The channel, by row.
        channel: i64,
        /// 1 or 2.
        input: i64,
    },
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Protection(_) => "protection",
            Self::AssetKeys { .. } => "asset keys",
            Self::EndpointProtection(_) => "endpoint protection",
            Self::EndpointKeys(_) => "endpoint keys",
            Self::InputPassword { .. } => "input password",
        }
    }

    fn place(self) -> Vec<u8> {
        let ids = match self {
            Self::Check => [0, 0],
            Self::Protection(id) | Self::EndpointProtection(id) | Self::EndpointKeys(id) => [id, 0],
            Self::AssetKeys { asset, configuration } => [asset, configuration],
            Self::InputPassword { channel, input } => [channel, input],
        };
        ids.into_iter().flat_map(i64::to_be_bytes).collect()
    }
}

/// Seals and opens what is secret in the database.
#[derive(Clone)]
pub struct Vault {
    master: MasterKey,
}

impl Vault {
    /// A vault under this key, which nothing was checked of.
    pub fn new(master: MasterKey) -> Self {
        Self { master }
    }

    /// Opens the vault of a database, which without one gets it. `None` without a key, when nothing needs one.
    ///
    /// # Errors
    /// When the key is not the one that the database was sealed with, or is missing there. Nothing is written then.
    pub async fn open(db: &Db, master: Option<MasterKey>) -> Result<Option<Self>> {
        let mut tx = db.write().await?;
        let stored = db::vault::check_value(&mut tx).await?;
        let Some(master) = master else {
            if stored.is_some() && db::vault::is_in_use(&mut tx).await? {
                bail!(
                    "the data holds content keys, but {MASTER_KEY_VARIABLE} is not set; start with the master key that they \
                     were sealed with"
                );
            }
            return Ok(None);
        };
        let vault = Self::new(master);
        match stored {
            Some(sealed) => {
                let text = vault.open_secret(Purpose::Check, &sealed);
                if text.ok().is_none_or(|text| text.as_slice() != CHECK_TEXT) {
                    bail!(
                        "{MASTER_KEY_VARIABLE} is not the master key that the data was sealed with; nothing was changed. \
                         Start with that key"
                    );
                }
            }
            None => {
                let sealed = vault.seal(Purpose::Check, CHECK_TEXT)?;
                db::vault::insert_check_value(&mut tx, &sealed).await?;
                tx.commit().await?;
            }
        }
        Ok(Some(vault))
    }

    /// What the edge of this name opens its keys with.
    pub fn edge(&self, name: &str) -> SealingKey {
        self.master.edge(name)
    }

    /// What documents that wait for an edge are sealed with.
    pub fn documents(&self) -> SealingKey {
        SealingKey::new(*self.master.derive("documents", ""))
    }

    /// Seals a secret for its place; a nonce, then ciphertext and tag (XChaCha20-Poly1305).
    ///
    /// # Errors
    /// Never with what fits into memory.
    pub fn seal(&self, purpose: Purpose, secret: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: secret, aad: &purpose.place() };
        let sealed = self.cipher(purpose).encrypt(&XNonce::from(nonce), payload);
        let mut sealed = sealed.ok().context("a secret could not be sealed")?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made for the same place.
    ///
    /// # Errors
    /// When it was sealed with another key or for another place, or was changed.
    pub fn open_secret(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().context("a sealed secret is too short")?;
        let payload = Payload { msg: sealed, aad: &purpose.place() };
        let opened = self.cipher(purpose).decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new);
        opened.ok().with_context(|| format!("a secret ({}) does not open with this master key", purpose.name()))
    }

    fn cipher(&self, purpose: Purpose) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.master.derive("vault", purpose.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: &str) -> Vault {
        Vault::new(MasterKey::from_hex(&byte.repeat(32)).unwrap())
    }

    #[test]
    fn a_secret_opens_only_where_it_belongs() {
        let vault_a = vault("a1");
        let place = Purpose::AssetKeys { asset: 3, configuration: 4 };
        let sealed = vault_a.seal(place, b"secret").unwrap();
        assert_eq!(vault_a.open_secret(place, &sealed).unwrap().as_slice(), b"secret");
        assert_ne!(vault_a.seal(place, b"secret").unwrap(), sealed, "another nonce");
        for other in [Purpose::AssetKeys { asset: 4, configuration: 3 }, Purpose::Protection(3), Purpose::Check] {
            assert!(vault_a.open_secret(other, &sealed).is_err());
        }
        // Rows of different tables have the same numbers; each purpose has a key of its own.
        let of_endpoint = vault_a.seal(Purpose::EndpointKeys(3), b"secret").unwrap();
        for other in [Purpose::EndpointProtection(3), Purpose::Protection(3), Purpose::EndpointKeys(4)] {
            assert!(vault_a.open_secret(other, &of_endpoint).is_err());
        }
        assert!(vault("a2").open_secret(place, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault_a.open_secret(place, &changed).is_err(), "byte {at}");
            assert!(vault_a.open_secret(place, &sealed[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn every_edge_has_a_key_of_its_own() {
        let (a, b) = (vault("a1"), vault("a2"));
        let keys =
            [a.edge("north").to_hex(), a.edge("south").to_hex(), b.edge("north").to_hex(), a.documents().to_hex()];
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(key.len(), 64);
            assert!(!keys[..number].contains(key));
        }
        assert!(a.edge("north").to_hex() == keys[0], "the same at each start");
    }

    #[test]
    fn master_keys_are_64_digits_and_not_repeated_in_errors() {
        for wrong in ["", "abc", &"g1".repeat(32), &"a1".repeat(31), &"a1".repeat(33)] {
            let error = MasterKey::from_hex(wrong).err().unwrap().to_string();
            assert!(error.contains("openssl rand -hex 32"), "{error}");
            assert!(wrong.len() < 4 || !error.contains(wrong), "{error}");
        }
        assert!(MasterKey::from_hex(&format!(" {}\n", "a1".repeat(32))).is_ok());
    }
}
