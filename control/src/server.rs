//! Runs the control plane in this process.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api;
use crate::archive::Storage;
use crate::clock;
use crate::context::{Context, KeyLimits, Parts, Wake};
use crate::db::{self, Db};
use crate::embedded::{self, EmbeddedEdge};
use crate::ingest::Receiver;
use crate::jobs;
use crate::listen;
use crate::live::Live;
use crate::locate;
use crate::options::{MasterKeyText, ServeOptions};
use crate::protect;
use crate::push::Client;
use crate::secrets::Secrets;
use crate::telemetry;
use crate::vault::{MasterKey, Vault};

/// How long requests that are under way may still take once the control plane stops.
const GRACE: Duration = Duration::from_secs(10);

/// A running control plane. Dropping it stops it without waiting.
pub struct Server {
    context: Context,
    control: SocketAddr,
    edge: Option<SocketAddr>,
    master: Option<MasterKey>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Opens the database and the storage, starts every loop, and listens.
///
/// # Errors
/// When an option is wrong, something cannot be opened, or an address is in use.
pub async fn serve(options: ServeOptions) -> Result<Server> {
    // Whoever asks for TLS first decides for the process; another choice made before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    telemetry::metrics();
    std::fs::create_dir_all(&options.data).with_context(|| format!("making {}", options.data.display()))?;
    let secrets = Secrets::open(&options.data, options.admin_token.as_deref())?;
    let media = Storage::open(options.media.as_deref(), &options.data.join("media")).context("--media")?;
    let indexes = Storage::open(options.indexes.as_deref(), &options.data.join("indexes")).context("--indexes")?;
    let public_url = options.public_url.as_deref().map(|url| api::fields::base_url("--public-url", url)).transpose();
    let public_url = public_url.map_err(|error| anyhow::anyhow!("--public-url: {}", error.problem("").detail))?;
    let player = match locate::player(options.player.as_deref()) {
        Ok(player) => Some(player),
        Err(error) if options.player.is_some() => return Err(error),
        Err(error) => {
            tracing::warn!("{error:#}");
            None
        }
    };
    let keys_url = options.keys_url.as_deref().map(|url| api::fields::base_url("--keys-url", url)).transpose();
    let keys_url = keys_url.map_err(|error| anyhow::anyhow!("--keys-url: {}", error.problem("").detail))?;
    let ingest_url = options.ingest_url.as_deref().map(|url| api::fields::base_url("--ingest-url", url)).transpose();
    let ingest_url = ingest_url.map_err(|error| anyhow::anyhow!("--ingest-url: {}", error.problem("").detail))?;
    let master = options.master_key.as_ref().map(MasterKeyText::read).transpose()?;
    let db = Db::open(&options.data.join("control.db")).await?;
    let vault = Vault::open(&db, master.clone()).await?;

    let listener = bind(options.listen).await?;
    let control = listener.local_addr()?;
    let edge_listener = match edge_address(&options, &db).await? {
        Some(address) => Some((bind(address).await?, locate::component(options.component.as_deref())?)),
        None => None,
    };
    let edge = edge_listener.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
    let embedded_edge = edge.map(embedded::local_url);
    let mut tx = db.write().await?;
    match &embedded_edge {
        Some(url) => db::edges::upsert_embedded(&mut tx, embedded::EDGE_NAME, url, clock::now_ms()).await?,
        None => db::edges::delete_embedded(&mut tx).await?,
    }
    tx.commit().await?;

    let context = Context::new(Parts {
        db,
        media,
        indexes,
        secrets,
        vault,
        key_client: keys::speke::Client::new(keys::speke::Settings::default())?,
        keys_url: keys_url.unwrap_or_else(|| embedded::local_url(control)),
        key_limits: KeyLimits::default(),
        ingest_url: ingest_url.unwrap_or_else(|| embedded::local_url(control)),
        receiver: Receiver::default(),
        client: Client::new()?,
        public_url,
        embedded_edge,
        player,
        ingest_wake: Wake::default(),
        keys_wake: Wake::default(),
        harvest_wake: Wake::default(),
        live: Live::default(),
        push_wake: Wake::default(),
    });
    jobs::recover(&context).await?;
    protect::documents::refresh(&context).await?;
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    if let Some((listener, component)) = edge_listener {
        let start = EmbeddedEdge {
            component,
            cache: options.data.join("cache"),
            control_url: &embedded::local_url(control),
            secrets: &context.secrets,
            master: master.as_ref(),
            trusted_proxies: options.trusted_proxies,
        };
        let host = start.start().await?;
        tasks.spawn(serve_edge(host, listener, stopped.clone()));
    }
    tasks.spawn(serve_control(listener, api::router(context.clone()), stopped.clone()));
    let mut loops = jobs::start(&context, &stopped);
    tasks.spawn(async move { while loops.join_next().await.is_some() {} });
    tracing::info!(
        control = embedded::local_url(control),
        edge = context.embedded_edge,
        media = context.media.description(),
        indexes = context.indexes.description(),
        "the control plane is ready"
    );
    Ok(Server { context, control, edge, master, stop, tasks })
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

/// Where the embedded edge listens, if there is to be one.
async fn edge_address(options: &ServeOptions, db: &Db) -> Result<Option<SocketAddr>> {
    if options.no_embedded_edge {
        return Ok(None);
    }
    if let Some(address) = options.edge_listen {
        return Ok(Some(address));
    }
    let registered = db::edges::any_registered(&mut *db.read().await?).await?;
    Ok((!registered).then_some(embedded::DEFAULT_LISTEN))
}

async fn serve_control(listener: TcpListener, router: axum::Router, mut stop: watch::Receiver<bool>) {
    let server = listen::serve(listener, router, stop.clone());
    let deadline = async {
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = server => {}
        () = deadline => tracing::warn!("requests were cut off at the end"),
    }
}

async fn serve_edge(host: std::sync::Arc<edge_host::EdgeHost>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = host.serve(listener, stopped).await {
        tracing::error!(%error, "the embedded edge's listener failed");
    }
}

impl Server {
    /// Address of the REST interface and the origin.
    pub fn control_addr(&self) -> SocketAddr {
        self.control
    }

    /// Base URL of the REST interface and the origin.
    pub fn control_url(&self) -> String {
        embedded::local_url(self.control)
    }

    /// Address of the embedded edge, if one runs.
    pub fn edge_addr(&self) -> Option<SocketAddr> {
        self.edge
    }

    /// Base URL of the embedded edge, if one runs.
    pub fn edge_url(&self) -> Option<String> {
        self.edge.map(embedded::local_url)
    }

    /// Bearer token of the REST interface.
    pub fn admin_token(&self) -> &str {
        self.context.secrets.admin.reveal()
    }

    /// Whether the administrator token was made at this start.
    pub fn admin_token_is_new(&self) -> bool {
        self.context.secrets.admin_is_new
    }

    /// The variables that an edge of this name needs, as `(name, value)`.
    pub fn edge_variables(&self, edge: &str) -> [(&'static str, String); 5] {
        embedded::variables(edge, &self.control_url(), &self.context.secrets, self.master.as_ref())
    }

    /// What the control plane works with, for tests.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Stops: no new requests, those under way are ended, and so is every loop. An ingest that is under way is run
    /// again at the next start.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.context.db.close().await;
    }
}
