//! From what is wanted to a document.

use std::collections::HashSet;

use super::error::{RequestError, Result};
use super::{KeyServer, Manifests, Request};
use crate::contract::{Contract, KidName};
use crate::cpix::{self, RequestedKey, RequestedPeriod, RequestedSystem};
use crate::encrypted::Recipient;
use crate::limits;
use crate::scheme::Scheme;
use crate::system::{System, Version};

/// What is asked for, key by key and system by system.
pub struct Asked {
    pub version: Version,
    pub content_id: String,
    pub scheme: Scheme,
    pub keys: Vec<RequestedKey>,
    pub systems: Vec<RequestedSystem>,
    /// Numbers of the periods that keys point at.
    pub periods: Vec<u64>,
}

impl Asked {
    pub fn new(server: &KeyServer, request: &Request) -> Result<Self> {
        let version = server.version;
        let content_id = request.content_id.as_str();
        if !(1..=limits::MAX_CONTENT_ID_BYTES).contains(&content_id.len()) || content_id.chars().any(char::is_control) {
            return Err(RequestError::ContentId.into());
        }
        let mut systems = HashSet::new();
        if let Some(system) = request.systems.iter().find(|system| !systems.insert(**system)) {
            return Err(RequestError::RepeatedSystem(*system).into());
        }
        let max_periods = if version == Version::V1_0 { 1 } else { limits::MAX_PERIODS };
        if request.periods.len() > max_periods {
            return Err(RequestError::Periods.into());
        }
        let mut indexes = HashSet::new();
        if let Some(period) = request.periods.iter().find(|period| !indexes.insert(period.index)) {
            return Err(RequestError::RepeatedPeriod(period.index).into());
        }
        if version == Version::V1_0 && server.contract != Contract::SHARED {
            return Err(RequestError::Contract.into());
        }
        let classes = server.contract.classes();
        let places: Vec<_> = match request.periods.len() {
            0 => vec![None],
            count => (0..count).map(Some).collect(),
        };
        if classes.len() * places.len() > limits::MAX_KEYS {
            return Err(RequestError::Keys.into());
        }
        let scheme = request.scheme;
        let periods: Vec<_> = request.periods.iter().map(|period| period.index).collect();
        let keys = places.iter().flat_map(|place| classes.iter().map(move |class| (*place, *class)));
        let keys = keys.map(|(place, class)| {
            let period = place.and_then(|place| periods.get(place).copied());
            let kid = KidName { content_id, class: class.name, scheme, period }.kid();
            RequestedKey { kid, class, period: place }
        });
        let keys = keys.collect();
        let systems = request.systems.iter().map(|system| wanted(*system, request.manifests, version)).collect();
        Ok(Self { version, content_id: content_id.to_owned(), scheme, keys, systems, periods })
    }

    /// `@commonEncryptionScheme`.
    pub fn scheme_name(&self) -> &'static str {
        match (self.scheme, self.version) {
            (Scheme::Cenc, _) => "cenc",
            (Scheme::Cbcs, _) => "cbcs",
            (Scheme::Aes128, Version::V2_1) => "AES-128",
            (Scheme::SampleAes, Version::V2_1) => "SAMPLE-AES",
            // CPIX 2.3 has only the schemes of common encryption; its list of systems describes the one as CBC of everything
            // and the other as CBCS.
            (Scheme::Aes128, _) => "cbc1",
            (Scheme::SampleAes, _) => "cbcs",
        }
    }

    pub fn document(&self, request: &Request, recipient: Option<&Recipient>) -> Result<String> {
        let document = cpix::Request {
            version: self.version,
            content_id: &self.content_id,
            scheme: self.scheme_name(),
            keys: self.keys.clone(),
            systems: self.systems.clone(),
            periods: request
                .periods
                .iter()
                .map(|period| RequestedPeriod {
                    index: period.index,
                    time: period.time.as_ref().map(|(start, end)| (start.as_str(), end.as_str())),
                })
                .collect(),
            explicit_iv: request.explicit_iv,
            certificate: recipient.map(Recipient::certificate),
        };
        document.write().map_err(|_| RequestError::Document.into())
    }
}

/// What is asked for of a system: only what the manifests need, for a server has to fill all of it.
fn wanted(system: System, manifests: Manifests, version: Version) -> RequestedSystem {
    let two = version != Version::V1_0;
    let is_common = matches!(system, System::Widevine | System::PlayReady | System::ClearKey);
    RequestedSystem {
        system,
        pssh: is_common,
        content_protection: is_common && two && manifests.dash,
        hls: match system {
            System::FairPlay | System::Aes128 | System::SampleAes => true,
            System::Widevine | System::PlayReady => two && manifests.hls,
            System::ClearKey => false,
        },
        protection_header: system == System::PlayReady && (!two || manifests.smooth),
    }
}
