//! Nothing secret is in an error, a log or a debug print, whatever a key server says.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use key_server::{Behaviour, KeyServer as Mock};
use keys::acquire::{KeyServer, KeyServerFields, Manifests, Request, acquire};
use keys::contract::KidName;
use keys::scheme::Scheme;
use keys::speke::{Client, Settings};
use keys::system::System;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

const CONTENT_ID: &str = "film-1";
const SECRETS: [&str; 5] = ["token-4711", "pass-0815", "header-4242", "query-1234", "user-token:with"];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every notation of a key that could be told.
fn notations(key: &[u8; 16]) -> Vec<Vec<u8>> {
    let hex = hex::encode(key);
    let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    let list = key.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let texts = [hex.to_uppercase(), hex, uuid, STANDARD.encode(key), URL_SAFE_NO_PAD.encode(key), list];
    texts.into_iter().map(String::into_bytes).chain([key.to_vec()]).collect()
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn pem(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn server(mock: &Mock, version: &str, encrypted: bool) -> KeyServer {
    let url = mock.url(r#"/{tenant}?sig=query-1234 -H "{X-Key:Bearer header-4242}" -H "{X-More:user-token:with}""#);
    let mut fields = json!({
        "url": url, "version": version, "tokens": { "tenant": "token-4711" }, "user": "me", "password": "pass-0815",
    });
    if encrypted {
        fields["certificate"] = pem("recipient.crt").into();
        fields["private_key"] = pem("recipient.key").into();
    }
    let fields: KeyServerFields = serde_json::from_value(fields).unwrap();
    KeyServer::try_from(fields).ok().unwrap()
}

#[tokio::test]
async fn nothing_secret_is_told() {
    let log = Log::default();
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).with_max_level(tracing::Level::TRACE).init();
    let mut mock = Mock::start().unwrap();
    let settings = Settings {
        exchange_timeout: Duration::from_millis(500),
        pause: Duration::from_millis(1),
        ..Settings::default()
    };
    let client = Client::new(settings).unwrap();
    let request = Request {
        content_id: CONTENT_ID.into(),
        scheme: Scheme::Cbcs,
        systems: vec![System::Widevine, System::PlayReady, System::FairPlay],
        manifests: Manifests { dash: true, hls: true, smooth: true },
        explicit_iv: None,
        periods: Vec::new(),
    };
    let kids = ["ALL", "VIDEO", "AUDIO"]
        .map(|class| KidName { content_id: CONTENT_ID, class, scheme: Scheme::Cbcs, period: None }.kid());
    let other_kids = kids.map(|kid| (!u128::from_be_bytes(kid.0)).to_be_bytes());
    let keys = kids.iter().map(|kid| kid.0).map(|kid| key_server::key(CONTENT_ID, kid));
    let keys: Vec<_> = keys.chain(other_kids.map(|kid| key_server::key(CONTENT_ID, kid))).collect();

    // A server that tells everything it knows in its errors.
    let gossip = |separator: &str| {
        let keys = keys.iter().flat_map(notations).map(|key| String::from_utf8_lossy(&key).into_owned());
        let basic = STANDARD.encode("me:pass-0815");
        let all = SECRETS.iter().map(|secret| (*secret).to_owned()).chain([basic]).chain(keys);
        all.collect::<Vec<_>>().join(separator)
    };
    let mut told = Vec::new();
    let behaviours = [
        Behaviour::Refusing(403, gossip(" ")),
        Behaviour::Refusing(500, gossip("\"}, {\"")),
        Behaviour::Refusing(422, gossip("<PlainValue>")),
        Behaviour::Failing(2),
        Behaviour::Slow(Duration::from_secs(2)),
        Behaviour::Html,
        Behaviour::XmlBomb,
        Behaviour::Huge,
        Behaviour::Truncated,
        Behaviour::Redirecting,
        Behaviour::OtherVersion,
        Behaviour::OtherKid,
        Behaviour::HalfTheKeys,
        Behaviour::WrongMac,
        Behaviour::NotEncrypted,
        Behaviour::OtherScheme,
        Behaviour::SameTracks,
        Behaviour::RepeatedKey,
        Behaviour::ShortKey,
        Behaviour::LeavingOut("PSSH"),
        Behaviour::Sound,
    ];
    for version in ["1.0", "2.0", "2.1"] {
        for encrypted in [false, true] {
            let server = server(&mock, version, encrypted);
            told.push(serde_json::to_string(&server.shown()).unwrap());
            for behaviour in &behaviours {
                if matches!(behaviour, Behaviour::Slow(_)) && version != "2.0" {
                    continue;
                }
                mock.behave(behaviour.clone());
                match acquire(&client, &server, &request).await {
                    Err(error) => told.extend([error.to_string(), format!("{error:?}")]),
                    // What can be printed of an answer.
                    Ok(acquired) => {
                        told.extend(acquired.keys.iter().map(|key| format!("{:?} {:?}", key.kid, key.systems)))
                    }
                }
            }
        }
    }
    mock.down();
    let error = acquire(&client, &server(&mock, "2.0", false), &request).await.err().unwrap();
    told.extend([error.to_string(), format!("{error:?}")]);

    assert!(told.len() > 150, "{}", told.len());
    let log = log.0.lock().unwrap().clone();
    assert!(has(&log, b"asking the key server again"), "the log was taken");
    let told = told.join("\n").into_bytes();
    let basic = STANDARD.encode("me:pass-0815").into_bytes();
    for (name, text) in [("told", &told), ("logged", &log)] {
        for (number, key) in keys.iter().enumerate() {
            for (notation, form) in notations(key).iter().enumerate() {
                assert!(!has(text, form), "key {number} is {name} in notation {notation}");
            }
        }
        for secret in SECRETS.iter().map(|secret| secret.as_bytes()).chain([basic.as_slice()]) {
            assert!(!has(text, secret), "{} is {name}", String::from_utf8_lossy(secret));
        }
        let pem = pem("recipient.key");
        for line in pem.lines().filter(|line| !line.starts_with('-')) {
            assert!(!has(text, line.as_bytes()), "the private key is {name}");
        }
    }
}
