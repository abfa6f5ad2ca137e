//! What this server refuses: each of these is one change to a request that it takes.

use axum::http::{HeaderMap, HeaderValue, Method};

use crate::request::Request;

const TWO: &str = r#"<a:CPIX xmlns:a="urn:dashif:org:cpix" contentId="c" version="2.3">
<a:ContentKeyList>
  <a:ContentKey kid="11111111-0000-4000-8000-0000000000a1" commonEncryptionScheme="cbcs" explicitIV="AAAAAAAAAAAAAAAAAAAAAA=="/>
  <a:ContentKey kid="11111111-0000-4000-8000-0000000000b1" commonEncryptionScheme="cbcs"/>
</a:ContentKeyList>
<a:DRMSystemList>
  <a:DRMSystem kid="11111111-0000-4000-8000-0000000000a1" systemId="94ce86fb-07ff-4f43-adb8-93d2fa968ca2"><a:HLSSignalingData playlist="media"/><a:HLSSignalingData playlist="master"/></a:DRMSystem>
  <a:DRMSystem kid="11111111-0000-4000-8000-0000000000b1" systemId="94ce86fb-07ff-4f43-adb8-93d2fa968ca2"><a:HLSSignalingData playlist="media"/></a:DRMSystem>
</a:DRMSystemList>
<a:ContentKeyPeriodList><a:ContentKeyPeriod id="p42" index="42"/></a:ContentKeyPeriodList>
<a:ContentKeyUsageRuleList>
  <a:ContentKeyUsageRule kid="11111111-0000-4000-8000-0000000000a1" intendedTrackType="VIDEO"><a:KeyPeriodFilter periodId="p42"/><a:VideoFilter/></a:ContentKeyUsageRule>
  <a:ContentKeyUsageRule kid="11111111-0000-4000-8000-0000000000b1" intendedTrackType="AUDIO"><a:KeyPeriodFilter periodId="p42"/><a:AudioFilter/></a:ContentKeyUsageRule>
</a:ContentKeyUsageRuleList>
</a:CPIX>"#;

const ONE: &str = r#"<a:CPIX xmlns:a="urn:dashif:org:cpix" xmlns:s="urn:aws:amazon:com:speke" id="c">
<a:ContentKeyList><a:ContentKey kid="11111111-0000-4000-8000-0000000000a1"/></a:ContentKeyList>
<a:DRMSystemList><a:DRMSystem kid="11111111-0000-4000-8000-0000000000a1" systemId="94ce86fb-07ff-4f43-adb8-93d2fa968ca2"><a:URIExtXKey/><s:KeyFormat/><s:KeyFormatVersions/></a:DRMSystem></a:DRMSystemList>
</a:CPIX>"#;

fn read(text: &str, version: Option<&'static str>, content_type: &'static str) -> Result<Request, String> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    if let Some(version) = version {
        headers.insert("x-speke-version", HeaderValue::from_static(version));
    }
    Request::read(&Method::POST, &headers, text.as_bytes())
}

fn refused(text: &str, version: Option<&'static str>) -> String {
    read(text, version, "application/xml").err().unwrap_or_else(|| panic!("taken: {text}"))
}

#[test]
fn version_2() {
    assert!(read(TWO, Some("2.0"), "application/xml").is_ok());
    let changes = [
        (" contentId=\"c\"", "", "Missing CPIX@contentId"),
        ("contentId=\"c\"", "contentId=\"\"", "the content id is empty"),
        ("contentId=\"c\"", "contentId=\"c\" id=\"c\"", "CPIX@id is not allowed"),
        (" version=\"2.3\"", "", "Missing CPIX@version"),
        ("version=\"2.3\"", "version=\"2.4\"", "Unsupported CPIX@version"),
        ("urn:dashif:org:cpix", "urn:example", "instead of CPIX"),
        (" commonEncryptionScheme=\"cbcs\"/>", "/>", "Missing ContentKey@commonEncryptionScheme for KID"),
        ("Scheme=\"cbcs\"/>", "Scheme=\"cenc\"/>", "Non compliant"),
        ("Scheme=\"cbcs\"", "Scheme=\"SAMPLE-AES\"", "Non compliant"),
        ("AAAAAAAAAAAAAAAAAAAAAA==", "00000000000000000000000000000000", "explicitIV"),
        (
            "ContentKey kid=\"11111111-0000-4000-8000-0000000000b1\"",
            "ContentKey kid=\"11111111-0000-4000-8000-0000000000a1\"",
            "one kid",
        ),
        ("ContentKey kid=\"11111111-0000-4000-8000-0000000000b1\"", "ContentKey kid=\"b1\"", "not a UUID"),
        ("ContentKey kid=\"11111111-0000-4000-8000-0000000000b1\"", "ContentKey", "Missing ContentKey@kid"),
        ("systemId=\"94ce86fb", "systemId=\"00000000", "unknown system"),
        (
            "systemId=\"94ce86fb-07ff-4f43-adb8-93d2fa968ca2\"",
            "systemId=\"edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"",
            "same systems",
        ),
        ("<a:HLSSignalingData playlist=\"master\"/>", "<a:PSSH/>", "FairPlay has no Pssh"),
        ("<a:HLSSignalingData playlist=\"master\"/>", "<a:HLSSignalingData playlist=\"media\"/>", "HlsMedia twice"),
        ("playlist=\"master\"", "playlist=\"multiVariant\"", "HLSSignalingData@playlist"),
        (
            "<a:HLSSignalingData playlist=\"master\"/>",
            "<a:HLSSignalingData playlist=\"master\">AA==</a:HLSSignalingData>",
            "is not empty",
        ),
        ("<a:HLSSignalingData playlist=\"master\"/>", "<a:URIExtXKey/>", "unknown element URIExtXKey"),
        ("<a:VideoFilter/>", "", "VIDEO needs one VideoFilter"),
        ("<a:VideoFilter/>", "<a:AudioFilter/>", "VIDEO needs one VideoFilter"),
        ("<a:VideoFilter/>", "<a:VideoFilter minPixels=\"1\"/>", "not that of VIDEO"),
        ("<a:VideoFilter/>", "<a:VideoFilter wcg=\"true\"/>", "VideoFilter@wcg is not allowed"),
        ("<a:VideoFilter/>", "<a:VideoFilter/><a:BitrateFilter/>", "BitrateFilter is not allowed"),
        (" intendedTrackType=\"VIDEO\"", "", "Missing ContentKeyUsageRule@intendedTrackType"),
        ("intendedTrackType=\"VIDEO\"", "intendedTrackType=\"PICTURE\"", "unknown intendedTrackType"),
        (
            "intendedTrackType=\"VIDEO\"><a:KeyPeriodFilter periodId=\"p42\"/><a:VideoFilter/>",
            "intendedTrackType=\"SD\"><a:KeyPeriodFilter periodId=\"p42\"/><a:VideoFilter maxPixels=\"589824\"/>",
            "not those of a preset",
        ),
        ("<a:KeyPeriodFilter periodId=\"p42\"/>", "", "go together"),
        ("periodId=\"p42\"", "periodId=\"p43\"", "without its ContentKeyPeriod"),
        (" index=\"42\"", "", "Missing ContentKeyPeriod@index"),
        ("index=\"42\"", "index=\"42\" start=\"x\" end=\"y\"", "ContentKeyPeriod@start is not allowed"),
        ("<a:ContentKeyList>", "<a:ContentKeyList/><a:ContentKeyList>", "more than one ContentKeyList"),
        ("</a:CPIX>", "<a:Signature/></a:CPIX>", "unknown element Signature"),
        ("</a:CPIX>", "text</a:CPIX>", "text in CPIX"),
        ("</a:CPIX>", "", "not XML"),
        ("</a:CPIX>", "<a:DeliveryDataList><a:DeliveryData id=\"d\"/></a:DeliveryDataList></a:CPIX>", "one child each"),
        ("<a:CPIX", "<!DOCTYPE a [<!ENTITY b \"c\">]><a:CPIX", "not XML"),
    ];
    for (from, to, reason) in changes {
        assert!(TWO.contains(from), "{from}");
        let told = refused(&TWO.replacen(from, to, 1), Some("2.0"));
        assert!(told.contains(reason), "{from} -> {to}: {told}");
    }
    for (start, end) in
        [("<a:ContentKeyUsageRuleList>", "</a:ContentKeyUsageRuleList>"), ("<a:DRMSystemList>", "</a:DRMSystemList>")]
    {
        let (before, rest) = TWO.split_once(start).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        assert!(refused(&format!("{before}{after}"), Some("2.0")).contains("missing"), "{start}");
    }
}

#[test]
fn version_1() {
    assert!(read(ONE, None, "application/xml").is_ok());
    let changes = [
        (" id=\"c\"", "", "Missing CPIX@id"),
        (" id=\"c\"", " contentId=\"c\"", "is not allowed"),
        ("0a1\"/>", "0a1\" commonEncryptionScheme=\"cbcs\"/>", "is not allowed"),
        ("<s:KeyFormat/>", "", "FairPlay needs KeyFormat"),
        ("<s:KeyFormat/>", "<a:KeyFormat/>", "unknown element KeyFormat"),
        ("<s:KeyFormat/>", "<s:KeyFormat/><a:PSSH/>", "FairPlay has no Pssh"),
        ("<s:KeyFormat/>", "<s:KeyFormat/><a:HLSSignalingData/>", "unknown element HLSSignalingData"),
        ("94ce86fb-07ff-4f43-adb8-93d2fa968ca2", "3ea8778f-7742-4bf9-b18b-e834b2acbd47", "unknown system"),
        ("</a:CPIX>", "<a:ContentKeyUsageRuleList/></a:CPIX>", "go together"),
        (
            "<a:ContentKeyList>",
            "<a:ContentKeyList><a:ContentKey kid=\"11111111-0000-4000-8000-0000000000b1\"/>",
            "one ContentKey",
        ),
    ];
    for (from, to, reason) in changes {
        assert!(ONE.contains(from), "{from}");
        let told = refused(&ONE.replacen(from, to, 1), None);
        assert!(told.contains(reason), "{from} -> {to}: {told}");
    }
}

#[test]
fn headers() {
    assert_eq!(refused(TWO, Some("3.0")), "Unsupported SPEKE version");
    assert_eq!(refused(TWO, Some("2.1")), "Unsupported CPIX@version");
    assert!(read(TWO, Some("2.0"), "text/html").err().is_some_and(|reason| reason.contains("Content-Type")));
    assert!(Request::read(&Method::PUT, &HeaderMap::new(), b"").err().is_some_and(|reason| reason.contains("POST")));
}
