//! Real players in a real browser play protected titles: the keys are static ones of REST, licences and keys come from the
//! control plane's own key delivery, signalling from the manifests, decryption of CMAF from Encrypted Media Extensions. Player
//! page, edge and key delivery are three origins. With a wrong key, or without a good token, nothing plays. The outcome is a
//! table, `target/e2e/protected.tsv`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use e2e::{Asset, Control, Setup, browser, media, tools};
use serde_json::{Value, json};

const GROUP: &str = "protected";
const ASSET: &str = "sample";
const MASTER_KEY: &str = "5f0e1d2c3b4a59687786a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const TOKEN_SECRET: &str = "a secret of at least 32 characters";
const KID: &str = "11111111-0000-4000-8000-0000000000a1";
const SOUND_KID: &str = "11111111-0000-4000-8000-0000000000a2";
const KEY: &str = "00112233445566778899aabbccddeeff";
const OTHER_KEY: &str = "ffeeddccbbaa99887766554433221100";
/// What the browser says of a decoder that is given what a wrong key makes of media.
const GARBAGE: &str = "PIPELINE_ERROR_DECODE";
/// The life of a token that is to be too old, and by how much the clocks of token makers may differ from ours.
const SHORT_LIFE: Duration = Duration::from_secs(1 + 31);
/// Of the title, in seconds.
const DURATION: u32 = 16;

/// What a play has to come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It plays to the end; every switch and seek shows the right picture.
    Everything,
    /// It plays to the end; seeks show the right picture.
    Brief,
    /// It does not play, and the player says something like this.
    Refused(&'static str),
}

/// Where a player has its right to a key from.
#[derive(Clone, Copy)]
enum Token {
    None,
    Good,
    /// Good once.
    Old,
}

/// One play: the configuration, and how.
struct Play {
    configuration: &'static str,
    engine: &'static str,
    wanted: Wanted,
    /// The configuration whose licences hls.js is told to fetch.
    licence: Option<&'static str>,
    token: Token,
}

impl Play {
    /// What the player has to say, when it must not play.
    fn refused(&self) -> Option<&'static str> {
        match self.wanted {
            Wanted::Refused(why) => Some(why),
            Wanted::Everything | Wanted::Brief => None,
        }
    }
}

/// Every configuration: its name, the package type, the protection without keys and their delivery, and more fields.
fn configurations(control: &Control) -> Vec<(&'static str, &'static str, Value, Value)> {
    let open = json!({"policy": "open"});
    let restricted = json!({"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": TOKEN_SECRET}]});
    let keys = json!([{"kid": KID, "key": KEY}]);
    let common =
        |scheme: &str| json!({"scheme": scheme, "systems": ["clearkey"], "static_keys": keys, "key_delivery": open});
    let fetched = |scheme: &str| json!({"scheme": scheme, "static_keys": keys, "key_delivery": open});
    let with = |mut protection: Value, name: &str, value: Value| {
        protection[name] = value;
        protection
    };
    let lead = |scheme| with(common(scheme), "clear_lead_segments", json!(1));
    let sd = 640 * 360;
    let classes = json!([
        {"kid": KID, "key": KEY, "usage": {"media": "video", "max_pixels": sd}},
        {"key": "0123456789abcdef0123456789abcdef", "usage": {"media": "video", "min_pixels": sd + 1}},
        {"key": "fedcba9876543210fedcba9876543210", "usage": {"media": "audio"}},
    ]);
    // Players are sent to a configuration that has another key under the same id.
    let pair = |key: &str| {
        json!([
            {"kid": KID, "key": key, "usage": {"media": "video"}},
            {"kid": SOUND_KID, "key": KEY, "usage": {"media": "audio"}},
        ])
    };
    let other = with(common("cbcs"), "static_keys", pair(OTHER_KEY));
    let place = |kind: &str, end: &str| format!("{}/keys/v1/{kind}/{GROUP}/{ASSET}/other{end}", control.url);
    let elsewhere = json!({"clearkey": place("clearkey", ""), "key": place("aes-128", "/{kid}")});
    let astray = |protection| with(protection, "licence_urls", elsewhere.clone());
    let plain = json!({});
    let apart = json!({"audio_separation": true});
    vec![
        ("cbcs-dash", "DASH", common("cbcs"), plain.clone()),
        ("cenc-dash", "DASH", common("cenc"), plain.clone()),
        ("cbcs-cmaf", "CMAF", common("cbcs"), plain.clone()),
        ("cenc-cmaf", "CMAF", common("cenc"), plain.clone()),
        ("lead-dash", "DASH", lead("cenc"), plain.clone()),
        ("lead-cmaf", "CMAF", lead("cbcs"), plain.clone()),
        ("classes-dash", "DASH", with(common("cbcs"), "static_keys", classes), plain.clone()),
        ("aes", "HLS", fetched("aes-128"), plain.clone()),
        ("aes-apart", "HLS", fetched("aes-128"), apart.clone()),
        ("sample-aes", "HLS", fetched("sample-aes"), plain.clone()),
        ("sample-aes-apart", "HLS", fetched("sample-aes"), apart),
        ("token-dash", "DASH", with(common("cbcs"), "key_delivery", restricted.clone()), plain.clone()),
        ("token-cmaf", "CMAF", with(common("cbcs"), "key_delivery", restricted.clone()), plain.clone()),
        ("token-aes", "HLS", with(fetched("aes-128"), "key_delivery", restricted), plain.clone()),
        ("other", "CMAF", other, plain.clone()),
        ("wrong-dash", "DASH", astray(common("cbcs")), plain.clone()),
        ("wrong-cenc", "DASH", astray(common("cenc")), plain.clone()),
        ("wrong-pictures", "DASH", astray(with(common("cbcs"), "static_keys", pair(KEY))), plain.clone()),
        ("wrong-cmaf", "CMAF", astray(common("cbcs")), plain.clone()),
        ("wrong-aes", "HLS", astray(fetched("aes-128")), plain.clone()),
        ("wrong-sample-aes", "HLS", astray(fetched("sample-aes")), plain),
    ]
}

/// Every play. Those that have to wait for a token to become too old come last.
fn plays() -> Vec<Play> {
    use Token::{Good, Old};
    use Wanted::{Brief, Everything, Refused};
    let play =
        |configuration, engine, wanted| Play { configuration, engine, wanted, licence: None, token: Token::None };
    let with = |token, play| Play { token, ..play };
    vec![
        play("cbcs-dash", "shaka", Everything),
        play("cbcs-dash", "dashjs", Everything),
        play("cbcs-cmaf", "hls", Everything),
        play("cbcs-cmaf", "shaka", Everything),
        play("cenc-dash", "shaka", Everything),
        play("cenc-dash", "dashjs", Everything),
        play("cenc-cmaf", "hls", Everything),
        play("cenc-cmaf", "shaka", Everything),
        play("classes-dash", "shaka", Everything),
        play("classes-dash", "dashjs", Everything),
        play("aes", "hls", Everything),
        play("aes-apart", "hls", Everything),
        play("sample-aes", "hls", Everything),
        play("sample-aes-apart", "hls", Everything),
        play("aes-apart", "shaka", Brief),
        play("lead-dash", "shaka", Brief),
        play("lead-cmaf", "hls", Brief),
        with(Good, play("token-dash", "dashjs", Brief)),
        with(Good, play("token-cmaf", "hls", Brief)),
        with(Good, play("token-cmaf", "shaka", Brief)),
        with(Good, play("token-aes", "hls", Brief)),
        play("wrong-dash", "shaka", Refused(GARBAGE)),
        play("wrong-cenc", "dashjs", Refused(GARBAGE)),
        play("wrong-pictures", "shaka", Refused(GARBAGE)),
        play("wrong-cmaf", "shaka", Refused(GARBAGE)),
        Play { licence: Some("other"), ..play("wrong-cmaf", "hls", Refused(GARBAGE)) },
        play("wrong-aes", "hls", Refused("Failed to find demuxer|fragDecryptError")),
        play("wrong-sample-aes", "hls", Refused(GARBAGE)),
        // lib/hls/hls_parser.js: keys that are fetched as they are do not go with video/mp2t.
        play("sample-aes-apart", "shaka", Refused("HLS_MSE_ENCRYPTED_MP2T_NOT_SUPPORTED")),
        play("token-cmaf", "shaka", Refused("the server answered 401")),
        play("token-aes", "hls", Refused("the server answered 401")),
        with(Old, play("token-dash", "shaka", Refused("the server answered 403"))),
        with(Old, play("token-cmaf", "hls", Refused("the server answered 403"))),
        with(Old, play("token-aes", "hls", Refused("the server answered 403"))),
    ]
}

#[test]
fn protected_titles_play_with_their_keys_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut setup = Setup::at(folder.path());
    setup.environment.push(("CONTROL_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()));
    let control = setup.start();
    control.create("/v1/packaging-groups", &json!({"name": GROUP}));
    let configurations = configurations(&control);
    for (name, package_type, protection, more) in &configurations {
        let mut body = more.clone();
        body["name"] = json!(name);
        body["package_type"] = json!(package_type);
        body["segment_duration_seconds"] = json!(2);
        body["protection"] = protection.clone();
        control.create(&format!("/v1/packaging-groups/{GROUP}/configurations"), &body);
    }
    let sources: Vec<Value> = media::ladder().iter().map(|file| json!({"path": control.store(file)})).collect();
    control.submit_media(GROUP, ASSET, json!({"sources": sources, "content_id": "film-1"}));
    let asset = control.finished(ASSET);
    assert_eq!(asset.status(), "PLAYABLE", "{}\n{}", asset.json, control.log());

    let token = |configuration: &str, seconds: u64| {
        let body = json!({"configuration": configuration, "expires_in_seconds": seconds, "subject": "viewer"});
        let made = control.create(&format!("/v1/assets/{ASSET}/key-tokens"), &body);
        made["token"].as_str().expect("a token").to_owned()
    };
    let only = std::env::var("EDGEPACK_CONFIGURATION").ok();
    let minted = Instant::now();
    let tokens: Vec<(Play, Option<String>)> = plays()
        .into_iter()
        .filter(|play| only.as_ref().is_none_or(|name| play.configuration.starts_with(name)))
        .map(|play| {
            let token = match play.token {
                Token::None => None,
                Token::Good => Some(token(play.configuration, 3600)),
                Token::Old => Some(token(play.configuration, 1)),
            };
            (play, token)
        })
        .collect();
    let outcomes = browser::each(&tokens, |(play, token)| {
        let (_, package_type, ..) = configurations.iter().find(|one| one.0 == play.configuration).expect("it");
        if matches!(play.token, Token::Old) {
            std::thread::sleep(SHORT_LIFE.saturating_sub(minted.elapsed()));
        }
        let options = options(&control, &asset, play, package_type, token.as_deref());
        let base = control.url.replace("127.0.0.1", "localhost");
        let name = format!("protected-{}-{}", play.engine, play.configuration);
        browser::play(&base, play.engine, &name, options)
    });

    let mut table = String::from("configuration\tplayer\ttoken\toutcome\n");
    let mut wrong = String::new();
    for ((play, _), outcome) in tokens.iter().zip(&outcomes) {
        let token = match play.token {
            Token::None => "none",
            Token::Good => "good",
            Token::Old => "too old",
        };
        let shown = match outcome {
            Ok(_) if play.refused().is_none() => "played to the end".to_owned(),
            Ok(said) => format!("does not play: {}", why(said)),
            Err(error) => error.lines().next().unwrap_or_default().to_owned(),
        };
        let _ = writeln!(table, "{}\t{}\t{token}\t{shown}", play.configuration, play.engine);
        if let Err(error) = outcome {
            let _ = writeln!(wrong, "{} by {}, token {token}: {error}\n", play.configuration, play.engine);
        }
    }
    println!("{table}");
    std::fs::write(tools::results().join("protected.tsv"), table).expect("the table");
    assert!(wrong.is_empty(), "{wrong}");
}

/// The error that a refused play ended with, up to what differs each time.
fn why(said: &str) -> String {
    let said: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let why = said["refused"].as_str().expect("a reason");
    why.split(['{', '(']).next().unwrap_or_default().trim_end_matches([' ', ':']).to_owned()
}

/// What the browser is told.
fn options(control: &Control, asset: &Asset, play: &Play, package_type: &str, token: Option<&str>) -> Value {
    let urls = asset.json["playback_urls"].as_array().expect("playback URLs");
    let url = urls.iter().find(|one| one["configuration"] == play.configuration).and_then(|one| one["url"].as_str());
    let mut options = json!({
        "url": e2e::http::resolve(&control.edge, url.expect("its URL")),
        "duration": DURATION,
        "heights": [180, 360, 720],
        "languages": 2,
        "late": u32::from(package_type == "HLS"),
        "keys": true,
        "eme": package_type != "HLS",
        "brief": play.wanted == Wanted::Brief,
        "refused": play.refused(),
        "token": token,
    });
    // Clear Key in HLS says nothing of a licence server.
    if play.engine == "hls" && package_type == "CMAF" {
        let configuration = play.licence.unwrap_or(play.configuration);
        options["licence"] = json!(format!("{}/keys/v1/clearkey/{GROUP}/{ASSET}/{configuration}", control.url));
    }
    options
}
