//! The content keys of one output, as they are stored: sealed, whole, with what a key server told.

use hkdf::Hkdf;
use packager::config::{self, ContentKeys, Iv, KeyUse, KeysOf, Kid, SealedKey, Signalling};
use packager::drm::Returned;
use packager::index::head::Head;
use packager::media::protection::Keys;
use packager::sealing::{ContentKey, NONCE_BYTES, SealingKey};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::settings::{SecretText, System};
use crate::vault::{Purpose, Vault};

/// What a key server told about a key for one system. None of it is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The system; `None` where the key itself is fetched.
    pub system: Option<System>,
    /// Base64 of a whole `pssh` box.
    pub pssh: Option<String>,
    /// Base64 of a PlayReady object.
    pub playready: Option<String>,
    /// Where the key is in HLS.
    pub uri: Option<String>,
    /// A whole `#EXT-X-KEY:` line.
    pub hls: Option<String>,
    /// A whole `#EXT-X-SESSION-KEY:` line.
    pub hls_session: Option<String>,
    /// Elements for a `ContentProtection` element of DASH.
    pub dash: Option<String>,
}

impl From<Told> for Returned {
    fn from(told: Told) -> Self {
        let Told { system, pssh, playready, uri, hls, hls_session, dash } = told;
        Self { system: system.map(config::System::from), pssh, playready, uri, hls, hls_session, dash }
    }
}

/// A content key and what a key server told about it. It has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// Its id.
    pub kid: Kid,
    /// The key, 32 hexadecimal digits.
    key: SecretText,
    /// What it protects.
    pub usage: KeyUse,
    /// Its constant initialisation vector.
    pub iv: Option<Iv>,
    /// What the key server told players to be told, which wins over what we make.
    #[serde(default)]
    pub told: Vec<Told>,
}

impl StoredKey {
    /// A key. Without an IV one is made from the key where the scheme wants one.
    pub fn new(scheme: config::Scheme, kid: Kid, key: &ContentKey, usage: KeyUse, iv: Option<Iv>) -> Self {
        let iv = iv.or_else(|| scheme.has_constant_iv().then(|| iv_of(key)));
        Self { kid, key: SecretText::new(hex::encode(key.reveal())), usage, iv, told: Vec::new() }
    }

    /// The key.
    ///
    /// # Errors
    /// When what was stored is none, which does not happen.
    pub fn secret(&self) -> anyhow::Result<ContentKey> {
        let mut bytes = Zeroizing::new([0; 16]);
        let wrong = || anyhow::anyhow!("a stored key is not 32 hexadecimal digits");
        hex::decode_to_slice(self.key.reveal(), bytes.as_mut_slice()).map_err(|_| wrong())?;
        Ok(ContentKey::new(*bytes))
    }
}

/// The initialisation vector of a key that came without one: always the same, and nothing about the key can be told from it.
fn iv_of(key: &ContentKey) -> Iv {
    let mut iv = [0; 16];
    if Hkdf::<Sha256>::new(None, key.reveal()).expand(b"edgepack constant iv", &mut iv).is_err() {
        tracing::error!("an initialisation vector could not be derived");
    }
    Iv(iv)
}

/// The content keys of one output. It has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeySet {
    /// For which scheme they are.
    pub scheme: config::Scheme,
    /// The keys.
    pub keys: Vec<StoredKey>,
    /// Whether video that no key is for is meant to be in the clear.
    #[serde(default)]
    pub clear_video: bool,
    /// The same for audio.
    #[serde(default)]
    pub clear_audio: bool,
}

impl KeySet {
    /// Seals it for its row.
    ///
    /// # Errors
    /// Does not happen.
    pub fn seal(&self, vault: &Vault, row: impl Into<Purpose>) -> anyhow::Result<Vec<u8>> {
        let json = Zeroizing::new(serde_json::to_vec(self)?);
        vault.seal(row.into(), &json)
    }

    /// Opens what [`Self::seal`] made.
    ///
    /// # Errors
    /// When it was sealed for another row or changed.
    pub fn open(vault: &Vault, row: impl Into<Purpose>, sealed: &[u8]) -> anyhow::Result<Self> {
        let json = vault.open_secret(row.into(), sealed)?;
        // The error of JSON could repeat what it reads.
        serde_json::from_slice(&json).map_err(|_| anyhow::anyhow!("stored keys cannot be read"))
    }

    /// The document of what they are for, with `signalling` for each key.
    ///
    /// # Errors
    /// As `signalling`.
    pub fn document(
        &self,
        of: KeysOf,
        sealing: &SealingKey,
        signalling: impl Fn(&StoredKey) -> Result<Vec<Signalling>, String>,
    ) -> anyhow::Result<ContentKeys> {
        let place = of.key();
        let mut keys = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let nonce: [u8; NONCE_BYTES] = rand::random();
            let sealed = sealing.seal(&place, key.kid, &key.secret()?, nonce);
            keys.push(SealedKey {
                kid: key.kid,
                usage: key.usage,
                from_second: 0,
                iv: key.iv,
                sealed: sealed.map_err(|e| anyhow::anyhow!("{}", e.message()))?,
                signalling: signalling(key).map_err(anyhow::Error::msg)?,
            });
        }
        Ok(ContentKeys { of, scheme: self.scheme, keys, clear_video: self.clear_video, clear_audio: self.clear_audio })
    }

    /// Checks that every track has exactly one key, or is meant to be in the clear.
    ///
    /// # Errors
    /// The track and what is wrong, for people.
    pub fn check(&self, head: &Head) -> Result<(), String> {
        let sealing = SealingKey::new(rand::random());
        let internal = |e: &dyn std::fmt::Display| format!("internal error: {e}");
        let document =
            self.document(KeysOf::asset("g", "a", "c"), &sealing, |_| Ok(Vec::new())).map_err(|e| internal(&e))?;
        let keys = Keys::open(&document, &sealing).map_err(|e| internal(&e.message()))?;
        head.tracks.iter().try_for_each(|track| keys.of(track).map(drop).map_err(|e| e.message().to_owned()))
    }
}
