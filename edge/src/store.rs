//! Documents: from the instance's memory, else from the key-value store, else from control.
//!
//! What is in memory, a document or that there is none, is taken as it is for [`FRESH`]; then the key-value store is
//! asked again, once. What is not in the key-value store is pulled from control, and what control does not have is not
//! pulled again for [`ABSENT`].

use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use packager::config::{Asset, Body, Document, Endpoint, PackagingConfiguration};
use packager::job::Documents;
use packager::media::protection::Keys;
use packager::route::{LiveRoute, Route};
use packager::{Error, limits};
use serde::{Deserialize, Serialize};

use crate::platform::Platform;
use crate::problem::Problem;
use crate::serve::Edge;
use crate::settings::Settings;
use crate::viewer::Viewer;

/// How long a document in memory is used before the key-value store is asked again.
pub const FRESH: Duration = Duration::from_secs(1);
/// The same for a document under which a resource does not exist: it may have been replaced since.
pub const DOUBTED: Duration = Duration::from_millis(50);
/// How long it is remembered that control has no such document.
pub const ABSENT: Duration = Duration::from_secs(5);
/// How long it is remembered that control did not answer, so that requests do not pile up on its timeout.
pub const AWAY: Duration = Duration::from_secs(1);
/// How often a request looks whether the equal pull that it waits for has ended.
const FLIGHT_POLL: Duration = Duration::from_millis(5);
/// Where it is remembered that control is away; no document has this key.
const CONTROL: &str = "control";
/// Key of [`Taken`]; no document has it, since all of theirs have two parts.
const TAKEN_KEY: &str = "edgepack";

/// A document that was read and checked.
pub struct Record {
    /// See [`Document::revision`].
    pub revision: u64,
    content: Content,
    json: Vec<u8>,
}

enum Content {
    Configuration(Arc<PackagingConfiguration>),
    Asset(Arc<Asset>),
    Endpoint(Arc<Endpoint>),
    /// Or why they could not be opened.
    Keys(Result<Arc<Keys>, String>),
    Deleted,
}

/// What an instance knows about a key.
pub enum Memory {
    /// The document, and when the key-value store was asked last.
    Known(Rc<Record>, Duration),
    /// Control has none and is not asked again until the first time; the key-value store was asked at the second.
    Absent(Duration, Duration),
    /// Control did not answer, or with nonsense, and why; until this time it is not asked again.
    Away(Duration, String),
}

/// The last push that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// See [`packager::config::Batch::sequence`]; 0 before the first.
    pub sequence: u64,
    /// See [`packager::config::Batch::revision`].
    pub revision: u64,
}

/// The documents of a route, and the revisions that make up their identity.
pub struct Resolved {
    /// For the job.
    pub documents: Documents,
    /// Names all documents and their revisions.
    pub identity: String,
}

/// The endpoint of a live route, and the revisions that make up its identity.
pub struct Offered {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The content keys, when it protects.
    pub keys: Option<Arc<Keys>>,
    /// Names all documents and their revisions.
    pub identity: String,
}

impl Record {
    fn read(settings: &Settings, key: &str, json: Vec<u8>) -> Result<Self, Error> {
        let document = Document::from_json(&json)?;
        if document.key != key {
            return Err(Error::bad_source(format!("the document of {key} names itself {:?}", document.key)));
        }
        Ok(Self::new(settings, document, json))
    }

    fn new(settings: &Settings, document: Document, json: Vec<u8>) -> Self {
        let content = match document.body {
            Body::Configuration(configuration) => Content::Configuration(Arc::new(configuration)),
            Body::Asset(asset) => Content::Asset(Arc::new(asset)),
            Body::Endpoint(endpoint) => Content::Endpoint(Arc::new(endpoint)),
            Body::Keys(keys) => {
                let sealing = settings.sealing_key.as_ref().map_err(String::clone);
                let opened = sealing.and_then(|sealing| Keys::open(&keys, sealing).map_err(|e| e.to_string()));
                Content::Keys(opened.map(Arc::new))
            }
            Body::Deleted => Content::Deleted,
        };
        Self { revision: document.revision, content, json }
    }
}

impl<P: Platform> Edge<P> {
    /// The documents of a route, not older than `fresh` as far as the key-value store knows, for a viewer who may play them.
    ///
    /// # Errors
    /// 401 or 403 for a viewer who may not, before anything is told about the asset; 404 when a document does not exist, 503
    /// when one is not here and control is away, or when content keys are needed and are not here.
    pub async fn documents(
        &self,
        settings: &Settings,
        route: &Route,
        viewer: &Viewer<'_>,
        fresh: Duration,
    ) -> Result<Resolved, Problem> {
        let (configuration_key, asset_key) = (route.configuration_key(), route.asset_key());
        let (configuration, asset) =
            join(self.document(settings, &configuration_key, fresh), self.document(settings, &asset_key, fresh)).await;
        let missing = |what: &str, name: &str| {
            let group = &route.packaging_group;
            Problem::from(Error::not_found(format!("packaging group {group:?} has no {what} {name:?}")))
        };
        let found = configuration?.and_then(|r| match &r.content {
            Content::Configuration(configuration) => Some((configuration.clone(), r.revision)),
            _ => None,
        });
        let (configuration, c) = found.ok_or_else(|| missing("configuration", &route.configuration))?;
        viewer.admit(&configuration.access)?;
        let guarded = |problem: Problem| problem.behind(&configuration.access);
        let found = asset.map_err(guarded)?.and_then(|r| match &r.content {
            Content::Asset(asset) => Some((asset.clone(), r.revision)),
            _ => None,
        });
        let (asset, a) = found.ok_or_else(|| guarded(missing("asset", &route.asset)))?;
        let mut identity = format!("{configuration_key}@{c} {asset_key}@{a}");
        let mut keys = None;
        if configuration.protection.is_some() {
            let (opened, k) = self.keys(settings, &route.keys_key(), fresh).await.map_err(guarded)?;
            keys = Some(opened);
            let _ = write!(identity, " keys@{k}");
        }
        Ok(Resolved { documents: Documents { configuration, asset, keys }, identity })
    }

    /// The endpoint of a route, not older than `fresh` as far as the key-value store knows, for a viewer who may play it.
    ///
    /// # Errors
    /// As [`Self::documents`].
    pub async fn endpoint(
        &self,
        settings: &Settings,
        route: &LiveRoute,
        viewer: &Viewer<'_>,
        fresh: Duration,
    ) -> Result<Offered, Problem> {
        let key = route.endpoint_key();
        let found = self.document(settings, &key, fresh).await?.and_then(|r| match &r.content {
            Content::Endpoint(endpoint) => Some((endpoint.clone(), r.revision)),
            _ => None,
        });
        let (endpoint, e) = found.ok_or_else(|| {
            let LiveRoute { channel_group, channel, endpoint, .. } = route;
            let what = format!("channel {channel:?} of group {channel_group:?} has no endpoint {endpoint:?}");
            Problem::from(Error::not_found(what))
        })?;
        viewer.admit(&endpoint.access)?;
        let mut identity = format!("{key}@{e}");
        let mut keys = None;
        if endpoint.protection.is_some() {
            let found = self.keys(settings, &route.keys_key(), fresh).await;
            let (opened, k) = found.map_err(|problem| problem.behind(&endpoint.access))?;
            keys = Some(opened);
            let _ = write!(identity, " keys@{k}");
        }
        Ok(Offered { endpoint, keys, identity })
    }

    /// The content keys of the document with this key, and their revision.
    async fn keys(&self, settings: &Settings, key: &str, fresh: Duration) -> Result<(Arc<Keys>, u64), Problem> {
        let record = self.document(settings, key, fresh).await?;
        match record.as_ref().map(|record| &record.content) {
            Some(Content::Keys(Ok(keys))) => Ok((keys.clone(), record.map_or(0, |record| record.revision))),
            Some(Content::Keys(Err(why))) => Err(Problem::unavailable(format!("{key}: {why}"))),
            _ => Err(Problem::unavailable(format!("control has no content keys of {key} yet"))),
        }
    }

    /// The document of a key; `None` when it does not exist.
    async fn document(&self, settings: &Settings, key: &str, fresh: Duration) -> Result<Option<Rc<Record>>, Problem> {
        let start = self.platform.monotonic();
        loop {
            let now = self.platform.monotonic();
            let old = match self.memory.borrow_mut().get(key) {
                // Whoever comes while the store is asked takes what is in memory.
                Some(Memory::Known(record, asked)) if now.saturating_sub(*asked) >= fresh => {
                    *asked = now;
                    Some(Some(record.clone()))
                }
                Some(Memory::Known(record, _)) => return Ok(Some(record.clone())),
                Some(Memory::Absent(until, asked)) if now < *until => {
                    if now.saturating_sub(*asked) < fresh {
                        return Ok(None);
                    }
                    *asked = now;
                    Some(None)
                }
                Some(Memory::Away(until, why)) if now < *until => return Err(away(key, why)),
                _ => None,
            };
            if let Some(old) = old {
                return Ok(self.refresh(settings, key, old).await);
            }
            let flight = self.flights.start(key);
            if flight.is_some() || now.saturating_sub(start) > crate::origin::HEAD_TIMEOUT {
                return self.find(settings, key).await;
            }
            self.platform.sleep(FLIGHT_POLL).await;
        }
    }

    /// Asks the key-value store again. While it does not answer, or has nothing usable, what was known stays.
    async fn refresh(&self, settings: &Settings, key: &str, old: Option<Rc<Record>>) -> Option<Rc<Record>> {
        match self.load(key).await {
            Ok(Some(json)) if old.as_ref().is_none_or(|old| old.json != json) => {
                match Record::read(settings, key, json) {
                    Ok(record) => return Some(self.remember(key, record)),
                    Err(e) => eprintln!("stored document {key}: {e}"),
                }
            }
            Ok(_) => {}
            Err(e) => eprintln!("key-value store, {key}: {e}"),
        }
        old
    }

    async fn find(&self, settings: &Settings, key: &str) -> Result<Option<Rc<Record>>, Problem> {
        match self.load(key).await {
            Ok(Some(json)) => match Record::read(settings, key, json) {
                Ok(record) => return Ok(Some(self.remember(key, record))),
                Err(e) => eprintln!("stored document {key}: {e}"),
            },
            Ok(None) => {}
            Err(e) => eprintln!("key-value store, {key}: {e}"),
        }
        if let Some(Memory::Away(until, why)) = self.memory.borrow_mut().get(CONTROL)
            && self.platform.monotonic() < *until
        {
            return Err(away(key, why));
        }
        let pulled = self.pull(settings, key).await;
        let now = self.platform.monotonic();
        let not_again = |about: &str, why: String| {
            let problem = away(key, &why);
            let weight = about.len() + why.len();
            self.memory.borrow_mut().put(about, Memory::Away(now + AWAY, why), weight);
            Err(problem)
        };
        match pulled {
            Ok(Some(json)) => match Record::read(settings, key, json) {
                Ok(record) => Ok(Some(self.keep(settings, key, record).await)),
                Err(e) => not_again(key, e.to_string()),
            },
            Ok(None) => {
                self.memory.borrow_mut().put(key, Memory::Absent(now + ABSENT, now), key.len());
                Ok(None)
            }
            Err(why) => not_again(CONTROL, why),
        }
    }

    /// Stores what was pulled, unless a push has brought something newer meanwhile.
    async fn keep(&self, settings: &Settings, key: &str, record: Record) -> Rc<Record> {
        if let Ok(Some(json)) = self.load(key).await
            && let Ok(stored) = Record::read(settings, key, json)
            && stored.revision > record.revision
        {
            return self.remember(key, stored);
        }
        if let Err(e) = self.platform.save(&storage_key(key), &record.json).await {
            eprintln!("key-value store, {key}: {e}");
        }
        self.remember(key, record)
    }

    /// Stores a document that was pushed, unless the stored one has a higher revision.
    ///
    /// # Errors
    /// What the key-value store says.
    pub async fn replace(&self, settings: &Settings, document: Document) -> Result<(), String> {
        let key = document.key.clone();
        // Only the revision counts: what is stored may be of another version.
        #[derive(Deserialize)]
        struct Revision {
            revision: u64,
        }
        let stored = self.load(&key).await?.and_then(|json| serde_json::from_slice::<Revision>(&json).ok());
        if stored.is_some_and(|stored| stored.revision > document.revision) {
            return Ok(());
        }
        let json = document.to_json();
        self.platform.save(&storage_key(&key), &json).await?;
        self.remember(&key, Record::new(settings, document, json));
        Ok(())
    }

    /// The last push that was taken.
    ///
    /// # Errors
    /// When the key-value store does not answer or holds nonsense.
    pub async fn taken(&self) -> Result<Taken, String> {
        match self.platform.load(TAKEN_KEY).await? {
            Some(json) => serde_json::from_slice(&json).map_err(|e| format!("the stored sequence: {e}")),
            None => Ok(Taken::default()),
        }
    }

    /// Stores which push was taken last.
    ///
    /// # Errors
    /// What the key-value store says.
    pub async fn take(&self, taken: Taken) -> Result<(), String> {
        let json = serde_json::to_vec(&taken).map_err(|e| e.to_string())?;
        self.platform.save(TAKEN_KEY, &json).await
    }

    async fn load(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.platform.load(&storage_key(key)).await
    }

    fn remember(&self, key: &str, record: Record) -> Rc<Record> {
        let record = Rc::new(record);
        let weight = key.len() + 2 * record.json.len();
        let now = self.platform.monotonic();
        self.memory.borrow_mut().put(key, Memory::Known(record.clone(), now), weight);
        record
    }
}

fn away(key: &str, why: &str) -> Problem {
    Problem::unavailable(format!("the document {key} is not at this edge, and control did not give it: {why}"))
}

/// The key under which a document is stored. Some key-value services take no `/`; names have no `:`.
fn storage_key(key: &str) -> String {
    key.replace('/', ":")
}

/// Whether `key` is one that a document can have: a kind and its names.
pub fn is_document_key(key: &str) -> bool {
    let mut parts = key.split('/');
    let names = match parts.next() {
        Some("configuration" | "asset") => 2,
        Some("keys" | "endpoint" | "endpoint-keys") => 3,
        _ => return false,
    };
    parts.by_ref().take(names).filter(|name| packager::config::is_name(name)).count() == names
        && parts.next().is_none()
        && key.len() <= limits::MAX_PATH_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_kind_and_its_names() {
        for good in
            ["asset/g/a", "configuration/my_group/dash-1", "keys/g/a/c", "endpoint/g/c/e", "endpoint-keys/g/c/e"]
        {
            assert!(is_document_key(good), "{good}");
        }
        for bad in [
            "",
            "asset",
            "asset/g",
            "asset/g/",
            "asset//a",
            "asset/g/a/b",
            "keys/g/a",
            "endpoint/g/c",
            "endpoint-keys/g/c",
            "other/g/a",
            "asset/g/a:b",
            "/asset/g/a",
        ] {
            assert!(!is_document_key(bad), "{bad}");
        }
    }
}
