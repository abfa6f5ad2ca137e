//! The systems that this server knows.

/// A system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Widevine,
    PlayReady,
    FairPlay,
    ClearKey,
    Aes128,
    SampleAes,
}

impl System {
    /// By its id; the id of AES-128 is another in SPEKE v1.
    pub fn of(id: &str, one: bool) -> Option<Self> {
        Some(match id.to_ascii_lowercase().as_str() {
            "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" => Self::Widevine,
            "9a04f079-9840-4286-ab92-e65be0885f95" => Self::PlayReady,
            "94ce86fb-07ff-4f43-adb8-93d2fa968ca2" => Self::FairPlay,
            "e2719d58-a985-b3c9-781a-b030af78d30e" => Self::ClearKey,
            "81376844-f976-481e-a84e-cc25d39b0b33" if one => Self::Aes128,
            "3ea8778f-7742-4bf9-b18b-e834b2acbd47" if !one => Self::Aes128,
            "be58615b-19c4-4684-88b3-c8c57e99e957" if !one => Self::SampleAes,
            _ => return None,
        })
    }

    pub fn id(self, one: bool) -> &'static str {
        match self {
            Self::Widevine => "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
            Self::PlayReady => "9a04f079-9840-4286-ab92-e65be0885f95",
            Self::FairPlay => "94ce86fb-07ff-4f43-adb8-93d2fa968ca2",
            Self::ClearKey => "e2719d58-a985-b3c9-781a-b030af78d30e",
            Self::Aes128 if one => "81376844-f976-481e-a84e-cc25d39b0b33",
            Self::Aes128 => "3ea8778f-7742-4bf9-b18b-e834b2acbd47",
            Self::SampleAes => "be58615b-19c4-4684-88b3-c8c57e99e957",
        }
    }

    /// What may be asked for, and whether it must be, with SPEKE v1.
    pub fn children_of_v1(self) -> &'static [(Child, bool)] {
        match self {
            Self::Widevine => &[(Child::Pssh, true), (Child::ContentProtection, false)],
            Self::PlayReady => &[(Child::ProtectionHeader, true), (Child::Pssh, true)],
            Self::ClearKey => &[(Child::Pssh, true)],
            Self::FairPlay | Self::Aes128 | Self::SampleAes => {
                &[(Child::Uri, true), (Child::KeyFormat, true), (Child::KeyFormatVersions, true)]
            }
        }
    }

    /// What may be asked for with SPEKE v2.
    pub fn children_of_v2(self) -> &'static [Child] {
        match self {
            Self::Widevine => &[Child::Pssh, Child::ContentProtection, Child::HlsMedia, Child::HlsMultivariant],
            Self::PlayReady => {
                &[Child::Pssh, Child::ContentProtection, Child::HlsMedia, Child::HlsMultivariant, Child::Smooth]
            }
            Self::ClearKey => &[Child::Pssh, Child::ContentProtection],
            Self::FairPlay | Self::Aes128 | Self::SampleAes => &[Child::HlsMedia, Child::HlsMultivariant],
        }
    }
}

/// A child of `DRMSystem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    Pssh,
    ContentProtection,
    HlsMedia,
    HlsMultivariant,
    Smooth,
    Uri,
    KeyFormat,
    KeyFormatVersions,
    ProtectionHeader,
}
