//! A request, read as strictly as the specifications allow. Every refusal names what is wrong.

use std::collections::HashSet;

use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

use crate::rules;
use crate::systems::{Child, System};

const CPIX: &str = "urn:dashif:org:cpix";
const SPEKE: &str = "urn:aws:amazon:com:speke";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Why a request is refused.
pub type Refused<T> = Result<T, String>;

/// A request that is as it should be.
#[derive(Clone, Debug)]
pub struct Request {
    /// `1.0`, `2.0` or `2.1`.
    pub version: &'static str,
    pub content_id: String,
    pub keys: Vec<Key>,
    pub systems: Vec<Wanted>,
    pub periods: Vec<Period>,
    pub rules: Vec<rules::Rule>,
    /// Certificate in DER, and the id of its delivery.
    pub delivery: Option<(String, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub kid: [u8; 16],
    pub scheme: Option<String>,
    pub explicit_iv: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Wanted {
    pub kid: [u8; 16],
    pub system: System,
    pub children: Vec<Child>,
}

#[derive(Clone, Debug)]
pub struct Period {
    pub id: String,
    pub index: u64,
    pub time: Option<(String, String)>,
}

impl Request {
    pub fn read(method: &Method, headers: &HeaderMap, body: &[u8]) -> Refused<Self> {
        if method != Method::POST {
            return Err("only POST is answered".into());
        }
        let header = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.as_bytes());
        if !header("content-type").is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/xml")) {
            return Err("Content-Type is not application/xml".into());
        }
        let version = match header("x-speke-version") {
            None => "1.0",
            Some(b"2.0") => "2.0",
            Some(b"2.1") => "2.1",
            Some(_) => return Err("Unsupported SPEKE version".into()),
        };
        let text = std::str::from_utf8(body).map_err(|_| "the document is not UTF-8")?;
        let document = Document::parse(text).map_err(|error| format!("the document is not XML: {error}"))?;
        let root = document.root_element();
        named(root, CPIX, "CPIX")?;
        let content_id = root_attributes(root, version)?;
        let one = version == "1.0";
        let list = |name| {
            let mut lists = root.children().filter(|child| child.has_tag_name((CPIX, name)));
            match (lists.next(), lists.next()) {
                (list, None) => Ok(list),
                _ => Err(format!("more than one {name}")),
            }
        };
        for child in elements(root)? {
            let known = [
                "DeliveryDataList",
                "ContentKeyList",
                "DRMSystemList",
                "ContentKeyPeriodList",
                "ContentKeyUsageRuleList",
            ];
            if child.tag_name().namespace() != Some(CPIX) || !known.contains(&child.tag_name().name()) {
                return Err(format!("unknown element {}", child.tag_name().name()));
            }
            only_attributes(child, &[])?;
        }
        let mandatory = |name| list(name)?.ok_or(format!("missing {name}"));
        let keys = keys(mandatory("ContentKeyList")?, version)?;
        let periods = list("ContentKeyPeriodList")?.map(|list| self::periods(list, version)).transpose()?;
        let rule_list = list("ContentKeyUsageRuleList")?;
        if one && rule_list.is_some() != periods.is_some() {
            return Err("a ContentKeyPeriodList and a ContentKeyUsageRuleList go together".into());
        }
        let periods = periods.unwrap_or_default();
        let rules = match rule_list {
            Some(list) => rules::read(list, &keys, &periods, one)?,
            None if one => Vec::new(),
            None => return Err("missing ContentKeyUsageRuleList".into()),
        };
        Ok(Self {
            version,
            content_id,
            systems: systems(mandatory("DRMSystemList")?, &keys, version)?,
            keys,
            periods,
            rules,
            delivery: list("DeliveryDataList")?.map(delivery).transpose()?,
        })
    }

    pub fn is_v1(&self) -> bool {
        self.version == "1.0"
    }
}

fn root_attributes(root: Node<'_, '_>, version: &str) -> Refused<String> {
    let content_id = match version {
        "1.0" => {
            only_attributes(root, &["id"])?;
            root.attribute("id").ok_or("Missing CPIX@id")?
        }
        _ => {
            let content_id = root.attribute("contentId").ok_or("Missing CPIX@contentId")?;
            let cpix = root.attribute("version").ok_or("Missing CPIX@version")?;
            if cpix != if version == "2.0" { "2.3" } else { "2.4" } {
                return Err("Unsupported CPIX@version".into());
            }
            only_attributes(root, &["contentId", "version"])?;
            content_id
        }
    };
    if content_id.is_empty() {
        return Err("the content id is empty".into());
    }
    Ok(content_id.to_owned())
}

fn keys(list: Node<'_, '_>, version: &str) -> Refused<Vec<Key>> {
    let mut keys: Vec<Key> = Vec::new();
    let mut kids = HashSet::new();
    for key in elements(list)? {
        named(key, CPIX, "ContentKey")?;
        no_content(key)?;
        let kid = kid(key)?;
        if !kids.insert(kid) {
            return Err("two ContentKeys with one kid".into());
        }
        let scheme = key.attribute("commonEncryptionScheme").map(str::to_owned);
        let known: &[&str] = match version {
            "1.0" => {
                only_attributes(key, &["kid", "explicitIV"])?;
                &[]
            }
            "2.0" => &["cenc", "cbc1", "cens", "cbcs"],
            _ => &["cenc", "cbc1", "cens", "cbcs", "AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"],
        };
        if version != "1.0" {
            only_attributes(key, &["kid", "commonEncryptionScheme", "explicitIV"])?;
            let Some(scheme) = &scheme else {
                return Err(format!("Missing ContentKey@commonEncryptionScheme for KID {}", uuid(&kid)));
            };
            if !known.contains(&scheme.as_str())
                || keys.first().is_some_and(|first| first.scheme.as_ref() != Some(scheme))
            {
                return Err("Non compliant ContentKey@commonEncryptionScheme combination".into());
            }
        }
        let explicit_iv = key.attribute("explicitIV").map(str::to_owned);
        if let Some(iv) = &explicit_iv
            && !STANDARD.decode(iv).is_ok_and(|iv| iv.len() == 16)
        {
            return Err("ContentKey@explicitIV is not base64 of 16 bytes".into());
        }
        keys.push(Key { kid, scheme, explicit_iv });
    }
    match keys.len() {
        0 => Err("no ContentKey".into()),
        1 => Ok(keys),
        _ if version == "1.0" => Err("SPEKE v1 has one ContentKey".into()),
        _ => Ok(keys),
    }
}

fn systems(list: Node<'_, '_>, keys: &[Key], version: &str) -> Refused<Vec<Wanted>> {
    let one = version == "1.0";
    let mut systems: Vec<Wanted> = Vec::new();
    for element in elements(list)? {
        named(element, CPIX, "DRMSystem")?;
        only_attributes(element, &["kid", "systemId"])?;
        let kid = kid(element)?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or("a DRMSystem without its ContentKey")?;
        let id = element.attribute("systemId").ok_or("Missing DRMSystem@systemId")?;
        let system = System::of(id, one).ok_or(format!("unknown system {id}"))?;
        if systems.iter().any(|other| other.kid == kid && other.system == system) {
            return Err("two DRMSystems for one key and system".into());
        }
        if system == System::FairPlay && key.scheme.as_deref() == Some("cenc") {
            return Err("FairPlay has no cenc".into());
        }
        let children = children(element, version)?;
        if one {
            let known = system.children_of_v1();
            if let Some(child) = children.iter().find(|child| !known.iter().any(|(own, _)| own == *child)) {
                return Err(format!("{system:?} has no {child:?}"));
            }
            if let Some((child, _)) = known.iter().find(|(child, must)| *must && !children.contains(child)) {
                return Err(format!("{system:?} needs {child:?}"));
            }
        } else if let Some(child) = children.iter().find(|child| !system.children_of_v2().contains(child)) {
            return Err(format!("{system:?} has no {child:?}"));
        }
        systems.push(Wanted { kid, system, children });
    }
    let of = |kid: [u8; 16]| systems.iter().filter(move |wanted| wanted.kid == kid).map(|wanted| wanted.system);
    let first: Vec<_> = keys.first().map(|key| of(key.kid).collect()).unwrap_or_default();
    if first.is_empty() || keys.iter().any(|key| !of(key.kid).eq(first.iter().copied())) {
        return Err("every key needs a DRMSystem of the same systems".into());
    }
    Ok(systems)
}

fn children(element: Node<'_, '_>, version: &str) -> Refused<Vec<Child>> {
    let mut children = Vec::new();
    for child in elements(element)? {
        no_content(child)?;
        let name = (child.tag_name().namespace().unwrap_or(""), child.tag_name().name());
        if name != (CPIX, "HLSSignalingData") {
            only_attributes(child, &[])?;
        }
        let child = match (version, name) {
            (_, (CPIX, "PSSH")) => Child::Pssh,
            (_, (CPIX, "ContentProtectionData")) => Child::ContentProtection,
            ("1.0", (CPIX, "URIExtXKey")) => Child::Uri,
            ("1.0", (SPEKE, "KeyFormat")) => Child::KeyFormat,
            ("1.0", (SPEKE, "KeyFormatVersions")) => Child::KeyFormatVersions,
            ("1.0", (SPEKE, "ProtectionHeader")) => Child::ProtectionHeader,
            ("2.0" | "2.1", (CPIX, "SmoothStreamingProtectionHeaderData")) => Child::Smooth,
            ("2.0" | "2.1", (CPIX, "HLSSignalingData")) => {
                only_attributes(child, &["playlist"])?;
                match (version, child.attribute("playlist")) {
                    (_, Some("media")) => Child::HlsMedia,
                    ("2.0", Some("master")) | ("2.1", Some("multiVariant")) => Child::HlsMultivariant,
                    _ => return Err("HLSSignalingData@playlist is not one of this version".into()),
                }
            }
            (_, (_, name)) => return Err(format!("unknown element {name} in DRMSystem")),
        };
        if children.contains(&child) {
            return Err(format!("{child:?} twice"));
        }
        children.push(child);
    }
    if children.is_empty() {
        return Err("a DRMSystem asks for nothing".into());
    }
    Ok(children)
}

fn periods(list: Node<'_, '_>, version: &str) -> Refused<Vec<Period>> {
    let mut periods: Vec<Period> = Vec::new();
    for element in elements(list)? {
        named(element, CPIX, "ContentKeyPeriod")?;
        no_content(element)?;
        only_attributes(element, if version == "2.1" { &["id", "index", "start", "end"] } else { &["id", "index"] })?;
        let id = element.attribute("id").ok_or("Missing ContentKeyPeriod@id")?.to_owned();
        let index = element.attribute("index").and_then(|index| index.parse().ok());
        let index = index.ok_or("Missing ContentKeyPeriod@index")?;
        if periods.iter().any(|period| period.id == id || period.index == index) {
            return Err("two ContentKeyPeriods with one id or index".into());
        }
        let time = match (element.attribute("start"), element.attribute("end")) {
            (None, None) => None,
            (Some(start), Some(end)) => Some((start.to_owned(), end.to_owned())),
            _ => return Err("ContentKeyPeriod@start and @end go together".into()),
        };
        periods.push(Period { id, index, time });
    }
    match periods.len() {
        0 => Err("an empty ContentKeyPeriodList".into()),
        2.. if version == "1.0" => Err("SPEKE v1 has one ContentKeyPeriod".into()),
        _ => Ok(periods),
    }
}

fn delivery(list: Node<'_, '_>) -> Refused<(String, Vec<u8>)> {
    let only = |node: Node<'_, '_>| match elements(node)?.as_slice() {
        [child] => Ok(child.id()),
        _ => Err("DeliveryDataList/DeliveryData/DeliveryKey/X509Data/X509Certificate have one child each".to_owned()),
    };
    let mut node = list;
    let mut id = String::new();
    for (namespace, name) in [(CPIX, "DeliveryData"), (CPIX, "DeliveryKey"), (DS, "X509Data"), (DS, "X509Certificate")]
    {
        node = node.document().get_node(only(node)?).ok_or("no node")?;
        named(node, namespace, name)?;
        if name == "DeliveryData" {
            only_attributes(node, &["id"])?;
            id = node.attribute("id").ok_or("Missing DeliveryData@id")?.to_owned();
        } else {
            only_attributes(node, &[])?;
        }
    }
    let certificate = STANDARD.decode(node.text().unwrap_or("")).map_err(|_| "X509Certificate is not base64")?;
    crate::delivery::check(&certificate)?;
    Ok((id, certificate))
}

pub fn named(node: Node<'_, '_>, namespace: &str, name: &str) -> Refused<()> {
    if node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace) {
        return Ok(());
    }
    Err(format!("{} of {:?} instead of {name}", node.tag_name().name(), node.tag_name().namespace()))
}

/// Child elements; text between them is refused.
pub fn elements<'a, 'i>(node: Node<'a, 'i>) -> Refused<Vec<Node<'a, 'i>>> {
    let mut elements = Vec::new();
    for child in node.children() {
        if child.is_element() {
            elements.push(child);
        } else if child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()) {
            return Err(format!("text in {}", node.tag_name().name()));
        }
    }
    Ok(elements)
}

pub fn no_content(node: Node<'_, '_>) -> Refused<()> {
    match node.has_children() {
        true => Err(format!("{} is not empty", node.tag_name().name())),
        false => Ok(()),
    }
}

pub fn only_attributes(node: Node<'_, '_>, known: &[&str]) -> Refused<()> {
    match node.attributes().find(|own| own.namespace().is_some() || !known.contains(&own.name())) {
        Some(own) => Err(format!("{}@{} is not allowed", node.tag_name().name(), own.name())),
        None => Ok(()),
    }
}

pub fn kid(node: Node<'_, '_>) -> Refused<[u8; 16]> {
    let name = node.tag_name().name();
    let text = node.attribute("kid").ok_or(format!("Missing {name}@kid"))?;
    let wrong = || format!("{name}@kid is not a UUID");
    let lengths: Vec<_> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return Err(wrong());
    }
    let number = u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| wrong())?;
    Ok(number.to_be_bytes())
}

pub fn uuid(kid: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*kid));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
