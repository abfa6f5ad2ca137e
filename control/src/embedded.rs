//! The edge that runs inside the control plane.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use edge_host::EdgeHost;

use crate::secrets::Secrets;
use crate::vault::MasterKey;

/// Name of the embedded edge, audience of its pushes.
pub const EDGE_NAME: &str = "embedded";
/// Where it listens unless options say otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3000);

/// What the embedded edge needs.
pub struct EmbeddedEdge<'a> {
    /// The built component.
    pub component: PathBuf,
    /// Directory for compiled code.
    pub cache: PathBuf,
    /// Base URL of the control plane.
    pub control_url: &'a str,
    /// Tokens and keys.
    pub secrets: &'a Secrets,
    /// What its sealing key is made from.
    pub master: Option<&'a MasterKey>,
    /// How many proxies in front of it are trusted.
    pub trusted_proxies: u8,
}

impl EmbeddedEdge<'_> {
    /// Compiles the component and gets ready for requests.
    ///
    /// # Errors
    /// When the component cannot be read or is none.
    pub async fn start(self) -> Result<Arc<EdgeHost>> {
        let mut options = edge_host::Options::new(&self.component);
        options.cache_dir = Some(self.cache);
        options.variables = variables(EDGE_NAME, self.control_url, self.secrets, self.master)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        options.variables.insert("trusted_proxies".to_owned(), self.trusted_proxies.to_string());
        let start = std::time::Instant::now();
        let host = EdgeHost::new(options)
            .await
            .with_context(|| format!("starting the edge component {}", self.component.display()))?;
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(component = %self.component.display(), milliseconds, "the edge component is ready");
        Ok(host)
    }
}

/// The variables that an edge of this name needs. Without a master key it has no sealing key and opens no content keys.
pub fn variables(
    edge: &str,
    control_url: &str,
    secrets: &Secrets,
    master: Option<&MasterKey>,
) -> [(&'static str, String); 5] {
    [
        ("control_url", control_url.trim_end_matches('/').to_owned()),
        ("origin_token", secrets.origin.reveal().to_owned()),
        ("control_public_key", secrets.push.public_hex()),
        ("edge_name", edge.to_owned()),
        ("sealing_key", master.map_or_else(String::new, |master| master.edge(edge).to_hex().to_string())),
    ]
}

/// `http://` and an address at which this machine reaches a listener.
pub fn local_url(listener: SocketAddr) -> String {
    let mut address = listener;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}
