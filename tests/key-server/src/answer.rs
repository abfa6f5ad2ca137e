//! The document that answers a request. Prefixes are others than those of most servers, one of them misspelt as some do.

use crate::delivery::Delivery;
use crate::request::{Refused, Request, uuid};
use crate::signalling::Subject;
use crate::systems::Child;

const NAMESPACES: &str = "xmlns=\"urn:dashif:org:cpix\" xmlns:pksc=\"urn:ietf:params:xml:ns:keyprov:pskc\" \
    xmlns:s=\"urn:aws:amazon:com:speke\" xmlns:d=\"http://www.w3.org/2000/09/xmldsig#\" \
    xmlns:e=\"http://www.w3.org/2001/04/xmlenc#\"";

const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const AES_256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const HMAC_SHA_512: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512";

/// What differs from a sound answer.
#[derive(Default)]
pub struct Twist {
    /// Other identifiers everywhere.
    pub other_kids: bool,
    /// Every second key is left out.
    pub half_the_keys: bool,
    /// MACs are wrong.
    pub wrong_mac: bool,
    /// An element that is left out of every system.
    pub left_out: Option<Child>,
    /// Keys are not encrypted although they should be.
    pub clear: bool,
    /// Another scheme.
    pub other_scheme: bool,
    /// The rules of all keys are those of the first.
    pub same_rules: bool,
    /// The first key comes twice.
    pub repeated_key: bool,
    /// Keys of 15 bytes.
    pub short_keys: bool,
}

/// The document.
pub fn document(request: &Request, twist: &Twist) -> Refused<String> {
    let delivery = match &request.delivery {
        Some((_, certificate)) if !twist.clear => Some(Delivery::new(certificate)?),
        _ => None,
    };
    let id = escaped(&request.content_id);
    let root = match request.version {
        "1.0" => format!("id=\"{id}\""),
        "2.0" => format!("contentId=\"{id}\" version=\"2.3\""),
        _ => format!("contentId=\"{id}\" version=\"2.4\""),
    };
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CPIX {NAMESPACES} {root}>\n");
    if let (Some(delivery), Some((id, certificate))) = (&delivery, &request.delivery) {
        text += &deliveries(delivery, id, certificate)?;
    }
    text += "  <ContentKeyList>\n";
    let count = if twist.half_the_keys { request.keys.len() / 2 } else { request.keys.len() };
    for key in &request.keys[..count] {
        let value = crate::key(&request.content_id, key.kid);
        let value = if twist.short_keys { &value[..15] } else { &value[..] };
        let scheme = key.scheme.as_deref().map(|scheme| if twist.other_scheme { "cens" } else { scheme });
        let scheme = scheme.map(|scheme| format!(" commonEncryptionScheme=\"{scheme}\"")).unwrap_or_default();
        let iv = key.explicit_iv.as_ref().map(|iv| format!(" explicitIV=\"{iv}\"")).unwrap_or_default();
        let secret = secret(value, delivery.as_ref(), twist)?;
        let element = format!(
            "    <ContentKey kid=\"{}\"{scheme}{iv}><Data><pksc:Secret>{secret}</pksc:Secret></Data></ContentKey>\n",
            uuid(&kid(key.kid, twist))
        );
        text += &element;
        if twist.repeated_key {
            text += &element;
        }
    }
    text += "  </ContentKeyList>\n  <DRMSystemList>\n";
    let is_kept = |kid: [u8; 16]| request.keys[..count].iter().any(|key| key.kid == kid);
    for wanted in request.systems.iter().filter(|wanted| is_kept(wanted.kid)) {
        let key = request.keys.iter().find(|key| key.kid == wanted.kid).ok_or("no key")?;
        let scheme = key.scheme.as_deref().unwrap_or("cbcs");
        let subject = Subject { kid: kid(wanted.kid, twist), scheme, one: request.is_v1() };
        let ids = (uuid(&subject.kid), wanted.system.id(request.is_v1()));
        text += &format!("    <DRMSystem kid=\"{}\" systemId=\"{}\">\n", ids.0, ids.1);
        for child in wanted.children.iter().filter(|child| twist.left_out != Some(**child)) {
            let (open, close) = tags(*child, request.version);
            text += &format!("      <{open}>{}</{close}>\n", subject.text(wanted.system, *child));
        }
        text += "    </DRMSystem>\n";
    }
    text += "  </DRMSystemList>\n";
    text += &periods(request);
    text += &rules(request, twist, &is_kept);
    text +=
        "  <UpdateHistoryItemList><UpdateHistoryItem index=\"1\" source=\"mock\"/></UpdateHistoryItemList>\n</CPIX>\n";
    Ok(text)
}

fn kid(kid: [u8; 16], twist: &Twist) -> [u8; 16] {
    if twist.other_kids { (!u128::from_be_bytes(kid)).to_be_bytes() } else { kid }
}

fn secret(value: &[u8], delivery: Option<&Delivery>, twist: &Twist) -> Refused<String> {
    use base64::Engine as _;
    let Some(delivery) = delivery else {
        let value = base64::engine::general_purpose::STANDARD.encode(value);
        return Ok(format!("<pksc:PlainValue>{value}</pksc:PlainValue>"));
    };
    let [value, mac] = delivery.sealed(value)?;
    let mac = match (twist.wrong_mac, mac.strip_prefix('A')) {
        (false, _) => mac,
        (true, None) => format!("A{}", &mac[1..]),
        (true, Some(rest)) => format!("B{rest}"),
    };
    Ok(format!(
        "<pksc:EncryptedValue><e:EncryptionMethod Algorithm=\"{AES_256_CBC}\"/><e:CipherData><e:CipherValue>{value}\
         </e:CipherValue></e:CipherData></pksc:EncryptedValue><pksc:ValueMAC>{mac}</pksc:ValueMAC>"
    ))
}

fn deliveries(delivery: &Delivery, id: &str, certificate: &[u8]) -> Refused<String> {
    use base64::Engine as _;
    let certificate = base64::engine::general_purpose::STANDARD.encode(certificate);
    let [document_key, mac_key] = delivery.wrapped()?.map(|value| {
        format!(
            "<pksc:EncryptedValue><e:EncryptionMethod Algorithm=\"{RSA_OAEP}\"/><e:CipherData><e:CipherValue>{value}\
             </e:CipherValue></e:CipherData></pksc:EncryptedValue>"
        )
    });
    Ok(format!(
        "  <DeliveryDataList><DeliveryData id=\"{}\"><DeliveryKey><d:X509Data><d:X509Certificate>{certificate}\
         </d:X509Certificate></d:X509Data></DeliveryKey><DocumentKey Algorithm=\"{AES_256_CBC}\"><Data><pksc:Secret>\
         {document_key}</pksc:Secret></Data></DocumentKey><MACMethod Algorithm=\"{HMAC_SHA_512}\"><Key>{mac_key}</Key>\
         </MACMethod></DeliveryData></DeliveryDataList>\n",
        escaped(id)
    ))
}

fn tags(child: Child, version: &str) -> (&'static str, &'static str) {
    match child {
        Child::Pssh => ("PSSH", "PSSH"),
        Child::ContentProtection => ("ContentProtectionData", "ContentProtectionData"),
        Child::HlsMedia => ("HLSSignalingData playlist=\"media\"", "HLSSignalingData"),
        Child::HlsMultivariant if version == "2.0" => ("HLSSignalingData playlist=\"master\"", "HLSSignalingData"),
        Child::HlsMultivariant => ("HLSSignalingData playlist=\"multiVariant\"", "HLSSignalingData"),
        Child::Smooth => ("SmoothStreamingProtectionHeaderData", "SmoothStreamingProtectionHeaderData"),
        Child::Uri => ("URIExtXKey", "URIExtXKey"),
        Child::KeyFormat => ("s:KeyFormat", "s:KeyFormat"),
        Child::KeyFormatVersions => ("s:KeyFormatVersions", "s:KeyFormatVersions"),
        Child::ProtectionHeader => ("s:ProtectionHeader", "s:ProtectionHeader"),
    }
}

fn periods(request: &Request) -> String {
    if request.periods.is_empty() {
        return String::new();
    }
    let mut text = "  <ContentKeyPeriodList>\n".to_owned();
    for period in &request.periods {
        let time = period.time.as_ref();
        let time = time.map(|(start, end)| format!(" start=\"{}\" end=\"{}\"", escaped(start), escaped(end)));
        let time = time.unwrap_or_default();
        text += &format!("    <ContentKeyPeriod id=\"{}\" index=\"{}\"{time}/>\n", escaped(&period.id), period.index);
    }
    text + "  </ContentKeyPeriodList>\n"
}

fn rules(request: &Request, twist: &Twist, is_kept: &dyn Fn([u8; 16]) -> bool) -> String {
    if request.rules.is_empty() {
        return String::new();
    }
    let mut text = "  <ContentKeyUsageRuleList>\n".to_owned();
    for rule in request.rules.iter().filter(|rule| is_kept(rule.kid)) {
        let source = if twist.same_rules { request.rules.first().unwrap_or(rule) } else { rule };
        let track_type = source.track_type.as_ref().map(|name| format!(" intendedTrackType=\"{}\"", escaped(name)));
        let kid = uuid(&kid(rule.kid, twist));
        text += &format!("    <ContentKeyUsageRule kid=\"{kid}\"{}>", track_type.unwrap_or_default());
        if let Some(period) = &rule.period {
            text += &format!("<KeyPeriodFilter periodId=\"{}\"/>", escaped(period));
        }
        for (filter, bounds) in &source.filters {
            let bounds: String = bounds.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value))).collect();
            text += &format!("<{filter}{bounds}/>");
        }
        text += "</ContentKeyUsageRule>\n";
    }
    text + "  </ContentKeyUsageRuleList>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
