//! An edge in a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::{Control, control, tools};

/// How long it may take until it answers.
const START: Duration = Duration::from_secs(60);
const VARIABLES: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// An edge as it runs elsewhere: it outlives the control plane. It ends when this is dropped.
pub struct Edge {
    /// Its base URL.
    pub url: String,
    child: Child,
}

impl Edge {
    /// Starts one that `control` knows by `name`.
    pub fn start(control: &Control, name: &str) -> Self {
        let mut variables = Command::new(tools::control_binary());
        variables.args(["edge-variables", "--edge", name, "--control-url", &control.url, "--data"]).arg(&control.data);
        let text = tools::succeed(&mut variables, VARIABLES);
        let address = control::free_address();
        let pairs = String::from_utf8_lossy(&text).into_owned();
        let pairs = pairs.lines().filter_map(|line| {
            let (name, value) = line.trim().trim_start_matches("export ").split_once('=')?;
            let name = name.strip_prefix("SPIN_VARIABLE_")?.to_lowercase();
            Some(format!("{name}={}", value.trim_matches(['"', '\''])))
        });
        let child = Command::new(tools::built("target/release/examples/serve"))
            .arg(tools::component())
            .arg(address.to_string())
            .args(pairs)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("an edge");
        let edge = Self { url: format!("http://{address}"), child };
        let started = Instant::now();
        let client = Client::default();
        let health = format!("{}/healthz", edge.url);
        while client.try_send("GET", &health, &[], &[]).is_none_or(|answer| answer.status != 200) {
            assert!(started.elapsed() < START, "the edge does not answer");
            std::thread::sleep(POLL);
        }
        edge
    }

    /// A URL of the embedded edge of `control`, at this edge.
    pub fn here(&self, control: &Control, url: &str) -> String {
        let path = url.strip_prefix(&control.edge).unwrap_or_else(|| panic!("{url} is not of {}", control.edge));
        format!("{}{path}", self.url)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
