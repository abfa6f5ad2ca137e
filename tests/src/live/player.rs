//! Players in a browser that watch a live channel.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools;

/// What the script gets beyond its own deadline.
const DEADLINE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(100);

/// Watches with `tests/browser/live.mjs`, which says what `options` may be; what it says, or why it failed.
///
/// # Errors
/// What went wrong, for people; the first line says it.
pub fn play(base: &str, engine: &str, name: &str, options: Value) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    wait(command(base, engine, name, options, &folder))
}

fn command(base: &str, engine: &str, name: &str, mut options: Value, folder: &TempDir) -> Child {
    options["engine"] = json!(engine);
    options["page"] = json!(format!("{base}/player"));
    options["chromium"] = json!(tools::program(&["chromium", "chromium-browser", "google-chrome"]));
    options["profile"] = json!(folder.path().join("profile"));
    options["screenshot"] = json!(tools::results().join(format!("{name}.png")));
    let script = tools::built("tests/browser/live.mjs");
    tools::built("tests/browser/node_modules/playwright-core");
    let mut node = Command::new(tools::program(&["node"]));
    node.arg(script).arg(options.to_string()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    node.spawn().expect("node")
}

fn wait(mut child: Child) -> Result<String, String> {
    let started = Instant::now();
    while child.try_wait().expect("its status").is_none() {
        if started.elapsed() > DEADLINE {
            let _ = child.kill();
        }
        std::thread::sleep(PAUSE);
    }
    let output = child.wait_with_output().expect("its output");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
