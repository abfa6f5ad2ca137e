//! Clear keys for players: AES-128 keys and Clear Key licences, open and with tokens.

mod common;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Answer, Control};
use http::{Method, Request};
use packager::config::Kid;
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";
const KID: &str = "11111111-0000-4000-8000-0000000000a1";
const SECRET: &str = "a secret of at least 32 characters";
const CONFIGURATIONS: &str = "/v1/packaging-groups/films/configurations";

async fn films(key_delivery: Value) -> Control {
    let control = Control::new().await;
    control.post("/v1/packaging-groups", json!({"name": "films"})).await;
    let mut protection = json!({"scheme": "cbcs", "systems": ["clearkey"], "static_keys": [{"kid": KID, "key": KEY}]});
    if key_delivery.is_object() {
        protection["key_delivery"] = key_delivery;
    }
    let body = json!({"name": "c", "package_type": "CMAF", "protection": protection});
    assert_eq!(control.post(CONFIGURATIONS, body).await.status, 201);
    assert_eq!(control.ingest("film", "film-1").await["status"], "PLAYABLE");
    control
}

fn restricted() -> Value {
    json!({"policy": "restricted", "tokens": [{"algorithm": "HS256", "secret": SECRET}], "issuer": "us"})
}

async fn get(control: &Control, path: &str, token: Option<&str>) -> Answer {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    control.send(request.body(Body::empty()).unwrap()).await
}

async fn licence(control: &Control, kids: Value, token: Option<&str>) -> Answer {
    let mut request = Request::post("/keys/v1/clearkey/films/film/c");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = json!({"kids": kids, "type": "temporary"}).to_string();
    control.send(request.body(Body::from(body)).unwrap()).await
}

fn kid() -> String {
    URL_SAFE_NO_PAD.encode(KID.parse::<Kid>().unwrap().0)
}

fn key_path() -> String {
    format!("/keys/v1/aes-128/films/film/c/{KID}")
}

#[tokio::test]
async fn open_delivery_answers_keys_and_licences() {
    let control = films(json!({"policy": "open"})).await;
    let key = get(&control, &key_path(), None).await;
    assert_eq!((key.status.as_u16(), hex::encode(&key.body).as_str()), (200, KEY));
    assert_eq!(key.header("content-type"), "application/octet-stream");
    assert_eq!(key.header("cache-control"), "no-store");
    assert_eq!(key.header("access-control-allow-origin"), "*");

    let answer = licence(&control, json!([kid(), URL_SAFE_NO_PAD.encode([7; 16])]), None).await;
    assert_eq!(answer.status, 200);
    let k = URL_SAFE_NO_PAD.encode(hex::decode(KEY).unwrap());
    assert_eq!(answer.json(), json!({"keys": [{"kty": "oct", "kid": kid(), "k": k}], "type": "temporary"}));
    licence(&control, json!([URL_SAFE_NO_PAD.encode([7; 16])]), None).await.assert_problem(404, None);
    licence(&control, json!(["no base64!"]), None).await.assert_problem(400, None);
    licence(&control, json!("x"), None).await.assert_problem(400, None);
    licence(&control, json!(vec![kid(); 101]), None).await.assert_problem(400, None);

    let preflight = Request::builder().method(Method::OPTIONS).uri(key_path()).body(Body::empty()).unwrap();
    let preflight = control.send(preflight).await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    for path in [
        "/keys/v1/aes-128/films/film/c/11111111-0000-4000-8000-0000000000a2".to_owned(),
        "/keys/v1/aes-128/films/film/c/x".to_owned(),
        format!("/keys/v1/aes-128/films/other/c/{KID}"),
        format!("/keys/v1/aes-128/others/film/c/{KID}"),
        format!("/keys/v1/aes-128/films/film/d/{KID}"),
    ] {
        let answer = get(&control, &path, None).await;
        answer.assert_problem(404, None);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "a page may read why");
    }
}

#[tokio::test]
async fn without_key_delivery_there_is_none() {
    let control = films(Value::Null).await;
    get(&control, &key_path(), None).await.assert_problem(404, None);
    licence(&control, json!([kid()]), None).await.assert_problem(404, None);
}

#[tokio::test]
async fn restricted_delivery_wants_a_token_of_the_asset() {
    let control = films(restricted()).await;
    get(&control, &key_path(), None).await.assert_problem(401, None);
    get(&control, &key_path(), Some("x.y.z")).await.assert_problem(403, None);
    get(&control, &key_path(), Some(common::TOKEN)).await.assert_problem(403, None);
    licence(&control, json!([kid()]), None).await.assert_problem(401, None);

    let wanted = json!({"configuration": "c", "expires_in_seconds": 60, "subject": "viewer-1"});
    let made = control.post("/v1/assets/film/key-tokens", wanted).await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(get(&control, &key_path(), Some(&token)).await.status, 200);
    assert_eq!(get(&control, &format!("{}?token={token}", key_path()), None).await.status, 200);
    assert_eq!(licence(&control, json!([kid()]), Some(&token)).await.status, 200);
    control.ingest("other", "film-2").await;
    let other = format!("/keys/v1/aes-128/films/other/c/{KID}");
    get(&control, &other, Some(&token)).await.assert_problem(403, None);

    for (body, status, field) in [
        (json!({"configuration": "none"}), 422, "/configuration"),
        (json!({"configuration": "c", "expires_in_seconds": 43201}), 422, "/expires_in_seconds"),
        (json!({"configuration": "c", "expires_in_seconds": 0}), 422, "/expires_in_seconds"),
        (json!({"configuration": "c", "subject": ""}), 422, "/subject"),
    ] {
        control.post("/v1/assets/film/key-tokens", body).await.assert_problem(status, Some(field));
    }
    let unauthorized = Request::post("/v1/assets/film/key-tokens").header("content-type", "application/json");
    let unauthorized = unauthorized.body(Body::from(json!({"configuration": "c"}).to_string())).unwrap();
    control.send(unauthorized).await.assert_problem(401, None);
}

#[tokio::test]
async fn whoever_asks_too_often_has_to_wait() {
    let control = films(restricted()).await;
    let wanted = json!({"configuration": "c", "subject": "busy"});
    let token = control.post("/v1/assets/film/key-tokens", wanted).await.json()["token"].as_str().unwrap().to_owned();
    let mut limited = None;
    for _ in 0..400 {
        let answer = get(&control, &key_path(), Some(&token)).await;
        if answer.status != 200 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("a limit");
    limited.assert_problem(429, None);
    assert!(limited.header("retry-after").parse::<u64>().unwrap() >= 1);
    let wanted = json!({"configuration": "c", "subject": "calm"});
    let calm = control.post("/v1/assets/film/key-tokens", wanted).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(get(&control, &key_path(), Some(&calm)).await.status, 200, "another subject is not kept waiting");
}

/// A token with these claims under an RSA key.
fn rs256(pair: &aws_lc_rs::signature::RsaKeyPair, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    pair.sign(&aws_lc_rs::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn tokens_of_another_system_are_checked_with_its_public_key() {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::KeyPair as _;
    let generate = || aws_lc_rs::signature::RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let (pair, other) = (generate(), generate());
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let delivery = json!({"policy": "restricted", "tokens": [{"algorithm": "RS256", "public_key": pem}],
        "audience": "keys"});
    let control = films(delivery).await;
    let soon = control::clock::now_ms() / 1000 + 60;
    let claims = json!({"exp": soon, "aud": "keys", "asset": "film", "kid": KID});
    let status = async |token: String| get(&control, &key_path(), Some(&token)).await.status.as_u16();
    assert_eq!(status(rs256(&pair, &claims)).await, 200);
    assert_eq!(status(rs256(&other, &claims)).await, 403);
    assert_eq!(status(rs256(&pair, &json!({"exp": soon, "aud": "other"}))).await, 403);
    let bound = json!({"exp": soon, "aud": "keys", "kid": ["11111111-0000-4000-8000-0000000000a2"]});
    assert_eq!(status(rs256(&pair, &bound)).await, 403);
    assert_eq!(licence(&control, json!([kid()]), Some(&rs256(&pair, &bound))).await.status, 403);
    let wanted = json!({"configuration": "c"});
    control.post("/v1/assets/film/key-tokens", wanted).await.assert_problem(409, Some("/configuration"));
}
