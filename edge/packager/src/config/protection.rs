//! How a packaging configuration protects its output.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::PackageType;
use crate::limits;

/// How media are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// ISO/IEC 23001-7, 10.1: AES-128 in counter mode.
    Cenc,
    /// ISO/IEC 23001-7, 10.4: AES-128 in CBC mode over a pattern of blocks.
    Cbcs,
    /// RFC 8216bis, 4.4.4.4: whole segments in CBC mode.
    #[serde(rename = "aes-128")]
    Aes128,
    /// Apple's sample encryption of transport streams and packed audio.
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

    /// Whether it is for CMAF segments; else it is for transport streams.
    pub fn is_common(self) -> bool {
        matches!(self, Self::Cenc | Self::Cbcs)
    }

    /// Whether every key has one initialisation vector for everything.
    pub fn has_constant_iv(self) -> bool {
        matches!(self, Self::Cbcs | Self::SampleAes)
    }
}

/// A DRM system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Google Widevine.
    Widevine,
    /// Microsoft PlayReady.
    Playready,
    /// Apple FairPlay Streaming.
    Fairplay,
    /// Clear Key of the Encrypted Media Extensions, as DASH-IF signals it.
    ClearKey,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Widevine, Self::Playready, Self::Fairplay, Self::ClearKey];

    /// Its system id.
    pub const fn id(self) -> [u8; 16] {
        let id: u128 = match self {
            Self::Widevine => 0xedef8ba9_79d6_4ace_a3c8_27dcd51d21ed,
            Self::Playready => 0x9a04f079_9840_4286_ab92_e65be0885f95,
            Self::Fairplay => 0x94ce86fb_07ff_4f43_adb8_93d2fa968ca2,
            Self::ClearKey => 0xe2719d58_a985_b3c9_781a_b030af78d30e,
        };
        id.to_be_bytes()
    }

    /// The name used in the REST interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Widevine => "widevine",
            Self::Playready => "playready",
            Self::Fairplay => "fairplay",
            Self::ClearKey => "clearkey",
        }
    }
}

/// The part of a configuration's protection that shows in its output. Where keys come from is the control plane's affair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// How media are encrypted.
    pub scheme: Scheme,
    /// The systems that players are told of; none when keys are fetched as they are (AES-128, SAMPLE-AES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub systems: Vec<System>,
    /// How many segments at the start of a title stay in the clear, at most [`limits::MAX_CLEAR_LEAD_SEGMENTS`].
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub clear_lead_segments: u32,
    /// Whether init segments carry `pssh` boxes too, and not only manifests.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub pssh_in_moov: bool,
    /// Whether segments leave out the sample groups (`seig`) that name their key where keys change in a title.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub no_key_sample_groups: bool,
}

impl Protection {
    /// Checks it against the output that it is for.
    ///
    /// # Errors
    /// The field of it that is wrong, and why.
    pub fn check(&self, package_type: PackageType) -> Result<(), (&'static str, String)> {
        let scheme = self.scheme.as_str();
        let cmaf = package_type != PackageType::Hls;
        if self.scheme.is_common() != cmaf {
            let fits = if cmaf { "cbcs or cenc" } else { "aes-128 or sample-aes" };
            return Err(("scheme", format!("{scheme} is not for package type {}: {fits}", package_type.as_str())));
        }
        let most = match (package_type, self.scheme) {
            (_, Scheme::Aes128) => 0,
            (PackageType::Hls, _) => 1,
            (PackageType::Cmaf, _) => 3,
            (PackageType::Dash, _) => 2,
        };
        if self.systems.len() > most {
            let package_type = package_type.as_str();
            return Err(("systems", format!("{scheme} with package type {package_type} takes at most {most}")));
        }
        if self.systems.is_empty() && cmaf {
            return Err(("systems", "at least one is needed".to_owned()));
        }
        for (number, system) in self.systems.iter().enumerate() {
            let name = system.as_str();
            let fits = match (system, package_type) {
                (System::Fairplay, PackageType::Dash) => false,
                (System::Fairplay, _) => self.scheme != Scheme::Cenc,
                (_, PackageType::Hls) => false,
                _ => true,
            };
            if !fits {
                let package_type = package_type.as_str();
                return Err(("systems", format!("{name} does not do {scheme} with package type {package_type}")));
            }
            if self.systems.iter().take(number).any(|s| s == system) {
                return Err(("systems", format!("{name} stands there twice")));
            }
        }
        if self.clear_lead_segments > limits::MAX_CLEAR_LEAD_SEGMENTS {
            return Err(("clear_lead_segments", format!("more than {}", limits::MAX_CLEAR_LEAD_SEGMENTS)));
        }
        Ok(())
    }
}

/// Identifies a content key: 16 bytes in the order of their text form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kid(pub [u8; 16]);

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Kid {
    type Err = String;

    /// Thirty-two hexadecimal digits, with or without the hyphens of a UUID.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a key id such as 11111111-0000-4000-8000-0000000000a1");
        let plain = match text.len() {
            32 => text.to_owned(),
            36 if [8, 13, 18, 23].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-')) => text.replace('-', ""),
            _ => return Err(wrong()),
        };
        let mut bytes = [0; 16];
        hex::decode_to_slice(plain, &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Kid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Kid> for String {
    fn from(kid: Kid) -> Self {
        kid.to_string()
    }
}

/// An initialisation vector: 16 bytes, in JSON 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Iv(pub [u8; 16]);

impl fmt::Display for Iv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl TryFrom<String> for Iv {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(&text, &mut bytes).map_err(|_| format!("{text:?} is not 32 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl From<Iv> for String {
    fn from(iv: Iv) -> Self {
        iv.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_product_holds() {
        use PackageType::{Cmaf, Dash, Hls};
        use System::{ClearKey, Fairplay, Playready, Widevine};
        let check = |scheme, systems: &[System], package_type| {
            let protection = Protection {
                scheme,
                systems: systems.to_vec(),
                clear_lead_segments: 0,
                pssh_in_moov: false,
                no_key_sample_groups: false,
            };
            protection.check(package_type).map_err(|(field, _)| field)
        };
        assert_eq!(check(Scheme::Cbcs, &[Widevine, Playready, Fairplay], Cmaf), Ok(()));
        assert_eq!(check(Scheme::Cenc, &[Widevine, Playready], Dash), Ok(()));
        assert_eq!(check(Scheme::Cenc, &[ClearKey], Cmaf), Ok(()));
        assert_eq!(check(Scheme::Aes128, &[], Hls), Ok(()));
        assert_eq!(check(Scheme::SampleAes, &[Fairplay], Hls), Ok(()));
        assert_eq!(check(Scheme::SampleAes, &[], Hls), Ok(()));
        assert_eq!(check(Scheme::Cbcs, &[Widevine, Playready, Fairplay, ClearKey], Cmaf), Err("systems"));
        assert_eq!(check(Scheme::Cbcs, &[Widevine, Playready, ClearKey], Dash), Err("systems"));
        assert_eq!(check(Scheme::Cbcs, &[Fairplay], Dash), Err("systems"));
        assert_eq!(check(Scheme::Cenc, &[Fairplay], Cmaf), Err("systems"));
        assert_eq!(check(Scheme::Cenc, &[Widevine, Widevine], Cmaf), Err("systems"));
        assert_eq!(check(Scheme::Cbcs, &[], Dash), Err("systems"));
        assert_eq!(check(Scheme::SampleAes, &[Widevine], Hls), Err("systems"));
        assert_eq!(check(Scheme::Aes128, &[Fairplay], Hls), Err("systems"));
        assert_eq!(check(Scheme::Cbcs, &[Widevine], Hls), Err("scheme"));
        assert_eq!(check(Scheme::Aes128, &[], Cmaf), Err("scheme"));
    }

    #[test]
    fn names_and_ids_are_those_of_the_standards() {
        assert_eq!(Kid(System::Widevine.id()).to_string(), "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
        let kid: Kid = "11111111-0000-4000-8000-0000000000a1".parse().unwrap();
        assert_eq!("1111111100004000800000000000a1a1".parse::<Kid>().unwrap().0[15], 0xa1);
        assert_eq!(kid.to_string(), "11111111-0000-4000-8000-0000000000a1");
        assert!("11111111-0000-4000-8000-0000000000a".parse::<Kid>().is_err());
        assert!("111111110-000-4000-8000-0000000000a1".parse::<Kid>().is_err());
        assert_eq!(serde_json::to_string(&Scheme::Aes128).unwrap(), "\"aes-128\"");
        assert_eq!(serde_json::to_string(&Scheme::SampleAes).unwrap(), "\"sample-aes\"");
        assert_eq!(serde_json::to_string(&System::ClearKey).unwrap(), "\"clearkey\"");
    }
}
