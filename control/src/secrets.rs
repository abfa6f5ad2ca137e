//! Secrets of the control plane: made once, kept in files that only their owner can read, compared in constant time,
//! never printed by `Debug` or `Display`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The shortest administrator token that is taken from the environment.
pub const MIN_TOKEN_BYTES: usize = 8;

/// A bearer token.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token chosen by an operator.
    ///
    /// # Errors
    /// When it is too short or holds what a header cannot.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() < MIN_TOKEN_BYTES {
            bail!("a token needs at least {MIN_TOKEN_BYTES} characters");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            bail!("a token may hold only printable ASCII characters without spaces");
        }
        Ok(Self(text.to_owned()))
    }

    /// The token itself, to be handed to whoever may use it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this token, in time that does not depend on where they differ.
    pub fn matches(&self, other: &str) -> bool {
        let (ours, theirs) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(other.as_bytes()));
        bool::from(ours.as_slice().ct_eq(theirs.as_slice()))
    }
}

/// The Ed25519 key that signs pushes.
#[derive(Clone)]
pub struct PushKey(SigningKey);

impl PushKey {
    /// Signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The public key that edges are given, 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        hex::encode(self.0.verifying_key().to_bytes())
    }
}

/// All secrets of one control plane.
#[derive(Clone)]
pub struct Secrets {
    /// Administers the REST interface.
    pub admin: Token,
    /// Lets edges read media, indexes and documents.
    pub origin: Token,
    /// Signs pushes to edges.
    pub push: PushKey,
    /// Whether `admin` was made just now, so that its owner has to be told.
    pub admin_is_new: bool,
}

impl Secrets {
    /// Reads the secrets from `directory`, making those that are not there. `admin` replaces the stored token.
    ///
    /// # Errors
    /// When a file cannot be read or written, or does not hold what it should.
    pub fn open(directory: &Path, admin: Option<&str>) -> Result<Self> {
        let (admin, admin_is_new) = match admin {
            Some(token) => (Token::new(token).context("CONTROL_ADMIN_TOKEN")?, false),
            None => {
                let (text, is_new) = load_or_make(&directory.join("admin-token"))?;
                (Token::new(&text)?, is_new)
            }
        };
        let (origin, _) = load_or_make(&directory.join("origin-token"))?;
        let key_path = directory.join("push-key");
        let (key, _) = load_or_make(&key_path)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&key, &mut bytes)
            .ok()
            .with_context(|| format!("{} does not hold 64 hexadecimal digits", key_path.display()))?;
        Ok(Self { admin, origin: Token::new(&origin)?, push: PushKey(SigningKey::from_bytes(&bytes)), admin_is_new })
    }
}

/// The text of a secret's file and whether it was made just now: 32 random bytes in hexadecimal digits.
fn load_or_make(path: &Path) -> Result<(String, bool)> {
    let text = match std::fs::File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(4096).read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
            text.trim().to_owned()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = hex::encode(rand::random::<[u8; 32]>());
            write_private(path, &text).with_context(|| format!("writing {}", path.display()))?;
            return Ok((text, true));
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    Ok((text, false))
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let staged = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&staged)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&staged, path)
}
