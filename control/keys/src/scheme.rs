//! How media is encrypted.

use serde::{Deserialize, Serialize};

/// An encryption scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Common encryption, AES-CTR (ISO/IEC 23001-7, `cenc`).
    Cenc,
    /// Common encryption, AES-CBC with a pattern (ISO/IEC 23001-7, `cbcs`).
    Cbcs,
    /// Whole segments, AES-128-CBC (RFC 8216bis, METHOD=AES-128).
    #[serde(rename = "aes-128")]
    Aes128,
    /// Samples in transport streams (METHOD=SAMPLE-AES).
    SampleAes,
}

impl Scheme {
    /// The name used in the REST interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cenc => "cenc",
            Self::Cbcs => "cbcs",
            Self::Aes128 => "aes-128",
            Self::SampleAes => "sample-aes",
        }
    }

    /// METHOD of the EXT-X-KEY tags.
    pub fn hls_method(self) -> &'static str {
        match self {
            Self::Cenc => "SAMPLE-AES-CTR",
            Self::Cbcs | Self::SampleAes => "SAMPLE-AES",
            Self::Aes128 => "AES-128",
        }
    }
}
