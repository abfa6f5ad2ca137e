//! Reads from the control plane's origin routes. The one place with a timeout and a retry.

use core::ops::Range;
use core::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use packager::config::{
    ASSET_HEADER, Asset, BYTES_HEADER, EDGE_HEADER, INDEX_PATH, IndexObject, MEDIA_PATH, PULL_PATH, SourceObject,
};
use packager::{Error, limits};

use crate::cache::index_key;
use crate::http::{Headers, encode_path};
use crate::platform::{Body, Incoming, Outgoing, Platform};
use crate::problem::Problem;
use crate::range;
use crate::serve::Edge;
use crate::settings::Settings;

/// How long an origin may take until its response begins, over all attempts.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an index range or a document may take to arrive.
pub const SMALL_BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// How often one read is tried while there is no connection or the answer is 5xx; never once its body has begun.
const ATTEMPTS: u32 = 2;
/// A document from control; documents are below this (see [`limits::MAX_BATCH_BYTES`]).
const MAX_DOCUMENT_BYTES: usize = 256 << 10;
/// How often a request looks whether the equal read that it waits for has ended.
const FLIGHT_POLL: Duration = Duration::from_millis(2);

impl<P: Platform> Edge<P> {
    /// Bytes of a sidecar index, from memory if they are there.
    ///
    /// # Errors
    /// `Limit` when the range is larger than any that a job may need, else as [`Self::open_media`].
    pub async fn index(&self, settings: &Settings, index: &IndexObject, range: Range<u64>) -> Result<Bytes, Problem> {
        let IndexObject { path, bytes, digest, .. } = index;
        self.index_bytes(settings, Stored { path, total: Some(*bytes), name: digest }, range).await
    }

    /// Bytes of an object with parts of a live timeline, from memory if they are there. Such objects never change.
    ///
    /// # Errors
    /// As [`Self::index`].
    pub async fn live_index(&self, settings: &Settings, path: &str, range: Range<u64>) -> Result<Bytes, Problem> {
        self.index_bytes(settings, Stored { path, total: None, name: path }, range).await
    }

    async fn index_bytes(&self, settings: &Settings, stored: Stored<'_>, range: Range<u64>) -> Result<Bytes, Problem> {
        let Stored { path, total, name } = stored;
        let length = range.end.saturating_sub(range.start);
        if length > limits::MAX_HEAD_BYTES.max(limits::MAX_SEGMENT_INDEX_BYTES) {
            return Err(Error::limit(format!("{length} bytes of an index in one read")).into());
        }
        let key = index_key(name, &range);
        let deadline = self.platform.monotonic() + HEAD_TIMEOUT;
        let _flight = loop {
            if let Some(bytes) = self.cache.borrow_mut().index(&key) {
                return Ok(bytes);
            }
            let flight = self.flights.start(&key);
            if flight.is_some() || self.platform.monotonic() > deadline {
                break flight;
            }
            self.platform.sleep(FLIGHT_POLL).await;
        };
        let asked = Asked { route: INDEX_PATH, path, range, total, etag: None };
        let mut body = self.open(settings, &asked, Vec::new()).await?;
        let bytes = self.collect(&mut body, length as usize).await.and_then(|bytes| {
            let short = bytes.len() as u64 != length;
            if short { Err(format!("{} of {length} bytes arrived", bytes.len())) } else { Ok(Bytes::from(bytes)) }
        });
        let bytes = bytes.map_err(|e| Error::upstream(format!("index {path}: {e}")))?;
        self.cache.borrow_mut().keep_index(&key, &bytes);
        Ok(bytes)
    }

    /// Opens a ranged read of an object, of `asset` if it belongs to one, and returns once the origin has agreed to send exactly that range of
    /// exactly the object that was indexed.
    ///
    /// # Errors
    /// `BadSource` when the stored file has changed or is gone, `Upstream` when the origin fails.
    pub async fn open_media(
        &self,
        settings: &Settings,
        asset: Option<&Asset>,
        object: &SourceObject,
        range: Range<u64>,
    ) -> Result<P::Body, Problem> {
        let SourceObject { path, bytes, etag } = object;
        let mut fields = vec![(BYTES_HEADER, bytes.to_string())];
        fields.extend(asset.map(|asset| (ASSET_HEADER, format!("{}/{}", asset.packaging_group, asset.name))));
        let asked = Asked { route: MEDIA_PATH, path, range, total: Some(*bytes), etag: etag.as_deref() };
        self.open(settings, &asked, fields).await
    }

    /// Asks control for a document: its JSON, or `None` when control says that there is none.
    ///
    /// # Errors
    /// Why control did not answer.
    pub async fn pull(&self, settings: &Settings, key: &str) -> Result<Option<Vec<u8>>, String> {
        let url = format!("{}{PULL_PATH}{}", settings.control_url, encode_path(key));
        // Content keys are sealed for whoever asks.
        let fields = [(EDGE_HEADER, settings.edge_name.clone())];
        let mut incoming = self.get(settings, &url, &fields).await?;
        match incoming.status {
            200 => self.collect(&mut incoming.body, MAX_DOCUMENT_BYTES).await.map(Some),
            404 => Ok(None),
            status => Err(format!("control answered {status}")),
        }
    }

    async fn open(
        &self,
        settings: &Settings,
        asked: &Asked<'_>,
        mut fields: Vec<(&'static str, String)>,
    ) -> Result<P::Body, Problem> {
        let url = format!("{}{}{}", settings.control_url, asked.route, encode_path(asked.path));
        fields.push(("range", range::request_field(&asked.range)));
        fields.extend(asked.etag.map(|etag| ("if-match", etag.to_owned())));
        let incoming = self
            .get(settings, &url, &fields)
            .await
            .map_err(|e| Error::upstream(format!("{}: the origin cannot be reached: {e}", asked.path)))?;
        asked.check(incoming.status, &incoming.headers).map_err(|e| e.context(asked.path))?;
        Ok(incoming.body)
    }

    async fn get(
        &self,
        settings: &Settings,
        url: &str,
        fields: &[(&'static str, String)],
    ) -> Result<Incoming<P::Body>, String> {
        let start = self.platform.monotonic();
        let mut attempt = 1;
        loop {
            let spent = self.platform.monotonic().saturating_sub(start);
            let result = self.within(HEAD_TIMEOUT.saturating_sub(spent), self.send(settings, url, fields)).await;
            let failed = result.as_ref().map_or(true, |incoming| incoming.status >= 500);
            let in_time = self.platform.monotonic().saturating_sub(start) < HEAD_TIMEOUT;
            if !failed || attempt == ATTEMPTS || !in_time {
                return result;
            }
            attempt += 1;
        }
    }

    /// Sends a request to control once, and waits for the head of the response however long it takes.
    ///
    /// # Errors
    /// Why none came.
    pub async fn send(
        &self,
        settings: &Settings,
        url: &str,
        fields: &[(&'static str, String)],
    ) -> Result<Incoming<P::Body>, String> {
        let mut headers = vec![("authorization", settings.authorization.clone())];
        headers.extend_from_slice(fields);
        self.platform.get(Outgoing { url: url.to_owned(), headers }).await
    }

    /// At most `limit` bytes, and the whole of it.
    async fn collect(&self, body: &mut P::Body, limit: usize) -> Result<Vec<u8>, String> {
        let all = async { collect(body, limit).await.map_err(|unread| unread.told(limit)) };
        self.within(SMALL_BODY_TIMEOUT, all).await
    }

    /// What work gives that has to be done in time.
    ///
    /// # Errors
    /// That of the work, or that it took too long.
    pub async fn within<T>(&self, time: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match select(pin!(work), pin!(self.platform.sleep(time))).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(format!("no answer within {} s", time.as_secs_f32().ceil())),
        }
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It has more bytes than may come.
    TooLarge,
    /// It broke off, and why.
    Broken(String),
}

impl Unread {
    /// For people; `limit` is how many bytes may come.
    pub fn told(self, limit: usize) -> String {
        match self {
            Self::TooLarge => format!("more than {limit} bytes came"),
            Self::Broken(why) => why,
        }
    }
}

/// All of a body that has at most `limit` bytes.
///
/// # Errors
/// When it has more, or breaks off.
pub async fn collect<B: Body>(body: &mut B, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut all = Vec::new();
    let mut spare = Vec::new();
    while let Some(mut chunk) = body.chunk(spare).await.map_err(Unread::Broken)? {
        if chunk.len() > limit - all.len() {
            return Err(Unread::TooLarge);
        }
        all.extend_from_slice(&chunk);
        chunk.clear();
        spare = chunk;
    }
    // What is read here is kept for a while.
    all.shrink_to_fit();
    Ok(all)
}

/// An object with index bytes.
struct Stored<'a> {
    path: &'a str,
    /// Its length, if it is known.
    total: Option<u64>,
    /// What these bytes are remembered by: other bytes never have this name.
    name: &'a str,
}

/// A range that was asked for.
struct Asked<'a> {
    route: &'static str,
    path: &'a str,
    range: Range<u64>,
    /// Length of the object when it was indexed, if it is known.
    total: Option<u64>,
    /// Its entity tag then.
    etag: Option<&'a str>,
}

impl Asked<'_> {
    /// Whether a response brings exactly this.
    fn check(&self, status: u16, headers: &Headers) -> Result<(), Error> {
        match status {
            206 => {}
            404 | 410 => return Err(Error::bad_source("the stored object is gone")),
            412 | 416 => return Err(Error::bad_source("the source changed since it was indexed")),
            401 | 403 => return Err(Error::upstream(format!("the origin refused this edge ({status}): origin_token"))),
            200 => return Err(Error::upstream("the origin ignores Range")),
            _ => return Err(Error::upstream(format!("the origin answered {status}"))),
        }
        let field = headers.get("content-range").unwrap_or_default();
        let Some((range, total)) = range::parse_content_range(field) else {
            return Err(Error::upstream(format!("Content-Range is {field:?}")));
        };
        if let Some((total, own)) = total.zip(self.total)
            && total != own
        {
            let message = format!("the source changed since it was indexed: it had {own} bytes and has {total}");
            return Err(Error::bad_source(message));
        }
        if range != self.range {
            return Err(Error::upstream(format!("asked for bytes {:?}, the origin sent {range:?}", self.range)));
        }
        Ok(())
    }
}
