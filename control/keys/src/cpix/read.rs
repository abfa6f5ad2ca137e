//! From XML to a [`Document`].

use std::collections::HashSet;

use super::error::{Error, ErrorKind, Result};
use super::pssh::{is_playready_object, pssh_system};
use super::rules::{KeyPeriod, UsageRule};
use super::xml::Element;
use super::{
    AES_256_CBC, CPIX, ContentKey, DS, Delivery, Document, DrmSystem, ENC, EncryptedKey, HMAC_SHA_512, KeyData, PSKC,
    RSA_OAEP, SPEKE,
};
use crate::limits;
use crate::secret::ContentKeyBytes;

pub fn document(root: &Element) -> Result<Document> {
    if !root.is(CPIX, "CPIX") {
        return Err(root.error(ErrorKind::Value("CPIX of the namespace urn:dashif:org:cpix")));
    }
    let content_id = root.attribute("contentId").or_else(|| root.attribute("id"));
    let keys: Vec<_> = list(root, "ContentKeyList", "ContentKey", content_key)?;
    let mut kids = HashSet::new();
    for (key, element) in keys.iter().zip(elements(root, "ContentKeyList", "ContentKey")) {
        if !kids.insert(key.kid) {
            return Err(element.attribute_error("kid", ErrorKind::Repeated("this identifier")));
        }
    }
    let systems = list(root, "DRMSystemList", "DRMSystem", drm_system)?;
    let mut pairs = HashSet::new();
    for (system, element) in systems.iter().zip(elements(root, "DRMSystemList", "DRMSystem")) {
        if system.kid.is_some_and(|kid| !kids.contains(&kid)) {
            return Err(element.attribute_error("kid", ErrorKind::UnknownKid));
        }
        if !pairs.insert((system.kid, system.system)) {
            return Err(element.error(ErrorKind::Repeated("this key and system")));
        }
    }
    let periods = list(root, "ContentKeyPeriodList", "ContentKeyPeriod", KeyPeriod::read)?;
    let mut ids = HashSet::new();
    for (period, element) in periods.iter().zip(elements(root, "ContentKeyPeriodList", "ContentKeyPeriod")) {
        if !ids.insert(period.id.as_str()) {
            return Err(element.attribute_error("id", ErrorKind::Repeated("this id")));
        }
    }
    let rules = list(root, "ContentKeyUsageRuleList", "ContentKeyUsageRule", UsageRule::read)?;
    for (rule, element) in rules.iter().zip(elements(root, "ContentKeyUsageRuleList", "ContentKeyUsageRule")) {
        if !kids.contains(&rule.kid) {
            return Err(element.attribute_error("kid", ErrorKind::UnknownKid));
        }
        if rule.periods.iter().any(|id| !ids.contains(id.as_str())) {
            return Err(element.error(ErrorKind::Missing("the key period of its KeyPeriodFilter")));
        }
    }
    let deliveries = list(root, "DeliveryDataList", "DeliveryData", delivery)?;
    Ok(Document {
        content_id: content_id.map(str::to_owned),
        version: root.attribute("version").map(str::to_owned),
        keys,
        systems,
        periods,
        rules,
        deliveries,
    })
}

fn elements<'a>(root: &'a Element, list: &'a str, name: &'a str) -> impl Iterator<Item = &'a Element> {
    root.all(CPIX, list).flat_map(move |list| list.all(CPIX, name))
}

fn list<T>(
    root: &Element,
    list: &'static str,
    name: &'static str,
    read: impl Fn(&Element) -> Result<T>,
) -> Result<Vec<T>> {
    // Bounded by the elements of the document; keys and systems are quadratic for those who compare them.
    let Some(list) = root.optional(CPIX, list)? else { return Ok(Vec::new()) };
    let max = match name {
        "DRMSystem" => limits::MAX_KEYS * limits::MAX_SYSTEMS,
        _ => limits::MAX_KEYS,
    };
    if list.all(CPIX, name).count() > max {
        return Err(list.error(ErrorKind::Limit("1000 keys, or ten systems for each")));
    }
    list.all(CPIX, name).map(read).collect()
}

fn content_key(element: &Element) -> Result<ContentKey> {
    let explicit_iv = match element.attribute("explicitIV") {
        None => None,
        Some(text) => {
            let error = || element.attribute_error("explicitIV", ErrorKind::Value("base64 of 16 bytes"));
            let bytes = super::value::base64(text).ok_or_else(error)?;
            Some(<[u8; 16]>::try_from(bytes.as_slice()).map_err(|_| error())?)
        }
    };
    let data = match element.optional(CPIX, "Data")? {
        None => KeyData::Absent,
        Some(data) => key_data(data)?,
    };
    let scheme = element.attribute("commonEncryptionScheme").map(str::to_owned);
    Ok(ContentKey { kid: element.uuid("kid")?, scheme, explicit_iv, data })
}

fn key_data(data: &Element) -> Result<KeyData> {
    let secret = data.required(PSKC, "Secret")?;
    match (secret.optional(PSKC, "PlainValue")?, secret.optional(PSKC, "EncryptedValue")?) {
        (Some(_), Some(encrypted)) => Err(encrypted.error(ErrorKind::Repeated("the key"))),
        (None, None) => Err(secret.error(ErrorKind::Missing("PlainValue or EncryptedValue"))),
        (Some(plain), None) => {
            let bytes = plain.bytes()?;
            let key = <&[u8; 16]>::try_from(bytes.as_slice());
            let key = key.map_err(|_| plain.error(ErrorKind::Value("base64 of 16 bytes")))?;
            Ok(KeyData::Plain(ContentKeyBytes::new(*key)))
        }
        (None, Some(encrypted)) => {
            let mac = secret.required(PSKC, "ValueMAC")?;
            let cipher_value = cipher_value(encrypted, AES_256_CBC)?;
            Ok(KeyData::Encrypted(EncryptedKey { cipher_value, mac: mac.bytes()?.to_vec() }))
        }
    }
}

/// The bytes of `EncryptionMethod` and `CipherData/CipherValue` in an element.
fn cipher_value(element: &Element, algorithm: &'static str) -> Result<Vec<u8>> {
    let method = element.required(ENC, "EncryptionMethod")?;
    is_algorithm(method, algorithm)?;
    let value = element.required(ENC, "CipherData")?.required(ENC, "CipherValue")?;
    Ok(value.bytes()?.to_vec())
}

fn is_algorithm(element: &Element, algorithm: &'static str) -> Result<()> {
    if element.attribute("Algorithm") == Some(algorithm) {
        return Ok(());
    }
    Err(element.attribute_error("Algorithm", ErrorKind::Value(algorithm)))
}

fn delivery(element: &Element) -> Result<Delivery> {
    let certificate = match element.optional(CPIX, "DeliveryKey")? {
        None => None,
        Some(key) => {
            let certificate = key.required(DS, "X509Data")?.required(DS, "X509Certificate")?;
            Some(certificate.bytes()?.to_vec())
        }
    };
    let document_key = match element.optional(CPIX, "DocumentKey")? {
        None => None,
        Some(key) => {
            is_algorithm(key, AES_256_CBC)?;
            let secret = key.required(CPIX, "Data")?.required(PSKC, "Secret")?;
            Some(cipher_value(secret.required(PSKC, "EncryptedValue")?, RSA_OAEP)?)
        }
    };
    let mac_key = match element.optional(CPIX, "MACMethod")? {
        None => None,
        Some(method) => {
            is_algorithm(method, HMAC_SHA_512)?;
            let key = method.required(CPIX, "Key")?;
            // The schema has the parts of an encrypted value in Key itself; servers also wrap them.
            let key = key.optional(PSKC, "EncryptedValue")?.unwrap_or(key);
            Some(cipher_value(key, RSA_OAEP)?)
        }
    };
    Ok(Delivery { certificate, document_key, mac_key })
}

fn drm_system(element: &Element) -> Result<DrmSystem> {
    let (kid, system) = (element.uuid("kid")?, element.uuid("systemId")?);
    let mut read = DrmSystem { kid: Some(kid), system: Some(system), ..DrmSystem::default() };
    for child in element.children.iter().filter(|child| !child.is_blank()) {
        match (child.namespace.as_str(), child.name.as_str()) {
            (CPIX, "PSSH") => {
                let pssh = child.bytes()?.to_vec();
                if pssh_system(&pssh) != Some(system) {
                    return Err(child.error(ErrorKind::Value("base64 of one pssh box of this system")));
                }
                once(&mut read.pssh, pssh, child)?;
            }
            (CPIX, "ContentProtectionData") => once(&mut read.content_protection, fragment(child)?, child)?,
            (CPIX, "HLSSignalingData") => match child.attribute("playlist") {
                None | Some("media") => once(&mut read.hls_media, lines(child, "#EXT-X-KEY:")?, child)?,
                Some("master" | "multiVariant") => {
                    once(&mut read.hls_multivariant, lines(child, "#EXT-X-SESSION-KEY:")?, child)?;
                }
                Some(_) => {
                    return Err(child.attribute_error("playlist", ErrorKind::Value("media, master or multiVariant")));
                }
            },
            (CPIX, "SmoothStreamingProtectionHeaderData") => {
                once(&mut read.smooth, playready_object(child)?, child)?;
            }
            (SPEKE, "ProtectionHeader") => once(&mut read.protection_header, playready_object(child)?, child)?,
            (CPIX, "URIExtXKey") => once(&mut read.uri, attribute_text(child)?, child)?,
            (SPEKE, "KeyFormat") => once(&mut read.key_format, attribute_text(child)?, child)?,
            (SPEKE, "KeyFormatVersions") => once(&mut read.key_format_versions, attribute_text(child)?, child)?,
            _ => {}
        }
    }
    Ok(read)
}

fn once<T>(place: &mut Option<T>, value: T, element: &Element) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(element.error(ErrorKind::Repeated("this element"))),
    }
}

fn playready_object(element: &Element) -> Result<Vec<u8>> {
    let bytes = element.bytes()?.to_vec();
    if is_playready_object(&bytes) {
        return Ok(bytes);
    }
    Err(element.error(ErrorKind::Value("base64 of a PlayReady object")))
}

/// A text that stands in a quoted string of a playlist (RFC 8216bis, 4.2).
fn attribute_text(element: &Element) -> Result<String> {
    let text = element.encoded_text()?;
    if text.chars().any(|c| c.is_control() || c == '"') {
        return Err(element.error(ErrorKind::Value("base64 of a text without quotes and line ends")));
    }
    Ok(text)
}

/// Lines of one tag.
fn lines(element: &Element, tag: &str) -> Result<Vec<String>> {
    let text = element.encoded_text()?;
    let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let sound = |line: &String| line.starts_with(tag) && line.len() > tag.len() && !line.chars().any(char::is_control);
    if !lines.is_empty() && lines.iter().all(sound) {
        return Ok(lines);
    }
    Err(element.error(ErrorKind::Value(match tag {
        "#EXT-X-KEY:" => "base64 of lines of #EXT-X-KEY:",
        _ => "base64 of lines of #EXT-X-SESSION-KEY:",
    })))
}

/// Elements that can be put into another document: well-formed by themselves, with all prefixes declared.
fn fragment(element: &Element) -> Result<String> {
    let text = element.encoded_text()?;
    let error = || element.error(ErrorKind::Value("base64 of XML elements with their namespaces"));
    // A declaration, comment or instruction would be one in the middle of the MPD.
    if text.contains("<?") || text.contains("<!") {
        return Err(error());
    }
    let wrapped = Element::read(format!("<x>{text}</x>").as_bytes()).map_err(|_: Error| error())?;
    if wrapped.name != "x" || wrapped.children.is_empty() || !wrapped.text.bytes().all(|b| b.is_ascii_whitespace()) {
        return Err(error());
    }
    Ok(text)
}
