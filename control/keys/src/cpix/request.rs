//! Documents that ask for keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

use super::{CPIX, DS, PSKC, SPEKE};
use crate::contract::{KeyUse, TrackClass};
use crate::kid::Kid;
use crate::system::{System, Version};

/// What a document asks for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The protocol.
    pub version: Version,
    /// The content.
    pub content_id: &'a str,
    /// `@commonEncryptionScheme` of every key; SPEKE v1 has none.
    pub scheme: &'a str,
    /// The keys.
    pub keys: Vec<RequestedKey>,
    /// What is wanted for every key.
    pub systems: Vec<RequestedSystem>,
    /// Key periods; a key belongs to one by its place.
    pub periods: Vec<RequestedPeriod<'a>>,
    /// The IV of every key.
    pub explicit_iv: Option<[u8; 16]>,
    /// Certificate in DER that keys are to be encrypted to.
    pub certificate: Option<&'a [u8]>,
}

/// A key that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RequestedKey {
    /// Its identifier.
    pub kid: Kid,
    /// The tracks it is for.
    pub class: TrackClass,
    /// Place of its period in [`Request::periods`].
    pub period: Option<usize>,
}

/// Signalling that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RequestedSystem {
    /// The system.
    pub system: System,
    /// `PSSH`.
    pub pssh: bool,
    /// `ContentProtectionData`.
    pub content_protection: bool,
    /// `HLSSignalingData`, or `URIExtXKey` and its formats of SPEKE v1.
    pub hls: bool,
    /// `SmoothStreamingProtectionHeaderData`, or `ProtectionHeader` of SPEKE v1.
    pub protection_header: bool,
}

/// A key period that is asked for.
#[derive(Clone, Debug)]
pub struct RequestedPeriod<'a> {
    /// Its number.
    pub index: u64,
    /// Start and end; SPEKE v2.1 only.
    pub time: Option<(&'a str, &'a str)>,
}

impl Request<'_> {
    /// The document.
    ///
    /// # Errors
    /// When writing to memory fails, which it does not.
    pub fn write(&self) -> std::io::Result<String> {
        let mut to = Document { writer: Writer::new(Vec::new()) };
        to.writer.write_event(Event::Decl(quick_xml::events::BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let one = self.version == Version::V1_0;
        let mut root = BytesStart::new("cpix:CPIX");
        root.push_attribute(("xmlns:cpix", CPIX));
        root.push_attribute(("xmlns:pskc", PSKC));
        if one {
            root.push_attribute(("xmlns:speke", SPEKE));
        }
        if self.certificate.is_some() {
            root.push_attribute(("xmlns:ds", DS));
        }
        root.push_attribute((if one { "id" } else { "contentId" }, self.content_id));
        if let Some(version) = self.version.cpix() {
            root.push_attribute(("version", version));
        }
        to.writer.write_event(Event::Start(root))?;
        if let Some(certificate) = self.certificate {
            to.delivery(certificate)?;
        }
        self.keys(&mut to)?;
        self.systems(&mut to)?;
        self.periods(&mut to)?;
        if !one || !self.periods.is_empty() {
            self.rules(&mut to)?;
        }
        to.close("cpix:CPIX")?;
        String::from_utf8(to.writer.into_inner()).map_err(std::io::Error::other)
    }

    fn keys(&self, to: &mut Document) -> std::io::Result<()> {
        let iv = self.explicit_iv.map(|iv| STANDARD.encode(iv));
        to.open("cpix:ContentKeyList", &[])?;
        for key in &self.keys {
            let kid = key.kid.to_string();
            let mut attributes = vec![("kid", kid.as_str())];
            if self.version != Version::V1_0 {
                attributes.push(("commonEncryptionScheme", self.scheme));
            }
            if let Some(iv) = &iv {
                attributes.push(("explicitIV", iv));
            }
            to.empty("cpix:ContentKey", &attributes)?;
        }
        to.close("cpix:ContentKeyList")
    }

    fn systems(&self, to: &mut Document) -> std::io::Result<()> {
        to.open("cpix:DRMSystemList", &[])?;
        for key in &self.keys {
            for system in &self.systems {
                let id = system.system.id(self.version);
                to.open("cpix:DRMSystem", &[("kid", &key.kid.to_string()), ("systemId", id)])?;
                if system.pssh {
                    to.empty("cpix:PSSH", &[])?;
                }
                if system.content_protection {
                    to.empty("cpix:ContentProtectionData", &[])?;
                }
                self.hls(to, system)?;
                if system.protection_header {
                    to.empty(
                        match self.version {
                            Version::V1_0 => "speke:ProtectionHeader",
                            _ => "cpix:SmoothStreamingProtectionHeaderData",
                        },
                        &[],
                    )?;
                }
                to.close("cpix:DRMSystem")?;
            }
        }
        to.close("cpix:DRMSystemList")
    }

    fn hls(&self, to: &mut Document, system: &RequestedSystem) -> std::io::Result<()> {
        if !system.hls {
            return Ok(());
        }
        let multivariant = match self.version {
            Version::V1_0 => {
                to.empty("cpix:URIExtXKey", &[])?;
                to.empty("speke:KeyFormat", &[])?;
                return to.empty("speke:KeyFormatVersions", &[]);
            }
            Version::V2_0 => "master",
            Version::V2_1 => "multiVariant",
        };
        to.empty("cpix:HLSSignalingData", &[("playlist", "media")])?;
        to.empty("cpix:HLSSignalingData", &[("playlist", multivariant)])
    }

    fn periods(&self, to: &mut Document) -> std::io::Result<()> {
        if self.periods.is_empty() {
            return Ok(());
        }
        to.open("cpix:ContentKeyPeriodList", &[])?;
        for (place, period) in self.periods.iter().enumerate() {
            let (id, index) = (period_id(place), period.index.to_string());
            let mut attributes = vec![("id", id.as_str()), ("index", index.as_str())];
            if let (Version::V2_1, Some((start, end))) = (self.version, period.time) {
                attributes.extend([("start", start), ("end", end)]);
            }
            to.empty("cpix:ContentKeyPeriod", &attributes)?;
        }
        to.close("cpix:ContentKeyPeriodList")
    }

    fn rules(&self, to: &mut Document) -> std::io::Result<()> {
        to.open("cpix:ContentKeyUsageRuleList", &[])?;
        for key in &self.keys {
            let kid = key.kid.to_string();
            let mut attributes = vec![("kid", kid.as_str())];
            if self.version != Version::V1_0 {
                attributes.push(("intendedTrackType", key.class.name));
            }
            to.open("cpix:ContentKeyUsageRule", &attributes)?;
            if let Some(place) = key.period {
                to.empty("cpix:KeyPeriodFilter", &[("periodId", &period_id(place))])?;
            }
            if self.version != Version::V1_0 {
                to.filters(key.class.key_use)?;
            }
            to.close("cpix:ContentKeyUsageRule")?;
        }
        to.close("cpix:ContentKeyUsageRuleList")
    }
}

fn period_id(place: usize) -> String {
    format!("keyPeriod_{place}")
}

struct Document {
    writer: Writer<Vec<u8>>,
}

impl Document {
    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> std::io::Result<()> {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Start(start))
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> std::io::Result<()> {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.writer.write_event(Event::Empty(start))
    }

    fn close(&mut self, name: &str) -> std::io::Result<()> {
        self.writer.write_event(Event::End(BytesEnd::new(name)))
    }

    fn filters(&mut self, key_use: KeyUse) -> std::io::Result<()> {
        let bounded = |min: (&'static str, Option<u64>), max: (&'static str, Option<u64>)| {
            let bounds = [min, max].into_iter();
            bounds.filter_map(|(name, bound)| Some((name, bound?.to_string()))).collect::<Vec<_>>()
        };
        let (video, audio) = match key_use {
            KeyUse::All => (Some(Vec::new()), Some(Vec::new())),
            KeyUse::Video { min_pixels, max_pixels } => {
                (Some(bounded(("minPixels", min_pixels), ("maxPixels", max_pixels))), None)
            }
            KeyUse::Audio { min_channels, max_channels } => {
                let (min, max) = (min_channels.map(u64::from), max_channels.map(u64::from));
                (None, Some(bounded(("minChannels", min), ("maxChannels", max))))
            }
        };
        for (name, bounds) in [("cpix:VideoFilter", video), ("cpix:AudioFilter", audio)] {
            let Some(bounds) = bounds else { continue };
            let bounds: Vec<_> = bounds.iter().map(|(name, bound)| (*name, bound.as_str())).collect();
            self.empty(name, &bounds)?;
        }
        Ok(())
    }

    fn delivery(&mut self, certificate: &[u8]) -> std::io::Result<()> {
        self.open("cpix:DeliveryDataList", &[])?;
        self.open("cpix:DeliveryData", &[("id", "edgepack")])?;
        let wrapping = ["cpix:DeliveryKey", "ds:X509Data", "ds:X509Certificate"];
        for name in wrapping {
            self.open(name, &[])?;
        }
        self.writer.write_event(Event::Text(BytesText::new(&STANDARD.encode(certificate))))?;
        for name in wrapping.iter().rev() {
            self.close(name)?;
        }
        self.close("cpix:DeliveryData")?;
        self.close("cpix:DeliveryDataList")
    }
}
