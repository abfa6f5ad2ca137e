//! Players in a browser.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::tools;

const DEADLINE: Duration = Duration::from_secs(180);

/// Drives a browser with `tests/browser/play.mjs`, which says what `options` may be; what it says, or why it failed. `base` is
/// the URL of the control plane, which has the player page; `name` names a picture of the page at the end.
///
/// # Errors
/// What went wrong, for people; the first line says it.
pub fn play(base: &str, engine: &str, name: &str, mut options: Value) -> Result<String, String> {
    let profile = tempfile::tempdir().expect("an empty profile");
    options["engine"] = json!(engine);
    options["page"] = json!(format!("{base}/player"));
    options["chromium"] = json!(tools::program(&["chromium", "chromium-browser", "google-chrome"]));
    options["profile"] = json!(profile.path());
    options["screenshot"] = json!(tools::results().join(format!("{name}.png")));
    let script = tools::built("tests/browser/play.mjs");
    tools::built("tests/browser/node_modules/playwright-core");
    let output = tools::run(Command::new(tools::program(&["node"])).arg(script).arg(options.to_string()), DEADLINE);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Does something with each of `all`, as many at a time as there are processors; what came out, in the order of `all`.
pub fn each<T: Sync, R: Send>(all: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue = Mutex::new(all.iter().enumerate());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("the queue").next();
                    let Some((number, item)) = next else { break };
                    let result = one(item);
                    results.lock().expect("the results").push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("the results");
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
