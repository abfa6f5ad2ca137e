//! From a document to keys: everything that was asked for, and nothing else.

use std::collections::{BTreeSet, HashMap};

use super::ask::Asked;
use super::error::{Error, Result};
use super::{Acquired, AcquiredKey, HlsSignalling, Signalling};
use crate::cpix::{ContentKey, Document, DrmSystem, KeyData, RequestedKey, RequestedSystem};
use crate::encrypted::{DocumentKeys, Recipient};
use crate::kid::Kid;
use crate::limits;
use crate::scheme::Scheme;
use crate::secret::ContentKeyBytes;
use crate::system::Version;

pub fn acquired(document: &Document, asked: &Asked, recipient: Option<&Recipient>) -> Result<Acquired> {
    let answered = match asked.version {
        Version::V1_0 => only_key(document)?,
        Version::V2_0 | Version::V2_1 => {
            check_document(document, asked)?;
            keys_by_kid(document, asked)?
        }
    };
    let opened = recipient.map(|recipient| recipient.document_keys(&document.deliveries)).transpose()?;
    let systems: HashMap<_, _> = document.systems.iter().map(|system| ((system.kid, system.system), system)).collect();
    let periods = Periods { document, asked };
    let mut keys = Vec::with_capacity(asked.keys.len());
    for wanted in &asked.keys {
        // The one key of SPEKE v1 may have another identifier; with v2 it is looked up by its own.
        let key = match asked.version {
            Version::V1_0 => answered.values().next(),
            _ => answered.get(&wanted.kid),
        };
        let key = *key.ok_or(Error::NoKey(wanted.kid))?;
        periods.check(wanted, key.kid)?;
        let signalling = asked.systems.iter().map(|system| {
            let id = system.system.id(asked.version).parse::<Kid>().ok();
            signalling(systems.get(&(Some(key.kid), id)).copied(), key.kid, *system, asked)
        });
        keys.push(AcquiredKey {
            kid: key.kid,
            key: content_key(key, opened.as_ref())?,
            explicit_iv: key.explicit_iv,
            class: wanted.class.name,
            key_use: wanted.class.key_use,
            period: wanted.period.and_then(|place| asked.periods.get(place).copied()),
            systems: signalling.collect::<Result<_>>()?,
        });
    }
    Ok(Acquired { keys })
}

/// SPEKE v1: one key, whatever its identifier.
fn only_key(document: &Document) -> Result<HashMap<Kid, &ContentKey>> {
    match document.keys.as_slice() {
        [key] => Ok(HashMap::from([(key.kid, key)])),
        keys => Err(Error::KeyCount(keys.len())),
    }
}

/// SPEKE v2: the identifiers that were asked for, each with the scheme that was asked for.
fn keys_by_kid<'a>(document: &'a Document, asked: &Asked) -> Result<HashMap<Kid, &'a ContentKey>> {
    let wanted: BTreeSet<_> = asked.keys.iter().map(|key| key.kid).collect();
    let answered: HashMap<_, _> = document.keys.iter().map(|key| (key.kid, key)).collect();
    if let Some(key) = document.keys.iter().find(|key| !wanted.contains(&key.kid)) {
        return Err(Error::OtherKid(key.kid));
    }
    for key in &document.keys {
        let scheme = asked.scheme_name();
        let found = key.scheme.as_deref().unwrap_or_default();
        if found != scheme {
            let found = found.chars().take(limits::MAX_SHOWN_NAME_CHARACTERS).collect();
            return Err(Error::Scheme { kid: key.kid, wanted: scheme, found });
        }
    }
    Ok(answered)
}

fn check_document(document: &Document, asked: &Asked) -> Result<()> {
    if document.content_id.as_ref() != Some(&asked.content_id) {
        return Err(Error::OtherDocument("content id"));
    }
    if document.version.as_deref() != asked.version.cpix() {
        return Err(Error::OtherDocument("version of CPIX"));
    }
    Ok(())
}

fn content_key(key: &ContentKey, opened: Option<&DocumentKeys>) -> Result<ContentKeyBytes> {
    match (&key.data, opened) {
        (KeyData::Absent, _) => Err(Error::NoKey(key.kid)),
        (KeyData::Plain(bytes), None) => Ok(bytes.clone()),
        (KeyData::Plain(_), Some(_)) => Err(Error::NotEncrypted(key.kid)),
        (KeyData::Encrypted(encrypted), Some(opened)) => Ok(opened.open(encrypted)?),
        (KeyData::Encrypted(_), None) => Err(Error::Unreadable(key.kid)),
    }
}

/// Rules and periods of the answer.
struct Periods<'a> {
    document: &'a Document,
    asked: &'a Asked,
}

impl Periods<'_> {
    /// That the key is for the tracks and the period that it was asked for.
    fn check(&self, wanted: &RequestedKey, kid: Kid) -> Result<()> {
        let two = self.asked.version != Version::V1_0;
        let mut rules = self.document.rules.iter().filter(|rule| rule.kid == kid).peekable();
        if rules.peek().is_none() && (two || wanted.period.is_some()) {
            return Err(Error::NoRule(kid));
        }
        for rule in rules {
            if two && rule.key_use() != Some(wanted.class.key_use) {
                // Changed to the tracks of another key, or to other tracks altogether.
                let same = |other: &&RequestedKey| {
                    Some(other.class.key_use) == rule.key_use() && other.period == wanted.period
                };
                return Err(match self.asked.keys.iter().find(same) {
                    Some(other) => Error::TwoKeys(other.kid, kid),
                    None => Error::Rule(kid),
                });
            }
            let index = |id: &String| self.document.periods.iter().find(|period| period.id == *id)?.index;
            let wanted = wanted.period.and_then(|place| self.asked.periods.get(place).copied());
            let answered: Vec<_> = rule.periods.iter().map(index).collect();
            if answered != wanted.map(Some).into_iter().collect::<Vec<_>>() {
                return Err(Error::Period(kid));
            }
        }
        Ok(())
    }
}

fn signalling(answer: Option<&DrmSystem>, kid: Kid, wanted: RequestedSystem, asked: &Asked) -> Result<Signalling> {
    let system = wanted.system;
    let vanished = |element| Error::Vanished { kid, system, element };
    let answer = answer.ok_or(vanished("DRMSystem"))?;
    let present = |is_wanted: bool, is_there: bool, element| match is_wanted && !is_there {
        true => Err(vanished(element)),
        false => Ok(()),
    };
    present(wanted.pssh, answer.pssh.is_some(), "PSSH")?;
    present(wanted.content_protection, answer.content_protection.is_some(), "ContentProtectionData")?;
    let (header, element) = match asked.version {
        Version::V1_0 => (&answer.protection_header, "ProtectionHeader"),
        _ => (&answer.smooth, "SmoothStreamingProtectionHeaderData"),
    };
    present(wanted.protection_header, header.is_some(), element)?;
    let hls = match asked.version {
        _ if !wanted.hls => None,
        Version::V1_0 => Some(HlsSignalling::Attributes {
            uri: answer.uri.clone().ok_or(vanished("URIExtXKey"))?,
            key_format: answer.key_format.clone(),
            key_format_versions: answer.key_format_versions.clone(),
        }),
        Version::V2_0 | Version::V2_1 => {
            let media = answer.hls_media.clone().ok_or(vanished("HLSSignalingData of media playlists"))?;
            let multivariant = answer.hls_multivariant.clone();
            let multivariant = multivariant.ok_or(vanished("HLSSignalingData of multivariant playlists"))?;
            check_lines(&media, &multivariant, asked.scheme).map_err(|attribute| Error::Hls {
                kid,
                system,
                attribute,
            })?;
            Some(HlsSignalling::Lines { media, multivariant })
        }
    };
    Ok(Signalling {
        system,
        // What was not asked for is not used: it has not to be right.
        pssh: answer.pssh.clone().filter(|_| wanted.pssh),
        protection_header: header.clone().filter(|_| wanted.protection_header),
        content_protection: answer.content_protection.clone().filter(|_| wanted.content_protection),
        hls,
    })
}

/// That METHOD is that of the scheme, and that METHOD, KEYFORMAT and KEYFORMATVERSIONS of both kinds of playlists agree
/// (RFC 8216bis, 4.4.6.5). The attribute that does not.
fn check_lines(media: &[String], multivariant: &[String], scheme: Scheme) -> core::result::Result<(), &'static str> {
    for line in media.iter().chain(multivariant) {
        if attribute(line, "METHOD") != Some(scheme.hls_method()) {
            return Err("METHOD");
        }
    }
    for name in ["KEYFORMAT", "KEYFORMATVERSIONS"] {
        let values = |lines: &[String]| -> BTreeSet<String> {
            lines.iter().map(|line| attribute(line, name).unwrap_or_default().to_owned()).collect()
        };
        if values(media) != values(multivariant) {
            return Err(name);
        }
    }
    Ok(())
}

/// The value of an attribute of a tag, without quotes (RFC 8216bis, 4.2).
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, mut rest) = line.split_once(':')?;
    loop {
        let (own, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        if own.trim() == name {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_a_tag() {
        let line = r#"#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a,METHOD=NONE",KEYFORMAT="com.x",KEYFORMATVERSIONS="1""#;
        assert_eq!(attribute(line, "METHOD"), Some("SAMPLE-AES"));
        assert_eq!(attribute(line, "URI"), Some("skd://a,METHOD=NONE"));
        assert_eq!(attribute(line, "KEYFORMATVERSIONS"), Some("1"));
        assert_eq!(attribute(line, "IV"), None);
        assert_eq!(attribute("#EXT-X-KEY:METHOD", "METHOD"), None);
    }
}
