//! Which keys a title has: the presets of the SPEKE v2 encryption contract.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::kid::Kid;
use crate::scheme::Scheme;

/// The highest number of pixels of SD, and those of the other classes up to 8K.
const SD: u64 = 589_824;
const HD1: u64 = 921_600;
const HD: u64 = 2_073_600;
const UHD1: u64 = 8_847_360;

/// For which tracks a key is. Bounds are inclusive; `None` is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// For every video and audio track.
    All,
    /// For video tracks by the pixels of a picture (width x height).
    Video {
        /// The least.
        min_pixels: Option<u64>,
        /// The most.
        max_pixels: Option<u64>,
    },
    /// For audio tracks by their channels.
    Audio {
        /// The least.
        min_channels: Option<u32>,
        /// The most.
        max_channels: Option<u32>,
    },
}

impl KeyUse {
    /// Whether a video track with pictures of `pixels` uses this key.
    pub fn is_for_video(self, pixels: u64) -> bool {
        match self {
            Self::All => true,
            Self::Video { min_pixels, max_pixels } => {
                min_pixels.is_none_or(|min| pixels >= min) && max_pixels.is_none_or(|max| pixels <= max)
            }
            Self::Audio { .. } => false,
        }
    }

    /// Whether an audio track with `channels` uses this key.
    pub fn is_for_audio(self, channels: u32) -> bool {
        match self {
            Self::All => true,
            Self::Audio { min_channels, max_channels } => {
                min_channels.is_none_or(|min| channels >= min) && max_channels.is_none_or(|max| channels <= max)
            }
            Self::Video { .. } => false,
        }
    }
}

/// A class of tracks with a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackClass {
    /// `ContentKeyUsageRule@intendedTrackType`.
    pub name: &'static str,
    /// Its tracks.
    pub key_use: KeyUse,
}

const fn video(name: &'static str, min_pixels: Option<u64>, max_pixels: Option<u64>) -> TrackClass {
    TrackClass { name, key_use: KeyUse::Video { min_pixels, max_pixels } }
}

const fn audio(name: &'static str, min_channels: Option<u32>, max_channels: Option<u32>) -> TrackClass {
    TrackClass { name, key_use: KeyUse::Audio { min_channels, max_channels } }
}

const ALL: TrackClass = TrackClass { name: "ALL", key_use: KeyUse::All };
const VIDEO: TrackClass = video("VIDEO", None, None);
const CLASS_SD: TrackClass = video("SD", None, Some(SD));
const CLASS_HD_OPEN: TrackClass = video("HD", Some(SD + 1), None);
/// The preset leaves HD open at the top; where UHD has a key of its own, two keys for one track would be the result.
const CLASS_HD: TrackClass = video("HD", Some(SD + 1), Some(HD));
const CLASS_HD1: TrackClass = video("HD1", Some(SD + 1), Some(HD1));
const CLASS_HD2: TrackClass = video("HD2", Some(HD1 + 1), Some(HD));
const CLASS_SD_HD1: TrackClass = video("SD+HD1", None, Some(HD1));
const CLASS_UHD: TrackClass = video("UHD", Some(HD + 1), None);
const CLASS_UHD1: TrackClass = video("UHD1", Some(HD + 1), Some(UHD1));
const CLASS_UHD2: TrackClass = video("UHD2", Some(UHD1 + 1), None);
const AUDIO: TrackClass = audio("AUDIO", None, None);
const STEREO: TrackClass = audio("STEREO_AUDIO", None, Some(2));
const MULTICHANNEL: TrackClass = audio("MULTICHANNEL_AUDIO", Some(3), None);
const MULTICHANNEL_3_6: TrackClass = audio("MULTICHANNEL_AUDIO_3_6", Some(3), Some(6));
const MULTICHANNEL_7: TrackClass = audio("MULTICHANNEL_AUDIO_7", Some(7), None);

/// A preset for video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VideoPreset {
    /// One key.
    #[serde(rename = "VIDEO-1")]
    Video1,
    /// SD, HD.
    #[serde(rename = "VIDEO-2")]
    Video2,
    /// SD, HD, UHD.
    #[serde(rename = "VIDEO-3")]
    Video3,
    /// SD, HD, UHD1, UHD2.
    #[serde(rename = "VIDEO-4")]
    Video4,
    /// SD, HD1, HD2, UHD1, UHD2.
    #[serde(rename = "VIDEO-5")]
    Video5,
    /// SD, HD1, HD2, UHD.
    #[serde(rename = "VIDEO-6")]
    Video6,
    /// SD+HD1, HD2, UHD.
    #[serde(rename = "VIDEO-7")]
    Video7,
    /// SD+HD1, HD2, UHD1, UHD2.
    #[serde(rename = "VIDEO-8")]
    Video8,
    /// Video stays clear.
    #[serde(rename = "UNENCRYPTED")]
    Unencrypted,
}

impl VideoPreset {
    /// Its classes; none when video stays clear.
    pub fn classes(self) -> &'static [TrackClass] {
        match self {
            Self::Video1 => &[VIDEO],
            Self::Video2 => &[CLASS_SD, CLASS_HD_OPEN],
            Self::Video3 => &[CLASS_SD, CLASS_HD, CLASS_UHD],
            Self::Video4 => &[CLASS_SD, CLASS_HD, CLASS_UHD1, CLASS_UHD2],
            Self::Video5 => &[CLASS_SD, CLASS_HD1, CLASS_HD2, CLASS_UHD1, CLASS_UHD2],
            Self::Video6 => &[CLASS_SD, CLASS_HD1, CLASS_HD2, CLASS_UHD],
            Self::Video7 => &[CLASS_SD_HD1, CLASS_HD2, CLASS_UHD],
            Self::Video8 => &[CLASS_SD_HD1, CLASS_HD2, CLASS_UHD1, CLASS_UHD2],
            Self::Unencrypted => &[],
        }
    }
}

/// A preset for audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AudioPreset {
    /// One key.
    #[serde(rename = "AUDIO-1")]
    Audio1,
    /// Stereo, multichannel.
    #[serde(rename = "AUDIO-2")]
    Audio2,
    /// Stereo, 3 to 6 channels, 7 and more.
    #[serde(rename = "AUDIO-3")]
    Audio3,
    /// Audio stays clear.
    #[serde(rename = "UNENCRYPTED")]
    Unencrypted,
}

impl AudioPreset {
    /// Its classes; none when audio stays clear.
    pub fn classes(self) -> &'static [TrackClass] {
        match self {
            Self::Audio1 => &[AUDIO],
            Self::Audio2 => &[STEREO, MULTICHANNEL],
            Self::Audio3 => &[STEREO, MULTICHANNEL_3_6, MULTICHANNEL_7],
            Self::Unencrypted => &[],
        }
    }
}

/// An encryption contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "use \"SHARED\" or {\"video\":\"VIDEO-1\"..\"VIDEO-8\",\"audio\":\"AUDIO-1\"..\"AUDIO-3\"}, \
                               either of which may be \"UNENCRYPTED\""
)]
pub enum Contract {
    /// One key for everything.
    Shared(SharedName),
    /// Keys per class.
    PerClass(Presets),
}

/// The word `SHARED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SharedName {
    /// The word itself.
    #[serde(rename = "SHARED")]
    Shared,
}

/// The presets of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presets {
    /// Of video.
    pub video: VideoPreset,
    /// Of audio.
    pub audio: AudioPreset,
}

impl Contract {
    /// One key for everything.
    pub const SHARED: Self = Self::Shared(SharedName::Shared);
    /// One key for video, one for audio.
    pub const SEPARATE: Self = Self::PerClass(Presets { video: VideoPreset::Video1, audio: AudioPreset::Audio1 });

    /// Its classes: each has a key of its own. No class when nothing is encrypted.
    pub fn classes(self) -> Vec<TrackClass> {
        match self {
            Self::Shared(_) => vec![ALL],
            Self::PerClass(presets) => [presets.video.classes(), presets.audio.classes()].concat(),
        }
    }
}

/// What a key identifier is made from. The same parts always give the same identifier, so that a request that is made again
/// asks for the same keys.
#[derive(Clone, Copy, Debug)]
pub struct KidName<'a> {
    /// The content.
    pub content_id: &'a str,
    /// [`TrackClass::name`].
    pub class: &'a str,
    /// The scheme: one key is never used with two.
    pub scheme: Scheme,
    /// Index of the key period; `None` without rotation.
    pub period: Option<u64>,
}

/// The namespace of our identifiers: a UUID of our own, made once at random.
const NAMESPACE: [u8; 16] =
    [0x5b, 0x0e, 0x6f, 0x2c, 0x3a, 0x7d, 0x4c, 0x52, 0x9d, 0x41, 0x8e, 0x67, 0x1f, 0xa0, 0xd3, 0x94];

impl KidName<'_> {
    /// The identifier: a UUID of version 8 from SHA-256 (RFC 9562, 5.8 and B.2). Parts are counted, so that no two lists of
    /// parts are the same bytes.
    pub fn kid(&self) -> Kid {
        let mut hash = Sha256::new();
        hash.update(NAMESPACE);
        for part in [self.content_id, self.class, self.scheme.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        if let Some(period) = self.period {
            hash.update(period.to_be_bytes());
        }
        let mut kid = [0; 16];
        for (to, from) in kid.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut kid;
        *version = *version & 0x0f | 0x80;
        *variant = *variant & 0x3f | 0x80;
        Kid(kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEOS: [VideoPreset; 8] = [
        VideoPreset::Video1,
        VideoPreset::Video2,
        VideoPreset::Video3,
        VideoPreset::Video4,
        VideoPreset::Video5,
        VideoPreset::Video6,
        VideoPreset::Video7,
        VideoPreset::Video8,
    ];

    /// Whatever the size of a picture, exactly one class of a preset is for it.
    #[test]
    fn one_key_for_every_track() {
        let sizes = [1, SD, SD + 1, HD1, HD1 + 1, HD, HD + 1, UHD1, UHD1 + 1, u64::MAX];
        for preset in VIDEOS {
            for pixels in sizes {
                let matching = preset.classes().iter().filter(|class| class.key_use.is_for_video(pixels)).count();
                assert_eq!(matching, 1, "{preset:?}, {pixels} pixels");
            }
            assert!(preset.classes().iter().all(|class| !class.key_use.is_for_audio(2)));
        }
        for preset in [AudioPreset::Audio1, AudioPreset::Audio2, AudioPreset::Audio3] {
            for channels in [1, 2, 3, 6, 7, 64] {
                let matching = preset.classes().iter().filter(|class| class.key_use.is_for_audio(channels)).count();
                assert_eq!(matching, 1, "{preset:?}, {channels} channels");
            }
            assert!(preset.classes().iter().all(|class| !class.key_use.is_for_video(1)));
        }
    }

    #[test]
    fn hd_is_open_only_without_uhd() {
        let hd = |preset: VideoPreset| *preset.classes().iter().find(|class| class.name == "HD").unwrap();
        assert_eq!(hd(VideoPreset::Video2).key_use, KeyUse::Video { min_pixels: Some(589_825), max_pixels: None });
        let capped = KeyUse::Video { min_pixels: Some(589_825), max_pixels: Some(2_073_600) };
        assert_eq!(hd(VideoPreset::Video3).key_use, capped);
        assert_eq!(hd(VideoPreset::Video4).key_use, capped);
    }

    #[test]
    fn shared_and_unencrypted() {
        let [all] = Contract::SHARED.classes()[..] else { panic!("one class") };
        assert!(all.key_use.is_for_video(1) && all.key_use.is_for_audio(8));
        let contract = Contract::PerClass(Presets { video: VideoPreset::Video1, audio: AudioPreset::Unencrypted });
        assert_eq!(contract.classes(), [VIDEO]);
    }

    #[test]
    fn kids_depend_on_every_part_and_on_nothing_else() {
        let name = KidName { content_id: "film-1", class: "SD", scheme: Scheme::Cbcs, period: None };
        assert_eq!(name.kid(), name.kid());
        // A changed identifier would orphan what was encrypted with it.
        assert_eq!(name.kid().to_string(), "b47a2921-2baf-82f8-8fc3-1e9e0b08c255");
        let others = [
            KidName { content_id: "film-2", ..name },
            KidName { class: "HD", ..name },
            KidName { scheme: Scheme::Cenc, ..name },
            KidName { period: Some(0), ..name },
            KidName { period: Some(1), ..name },
            KidName { content_id: "film-1S", class: "D", ..name },
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(other.kid(), name.kid());
            assert!(others[..index].iter().all(|before| before.kid() != other.kid()));
            let text = other.kid().to_string();
            assert_eq!(&text[14..15], "8", "version");
            assert!("89ab".contains(&text[19..20]), "variant");
        }
    }
}
