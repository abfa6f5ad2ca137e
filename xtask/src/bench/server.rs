//! The servers that are measured, each on one core that the load generator does not use.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::Running;
use crate::product;
use crate::rest::{Rest, describe};
use crate::tools::root;

/// The core of servers.
pub const SERVER_CORE: usize = 0;
/// The core of whoever asks.
pub const LOAD_CORE: usize = 1;
/// Compiling the component to machine code at the first start takes some seconds, on a busy machine many.
const START: Duration = Duration::from_secs(180);
/// How long a title may take to be playable.
const INGEST: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(10);
const TOKEN: &str = "benchmark-administrator";
const MASTER_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
/// Everything belongs to this packaging group.
pub const GROUP: &str = "bench";

/// A command that runs on one core only, where there are two.
pub fn pinned(program: impl AsRef<std::ffi::OsStr>, core: usize) -> Command {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// An address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A control plane with its embedded edge.
pub struct Server {
    /// Ends with this.
    pub running: Running,
    /// Its REST interface.
    pub rest: Rest,
    /// Base URL of REST, ingest and origin.
    pub control: String,
    /// Base URL of the edge.
    pub edge: String,
    /// When the process was started.
    pub started: Instant,
}

impl Server {
    /// Starts one and waits until it answers.
    pub fn start(data: &Path, media: &Path, embedded: bool) -> Result<Self> {
        let mut server = Self::launch(data, media, embedded)?;
        let wanted = [Some(&server.control), embedded.then_some(&server.edge)];
        for url in wanted.into_iter().flatten().map(|base| format!("{base}/healthz")).collect::<Vec<_>>() {
            while server.rest.status(&url) != Some(200) {
                server.check(data)?;
                thread::sleep(POLL);
            }
        }
        Ok(server)
    }

    /// Starts one.
    pub fn launch(data: &Path, media: &Path, embedded: bool) -> Result<Self> {
        fs::create_dir_all(data)?;
        let (control, edge) = (free_address()?, free_address()?);
        let log = fs::File::create(data.join("control.log"))?;
        let mut command = pinned(product::control_binary()?, SERVER_CORE);
        command.current_dir(root()).args(["serve", "--listen", &control.to_string(), "--data"]).arg(data);
        command.args(["--media", &format!("file://{}", media.display())]);
        match embedded {
            true => command.args(["--edge-listen", &edge.to_string()]),
            false => command.arg("--no-embedded-edge"),
        };
        command.arg("--component").arg(component()?);
        command.envs(Self::environment());
        let started = Instant::now();
        let running = Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        let control = format!("http://{control}");
        let rest = Rest::new(control.clone(), TOKEN.into());
        Ok(Self { running, rest, control, edge: format!("http://{edge}"), started })
    }

    /// Fails when it has ended, or should answer by now.
    pub fn check(&mut self, data: &Path) -> Result<()> {
        let log = || fs::read_to_string(data.join("control.log")).unwrap_or_default();
        if let Some(status) = self.running.ended()? {
            bail!("the control plane ended: {status}\n{}", log());
        }
        if self.started.elapsed() > START {
            bail!("the control plane does not answer\n{}", log());
        }
        Ok(())
    }

    /// Secrets of the control plane.
    pub fn environment() -> [(&'static str, &'static str); 3] {
        [("CONTROL_ADMIN_TOKEN", TOKEN), ("CONTROL_MASTER_KEY", MASTER_KEY), ("RUST_LOG", "warn")]
    }

    /// The header line that REST wants.
    pub fn authorization() -> String {
        format!("authorization: Bearer {TOKEN}")
    }

    /// Makes every configuration that is measured.
    pub fn configure(&self) -> Result<()> {
        self.rest.ensure("/v1/packaging-groups", &json!({ "name": GROUP }))?;
        let key = json!([{ "key": "00112233445566778899aabbccddeeff" }]);
        for (name, package_type, scheme) in [
            ("cmaf", "CMAF", None),
            ("dash", "DASH", None),
            ("ts", "HLS", None),
            ("cbcs", "CMAF", Some("cbcs")),
            ("cenc", "CMAF", Some("cenc")),
            ("sample-aes", "HLS", Some("sample-aes")),
            ("aes-128", "HLS", Some("aes-128")),
        ] {
            let mut body = json!({ "name": name, "package_type": package_type, "segment_duration_seconds": 6 });
            if let Some(scheme) = scheme {
                let mut protection =
                    json!({ "scheme": scheme, "static_keys": key, "key_delivery": { "policy": "open" } });
                if package_type != "HLS" {
                    protection["systems"] = json!(["clearkey"]);
                }
                body["protection"] = protection;
            }
            self.rest.ensure(&format!("/v1/packaging-groups/{GROUP}/configurations"), &body)?;
        }
        Ok(())
    }

    /// Has a title ingested; how long that took.
    pub fn ingest(&self, name: &str, files: &[String]) -> Result<Duration> {
        let sources: Vec<Value> = files.iter().map(|path| json!({ "path": path })).collect();
        let body = json!({ "name": name, "packaging_group": GROUP, "content_id": name, "sources": sources });
        let start = Instant::now();
        let (status, answer) = self.rest.post("/v1/assets", &body)?;
        if status != 202 {
            bail!("POST /v1/assets: {}", describe(status, &answer));
        }
        loop {
            let (_, asset) = self.rest.get(&format!("/v1/assets/{name}"))?;
            match asset.get("status").and_then(Value::as_str).unwrap_or_default() {
                "PLAYABLE" => return Ok(start.elapsed()),
                "FAILED" => bail!("{name}: {asset}"),
                _ if start.elapsed() > INGEST => bail!("{name} is not playable: {asset}"),
                _ => thread::sleep(POLL),
            }
        }
    }
}

/// The built component.
pub fn component() -> Result<PathBuf> {
    let component = product::target().join("wasm32-wasip2/edge/edge.wasm");
    if !component.is_file() {
        bail!("{} was not built", component.display());
    }
    Ok(component)
}

/// nginx that serves a folder with one worker.
pub struct Static {
    /// Ends with this.
    pub running: Running,
    /// Its base URL.
    pub base: String,
}

impl Static {
    /// Starts it and waits until it answers.
    pub fn start(folder: &Path) -> Result<Self> {
        let address = free_address()?;
        let root = folder.join("static");
        fs::create_dir_all(&root)?;
        let user = if nix::unistd::Uid::effective().is_root() { "user root;\n" } else { "" };
        let place = folder.display();
        let configuration = format!(
            "{user}daemon off;\nworker_processes 1;\npid {place}/nginx.pid;\nerror_log {place}/nginx.log;\n\
             events {{ worker_connections 1024; }}\nhttp {{\n  access_log off;\n  sendfile on;\n  tcp_nopush on;\n  \
             keepalive_requests 100000000;\n  open_file_cache max=10000;\n  client_body_temp_path {place}/nginx-body;\n  \
             proxy_temp_path {place}/nginx-proxy;\n  fastcgi_temp_path {place}/nginx-fastcgi;\n  uwsgi_temp_path \
             {place}/nginx-uwsgi;\n  scgi_temp_path {place}/nginx-scgi;\n  server {{ listen {address}; root {}; }}\n}}\n",
            root.display()
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, configuration)?;
        let mut command = pinned("nginx", SERVER_CORE);
        command.env("PATH", search_path()).arg("-p").arg(folder).arg("-e").arg(folder.join("nginx.log"));
        let running = Running::start(command.arg("-c").arg(&path).stdin(Stdio::null()))?;
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if started.elapsed() > START {
                bail!("nginx does not listen: {}", fs::read_to_string(folder.join("nginx.log")).unwrap_or_default());
            }
            thread::sleep(POLL);
        }
        Ok(Self { running, base: format!("http://{address}") })
    }
}

/// The PATH, and where Debian keeps servers.
fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// Bytes of the files in a folder and below.
pub fn folder_bytes(folder: &Path) -> Result<u64> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let sizes = entries.map(|entry| {
        let entry = entry?;
        if entry.file_type()?.is_dir() { folder_bytes(&entry.path()) } else { Ok(entry.metadata()?.len()) }
    });
    sizes.sum()
}
