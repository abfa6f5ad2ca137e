//! Outgoing HTTP of guests: one pool of kept-alive connections for all instances, to the control plane and nowhere else.

use crate::limits::{
    BETWEEN_BYTES_TIMEOUT, BODY_CHUNK_BYTES, CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT, ORIGIN_IDLE_CONNECTIONS,
    ORIGIN_IDLE_TIMEOUT,
};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Scheme, host and port of a server. Equal if both name the same port, written or not.
#[derive(Clone, PartialEq, Eq)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn new(scheme: &Scheme, authority: &Authority) -> Option<Self> {
        let https = match scheme.as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        // Credentials in an authority would be sent nowhere and only confuse the comparison.
        if authority.as_str().contains('@') {
            return None;
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok()?,
            None if https => 443,
            None => 80,
        };
        Some(Self { https, host: authority.host().to_ascii_lowercase(), port })
    }
}

/// The pooled client. Clones share the pool.
#[derive(Clone)]
pub(crate) struct Outgoing {
    client: Client<HttpsConnector<HttpConnector>, WasiBody>,
    allowed: Arc<[Origin]>,
}

impl Outgoing {
    /// A client that may reach the servers of `allowed` (absolute URLs).
    pub(crate) fn new(allowed: &[String]) -> anyhow::Result<Self> {
        let allowed = allowed
            .iter()
            .map(|url| {
                let uri: http::Uri = url.parse().map_err(|_| anyhow::anyhow!("`{url}` is not a URL"))?;
                uri.scheme()
                    .zip(uri.authority())
                    .and_then(|(scheme, authority)| Origin::new(scheme, authority))
                    .ok_or_else(|| anyhow::anyhow!("`{url}` is not an absolute http or https URL"))
            })
            .collect::<anyhow::Result<_>>()?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(ORIGIN_IDLE_TIMEOUT));
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(ORIGIN_IDLE_TIMEOUT)
            .pool_max_idle_per_host(ORIGIN_IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self { client, allowed })
    }

    fn allows(&self, uri: &http::Uri) -> bool {
        uri.scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| Origin::new(scheme, authority))
            .is_some_and(|origin| self.allowed.contains(&origin))
    }

    async fn send(
        self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<http::Response<WasiBody>, Error> {
        if !self.allows(request.uri()) {
            tracing::warn!(
                authority = request.uri().authority().map(|a| a.as_str()),
                "a guest asked for a foreign host"
            );
            return Err(Error::HttpRequestDenied);
        }
        let options = options.unwrap_or_default();
        let within = |asked: Option<Duration>, limit: Duration| asked.map_or(limit, |asked| asked.min(limit));
        let first = within(options.first_byte_timeout, FIRST_BYTE_TIMEOUT);
        let between = within(options.between_bytes_timeout, BETWEEN_BYTES_TIMEOUT);
        // The pool may have to connect first; the connector keeps its own, shorter time for that.
        let connect = within(options.connect_timeout, CONNECT_TIMEOUT);
        let response = match tokio::time::timeout(connect + first, self.client.request(request)).await {
            Err(_) => return Err(Error::HttpResponseTimeout),
            Ok(Err(error)) => return Err(translate(&error)),
            Ok(Ok(response)) => response,
        };
        Ok(response.map(|body| TimedBody { body, between, sleep: None }.boxed_unsync()))
    }
}

/// The WASI error for one of the client. The full text goes to the log, not to the guest.
fn translate(error: &hyper_util::client::legacy::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = String::new();
    let mut io = None;
    while let Some(error) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(io);
        source = error.source();
    }
    tracing::debug!(error = text, "request to the origin failed");
    match io {
        Some(std::io::ErrorKind::ConnectionRefused) => Error::ConnectionRefused,
        Some(std::io::ErrorKind::TimedOut) => Error::ConnectionTimeout,
        _ if error.is_connect() => Error::DestinationUnavailable,
        _ => Error::ConnectionTerminated,
    }
}

/// A body of the origin, with a time limit between two pieces.
struct TimedBody {
    body: Incoming,
    between: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.sleep = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let between = this.between;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + between)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The hooks through which `wasi:http` sends.
pub(crate) struct Hooks(pub(crate) Outgoing);

type SendResult = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        let outgoing = self.0.clone();
        Box::new(async move {
            let response = outgoing.send(request, options).await?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<_>))
        })
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_servers_are_reached() {
        let outgoing = Outgoing::new(&["http://127.0.0.1:8080".into(), "https://Control.example/base".into()]).unwrap();
        for (url, allowed) in [
            ("http://127.0.0.1:8080/origin/v1/media/a", true),
            ("https://control.example/origin", true),
            ("https://control.example:443/", true),
            ("http://control.example/", false),
            ("http://127.0.0.1/", false),
            ("http://127.0.0.1:8081/", false),
            ("https://127.0.0.1:8080/", false),
            ("http://user@127.0.0.1:8080/", false),
            ("/relative", false),
        ] {
            assert_eq!(outgoing.allows(&url.parse().unwrap()), allowed, "{url}");
        }
        assert!(Outgoing::new(&["ftp://a".into()]).is_err());
        assert!(Outgoing::new(&["not a url".into()]).is_err());
    }
}
