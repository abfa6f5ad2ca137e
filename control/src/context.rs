//! Everything that requests and loops depend on.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::Storage;
use crate::db::Db;
use crate::delivery::Limiter;
use crate::ingest::Receiver;
use crate::live::Live;
use crate::push::Client;
use crate::secrets::Secrets;
use crate::vault::Vault;

/// Keys that one address may ask for at once: a household behind it starts several titles.
pub const ADDRESS_BURST: u32 = 300;
/// Keys a second that one address may go on asking for: an office or a carrier may be behind it.
pub const ADDRESS_RATE: u32 = 50;
/// Keys that the subject of a token may ask for at once: all keys of a few titles.
pub const SUBJECT_BURST: u32 = 60;
/// Keys a second that the subject of a token may go on asking for.
pub const SUBJECT_RATE: u32 = 5;

/// How often clear keys may be asked for.
pub struct KeyLimits {
    /// By address of the client; many viewers may be behind one.
    pub addresses: Limiter,
    /// By subject of the token.
    pub subjects: Limiter,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self {
            addresses: Limiter::new(ADDRESS_BURST, ADDRESS_RATE),
            subjects: Limiter::new(SUBJECT_BURST, SUBJECT_RATE),
        }
    }
}

/// Everything that requests and loops depend on; cheap to clone.
#[derive(Clone)]
pub struct Context(Arc<Parts>);

/// See [`Context`].
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Where media lies.
    pub media: Storage,
    /// Where indexes are kept.
    pub indexes: Storage,
    /// Tokens and keys.
    pub secrets: Secrets,
    /// Seals what is secret in the database; `None` without a master key.
    pub vault: Option<Vault>,
    /// What reaches key servers.
    pub key_client: keys::speke::Client,
    /// Base URL of key delivery as players reach it; no trailing slash.
    pub keys_url: String,
    /// How often clear keys may be asked for.
    pub key_limits: KeyLimits,
    /// Base URL that encoders push to; no trailing slash.
    pub ingest_url: String,
    /// What live ingest has under way.
    pub receiver: Receiver,
    /// What reaches edges.
    pub client: Client,
    /// Base URL that viewers use, when an operator says so; no trailing slash.
    pub public_url: Option<String>,
    /// Base URL of the embedded edge, when one runs.
    pub embedded_edge: Option<String>,
    /// The built player page.
    pub player: Option<PathBuf>,
    /// Something waits to be indexed.
    pub ingest_wake: Wake,
    /// Keys are wanted.
    pub keys_wake: Wake,
    /// A collection task is new, or goes on.
    pub harvest_wake: Wake,
    /// The timelines of live channels.
    pub live: Live,
    /// Something waits to be pushed.
    pub push_wake: Wake,
}

impl Context {
    /// Shares `parts`.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Wakes loops; a call that comes while a loop is busy is not lost.
pub struct Wake(watch::Sender<()>);

impl Default for Wake {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Wake {
    /// Wakes every listener.
    pub fn wake(&self) {
        self.0.send_replace(());
    }

    /// A listener; its `changed` returns once for all calls of [`Self::wake`] since it last did.
    pub fn listener(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
