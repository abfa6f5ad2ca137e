//! Keys from the key server of the tests, by every version, and from one that misbehaves.

use std::collections::HashSet;
use std::time::Duration;

use key_server::{Behaviour, KeyServer as Mock};
use keys::acquire::{
    Acquired, Error, HlsSignalling, KeyServer, KeyServerFields, Manifests, Period, Request, RequestError, acquire,
};
use keys::contract::{Contract, KeyUse};
use keys::cpix;
use keys::encrypted;
use keys::scheme::Scheme;
use keys::speke::{self, Client, Settings};
use keys::system::{System, Version};
use serde_json::{Value, json};

fn client() -> Client {
    let settings =
        Settings { exchange_timeout: Duration::from_secs(5), pause: Duration::from_millis(10), ..Settings::default() };
    Client::new(settings).unwrap()
}

fn server(fields: Value) -> KeyServer {
    let fields: KeyServerFields = serde_json::from_value(fields).unwrap();
    KeyServer::try_from(fields).unwrap_or_else(|error| panic!("{error}"))
}

fn of(mock: &Mock, version: Version) -> KeyServer {
    server(json!({ "url": mock.url("/speke"), "version": version }))
}

fn request(scheme: Scheme, systems: &[System]) -> Request {
    Request {
        content_id: "film-1 & <co> \"é\"".into(),
        scheme,
        systems: systems.to_vec(),
        manifests: Manifests { dash: true, hls: true, smooth: true },
        explicit_iv: None,
        periods: Vec::new(),
    }
}

const CBCS: [System; 4] = [System::Widevine, System::PlayReady, System::FairPlay, System::ClearKey];

async fn ask(server: &KeyServer, request: &Request) -> Result<Acquired, Error> {
    acquire(&client(), server, request).await
}

async fn error(server: &KeyServer, request: &Request) -> Error {
    ask(server, request).await.err().expect("keys came")
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn encrypting(mock: &Mock, version: Version) -> KeyServer {
    let (certificate, key) = (pem("recipient.crt"), pem("recipient.key"));
    server(json!({ "url": mock.url("/speke"), "version": version, "certificate": certificate, "private_key": key }))
}

/// That the keys are those of the server, and that everything that was asked for is there.
fn check(acquired: &Acquired, request: &Request, version: Version) {
    for key in &acquired.keys {
        assert_eq!(key.key.reveal(), &key_server::key(&request.content_id, key.kid.0));
        let systems: Vec<_> = key.systems.iter().map(|signalling| signalling.system).collect();
        assert_eq!(systems, request.systems);
        for signalling in &key.systems {
            let common = matches!(signalling.system, System::Widevine | System::PlayReady | System::ClearKey);
            assert_eq!(signalling.pssh.is_some(), common);
            let pssh_system = signalling.pssh.as_ref().and_then(|pssh| cpix::pssh_system(pssh));
            assert!(pssh_system.is_none_or(|id| signalling.system.is(&id, version)));
            assert_eq!(signalling.protection_header.is_some(), signalling.system == System::PlayReady);
            assert_eq!(signalling.content_protection.is_some(), common && version != Version::V1_0);
            match &signalling.hls {
                Some(HlsSignalling::Lines { media, multivariant }) => {
                    assert_ne!(version, Version::V1_0);
                    let method = format!("METHOD={},", request.scheme.hls_method());
                    assert!(media[0].starts_with(&format!("#EXT-X-KEY:{method}")), "{media:?}");
                    assert!(multivariant[0].starts_with(&format!("#EXT-X-SESSION-KEY:{method}")));
                }
                Some(HlsSignalling::Attributes { uri, key_format, key_format_versions }) => {
                    assert_eq!(version, Version::V1_0);
                    let fairplay = signalling.system == System::FairPlay;
                    assert_eq!(uri.starts_with("skd://"), fairplay);
                    let format = if fairplay { "com.apple.streamingkeydelivery" } else { "identity" };
                    assert_eq!(key_format.as_deref(), Some(format));
                    assert_eq!(key_format_versions.as_deref(), Some("1"));
                }
                None => assert!(!matches!(signalling.system, System::FairPlay | System::Aes128 | System::SampleAes)),
            }
        }
    }
}

#[tokio::test]
async fn every_version_and_scheme() {
    let mock = Mock::start().unwrap();
    for version in [Version::V1_0, Version::V2_0, Version::V2_1] {
        let server = of(&mock, version);
        for (scheme, systems) in [
            (Scheme::Cbcs, CBCS.as_slice()),
            (Scheme::Cenc, &[System::Widevine, System::PlayReady]),
            (Scheme::Aes128, &[System::Aes128]),
            (Scheme::SampleAes, &[System::FairPlay]),
        ] {
            let request = request(scheme, systems);
            let acquired =
                ask(&server, &request).await.unwrap_or_else(|error| panic!("{version:?} {scheme:?}: {error}"));
            assert_eq!(acquired.keys.len(), if version == Version::V1_0 { 1 } else { 2 });
            check(&acquired, &request, version);
            let again = ask(&server, &request).await.ok().unwrap();
            let kids = |acquired: &Acquired| acquired.keys.iter().map(|key| key.kid).collect::<Vec<_>>();
            assert_eq!(kids(&again), kids(&acquired));
        }
    }
    for recorded in mock.requests() {
        assert_eq!(recorded.status, 200);
        assert_eq!(recorded.header("content-type"), Some("application/xml"));
        assert_eq!(recorded.target, "/speke");
    }
}

#[tokio::test]
async fn every_contract() {
    let mock = Mock::start().unwrap();
    let videos =
        ["VIDEO-1", "VIDEO-2", "VIDEO-3", "VIDEO-4", "VIDEO-5", "VIDEO-6", "VIDEO-7", "VIDEO-8", "UNENCRYPTED"];
    let audios = ["AUDIO-1", "AUDIO-2", "AUDIO-3", "UNENCRYPTED"];
    let request = request(Scheme::Cbcs, &[System::Widevine]);
    for version in ["2.0", "2.1"] {
        for video in videos {
            for audio in audios {
                if (video, audio) == ("UNENCRYPTED", "UNENCRYPTED") {
                    continue;
                }
                let contract = json!({ "video": video, "audio": audio });
                let server = server(json!({ "url": mock.url("/"), "version": version, "contract": contract }));
                let acquired = ask(&server, &request).await.unwrap_or_else(|error| panic!("{contract}: {error}"));
                let classes = server.contract.classes();
                let answered: Vec<_> = acquired.keys.iter().map(|key| (key.class, key.key_use)).collect();
                assert_eq!(answered, classes.iter().map(|class| (class.name, class.key_use)).collect::<Vec<_>>());
                let distinct: HashSet<_> = acquired.keys.iter().map(|key| *key.key.reveal()).collect();
                assert_eq!(distinct.len(), classes.len(), "a key for each class");
            }
        }
        let server = server(json!({ "url": mock.url("/"), "version": version, "contract": "SHARED" }));
        let acquired = ask(&server, &request).await.ok().unwrap();
        assert_eq!(acquired.keys.iter().map(|key| key.key_use).collect::<Vec<_>>(), [KeyUse::All]);
    }
}

#[tokio::test]
async fn key_periods() {
    let mock = Mock::start().unwrap();
    let time = Some(("2026-01-01T00:00:00Z".to_owned(), "2026-01-01T01:00:00Z".to_owned()));
    for version in [Version::V2_0, Version::V2_1] {
        let mut request = request(Scheme::Cenc, &[System::Widevine]);
        request.periods = vec![Period { index: 41, time: time.clone() }, Period { index: 42, time: time.clone() }];
        let acquired = ask(&of(&mock, version), &request).await.unwrap_or_else(|error| panic!("{error}"));
        let periods: Vec<_> = acquired.keys.iter().map(|key| key.period).collect();
        assert_eq!(periods, [Some(41), Some(41), Some(42), Some(42)]);
        let kids: HashSet<_> = acquired.keys.iter().map(|key| key.kid).collect();
        assert_eq!(kids.len(), 4);
        let has_time = mock.requests().last().unwrap().body.contains("start=\"2026");
        assert_eq!(has_time, version == Version::V2_1);
    }
    let mut one = request(Scheme::Cbcs, &[System::FairPlay]);
    one.periods = vec![Period { index: 7, time: None }];
    let acquired = ask(&of(&mock, Version::V1_0), &one).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(acquired.keys[0].period, Some(7));
    one.periods.push(Period { index: 8, time: None });
    assert_eq!(error(&of(&mock, Version::V1_0), &one).await, Error::Request(RequestError::Periods));
    one.periods[1].index = 7;
    assert_eq!(error(&of(&mock, Version::V2_0), &one).await, Error::Request(RequestError::RepeatedPeriod(7)));
}

#[tokio::test]
async fn only_what_the_manifests_need_is_asked_for() {
    let mock = Mock::start().unwrap();
    let server = of(&mock, Version::V2_0);
    let mut request = request(Scheme::Cenc, &[System::Widevine, System::PlayReady]);
    request.manifests = Manifests { dash: true, hls: false, smooth: false };
    request.explicit_iv = Some([7; 16]);
    let acquired = ask(&server, &request).await.ok().unwrap();
    let body = mock.requests().remove(0).body;
    assert!(!body.contains("HLSSignalingData") && !body.contains("Smooth"));
    assert_eq!(acquired.keys[0].explicit_iv, Some([7; 16]));
    assert!(acquired.keys[0].systems.iter().all(|signalling| signalling.hls.is_none()));
}

#[tokio::test]
async fn tokens_headers_and_basic() {
    let mock = Mock::start().unwrap();
    let url = mock
        .url(r#"/{tenant}/v2?k={tenant} -H "{X-Key:abc def}" -H "{x-two:2}""#)
        .replace("http://", "http://us:pa%20ss@");
    let server = server(json!({ "url": url, "version": "2.0", "tokens": { "tenant": "a/b" } }));
    ask(&server, &request(Scheme::Cbcs, &CBCS)).await.ok().unwrap();
    let recorded = mock.requests().remove(0);
    assert_eq!(recorded.target, "/a%2Fb/v2?k=a%2Fb");
    assert_eq!(recorded.header("x-key"), Some("abc def"));
    assert_eq!(recorded.header("x-two"), Some("2"));
    assert_eq!(recorded.header("authorization"), Some("Basic dXM6cGEgc3M="));
    assert_eq!(recorded.header("x-speke-version"), Some("2.0"));
}

#[tokio::test]
async fn encrypted_keys() {
    let mock = Mock::start().unwrap();
    for version in [Version::V1_0, Version::V2_0, Version::V2_1] {
        let server = encrypting(&mock, version);
        let request = request(Scheme::Cbcs, &CBCS);
        mock.behave(Behaviour::Sound);
        let acquired = ask(&server, &request).await.unwrap_or_else(|error| panic!("{error}"));
        check(&acquired, &request, version);
        assert!(mock.requests().last().unwrap().body.contains("X509Certificate"));
        mock.behave(Behaviour::WrongMac);
        assert_eq!(error(&server, &request).await, Error::Encrypted(encrypted::Error::Mac));
        mock.behave(Behaviour::NotEncrypted);
        let refused = error(&server, &request).await;
        // Without DeliveryData in the answer there is nothing to open keys with.
        assert_eq!(refused, Error::Encrypted(encrypted::Error::NoDelivery));
    }
}

#[tokio::test]
async fn a_server_that_misbehaves() {
    let mock = Mock::start().unwrap();
    let two = of(&mock, Version::V2_0);
    let request = request(Scheme::Cbcs, &CBCS);
    let first = { ask(&two, &request).await.ok().unwrap().keys[0].kid };

    mock.behave(Behaviour::HalfTheKeys);
    let refused = error(&two, &request).await;
    assert!(matches!(refused, Error::NoKey(kid) if kid != first), "{refused}");
    assert!(refused.to_string().contains('-'), "the identifier is named: {refused}");

    mock.behave(Behaviour::OtherKid);
    assert!(matches!(error(&two, &request).await, Error::OtherKid(_)));
    mock.behave(Behaviour::OtherScheme);
    assert!(matches!(error(&two, &request).await, Error::Scheme { wanted: "cbcs", .. }));
    mock.behave(Behaviour::SameTracks);
    assert!(matches!(error(&two, &request).await, Error::TwoKeys(one, other) if one == first && other != first));
    mock.behave(Behaviour::RepeatedKey);
    assert!(matches!(
        error(&two, &request).await,
        Error::Document(cpix::Error { kind: cpix::ErrorKind::Repeated(_), .. })
    ));
    mock.behave(Behaviour::ShortKey);
    assert!(matches!(
        error(&two, &request).await,
        Error::Document(cpix::Error { kind: cpix::ErrorKind::Value(_), .. })
    ));
    for element in ["PSSH", "ContentProtectionData", "HLSSignalingData", "SmoothStreamingProtectionHeaderData"] {
        mock.behave(Behaviour::LeavingOut(element));
        let refused = error(&two, &request).await;
        assert!(matches!(&refused, Error::Vanished { element: own, .. } if own.starts_with(element)), "{refused}");
    }
    mock.behave(Behaviour::XmlBomb);
    assert!(matches!(error(&two, &request).await, Error::Document(cpix::Error { kind: cpix::ErrorKind::Dtd, .. })));
    mock.behave(Behaviour::Truncated);
    assert!(matches!(error(&two, &request).await, Error::Document(_)));
    mock.behave(Behaviour::Html);
    assert!(
        matches!(error(&two, &request).await, Error::Exchange(speke::Error::ContentType { content_type, .. }) if content_type == "text/html")
    );
    mock.behave(Behaviour::Huge);
    assert!(matches!(error(&two, &request).await, Error::Exchange(speke::Error::TooLarge { .. })));
    mock.behave(Behaviour::OtherVersion);
    assert!(
        matches!(error(&two, &request).await, Error::Exchange(speke::Error::SpekeVersion { wanted: "2.0", found, .. }) if found == "3.0")
    );
    mock.behave(Behaviour::Redirecting);
    let before = mock.requests().len();
    assert!(matches!(
        error(&two, &request).await,
        Error::Exchange(speke::Error::Status { status: 307, attempts: 1, .. })
    ));
    assert_eq!(mock.requests().len(), before + 1, "a redirect is not followed");
}

/// SPEKE v1: the identifier of the answer is the truth, everywhere in it.
#[tokio::test]
async fn another_identifier_with_v1() {
    let mock = Mock::start().unwrap();
    let one = of(&mock, Version::V1_0);
    let request = request(Scheme::Cbcs, &CBCS);
    let asked = ask(&one, &request).await.ok().unwrap().keys[0].kid;
    mock.behave(Behaviour::OtherKid);
    let answered = ask(&one, &request).await.unwrap_or_else(|error| panic!("{error}"));
    assert_ne!(answered.keys[0].kid, asked);
    let fairplay = answered.keys[0].systems.iter().find(|signalling| signalling.system == System::FairPlay).unwrap();
    let uri = format!("skd://{}", answered.keys[0].kid);
    assert!(matches!(&fairplay.hls, Some(HlsSignalling::Attributes { uri: own, .. }) if *own == uri));
    mock.behave(Behaviour::HalfTheKeys);
    assert_eq!(error(&one, &request).await, Error::KeyCount(0));
    for element in ["PSSH", "URIExtXKey", "ProtectionHeader"] {
        mock.behave(Behaviour::LeavingOut(element));
        let refused = error(&one, &request).await;
        assert!(matches!(refused, Error::Vanished { element: own, .. } if own == element), "{refused}");
    }
}

#[tokio::test]
async fn retries() {
    let mut mock = Mock::start().unwrap();
    let server = of(&mock, Version::V2_1);
    let request = request(Scheme::Cbcs, &CBCS);
    mock.behave(Behaviour::Failing(2));
    ask(&server, &request).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(mock.requests().iter().map(|recorded| recorded.status).collect::<Vec<_>>(), [500, 500, 200]);

    mock.behave(Behaviour::Failing(9));
    let refused = error(&server, &request).await;
    assert!(
        matches!(&refused, Error::Exchange(speke::Error::Status { status: 500, attempts: 3, text, .. }) if text == "try again"),
        "{refused}"
    );
    assert_eq!(mock.requests().len(), 6);

    // What a server refuses, it refuses again.
    mock.behave(Behaviour::Refusing(403, "no such tenant".into()));
    let refused = error(&server, &request).await;
    assert!(refused.to_string().ends_with("answered 403 (1 attempts): no such tenant"), "{refused}");
    mock.behave(Behaviour::Refusing(429, "later".into()));
    assert!(matches!(error(&server, &request).await, Error::Exchange(speke::Error::Status { attempts: 3, .. })));

    mock.down();
    assert!(matches!(error(&server, &request).await, Error::Exchange(speke::Error::Connect { attempts: 3, .. })));
    mock.up().unwrap();
    mock.behave(Behaviour::Sound);
    ask(&server, &request).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn a_slow_server() {
    let mock = Mock::start().unwrap();
    mock.behave(Behaviour::Slow(Duration::from_secs(30)));
    let settings = Settings {
        exchange_timeout: Duration::from_millis(300),
        pause: Duration::from_millis(1),
        ..Settings::default()
    };
    let client = Client::new(settings).unwrap();
    let start = std::time::Instant::now();
    let refused = acquire(&client, &of(&mock, Version::V2_0), &request(Scheme::Cbcs, &CBCS)).await.err().unwrap();
    assert!(matches!(refused, Error::Exchange(speke::Error::Timeout { attempts: 3, .. })), "{refused}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn requests_that_cannot_be_made() {
    let mock = Mock::start().unwrap();
    let server = of(&mock, Version::V2_0);
    let good = request(Scheme::Cbcs, &CBCS);
    for content_id in [String::new(), "a\n".into(), "a".repeat(257)] {
        let request = Request { content_id, ..good.clone() };
        assert_eq!(error(&server, &request).await, Error::Request(RequestError::ContentId));
    }
    let twice = Request { systems: vec![System::Widevine, System::Widevine], ..good.clone() };
    assert_eq!(error(&server, &twice).await, Error::Request(RequestError::RepeatedSystem(System::Widevine)));
    // What the server refuses is told: FairPlay knows no cenc.
    let cenc = request(Scheme::Cenc, &[System::FairPlay]);
    assert!(error(&server, &cenc).await.to_string().ends_with("answered 422 (1 attempts): FairPlay has no cenc"));
}

#[test]
fn fields() {
    let refused = |fields: Value| {
        let fields: KeyServerFields = serde_json::from_value(fields).unwrap();
        let error = KeyServer::try_from(fields).err().expect("accepted");
        error.field
    };
    let certificate = pem("recipient.crt");
    let private_key = pem("recipient.key");
    let cases = [
        (json!({ "url": "", "version": "2.0" }), "url"),
        (json!({ "url": "ftp://h/", "version": "2.0" }), "url"),
        (json!({ "url": "http://h/{a}", "version": "2.0" }), "url"),
        (json!({ "url": "http://h/{a}", "version": "2.0", "tokens": { "a": ".." } }), "tokens/a"),
        (json!({ "url": "http://h/", "version": "2.0", "tokens": { "a": "" } }), "tokens/a"),
        (json!({ "url": "http://h/", "version": "2.0", "tokens": { "a b": "c" } }), "tokens"),
        (
            json!({ "url": "http://h/", "version": "1.0", "contract": { "video": "VIDEO-1", "audio": "AUDIO-1" } }),
            "contract",
        ),
        (
            json!({ "url": "http://h/", "version": "2.0", "contract": { "video": "UNENCRYPTED", "audio": "UNENCRYPTED" } }),
            "contract",
        ),
        (json!({ "url": "http://h/", "version": "2.0", "password": "x" }), "user"),
        (json!({ "url": "http://h/", "version": "2.0", "user": "a:b", "password": "x" }), "user"),
        (json!({ "url": "http://u:p@h/", "version": "2.0", "user": "a", "password": "x" }), "url"),
        (json!({ "url": "http://h/", "version": "2.0", "certificate": certificate }), "private_key"),
        (json!({ "url": "http://h/", "version": "2.0", "private_key": private_key }), "certificate"),
        (
            json!({ "url": "http://h/", "version": "2.0", "certificate": "x", "private_key": private_key }),
            "certificate",
        ),
        (
            json!({ "url": "http://h/", "version": "2.0", "certificate": certificate, "private_key": "x" }),
            "private_key",
        ),
        (
            json!({ "url": "http://h/", "version": "2.0", "certificate": pem("other.crt"), "private_key": private_key }),
            "certificate",
        ),
        (
            json!({ "url": "http://h/", "version": "2.0", "certificate": pem("weak.crt"), "private_key": pem("weak.key") }),
            "private_key",
        ),
    ];
    for (fields, field) in cases {
        assert_eq!(refused(fields.clone()), field, "{fields}");
    }
    for fields in [
        json!({ "url": "http://h/", "version": "3.0" }),
        json!({ "url": "http://h/", "version": 2.0 }),
        json!({ "url": "http://h/", "version": "2.0", "contract": "OWN" }),
        json!({ "url": "http://h/", "version": "2.0", "contract": { "video": "VIDEO-9", "audio": "AUDIO-1" } }),
        json!({ "url": "http://h/", "version": "2.0", "contract": { "video": "VIDEO-1" } }),
        json!({ "url": "http://h/", "version": "2.0", "more": 1 }),
        json!({ "version": "2.0" }),
    ] {
        assert!(serde_json::from_value::<KeyServerFields>(fields.clone()).is_err(), "{fields}");
    }
    assert_eq!(server(json!({ "url": "http://h/", "version": "1.0" })).contract, Contract::SHARED);
    let full = json!({
        "url": "https://h/{t}?a=b -H \"{X:y z}\"", "version": "2.1", "contract": { "video": "VIDEO-3", "audio": "AUDIO-2" },
        "tokens": { "t": "secret-token" }, "user": "me", "password": "secret-password",
        "certificate": certificate, "private_key": private_key,
    });
    let full_server = server(full.clone());
    assert_eq!(serde_json::to_value(KeyServerFields::from(&full_server)).unwrap(), full);
    let shown = json!({
        "url": "https://h/{t}?a=...", "version": "2.1", "contract": { "video": "VIDEO-3", "audio": "AUDIO-2" },
        "tokens": ["t"], "user": "me", "certificate": certificate,
    });
    assert_eq!(serde_json::to_value(full_server.shown()).unwrap(), shown);
}
