//! The load generator: wrk, and a client that asks for each URL once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::measure::{cpu_seconds, percentile};
use super::server::{LOAD_CORE, pinned};
use crate::process::Running;

const SCRIPT: &str = include_str!("load.lua");

/// A load that brings nothing is repeated for longer, up to this.
const LONGEST: Duration = Duration::from_secs(16);

/// What is asked for, and how.
pub struct Load<'a> {
    /// `http://ADDRESS`.
    pub base: &'a str,
    /// Paths, asked for by turns.
    pub paths: &'a [String],
    /// Connections at the same time.
    pub connections: usize,
    /// How long.
    pub time: Duration,
    /// Further header lines.
    pub headers: &'a [String],
    /// Process group of the server.
    pub server: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Answers a second.
    pub requests: f64,
    /// Bytes a second, heads included.
    pub bytes: f64,
    /// Half of the answers came within this, seconds.
    pub p50: f64,
    /// All but one of a hundred came within this, seconds.
    pub p99: f64,
    /// CPU seconds of the server for 10^9 bytes.
    pub cpu_a_gigabyte: f64,
    /// CPU seconds of the server for a request.
    pub cpu_a_request: f64,
}

impl Load<'_> {
    /// Runs wrk.
    ///
    /// # Errors
    /// When an answer is an error, or none came.
    pub fn run(&self, folder: &Path) -> Result<Loaded> {
        let mut time = self.time;
        loop {
            match self.once(folder, time)? {
                Some(loaded) => return Ok(loaded),
                // On a machine that others keep busy the first answer may take longer.
                None if time < LONGEST => time *= 2,
                None => bail!("wrk at {}: no answer in {LONGEST:?}", self.base),
            }
        }
    }

    fn once(&self, folder: &Path, time: Duration) -> Result<Option<Loaded>> {
        let (script, paths, output) = (folder.join("load.lua"), folder.join("paths"), folder.join("load.out"));
        fs::write(&script, SCRIPT)?;
        fs::write(&paths, self.paths.join("\n") + "\n")?;
        let mut command = pinned("wrk", LOAD_CORE);
        command.args(["-t1", "--latency", "--timeout", "20s"]);
        command.arg(format!("-c{}", self.connections)).arg(format!("-d{}", time.as_secs().max(1)));
        command.args(self.headers.iter().flat_map(|header| ["-H", header]));
        command.arg("-s").arg(&script).arg(self.base).arg("--").arg(&paths);
        let before = cpu_seconds(self.server);
        let status = run_into(&mut command, &output)?;
        let cpu = cpu_seconds(self.server) - before;
        let text = fs::read_to_string(&output)?;
        let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let line = line.with_context(|| format!("wrk at {}: {status}\n{text}", self.base))?;
        let result: Value = serde_json::from_str(line)?;
        let number = |name: &str| result.get(name).and_then(Value::as_f64).unwrap_or_default();
        let (requests, bytes, seconds) = (number("requests"), number("bytes"), number("seconds"));
        if number("errors") > 0.0 {
            bail!("wrk at {}{}: {line}", self.base, self.paths.first().map_or("", String::as_str));
        }
        Ok((requests > 0.0).then(|| Loaded {
            requests: requests / seconds,
            bytes: bytes / seconds,
            p50: number("p50"),
            p99: number("p99"),
            cpu_a_gigabyte: cpu / bytes * 1e9,
            cpu_a_request: cpu / requests,
        }))
    }

    /// Asks for each path once, over so many connections: how long each took, sorted, and the bytes of all.
    ///
    /// # Errors
    /// When an answer is not 200.
    pub fn each_once(&self) -> Result<(Vec<Duration>, u64)> {
        let queue = Mutex::new(self.paths.iter());
        let next = || queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
        let one = || -> Result<(Vec<Duration>, u64)> {
            let (agent, mut times, mut bytes) = (agent(), Vec::new(), 0);
            while let Some(path) = next() {
                let start = Instant::now();
                bytes += get(&agent, &format!("{}{path}", self.base))?.len() as u64;
                times.push(start.elapsed());
            }
            Ok((times, bytes))
        };
        let (mut times, mut bytes) = (Vec::new(), 0);
        std::thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = (0..self.connections).map(|_| scope.spawn(one)).collect();
            for thread in threads {
                let (own, read) = thread.join().map_err(|_| anyhow::anyhow!("a client failed"))??;
                times.extend(own);
                bytes += read;
            }
            Ok(())
        })?;
        percentile(&mut times, 0.5);
        Ok((times, bytes))
    }
}

/// Runs a command to its end, with its output in a file.
pub fn run_into(command: &mut Command, output: &Path) -> Result<std::process::ExitStatus> {
    let file = fs::File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    Running::start(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file))?.wait()
}

/// A client with one connection of its own.
pub fn agent() -> ureq::Agent {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
    config.build().into()
}

/// The body at a URL.
///
/// # Errors
/// When the answer is not 200.
pub fn get(agent: &ureq::Agent, url: &str) -> Result<Vec<u8>> {
    let mut response = agent.get(url).call().with_context(|| format!("GET {url}"))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec().with_context(|| format!("GET {url}"))?;
    if status != 200 {
        bail!("GET {url}: {status} {}", String::from_utf8_lossy(&body).chars().take(300).collect::<String>());
    }
    Ok(body)
}
