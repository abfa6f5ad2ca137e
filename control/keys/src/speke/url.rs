//! The provider URL: a URL with `{token}` in its path and query, and headers after it as `-H "{name:value}"`.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits;
use crate::secret::Secret;

/// Where requests go, and with what. It holds secrets and so has no `Debug`; [`shown`](Self::shown) is for messages.
pub struct Endpoint {
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) secrets: Vec<Secret>,
    shown: String,
}

/// What is wrong with a provider URL. Nothing of it is repeated but names of headers and tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Its length.
    #[error("use 1 to 512 characters")]
    Length,
    /// Not a URL.
    #[error("not a URL of the form https://host/path")]
    Syntax,
    /// Another scheme.
    #[error("use http or https")]
    Scheme,
    /// Something after `#`.
    #[error("a fragment is never sent; leave out what starts with #")]
    Fragment,
    /// Braces that are no token.
    #[error("braces stand for a token of letters, digits, - and _ in the path or query, like {{token}}")]
    Braces,
    /// A token without a value.
    #[error("nothing is given for the token {0:?}")]
    UnknownToken(String),
    /// A token with a value that cannot be used.
    #[error("what is given for the token {0:?} is empty, too long, or a dot or two")]
    Token(String),
    /// What follows the URL.
    #[error("only headers may follow the URL, each as -H \"{{name:value}}\"")]
    AfterUrl,
    /// A header that cannot be sent.
    #[error("the header {0:?} has a name or value that cannot be sent")]
    Header(String),
    /// A header that is ours.
    #[error("the header {0} is set by this client")]
    OwnHeader(HeaderName),
    /// A header twice.
    #[error("the header {0} is given twice")]
    RepeatedHeader(HeaderName),
    /// Two sources of credentials.
    #[error("give one of: a user in the URL, a user and password apart, an Authorization header")]
    Credentials,
}

/// Headers that decide how a request is read, or that are set here.
const OWN_HEADERS: [&str; 13] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-speke-version",
];

impl Endpoint {
    /// Reads a provider URL.
    ///
    /// # Errors
    /// When it is not one, needs a token that is not there, or would overrule a header of ours.
    pub fn new(
        field: &str,
        tokens: &BTreeMap<String, Secret>,
        basic: Option<(&str, &Secret)>,
    ) -> Result<Self, UrlError> {
        if !(1..=limits::MAX_URL_CHARACTERS).contains(&field.chars().count()) {
            return Err(UrlError::Length);
        }
        let field = field.trim();
        let (template, after) = field.split_once(char::is_whitespace).unwrap_or((field, ""));
        let mut secrets: Vec<Secret> = tokens.values().cloned().collect();
        let mut url = Url::parse(&substituted(template, tokens)?).map_err(|_| UrlError::Syntax)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme);
        }
        if !url.has_host() {
            return Err(UrlError::Syntax);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        secrets.extend(url.query_pairs().map(|(_, value)| Secret::new(value)));
        let mut headers = headers(after, &mut secrets)?;

        let in_url = !url.username().is_empty() || url.password().is_some();
        let user = percent_decoded(url.username());
        let password = Secret::new(percent_decoded(url.password().unwrap_or("")));
        url.set_username("").map_err(|()| UrlError::Syntax)?;
        url.set_password(None).map_err(|()| UrlError::Syntax)?;
        let basic = match (basic, in_url) {
            (Some(_), true) => return Err(UrlError::Credentials),
            (Some(basic), false) => Some(basic),
            (None, true) => Some((user.as_str(), &password)),
            (None, false) => None,
        };
        if let Some((user, password)) = basic {
            if headers.contains_key(AUTHORIZATION) {
                return Err(UrlError::Credentials);
            }
            let encoded = Secret::new(STANDARD.encode(format!("{user}:{}", password.reveal())));
            let value = HeaderValue::try_from(format!("Basic {}", encoded.reveal()));
            headers.insert(AUTHORIZATION, sensitive(value.map_err(|_| UrlError::Credentials)?));
            secrets.extend([encoded, password.clone()]);
        }
        secrets.retain(|secret| !secret.reveal().is_empty());
        let shown = shown(&url, template);
        Ok(Self { url, headers, secrets, shown })
    }

    /// The URL for messages: without user and password, with the names of tokens instead of their values, and with the names
    /// of query parameters only.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// Where path and query start in a URL.
fn after_authority(template: &str) -> usize {
    let start = template.find("://").map_or(0, |at| at + 3);
    let rest = template.get(start..).unwrap_or("");
    start + rest.find(['/', '?', '#']).unwrap_or(rest.len())
}

/// The URL with its tokens put in, encoded so that each stays within one part of the path or one value of the query.
fn substituted(template: &str, tokens: &BTreeMap<String, Secret>) -> Result<String, UrlError> {
    let (authority, mut rest) = template.split_at_checked(after_authority(template)).ok_or(UrlError::Syntax)?;
    if authority.contains(['{', '}']) {
        return Err(UrlError::Braces);
    }
    let mut url = authority.to_owned();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(UrlError::Braces)?;
        if before.contains('}') || !is_token_name(name) {
            return Err(UrlError::Braces);
        }
        let value = tokens.get(name).ok_or_else(|| UrlError::UnknownToken(name.to_owned()))?.reveal();
        if !(1..=limits::MAX_TOKEN_BYTES).contains(&value.len()) || matches!(value, "." | "..") {
            return Err(UrlError::Token(name.to_owned()));
        }
        url.push_str(before);
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
                byte => url.push_str(&format!("%{byte:02X}")),
            }
        }
        rest = after;
    }
    if rest.contains('}') {
        return Err(UrlError::Braces);
    }
    url.push_str(rest);
    Ok(url)
}

/// Whether this may stand between braces.
pub(crate) fn is_token_name(name: &str) -> bool {
    (1..=limits::MAX_TOKEN_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn headers(mut text: &str, secrets: &mut Vec<Secret>) -> Result<HeaderMap, UrlError> {
    let mut headers = HeaderMap::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(headers);
        }
        let quoted = text.strip_prefix("-H").and_then(|rest| rest.trim_start().strip_prefix('"'));
        let (header, rest) = quoted.and_then(|rest| rest.split_once('"')).ok_or(UrlError::AfterUrl)?;
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return Err(UrlError::AfterUrl);
        }
        let header = header.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(header);
        let (name, value) = header.split_once(':').ok_or(UrlError::AfterUrl)?;
        let (name, value) = (name.trim(), value.trim());
        let wrong = || UrlError::Header(name.to_owned());
        let header = HeaderName::try_from(name).map_err(|_| wrong())?;
        if OWN_HEADERS.contains(&header.as_str()) {
            return Err(UrlError::OwnHeader(header));
        }
        if value.is_empty() || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(wrong());
        }
        secrets.push(Secret::new(value));
        // The scheme of credentials is no secret, what follows it is.
        secrets.extend(value.split_once(' ').map(|(_, rest)| Secret::new(rest.trim())));
        let value = sensitive(HeaderValue::try_from(value).map_err(|_| wrong())?);
        if headers.insert(header.clone(), value).is_some() {
            return Err(UrlError::RepeatedHeader(header));
        }
        text = rest;
    }
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high * 16 + low));
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(url: &Url, template: &str) -> String {
    let rest = template.get(after_authority(template)..).unwrap_or("");
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut shown = format!("{}://{}{port}{path}", url.scheme(), url.host_str().unwrap_or(""));
    for (count, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if count == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) => {
                shown.push_str(name);
                shown.push_str("=...");
            }
            // A value without a name.
            None => shown.push_str("..."),
        }
    }
    shown.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> BTreeMap<String, Secret> {
        BTreeMap::from([("site".into(), Secret::new("a/b?c")), ("dots".into(), Secret::new(".."))])
    }

    fn endpoint(field: &str) -> Result<Endpoint, UrlError> {
        Endpoint::new(field, &tokens(), None)
    }

    fn error(field: &str) -> UrlError {
        endpoint(field).err().unwrap_or_else(|| panic!("accepted: {field}"))
    }

    #[test]
    fn tokens_query_and_headers() {
        let field = r#"https://us%40er:p%3Aw@keys.example:8443/v2/{site}/x?tenant=t1&sig={site} -H "{X-Api-Key:secret key}"  -H "x-b: 2""#;
        let endpoint = endpoint(field).unwrap();
        assert_eq!(endpoint.url.as_str(), "https://keys.example:8443/v2/a%2Fb%3Fc/x?tenant=t1&sig=a%2Fb%3Fc");
        assert_eq!(endpoint.headers["x-api-key"], "secret key");
        assert_eq!(endpoint.headers["x-b"], "2");
        assert!(endpoint.headers["x-api-key"].is_sensitive());
        assert_eq!(endpoint.headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("us@er:p:w")).as_str());
        assert_eq!(endpoint.shown(), "https://keys.example:8443/v2/{site}/x?tenant=...&sig=...");
    }

    #[test]
    fn basic_of_fields() {
        let password = Secret::new("p");
        let endpoint = Endpoint::new("http://h/", &tokens(), Some(("u", &password))).unwrap();
        assert_eq!(endpoint.headers[AUTHORIZATION], "Basic dTpw");
        let both = Endpoint::new("http://a:b@h/", &tokens(), Some(("u", &password)));
        assert_eq!(both.err(), Some(UrlError::Credentials));
        let header = Endpoint::new(r#"http://h/ -H "{Authorization:Bearer x}""#, &tokens(), Some(("u", &password)));
        assert_eq!(header.err(), Some(UrlError::Credentials));
    }

    #[test]
    fn refused() {
        assert_eq!(error(""), UrlError::Length);
        assert_eq!(error(&format!("http://h/{}", "a".repeat(504))), UrlError::Length);
        assert!(endpoint(&format!("http://h/{}", "a".repeat(503))).is_ok());
        assert_eq!(error("ftp://h/"), UrlError::Scheme);
        assert_eq!(error("file:///etc/passwd"), UrlError::Scheme);
        assert_eq!(error("keys.example/v2"), UrlError::Syntax);
        assert_eq!(error("http://h/#x"), UrlError::Fragment);
        assert_eq!(error("http://{site}/"), UrlError::Braces);
        assert_eq!(error("http://h/{site"), UrlError::Braces);
        assert_eq!(error("http://h/site}"), UrlError::Braces);
        assert_eq!(error("http://h/{}"), UrlError::Braces);
        assert_eq!(error("http://h/{other}"), UrlError::UnknownToken("other".into()));
        assert_eq!(error("http://h/{dots}/x"), UrlError::Token("dots".into()));
        assert_eq!(error("http://h/ x"), UrlError::AfterUrl);
        assert_eq!(error(r#"http://h/ -H x"#), UrlError::AfterUrl);
        assert_eq!(error(r#"http://h/ -H "{a:b"#), UrlError::AfterUrl);
        assert_eq!(error(r#"http://h/ -H "{a:b}"-H "{c:d}""#), UrlError::AfterUrl);
        assert_eq!(error(r#"http://h/ -H "{a b:c}""#), UrlError::Header("a b".into()));
        assert_eq!(error(r#"http://h/ -H "{a:}""#), UrlError::Header("a".into()));
        assert_eq!(error("http://h/ -H \"{a:b\u{e9}}\""), UrlError::Header("a".into()));
        assert_eq!(error("http://h/ -H \"{a:b\r\nx:y}\""), UrlError::Header("a".into()));
        assert!(matches!(error(r#"http://h/ -H "{Host:x}""#), UrlError::OwnHeader(_)));
        assert!(matches!(error(r#"http://h/ -H "{X-Speke-Version:9}""#), UrlError::OwnHeader(_)));
        assert!(matches!(error(r#"http://h/ -H "{a:b}" -H "{A:c}""#), UrlError::RepeatedHeader(_)));
    }
}
