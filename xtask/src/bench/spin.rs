//! The edge under Spin, beside the embedded one.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::Bench;
use super::edge::manifest;
use super::server::{SERVER_CORE, Server, free_address, pinned};
use crate::process::{self, Running};
use crate::product;
use crate::tools::{Tool, root};

const SPIN: Tool = Tool { names: &["spin"], debian: &[], hint: "install Spin 4 (https://spinframework.dev)" };
const EDGE: &str = "spin";
/// Spin compiles the component when it starts.
const START: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(100);

/// Whether Spin is installed.
pub fn installed() -> bool {
    SPIN.find().is_some()
}

/// An edge under Spin.
pub struct Spin {
    /// Ends with this.
    pub running: Running,
    /// Its base URL.
    pub base: String,
}

impl Spin {
    /// Starts one and waits until it plays, if Spin is installed.
    pub fn start(bench: &Bench, server: &Server) -> Result<Option<Self>> {
        if !installed() {
            return Ok(None);
        }
        let mut variables = Command::new(product::control_binary()?);
        variables.arg("edge-variables").arg("--data").arg(&bench.data);
        variables.args(["--edge", EDGE, "--control-url", &server.control]).envs(Server::environment());
        let variables = process::output(&mut variables).context("control edge-variables does not work")?;
        let address = free_address()?;
        let log = fs::File::create(bench.folder.join("spin.log"))?;
        let mut command = pinned("spin", SERVER_CORE);
        command.current_dir(root()).args(["up", "--listen", &address.to_string()]);
        command.envs(variables.lines().filter_map(|line| line.split_once('=')));
        let mut running = Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        let base = format!("http://{address}");
        server.rest.ensure("/v1/edges", &json!({ "name": EDGE, "url": base }))?;
        let (started, url) = (Instant::now(), format!("{base}{}", manifest("minute", "cmaf", "m3u8")));
        while server.rest.status(&url) != Some(200) {
            if running.ended()?.is_some() || started.elapsed() > START {
                bail!("spin up does not serve {url}; {} says more", bench.folder.join("spin.log").display());
            }
            thread::sleep(POLL);
        }
        Ok(Some(Self { running, base }))
    }
}
