//! Documents of others, and hostile ones.

use keys::contract::KeyUse;
use keys::cpix::{AudioFilter, Document, Error, ErrorKind, KeyData, VideoFilter};
use keys::encrypted::{self, Recipient};
use keys::secret::Secret;

const SEVERAL: &str = include_str!("fixtures/several-keys.xml");
const PERIODS: &str = include_str!("fixtures/periods.xml");
const ENCRYPTED: &str = include_str!("fixtures/encrypted.xml");

fn read(text: &str) -> Document {
    Document::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> Error {
    Document::read(text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {:.300}", text))
}

fn recipient(name: &str) -> Result<Recipient, encrypted::Error> {
    let file =
        |end: &str| std::fs::read_to_string(format!("{}/tests/fixtures/{name}.{end}.pem", env!("CARGO_MANIFEST_DIR")));
    Recipient::new(&file("crt").unwrap(), &Secret::new(file("key").unwrap()))
}

#[test]
fn several_keys_of_the_package_cpix() {
    let document = read(SEVERAL);
    assert_eq!(document.content_id.as_deref(), Some("film-1"));
    assert_eq!(document.version.as_deref(), Some("2.3"));
    assert_eq!((document.keys.len(), document.systems.len(), document.rules.len()), (4, 4, 4));
    for (key, number) in document.keys.iter().zip(1..) {
        assert_eq!(key.kid.to_string(), format!("11111111-0000-4000-8000-00000000000{number}"));
        assert_eq!(key.scheme.as_deref(), Some("cbcs"));
        let KeyData::Plain(bytes) = &key.data else { panic!("no key") };
        assert_eq!(bytes.reveal(), &[number; 16]);
        assert_eq!(key.explicit_iv, (number == 1).then_some([0xf1; 16]));
    }
    let [first, ..] = document.systems.as_slice() else { panic!("no system") };
    assert_eq!(first.pssh.as_ref().map(Vec::len), Some(50));
    assert_eq!(first.content_protection.as_deref(), Some(r#"<pssh xmlns="urn:mpeg:cenc:2013">AAAA</pssh>"#));
    assert!(first.hls_media.as_ref().is_some_and(|lines| lines.len() == 1 && lines[0].starts_with("#EXT-X-KEY:")));
    assert!(first.hls_multivariant.as_ref().is_some_and(|lines| lines[0].starts_with("#EXT-X-SESSION-KEY:")));
    assert_eq!(document.rules[0].key_use(), Some(KeyUse::Video { min_pixels: None, max_pixels: Some(589_824) }));
    let hd = VideoFilter {
        min_pixels: Some(589_825),
        max_pixels: Some(2_073_600),
        hdr: Some(false),
        min_fps: Some(0),
        max_fps: Some(30),
    };
    assert_eq!(document.rules[1].video, [hd]);
    assert_eq!(document.rules[1].key_use(), None, "by more than pixels");
    assert_eq!(document.rules[3].audio, [AudioFilter { min_channels: Some(3), max_channels: Some(6) }]);
    assert_eq!(document.rules[3].track_type.as_deref(), Some("MULTICHANNEL_AUDIO_3_6"));
}

#[test]
fn periods_of_the_package_cpix() {
    let document = read(PERIODS);
    assert_eq!(document.periods.len(), 2);
    assert_eq!(document.periods[0].index, Some(41));
    let (start, end) = document.periods[1].time.clone().unwrap();
    assert!(start.starts_with("2026-01-01T00:00:00") && end.starts_with("2026-01-01T01:00:00"));
    assert_eq!(document.rules[1].periods, ["period_2"]);
}

#[test]
fn rules_that_cannot_be_followed() {
    for (text, place) in [
        (include_str!("fixtures/bitrate-filter.xml"), "BitrateFilter"),
        (include_str!("fixtures/label-filter.xml"), "LabelFilter"),
        (include_str!("fixtures/wcg-filter.xml"), "VideoFilter@wcg"),
    ] {
        let error = error(text);
        assert_eq!(error.place, place);
        assert!(matches!(error.kind, ErrorKind::Filter(_)), "{error}");
        assert!(error.at > 1000, "{error}");
    }
}

#[test]
fn keys_encrypted_by_openssl() {
    let document = read(ENCRYPTED);
    let keys = recipient("recipient").unwrap().document_keys(&document.deliveries).unwrap();
    for (key, number) in document.keys.iter().zip(1..) {
        let KeyData::Encrypted(encrypted) = &key.data else { panic!("not encrypted") };
        assert_eq!(keys.open(encrypted).unwrap().reveal(), &[number; 16]);
        // Whatever is changed, it is the MAC that says so.
        for bit in 0..encrypted.cipher_value.len() * 8 {
            let mut changed = encrypted.clone();
            changed.cipher_value[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys.open(&changed).err(), Some(encrypted::Error::Mac));
        }
        for length in [0, 1, 32, 63] {
            let mut changed = encrypted.clone();
            changed.mac.truncate(length);
            assert_eq!(keys.open(&changed).err(), Some(encrypted::Error::Mac));
        }
    }
}

#[test]
fn keys_for_others_do_not_open() {
    let mut document = read(ENCRYPTED);
    let other = recipient("other").unwrap();
    assert_eq!(other.document_keys(&document.deliveries).err(), Some(encrypted::Error::NoDelivery));
    document.deliveries[0].certificate = Some(other.certificate().to_vec());
    assert_eq!(other.document_keys(&document.deliveries).err(), Some(encrypted::Error::DeliveryKeys));
    let ours = recipient("recipient").unwrap();
    document.deliveries[0].certificate = None;
    assert!(ours.document_keys(&document.deliveries).is_ok());
    document.deliveries[0].mac_key = None;
    assert_eq!(ours.document_keys(&document.deliveries).err(), Some(encrypted::Error::DeliveryKeys));
    assert_eq!(ours.document_keys(&[]).err(), Some(encrypted::Error::NoDelivery));
}

#[test]
fn weak_and_unpaired_certificates() {
    assert_eq!(recipient("weak").err(), Some(encrypted::Error::PrivateKey));
    let file = |name: &str| {
        std::fs::read_to_string(format!("{}/tests/fixtures/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let key = Secret::new(file("recipient.key"));
    assert_eq!(Recipient::new(&file("other.crt"), &key).err(), Some(encrypted::Error::NotAPair));
    assert_eq!(Recipient::new("x", &key).err(), Some(encrypted::Error::Certificate));
    assert_eq!(Recipient::new(&file("recipient.crt"), &Secret::new("x")).err(), Some(encrypted::Error::PrivateKey));
}

/// Prefixes mean nothing: none, others, and the misspelt one of some senders.
#[test]
fn names_are_matched_by_namespace() {
    let renamed = SEVERAL.replace("pskc:", "pksc:").replace("xmlns:pskc", "xmlns:pksc");
    assert_eq!(read(&renamed).keys.len(), 4);
    // The right prefix with another namespace is nothing that is known.
    let other = SEVERAL.replace("urn:ietf:params:xml:ns:keyprov:pskc", "urn:example");
    assert_eq!(error(&other).kind, ErrorKind::Missing("Secret"));
    let other = SEVERAL.replace("urn:dashif:org:cpix", "urn:example");
    assert!(matches!(error(&other).kind, ErrorKind::Value(_)));
    let undeclared = SEVERAL.replace("<pskc:Secret>", "<nobody:Secret>").replace("</pskc:Secret>", "</nobody:Secret>");
    assert_eq!(error(&undeclared).kind, ErrorKind::Prefix);
}

#[test]
fn no_dtd_and_no_entities() {
    let bomb = "<!DOCTYPE CPIX [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>";
    assert_eq!(error(&format!("{bomb}{SEVERAL}")).kind, ErrorKind::Dtd);
    assert_eq!(error("<!DOCTYPE CPIX SYSTEM \"file:///etc/passwd\"><CPIX/>").kind, ErrorKind::Dtd);
    let within = SEVERAL.replacen("AQEBAQ", "&a;", 1);
    assert_eq!(error(&within).kind, ErrorKind::Entity);
    assert_eq!(error(&SEVERAL.replacen("film-1", "&a;", 1)).kind, ErrorKind::Entity);
    // The five of XML and characters by number are text.
    let named = SEVERAL.replacen("film-1", "a&amp;&lt;&gt;&quot;&apos;&#x41;&#66;", 1);
    assert_eq!(read(&named).content_id.as_deref(), Some("a&<>\"'AB"));
    let numbered = SEVERAL.replacen("AQEBAQ", "&#65;QEBA<![CDATA[Q]]><!-- nothing -->", 1);
    assert_eq!(read(&numbered).keys.len(), 4);
    assert_eq!(error(&SEVERAL.replacen("film-1", "&#0;", 1)).kind, ErrorKind::Entity);
}

#[test]
fn limits_hold() {
    let long = format!("{SEVERAL}{}", " ".repeat(1 << 20));
    assert!(matches!(error(&long).kind, ErrorKind::Limit(_)));
    let deep = format!("{}{}", "<a>".repeat(33), "</a>".repeat(33));
    assert!(matches!(error(&deep).kind, ErrorKind::Limit(_)));
    let many = format!("<a>{}</a>", "<b/>".repeat(100_000));
    assert!(matches!(error(&many).kind, ErrorKind::Limit(_)));
    let attributes: String = (0..33).map(|n| format!(" a{n}=\"\"")).collect();
    assert!(matches!(error(&format!("<a{attributes}/>")).kind, ErrorKind::Limit(_)));
    let keys = |count: u32| {
        let keys: String =
            (0..count).map(|n| format!("<ContentKey kid=\"11111111-0000-4000-8000-{n:012}\"/>")).collect();
        format!("<CPIX xmlns=\"urn:dashif:org:cpix\"><ContentKeyList>{keys}</ContentKeyList></CPIX>")
    };
    assert_eq!(read(&keys(1000)).keys.len(), 1000);
    assert!(matches!(error(&keys(1001)).kind, ErrorKind::Limit(_)));
}

/// Work is in proportion to the length, whatever a document is made of.
#[test]
fn no_document_takes_long() {
    let fill = |unit: &str, frame: (&str, &str)| {
        let room = (1 << 20) - frame.0.len() - frame.1.len();
        format!("{}{}{}", frame.0, unit.repeat(room / unit.len()), frame.1)
    };
    let texts = [
        fill("&amp;", ("<a>", "</a>")),
        fill("x<!---->", ("<a>", "</a>")),
        fill("<![CDATA[x]]>", ("<a>", "</a>")),
        fill(" xmlns:a=\"b\"", ("<a", "/>")),
        fill(" a=\"b\"", ("<a", "/>")),
        fill("<a>", ("", "")),
        fill("<?a?>", ("", "<a/>")),
        fill("&", ("<a>", "</a>")),
        fill("<", ("<a>", "</a>")),
        fill("<b xmlns:c=\"d\" c:e=\"f\"/>", ("<a>", "</a>")),
        fill("&#x10ffff;", ("<a b=\"", "\"/>")),
    ];
    let start = std::time::Instant::now();
    for text in &texts {
        assert!(Document::read(text.as_bytes()).is_err());
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn contradictions() {
    let kid = "11111111-0000-4000-8000-000000000002";
    let repeated = SEVERAL.replace(kid, "11111111-0000-4000-8000-000000000001");
    assert!(matches!(error(&repeated).kind, ErrorKind::Repeated(_)));
    let unknown = SEVERAL.replacen(
        &format!("DRMSystem kid=\"{kid}\""),
        "DRMSystem kid=\"11111111-0000-4000-8000-00000000000f\"",
        1,
    );
    assert_eq!(error(&unknown).kind, ErrorKind::UnknownKid);
    let unknown = PERIODS.replacen("periodId=\"period_2\"", "periodId=\"period_3\"", 1);
    assert!(matches!(error(&unknown).kind, ErrorKind::Missing(_)));
    let both = SEVERAL.replacen("</ContentKeyList>", "</ContentKeyList><ContentKeyList/>", 1);
    assert!(matches!(error(&both).kind, ErrorKind::Repeated("ContentKeyList")));
    for (from, to) in [
        ("AQEBAQEBAQEBAQEBAQEBAQ==", "AQEBAQEBAQEBAQEBAQEB"),
        ("AQEBAQEBAQEBAQEBAQEBAQ==", "AQEBAQEBAQEBAQEBAQEBAQEB"),
        ("AQEBAQEBAQEBAQEBAQEBAQ==", "?"),
        ("8fHx8fHx8fHx8fHx8fHx8Q==", "8fE="),
        ("maxPixels=\"589824\"", "maxPixels=\"-1\""),
        ("minPixels=\"589825\"", "minPixels=\"2073601\""),
        ("hdr=\"false\"", "hdr=\"no\""),
        ("playlist=\"master\"", "playlist=\"other\""),
    ] {
        assert!(SEVERAL.contains(from), "{from}");
        let error = error(&SEVERAL.replacen(from, to, 1));
        assert!(matches!(error.kind, ErrorKind::Value(_)), "{from}: {error}");
    }
}

/// What goes into manifests as it is has to be harmless there.
#[test]
fn fragments_and_lines_are_checked() {
    let with = |name: &str, value: &str| {
        let encoded: String = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(value)
        };
        format!(
            "<CPIX xmlns=\"urn:dashif:org:cpix\"><ContentKeyList><ContentKey kid=\"11111111-0000-4000-8000-000000000001\"/>\
             </ContentKeyList><DRMSystemList><DRMSystem kid=\"11111111-0000-4000-8000-000000000001\" \
             systemId=\"edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"><{name}>{encoded}</{}></DRMSystem></DRMSystemList></CPIX>",
            name.split(' ').next().unwrap()
        )
    };
    let good = ["<a/>", "<pssh xmlns=\"urn:x\">AA</pssh> <b xmlns:c=\"urn:y\" c:d=\"&amp;\"/>"];
    for fragment in good {
        assert!(read(&with("ContentProtectionData", fragment)).systems[0].content_protection.is_some(), "{fragment}");
    }
    let bad = [
        "text",
        "<a>",
        "</x><x>",
        "<a/></x><b/><x>",
        "<mspr:pro/>",
        "<?xml version=\"1.0\"?><a/>",
        "<!DOCTYPE a><a/>",
        "<a/><!-- -->",
        "<a>&b;</a>",
        "<a/>text",
        "<a b=\"<\"/>",
        "\u{1}<a/>",
    ];
    for fragment in bad {
        assert!(matches!(error(&with("ContentProtectionData", fragment)).kind, ErrorKind::Value(_)), "{fragment}");
    }
    let media = "HLSSignalingData playlist=\"media\"";
    assert!(read(&with(media, "#EXT-X-KEY:METHOD=NONE\n")).systems[0].hls_media.is_some());
    for line in
        ["#EXT-X-KEY:", "METHOD=NONE", "#EXT-X-KEY:A\n#EXT-X-ENDLIST", "#EXT-X-SESSION-KEY:A", "#EXT-X-KEY:A\tB"]
    {
        assert!(matches!(error(&with(media, line)).kind, ErrorKind::Value(_)), "{line}");
    }
    for uri in ["a\"b", "a\nb"] {
        assert!(matches!(error(&with("URIExtXKey", uri)).kind, ErrorKind::Value(_)), "{uri}");
    }
    assert!(matches!(error(&with("PSSH", "not a box")).kind, ErrorKind::Value(_)));
}

/// Broken documents by the tens of thousands: nothing panics, and what is accepted keeps its promises.
#[test]
fn mutations_of_the_fixtures() {
    let seeds = [SEVERAL, PERIODS, ENCRYPTED, include_str!("fixtures/bitrate-filter.xml")];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let pieces = [
        "<",
        ">",
        "/>",
        "&",
        "&lt;",
        "<!--",
        "]]>",
        "<![CDATA[",
        "\"",
        "'",
        " xmlns=\"\"",
        "kid=",
        "\0",
        "é",
        "<?",
        "=",
    ];
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = seeds[random(seeds.len())].as_bytes().to_vec();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            let end = (at + random(40)).min(bytes.len());
            match random(6) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..end)),
                3 => drop(bytes.splice(at..at, pieces[random(pieces.len())].bytes())),
                4 => {
                    let copy = bytes[at..end].to_vec();
                    let to = random(bytes.len());
                    drop(bytes.splice(to..to, copy));
                }
                _ => bytes[at] = random(256) as u8,
            }
            if bytes.is_empty() {
                break;
            }
        }
        match Document::read(&bytes) {
            Ok(document) => {
                accepted += 1;
                let kids: std::collections::HashSet<_> = document.keys.iter().map(|key| key.kid).collect();
                assert_eq!(kids.len(), document.keys.len());
                assert!(document.rules.iter().all(|rule| kids.contains(&rule.kid)));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} accepted, {refused} refused");
}
