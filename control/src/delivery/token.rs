//! Tokens of those who may have keys: JSON Web Tokens (RFC 7519) in compact form, signed with HS256 or RS256 (RFC 7518).
//!
//! The algorithm is that of the configured key; what a token's header says is only compared with it.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use packager::config::Kid;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use crate::protect::settings::{KeyDelivery, TokenAlgorithm, TokenKey};

/// The longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 4096;
/// The longest life of a token from now on: tokens are for one viewing.
pub const MAX_TOKEN_SECONDS: u64 = 12 * 3600;
/// How far clocks may differ.
const LEEWAY_SECONDS: u64 = 30;

/// Why a token is refused; nothing of the token is in it.
pub type Refused = &'static str;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515, 4.1.11): none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// One text or a list of them.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(text) => text == wanted,
            Self::Many(list) => list.iter().any(|text| text == wanted),
        }
    }
}

/// What a token says.
#[derive(Clone, Default, Deserialize)]
pub struct Claims {
    /// When it ends, seconds since 1970. Needed.
    pub exp: Option<f64>,
    /// When it begins.
    #[serde(default)]
    pub nbf: Option<f64>,
    /// For whom it is.
    #[serde(default)]
    pub sub: Option<String>,
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    aud: Option<OneOrMany>,
    /// The asset that it is for; without it and `endpoint`, all assets of the configuration.
    #[serde(default)]
    pub asset: Option<String>,
    /// The live endpoint that it is for, `group/channel/endpoint`; without it and `asset`, the one whose key it is signed with.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The keys that it is for; without it, all keys.
    #[serde(default)]
    kid: Option<OneOrMany>,
}

impl Claims {
    /// Whether the token is for this key.
    pub fn allows(&self, kid: Kid) -> bool {
        let wanted = |text: &str| text.parse::<Kid>().is_ok_and(|own| own == kid);
        match &self.kid {
            None => true,
            Some(OneOrMany::One(text)) => wanted(text),
            Some(OneOrMany::Many(list)) => list.iter().any(|text| wanted(text)),
        }
    }
}

/// What a token may be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An asset, by name.
    Asset(&'a str),
    /// A live endpoint, by the names `group/channel/endpoint`.
    Endpoint(&'a str),
}

/// Checks a token for some content at `now`, seconds since 1970.
///
/// # Errors
/// Why it is refused.
pub fn check(delivery: &KeyDelivery, token: &str, content: Content<'_>, now: u64) -> Result<Claims, Refused> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err("the token is too long");
    }
    let malformed = "this is not a JSON Web Token";
    let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(malformed)?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed);
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let header: Header = serde_json::from_slice(&header).map_err(|_| malformed)?;
    if header.crit.is_some() {
        return Err("the token has critical extensions, which are not understood");
    }
    let signed_by = |key: &&TokenKey| name(key.algorithm) == header.alg && verifies(key, signed, &signature);
    if !delivery.tokens.iter().any(|key| signed_by(&key)) {
        return Err("the signature of the token is not one of a key that is trusted here");
    }
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| "the claims of the token cannot be read")?;
    check_claims(delivery, &claims, content, now)?;
    Ok(claims)
}

fn name(algorithm: TokenAlgorithm) -> &'static str {
    match algorithm {
        TokenAlgorithm::Hs256 => "HS256",
        TokenAlgorithm::Rs256 => "RS256",
    }
}

/// Whether a signature is of this key; HMACs are compared in constant time.
fn verifies(key: &TokenKey, signed: &str, signature: &[u8]) -> bool {
    match (key.algorithm, &key.secret, &key.public_key) {
        (TokenAlgorithm::Hs256, Some(secret), _) => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
            hmac::verify(&key, signed.as_bytes(), signature).is_ok()
        }
        (TokenAlgorithm::Rs256, _, Some(pem)) => match public_key(pem) {
            Ok(key) => key.verify(signed.as_bytes(), signature).is_ok(),
            Err(_) => false,
        },
        _ => false,
    }
}

/// Reads a public key: `SubjectPublicKeyInfo` in PEM. Whether it is of RSA with 2048 bits or more is found when it is used.
///
/// # Errors
/// What is wrong.
fn public_key(pem: &str) -> Result<UnparsedPublicKey<Vec<u8>>, Refused> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|_| "use a public key in PEM (BEGIN PUBLIC KEY)")?;
    Ok(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.to_vec()))
}

/// Checks a key that an operator gives.
///
/// # Errors
/// What is wrong with it.
pub fn check_public_key(pem: &str) -> Result<(), Refused> {
    let parsed = public_key(pem)?.parse();
    parsed.map(drop).map_err(|_| "use an RSA public key of 2048 to 8192 bits in PEM (BEGIN PUBLIC KEY)")
}

fn check_claims(delivery: &KeyDelivery, claims: &Claims, content: Content<'_>, now: u64) -> Result<(), Refused> {
    let (now, leeway) = (now as f64, LEEWAY_SECONDS as f64);
    let exp = claims.exp.ok_or("the token has no exp")?;
    if exp + leeway <= now {
        return Err("the token has expired");
    }
    if exp > now + MAX_TOKEN_SECONDS as f64 + leeway {
        return Err("the token lives longer than 12 hours; use short-lived ones");
    }
    if claims.nbf.is_some_and(|nbf| nbf > now + leeway) {
        return Err("the token is not valid yet");
    }
    if delivery.issuer.is_some() && claims.iss != delivery.issuer {
        return Err("the token is of another issuer");
    }
    if let Some(audience) = &delivery.audience
        && claims.aud.as_ref().is_none_or(|aud| !aud.contains(audience))
    {
        return Err("the token is for another audience");
    }
    // One that is bound to an asset is for no endpoint, whatever the names are, and the other way round.
    match (content, claims.asset.as_deref(), claims.endpoint.as_deref()) {
        (_, None, None) => Ok(()),
        (Content::Asset(asset), Some(own), None) if own == asset => Ok(()),
        (Content::Endpoint(endpoint), None, Some(own)) if own == endpoint => Ok(()),
        (Content::Asset(_), ..) => Err("the token is for another asset"),
        (Content::Endpoint(_), ..) => Err("the token is for another endpoint"),
    }
}

/// Makes a token for some content that ends at `exp`, signed with the first HS256 key; `None` when there is none.
pub fn mint(delivery: &KeyDelivery, content: Content<'_>, subject: Option<&str>, exp: u64) -> Option<String> {
    let secret = delivery.tokens.iter().find_map(|key| match key.algorithm {
        TokenAlgorithm::Hs256 => key.secret.as_ref(),
        TokenAlgorithm::Rs256 => None,
    })?;
    let header = Header { alg: "HS256".to_owned(), typ: Some("JWT".to_owned()), crit: None };
    let mut claims = match content {
        Content::Asset(asset) => serde_json::json!({"exp": exp, "asset": asset}),
        Content::Endpoint(endpoint) => serde_json::json!({"exp": exp, "endpoint": endpoint}),
    };
    for (name, value) in [("sub", subject), ("iss", delivery.issuer.as_deref()), ("aud", delivery.audience.as_deref())]
    {
        if let Some(value) = value {
            claims[name] = value.into();
        }
    }
    let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
    let signed = format!("{}.{}", part(serde_json::to_vec(&header).ok()?), part(serde_json::to_vec(&claims).ok()?));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::settings::{Policy, SecretText};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_800_000_000;
    const FILM: Content<'_> = Content::Asset("film");

    fn delivery() -> KeyDelivery {
        let key =
            TokenKey { algorithm: TokenAlgorithm::Hs256, secret: Some(SecretText::new(SECRET)), public_key: None };
        KeyDelivery { policy: Policy::Restricted, tokens: vec![key], issuer: None, audience: None }
    }

    fn sign(header: &str, claims: &str, secret: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
    }

    const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    /// RFC 7515, A.1: header, claims, key and signature are those of the standard.
    #[test]
    fn the_example_of_the_standard_verifies() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(key).unwrap());
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert!(hmac::verify(&key, signed.as_bytes(), &signature).is_ok());
    }

    #[test]
    fn what_is_minted_is_good_for_its_asset_and_time() {
        let token = mint(&delivery(), FILM, Some("viewer"), NOW + 60).unwrap();
        assert_eq!(check(&delivery(), &token, FILM, NOW).ok().and_then(|c| c.sub).as_deref(), Some("viewer"));
        assert_eq!(
            check(&delivery(), &token, Content::Asset("other"), NOW).err(),
            Some("the token is for another asset")
        );
        assert_eq!(check(&delivery(), &token, FILM, NOW + 91).err(), Some("the token has expired"));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            // The last character holds two bits that mean nothing; the decoder refuses them.
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&delivery(), &changed, FILM, NOW).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_token_of_an_endpoint_is_for_no_asset() {
        let endpoint = Content::Endpoint("news/one/hls");
        let refused = |token: &str, content| check(&delivery(), token, content, NOW).err();
        let token = mint(&delivery(), endpoint, None, NOW + 60).unwrap();
        assert_eq!(refused(&token, endpoint), None);
        assert_eq!(refused(&token, Content::Endpoint("news/one/dash")), Some("the token is for another endpoint"));
        assert_eq!(refused(&token, Content::Asset("news/one/hls")), Some("the token is for another asset"));
        let token = mint(&delivery(), FILM, None, NOW + 60).unwrap();
        assert_eq!(refused(&token, Content::Endpoint("film")), Some("the token is for another endpoint"));
        let both = format!(r#"{{"exp":{},"asset":"film","endpoint":"news/one/hls"}}"#, NOW + 60);
        let both = sign(HS256, &both, SECRET);
        assert!(refused(&both, endpoint).is_some() && refused(&both, FILM).is_some());
    }

    #[test]
    fn claims_are_checked() {
        let check_one = |claims: String| check(&delivery(), &sign(HS256, &claims, SECRET), FILM, NOW).err();
        let soon = NOW + 60;
        assert_eq!(check_one(format!(r#"{{"exp":{soon}}}"#)), None);
        assert_eq!(check_one(format!(r#"{{"exp":{soon}.5,"nbf":{NOW}}}"#)), None);
        assert_eq!(check_one("{}".into()), Some("the token has no exp"));
        assert_eq!(check_one(format!(r#"{{"exp":{}}}"#, NOW - 31)), Some("the token has expired"));
        let long = NOW + MAX_TOKEN_SECONDS + 31;
        assert!(check_one(format!(r#"{{"exp":{long}}}"#)).unwrap().contains("short-lived"));
        assert_eq!(check_one(format!(r#"{{"exp":{soon},"nbf":{}}}"#, NOW + 31)), Some("the token is not valid yet"));
        assert!(check_one(format!(r#"{{"exp":"{soon}"}}"#)).is_some());
        assert!(check_one(format!(r#"{{"exp":1e999,"nbf":{NOW}}}"#)).is_some());
    }

    #[test]
    fn issuer_and_audience_must_be_those_configured() {
        let delivery = KeyDelivery { issuer: Some("us".into()), audience: Some("keys".into()), ..delivery() };
        let check_one = |claims: &str| {
            let claims = format!(r#"{{"exp":{},{claims}}}"#, NOW + 60);
            check(&delivery, &sign(HS256, &claims, SECRET), FILM, NOW).is_ok()
        };
        assert!(check_one(r#""iss":"us","aud":"keys""#));
        assert!(check_one(r#""iss":"us","aud":["other","keys"]"#));
        assert!(!check_one(r#""iss":"them","aud":"keys""#));
        assert!(!check_one(r#""aud":"keys""#));
        assert!(!check_one(r#""iss":"us","aud":["other"]"#));
        assert!(!check_one(r#""iss":"us""#));
    }

    #[test]
    fn the_algorithm_is_that_of_the_key() {
        let claims = format!(r#"{{"exp":{}}}"#, NOW + 60);
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512"}"#, r#"{"alg":"RS256"}"#, r#"{"alg":"hs256"}"#, "{}"] {
            assert!(check(&delivery(), &sign(header, &claims, SECRET), FILM, NOW).is_err(), "{header}");
        }
        let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(&claims));
        assert!(check(&delivery(), &unsigned, FILM, NOW).is_err());
        assert!(check(&delivery(), &sign(HS256, &claims, "another secret of 32 characters!"), FILM, NOW).is_err());
        let critical = r#"{"alg":"HS256","crit":["x"],"x":1}"#;
        assert!(check(&delivery(), &sign(critical, &claims, SECRET), FILM, NOW).is_err());
        // A public key is no secret of HMAC, whatever a token says.
        let pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
        let rsa = TokenKey { algorithm: TokenAlgorithm::Rs256, secret: None, public_key: Some(pem.into()) };
        let confused = KeyDelivery { tokens: vec![rsa], ..delivery() };
        assert!(check(&confused, &sign(HS256, &claims, pem), FILM, NOW).is_err());
        for junk in ["", ".", "..", "a.b.c", "e30.e30.", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(check(&delivery(), junk, FILM, NOW).is_err(), "{junk:.20}");
        }
    }

    #[test]
    fn a_token_may_be_bound_to_keys() {
        let kid: Kid = "11111111-0000-4000-8000-0000000000a1".parse().unwrap();
        let claims = |kid: &str| serde_json::from_str::<Claims>(&format!(r#"{{"exp":1,"kid":{kid}}}"#)).unwrap();
        assert!(claims("null").allows(kid));
        assert!(claims(r#""11111111-0000-4000-8000-0000000000A1""#).allows(kid));
        assert!(claims(r#"["x","111111110000400080000000000000a1"]"#).allows(kid));
        assert!(!claims(r#""11111111-0000-4000-8000-0000000000a2""#).allows(kid));
        assert!(!claims("[]").allows(kid));
    }
}
