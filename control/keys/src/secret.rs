//! What must never be shown.

use zeroize::Zeroizing;

/// The 16 bytes of a content key. It has no `Debug` and no `Display`, and is overwritten when dropped.
#[derive(Clone)]
pub struct ContentKeyBytes(Zeroizing<[u8; 16]>);

impl ContentKeyBytes {
    /// A key.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key itself, to be sealed or used.
    pub fn reveal(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A text that is not shown: a password, a token, a private key. Overwritten when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
