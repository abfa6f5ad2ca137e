//! One exchange with a key server. This is the layer that tries again; no other does.

use core::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, redirect, retry};
use zeroize::Zeroizing;

use super::error::{Error, Result};
use super::{Endpoint, shown};
use crate::limits;
use crate::system::Version;

/// Header with the version, in both directions, from SPEKE v2.0.
const SPEKE_VERSION: &str = "x-speke-version";

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one attempt, to the end of the answer.
    pub exchange_timeout: Duration,
    /// How often at most; at least once.
    pub attempts: u32,
    /// Pause before the second attempt; twice that before the third. From half of it to all of it is waited, by chance.
    pub pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: limits::CONNECT_TIMEOUT,
            exchange_timeout: limits::EXCHANGE_TIMEOUT,
            attempts: limits::ATTEMPTS,
            pause: limits::PAUSE,
        }
    }
}

/// A client of key servers. It follows no redirects.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Exchange<'a> {
    /// Where to.
    pub endpoint: &'a Endpoint,
    /// The protocol.
    pub version: Version,
    /// The document.
    pub document: &'a str,
}

/// Why an attempt failed, and whether another may help.
struct Failure {
    error: Error,
    is_passing: bool,
}

impl Client {
    /// A client that trusts what the operating system trusts.
    ///
    /// # Errors
    /// [`Error::Tls`].
    pub fn new(settings: Settings) -> Result<Self> {
        // The provider of this process, unless one was chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.exchange_timeout)
            // Keys are asked for seldom. A connection that the server gave up in between would fail what is asked next.
            .pool_max_idle_per_host(0)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(concat!("edgepack/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Tls(causes(&error)))?;
        Ok(Self { http, settings })
    }

    /// Sends a document and reads the answer's.
    ///
    /// # Errors
    /// When no attempt is answered with 200, XML of at most 1 MiB and the same version.
    pub async fn exchange(&self, exchange: Exchange<'_>) -> Result<Zeroizing<Vec<u8>>> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(exchange, attempt).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            if !failure.is_passing || attempt >= self.settings.attempts {
                return Err(failure.error);
            }
            tracing::warn!(attempt, error = %failure.error, "asking the key server again");
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    fn pause(&self, attempt: u32) -> Duration {
        let longest = self.settings.pause.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        longest.min(limits::MAX_PAUSE).mul_f64(rand::random_range(0.5..=1.0))
    }

    async fn attempt(
        &self,
        exchange: Exchange<'_>,
        attempts: u32,
    ) -> core::result::Result<Zeroizing<Vec<u8>>, Failure> {
        let Exchange { endpoint, version, document } = exchange;
        let url = || endpoint.shown().to_owned();
        let mut request = self
            .http
            .post(endpoint.url.clone())
            .headers(endpoint.headers.clone())
            .header(CONTENT_TYPE, "application/xml")
            .body(document.to_owned());
        if version != Version::V1_0 {
            request = request.header(SPEKE_VERSION, version.as_str());
        }
        let response = request.send().await.map_err(|error| self.failure(error, endpoint, attempts))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::OK {
            // What it says is for people; when it cannot be read, the status is enough.
            let body = read(response, limits::MAX_SHOWN_ANSWER_BYTES).await.ok().flatten().unwrap_or_default();
            let text = shown::text(&body, document, &endpoint.secrets);
            let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(Failure {
                error: Error::Status { url: url(), attempts, status: status.as_u16(), text },
                is_passing,
            });
        }
        let lasting = |error| Failure { error, is_passing: false };
        let content_type = headers.get(CONTENT_TYPE);
        if !content_type.is_some_and(is_xml) {
            let content_type = said(content_type, exchange);
            return Err(lasting(Error::ContentType { url: url(), content_type }));
        }
        check_version(&headers, exchange).map_err(lasting)?;
        match read(response, limits::MAX_DOCUMENT_BYTES).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(lasting(Error::TooLarge { url: url() })),
            Err(error) => Err(self.failure(error, endpoint, attempts)),
        }
    }

    fn failure(&self, error: reqwest::Error, endpoint: &Endpoint, attempts: u32) -> Failure {
        let (is_timeout, is_connect) = (error.is_timeout(), error.is_connect());
        let (url, cause) = (endpoint.shown().to_owned(), causes(&error.without_url()));
        let error = if is_timeout {
            Error::Timeout { url, attempts, seconds: self.settings.exchange_timeout.as_secs().max(1) }
        } else if is_connect {
            Error::Connect { url, attempts, cause }
        } else {
            Error::Broken { url, cause }
        };
        Failure { error, is_passing: is_timeout || is_connect }
    }
}

/// A header of an answer, for an error.
fn said(header: Option<&HeaderValue>, exchange: Exchange<'_>) -> String {
    let bytes = header.map(HeaderValue::as_bytes).unwrap_or_default();
    shown::text(bytes, exchange.document, &exchange.endpoint.secrets)
}

fn check_version(headers: &HeaderMap, exchange: Exchange<'_>) -> Result<()> {
    let wanted = exchange.version.as_str();
    let found = headers.get(SPEKE_VERSION);
    if exchange.version == Version::V1_0
        || found.is_some_and(|found| found.as_bytes().trim_ascii() == wanted.as_bytes())
    {
        return Ok(());
    }
    let url = exchange.endpoint.shown().to_owned();
    Err(Error::SpekeVersion { url, wanted, found: said(found, exchange) })
}

/// Whether a content type is XML in UTF-8 (RFC 7303).
fn is_xml(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
    let kind = parts.next().unwrap_or_default();
    let kind = matches!(kind.as_str(), "application/xml" | "text/xml")
        || kind.ends_with("+xml") && kind != "application/xhtml+xml";
    kind && parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim() == "charset" => value.trim().trim_matches('"') == "utf-8",
        _ => true,
    })
}

/// The body; `None` when it is longer than `limit` bytes.
async fn read(mut response: Response, limit: usize) -> reqwest::Result<Option<Zeroizing<Vec<u8>>>> {
    // Room for everything at once: a vector that grows would leave parts of keys behind.
    let mut body = Zeroizing::new(Vec::with_capacity(limit));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for good in
            ["application/xml", "text/xml", "Application/XML; charset=UTF-8", "application/cpix+xml;charset=\"utf-8\""]
        {
            assert!(is_xml(&HeaderValue::from_static(good)), "{good}");
        }
        for bad in
            ["text/html", "application/json", "application/xml; charset=utf-16", "application/xhtml+xml", "xml", ""]
        {
            assert!(!is_xml(&HeaderValue::from_static(bad)), "{bad}");
        }
    }
}
