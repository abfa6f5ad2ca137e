//! Players that watch live channels for a long time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::numbered::Number;
use crate::tools;

/// Viewers in one browser.
pub struct Audience {
    name: String,
    child: Child,
    output: BufReader<ChildStdout>,
    _profile: TempDir,
}

/// Who watches what.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// What it is called; up to the first hyphen the channel.
    pub name: String,
    /// `hls`, `shaka` or `dashjs`.
    pub engine: &'static str,
    /// The manifest.
    pub url: String,
}

/// What a viewer saw.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What it is called.
    pub name: String,
    /// All of it; see `tests/browser/soak.mjs`.
    pub json: Value,
}

/// A while in which nothing moved.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// When it began, milliseconds since 1970.
    pub at_ms: u64,
    /// How long it was, or has been.
    pub seconds: f64,
}

impl Audience {
    /// Opens the player page of the control plane at `base` for each of `viewers`, and waits until all have begun to load.
    pub fn gather(base: &str, name: &str, viewers: &[Viewer]) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let list: Vec<Value> =
            viewers.iter().map(|one| json!({ "name": one.name, "engine": one.engine, "url": one.url })).collect();
        let options = json!({
            "page": format!("{base}/player"),
            "chromium": tools::program(&["chromium", "chromium-browser", "google-chrome"]),
            "profile": profile.path().join("profile"),
            "screenshots": tools::results().join(format!("{name}-")),
            "viewers": list,
        });
        let script = tools::built("tests/browser/soak.mjs");
        tools::built("tests/browser/node_modules/playwright-core");
        let mut node = Command::new(tools::program(&["node"]));
        node.arg(script).arg(options.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().expect("node");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let said = line(&mut output);
        assert_eq!(said, "watching", "the viewers do not come");
        Self { name: name.to_owned(), child, output, _profile: profile }
    }

    /// Ends it; what they saw, which is also written to a file.
    pub fn leave(mut self) -> Vec<Watched> {
        let mut input = self.child.stdin.take().expect("its input");
        input.write_all(b"\n").expect("a line");
        let said = line(&mut self.output);
        let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let file = tools::results().join(format!("{}.json", self.name));
        std::fs::write(&file, &said).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let report = report.as_array().cloned().unwrap_or_default();
        let named = |json: Value| Watched { name: json["name"].as_str().unwrap_or_default().to_owned(), json };
        report.into_iter().map(named).collect()
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        // The browser goes when its script sees the end of its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

impl Watched {
    fn list(&self, name: &str) -> Vec<Value> {
        self.json[name].as_array().cloned().unwrap_or_else(|| panic!("no {name}: {}", self.json))
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// What the player complained about: when, whether it gave up, and what it said.
    pub fn errors(&self) -> Vec<(u64, bool, String)> {
        let of = |one: &Value| {
            let fatal = one["fatal"].as_bool().unwrap_or(true);
            (one["at"].as_u64().unwrap_or_default(), fatal, one["what"].as_str().unwrap_or_default().to_owned())
        };
        self.list("errors").iter().map(of).collect()
    }

    /// Requests that failed: when, and what came.
    pub fn troubles(&self) -> Vec<(u64, String)> {
        let of =
            |one: &Value| (one["at"].as_u64().unwrap_or_default(), one["text"].as_str().unwrap_or_default().to_owned());
        self.list("troubles").iter().map(of).collect()
    }

    /// When nothing moved.
    pub fn stalls(&self) -> Vec<Stall> {
        let of = |one: &Value| Stall {
            at_ms: one["at"].as_u64().unwrap_or_default(),
            seconds: one["seconds"].as_f64().unwrap_or(f64::MAX),
        };
        self.list("stalls").iter().map(of).collect()
    }

    /// The numbers of pictures that were on the screen, and when.
    pub fn numbers(&self) -> Vec<(u64, Number)> {
        let of = |one: &Value| {
            let bits = u32::try_from(one[1].as_u64()?).ok()?;
            Some((one[0].as_u64()?, Number::of_bits(bits)))
        };
        self.list("numbers").iter().map(|one| of(one).unwrap_or_else(|| panic!("a number: {one}"))).collect()
    }

    /// A number of what it saw.
    pub fn number(&self, name: &str) -> f64 {
        self.json[name].as_f64().unwrap_or_else(|| panic!("no {name}: {}", self.json))
    }
}
