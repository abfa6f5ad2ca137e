//! Command-line options.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use zeroize::Zeroizing;

use crate::vault::{MASTER_KEY_VARIABLE, MasterKey};

/// The edgepack control plane.
#[derive(Parser)]
#[command(name = "control", version, about, long_about = None)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the REST interface, the origin for edges, the player page and, by default, an embedded edge
    #[command(after_long_help = SERVE_HELP)]
    Serve(Box<ServeOptions>),
    /// Print the variables that an edge outside this process needs, as environment variables for Spin
    #[command(after_long_help = VARIABLES_HELP)]
    EdgeVariables(EdgeVariablesOptions),
}

const SERVE_HELP: &str = "\
Environment:
  CONTROL_ADMIN_TOKEN  bearer token of the REST interface; without it a token is made once, kept in DIR and printed at
                       the first start
  CONTROL_MASTER_KEY   64 hexadecimal digits (openssl rand -hex 32) that content keys and other secrets in the database are
                       encrypted under, and that the sealing keys of edges are made from; needed for content protection.
                       Whoever loses it loses the keys; it cannot be changed for data that holds any
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT, AWS_REGION, AWS_ALLOW_HTTP
                       credentials and endpoint of s3:// storage
  RUST_LOG             log filter, e.g. info or control=debug; logs are JSON lines on standard error

Examples:
  control serve --listen 127.0.0.1:8080 --data ./data --media ./films
  control serve --listen 0.0.0.0:8080 --data /var/lib/edgepack --media s3://films/mp4 --no-embedded-edge";

const VARIABLES_HELP: &str = "\
Environment:
  CONTROL_MASTER_KEY   the master key of `control serve`, from which the sealing key of the edge is made; without it the edge
                       cannot open content keys";

/// Options of `control serve`.
#[derive(Args, Clone)]
pub struct ServeOptions {
    /// Address of the REST interface and the origin
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Directory of the database, the secrets and the indexes; made when missing
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Where media lies: a directory, file:///absolute/directory or s3://bucket/prefix [default: DIR/media]
    #[arg(long, value_name = "URL")]
    pub media: Option<String>,
    /// Where indexes are kept, in the same forms as --media [default: DIR/indexes]
    #[arg(long, value_name = "URL")]
    pub indexes: Option<String>,
    /// Address of the embedded edge [default: 127.0.0.1:3000, when no edge is registered]
    #[arg(long, value_name = "ADDR", conflicts_with = "no_embedded_edge")]
    pub edge_listen: Option<SocketAddr>,
    /// Do not run an edge in this process
    #[arg(long)]
    pub no_embedded_edge: bool,
    /// How many proxies in front of the embedded edge may say in X-Forwarded-For whom they serve
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=16))]
    pub trusted_proxies: u8,
    /// Base URL that viewers use, put before every playback path [default: URL of the first edge]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Base URL at which players reach this control plane for clear keys and Clear Key licences [default: http:// and the
    /// address of --listen]
    #[arg(long, value_name = "URL")]
    pub keys_url: Option<String>,
    /// Base URL that encoders push live channels to [default: http:// and the address of --listen]
    #[arg(long, value_name = "URL")]
    pub ingest_url: Option<String>,
    /// The edge component (edge.wasm) [default: found beside this program or in its build directory]
    #[arg(long, value_name = "PATH")]
    pub component: Option<PathBuf>,
    /// Directory of the built player page [default: found beside this program or in its source]
    #[arg(long, value_name = "DIR")]
    pub player: Option<PathBuf>,
    /// Bearer token of the REST interface; set by the environment only, so that it shows in no process list
    #[arg(skip = std::env::var("CONTROL_ADMIN_TOKEN").ok().filter(|t| !t.is_empty()))]
    pub admin_token: Option<String>,
    /// The master key; set by the environment only
    #[arg(skip = MasterKeyText::from_environment())]
    pub master_key: Option<MasterKeyText>,
}

/// The text of a master key, not checked. It cannot be printed.
#[derive(Clone)]
pub struct MasterKeyText(Zeroizing<String>);

impl MasterKeyText {
    /// A text that an operator gave.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    fn from_environment() -> Option<Self> {
        std::env::var(MASTER_KEY_VARIABLE).ok().filter(|text| !text.is_empty()).map(Self::new)
    }

    /// The key.
    ///
    /// # Errors
    /// When it is none; the text is not in the error.
    pub fn read(&self) -> Result<MasterKey> {
        MasterKey::from_hex(&self.0).context(MASTER_KEY_VARIABLE)
    }
}

impl ServeOptions {
    /// Everything by default below `data`, on ports that the system chooses, without an embedded edge.
    pub fn local(data: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data,
            media: None,
            indexes: None,
            edge_listen: None,
            no_embedded_edge: true,
            trusted_proxies: 0,
            public_url: None,
            keys_url: None,
            ingest_url: None,
            component: None,
            player: None,
            admin_token: None,
            master_key: None,
        }
    }
}

/// Options of `control edge-variables`.
#[derive(Args)]
pub struct EdgeVariablesOptions {
    /// Directory of the control plane's data
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Name under which the edge is registered
    #[arg(long, value_name = "NAME")]
    pub edge: String,
    /// Base URL of the control plane as the edge reaches it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub control_url: String,
    /// The master key; set by the environment only
    #[arg(skip = MasterKeyText::from_environment())]
    pub master_key: Option<MasterKeyText>,
}
