//! A running control plane.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Client, Response};
use crate::tools;

const TOKEN: &str = "end-to-end-administrator";
/// `CONTROL_MASTER_KEY` of every control plane of the tests.
pub const MASTER_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const START: Duration = Duration::from_secs(90);
/// No file of the tests may need longer; a hang is a failure.
const INGEST: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// An output that packaging can make.
pub struct Output {
    /// What the tests call it.
    pub name: &'static str,
    /// Its package type.
    pub package_type: &'static str,
    /// Whether sound has segments of its own in transport streams.
    pub audio_separation: bool,
}

/// Every output.
pub const OUTPUTS: [Output; 4] = [
    Output { name: "ts", package_type: "HLS", audio_separation: false },
    Output { name: "ts-separate", package_type: "HLS", audio_separation: true },
    Output { name: "cmaf", package_type: "CMAF", audio_separation: false },
    Output { name: "dash", package_type: "DASH", audio_separation: false },
];

/// How to start a control plane.
pub struct Setup {
    /// Where its data is; survives a restart when the caller keeps it.
    pub data: PathBuf,
    /// `--media`; by default the folder `media` in `data`.
    pub media: Option<String>,
    /// Whether it runs an edge itself.
    pub embedded_edge: bool,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
    /// Addresses to use again after a restart.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// A running control plane; it is killed when this is dropped.
pub struct Control {
    /// Base URL of REST, origin and player page.
    pub url: String,
    /// Base URL of the embedded edge.
    pub edge: String,
    /// Its data.
    pub data: PathBuf,
    /// Its media, when that is a folder.
    pub media: PathBuf,
    /// For everything.
    pub client: Client,
    addresses: (SocketAddr, SocketAddr),
    child: Child,
    _folder: Option<TempDir>,
}

/// A finished ingest.
#[derive(Clone, Debug)]
pub struct Asset {
    /// What REST says about it.
    pub json: Value,
}

impl Asset {
    /// `PLAYABLE` or `FAILED`.
    pub fn status(&self) -> &str {
        self.json["status"].as_str().unwrap_or_default()
    }

    /// Why it failed, as text.
    pub fn failure(&self) -> String {
        match &self.json["failure"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Object(parts) => {
                let text = |name: &str| parts.get(name).and_then(Value::as_str);
                text("detail")
                    .or(text("reason"))
                    .or(text("message"))
                    .map_or_else(|| self.json["failure"].to_string(), str::to_owned)
            }
            other => other.to_string(),
        }
    }

    /// What was left out or looked wrong.
    pub fn warnings(&self) -> Vec<String> {
        let list = self.json["warnings"].as_array().cloned().unwrap_or_default();
        list.iter().map(|warning| warning.as_str().map_or_else(|| warning.to_string(), str::to_owned)).collect()
    }

    /// The tracks of a kind, in the order of the index.
    pub fn tracks(&self, kind: &str) -> Vec<Value> {
        let list = self.json["tracks"].as_array().cloned().unwrap_or_default();
        list.into_iter().filter(|track| track["kind"] == kind).collect()
    }
}

impl Setup {
    /// Everything below `data`.
    pub fn at(data: &Path) -> Self {
        Self { data: data.to_path_buf(), media: None, embedded_edge: true, environment: Vec::new(), addresses: None }
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Control {
        Control::launch(self, None)
    }
}

impl Control {
    /// One with a folder of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::launch(Setup::at(folder.path()), Some(folder))
    }

    fn launch(setup: Setup, folder: Option<TempDir>) -> Self {
        let media = setup.data.join("media");
        fs::create_dir_all(&media).expect("the media folder");
        let addresses = setup.addresses.unwrap_or_else(|| (free_address(), free_address()));
        let log_path = setup.data.join("control.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&log_path).expect("the log");
        tools::component();
        let mut command = Command::new(tools::control_binary());
        command
            .arg("serve")
            .args(["--listen", &addresses.0.to_string()])
            .arg("--data")
            .arg(&setup.data)
            .args(["--media", &setup.media.unwrap_or_else(|| format!("file://{}", media.display()))])
            .env("CONTROL_ADMIN_TOKEN", TOKEN)
            .env("CONTROL_MASTER_KEY", MASTER_KEY)
            .envs(setup.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        match setup.embedded_edge {
            true => command.args(["--edge-listen", &addresses.1.to_string()]),
            false => command.arg("--no-embedded-edge"),
        };
        let child = command.spawn().expect("the control plane");
        let mut control = Self {
            url: format!("http://{}", addresses.0),
            edge: format!("http://{}", addresses.1),
            data: setup.data,
            media,
            client: Client::default(),
            addresses,
            child,
            _folder: folder,
        };
        control.wait_for_health(&format!("{}/healthz", control.url));
        if setup.embedded_edge {
            control.wait_for_health(&format!("{}/healthz", control.edge));
        }
        control
    }

    fn wait_for_health(&mut self, url: &str) {
        let started = Instant::now();
        while self.client.try_send("GET", url, &[], &[]).is_none_or(|response| response.status != 200) {
            if let Some(status) = self.child.try_wait().expect("the control plane's status") {
                panic!("the control plane ended: {status}\n{}", self.log());
            }
            assert!(started.elapsed() < START, "{url} does not answer\n{}", self.log());
            thread::sleep(POLL);
        }
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.join("control.log")).unwrap_or_default()
    }

    /// The most memory that it has had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kibibytes << 10
    }

    /// Ends it as a power cut would; what to start it again with.
    pub fn kill(mut self) -> Setup {
        self.end();
        Setup { addresses: Some(self.addresses), ..Setup::at(&self.data) }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// A REST request.
    pub fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        self.try_rest(method, path, body).unwrap_or_else(|| panic!("no answer to {method} {path}\n{}", self.log()))
    }

    /// A REST request; `None` when no answer came.
    pub fn try_rest(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Response> {
        let bearer = format!("Bearer {TOKEN}");
        let text = body.map(Value::to_string).unwrap_or_default();
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let headers = if body.is_some() { &headers[..] } else { &headers[..1] };
        self.client.try_send(method, &format!("{}{path}", self.url), headers, text.as_bytes())
    }

    /// A REST request that makes something; fails unless it succeeds.
    pub fn create(&self, path: &str, body: &Value) -> Value {
        let response = self.rest("POST", path, Some(body));
        assert!((200..300).contains(&response.status), "POST {path} {body}: {} {}", response.status, response.text());
        response.json()
    }

    /// A packaging group with one configuration of each package type, named `hls` and `dash` and the group's name.
    pub fn group(&self, name: &str, segment_seconds: u32) {
        self.create("/v1/packaging-groups", &json!({ "name": name }));
        for (configuration, package_type) in [("hls", "CMAF"), ("dash", "DASH")] {
            let body = json!({
                "name": format!("{configuration}-{name}"),
                "package_type": package_type,
                "segment_duration_seconds": segment_seconds,
            });
            self.create(&format!("/v1/packaging-groups/{name}/configurations"), &body);
        }
    }

    /// A packaging group with a configuration of every output there is, named as in [`OUTPUTS`] and the group's name.
    pub fn group_of_everything(&self, name: &str, segment_seconds: u32) {
        self.create("/v1/packaging-groups", &json!({ "name": name }));
        for output in &OUTPUTS {
            let mut body = json!({
                "name": format!("{}-{name}", output.name),
                "package_type": output.package_type,
                "segment_duration_seconds": segment_seconds,
            });
            if output.audio_separation {
                body["audio_separation"] = json!(true);
            }
            self.create(&format!("/v1/packaging-groups/{name}/configurations"), &body);
        }
    }

    /// Makes a folder with everything in it part of the media storage, under a path of its own.
    pub fn store_folder(&self, folder: &Path, path: &str) {
        for file in crate::media::files_below(folder) {
            let to = self.media.join(path).join(file.strip_prefix(folder).expect("below the folder"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(&file, to).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
    }

    /// Makes a file part of the media storage; its path there.
    pub fn store(&self, file: &Path) -> String {
        self.store_in(file, "")
    }

    /// Makes a file part of a folder of the media storage; its name.
    pub fn store_in(&self, file: &Path, folder: &str) -> String {
        let name = file.file_name().expect("a file name").to_string_lossy().into_owned();
        let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        fs::create_dir_all(self.media.join(folder)).expect("a folder");
        fs::write(self.media.join(folder).join(&name), bytes).expect("a stored file");
        name
    }

    /// Starts an ingest of stored files.
    pub fn submit(&self, group: &str, asset: &str, paths: &[String]) {
        let sources: Vec<Value> = paths.iter().map(|path| json!({ "path": path })).collect();
        self.submit_media(group, asset, json!({ "sources": sources }));
    }

    /// Starts an ingest of `media`: an object with `source` or `sources`.
    pub fn submit_media(&self, group: &str, asset: &str, media: Value) {
        let mut body = media;
        body["name"] = json!(asset);
        body["packaging_group"] = json!(group);
        // What key servers know it by; asked for where a configuration protects.
        body["content_id"] = json!(asset);
        let response = self.rest("POST", "/v1/assets", Some(&body));
        assert_eq!(response.status, 202, "{}", response.text());
    }

    /// Waits until an asset is playable or failed.
    pub fn finished(&self, asset: &str) -> Asset {
        let started = Instant::now();
        loop {
            let response = self.rest("GET", &format!("/v1/assets/{asset}"), None);
            assert_eq!(response.status, 200, "{}", response.text());
            let asset = Asset { json: response.json() };
            if matches!(asset.status(), "PLAYABLE" | "FAILED") {
                return asset;
            }
            assert!(started.elapsed() < INGEST, "still {}\n{}", asset.json, self.log());
            thread::sleep(POLL);
        }
    }

    /// Stores files, ingests them as one asset and waits for the end.
    pub fn ingest(&self, group: &str, asset: &str, files: &[PathBuf]) -> Asset {
        let paths: Vec<String> = files.iter().map(|file| self.store(file)).collect();
        self.submit(group, asset, &paths);
        self.finished(asset)
    }

    /// Ingests a stored multivariant playlist and waits for the end.
    pub fn ingest_hls(&self, group: &str, asset: &str, path: &str) -> Asset {
        self.submit_media(group, asset, json!({ "source": { "path": path } }));
        self.finished(asset)
    }

    /// As [`Self::ingest`]; fails unless the asset can be played.
    pub fn playable(&self, group: &str, asset: &str, files: &[PathBuf]) -> Asset {
        let done = self.ingest(group, asset, files);
        assert_eq!(done.status(), "PLAYABLE", "{}\n{}", done.json, self.log());
        done
    }

    /// The playback URL of a configuration whose name begins with `output` and a hyphen.
    pub fn playback_of(&self, asset: &Asset, output: &str) -> String {
        let list = asset.json["playback_urls"].as_array().cloned().unwrap_or_default();
        let is = |one: &&Value| {
            let name = one["configuration"].as_str().unwrap_or_default();
            name.rsplit_once('-').is_some_and(|(before, _)| before == output)
        };
        let url = list.iter().find(is).and_then(|one| one["url"].as_str());
        crate::http::resolve(&self.edge, url.unwrap_or_else(|| panic!("no {output} URL: {}", asset.json)))
    }

    /// Every playback URL.
    pub fn playbacks(&self, asset: &Asset) -> Vec<String> {
        let list = asset.json["playback_urls"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|one| one["url"].as_str()).map(|url| crate::http::resolve(&self.edge, url)).collect()
    }

    /// The playback URL of a package type.
    pub fn playback(&self, asset: &Asset, package_type: &str) -> String {
        let list = asset.json["playback_urls"].as_array().cloned().unwrap_or_default();
        let url = list.iter().find(|one| one["package_type"] == package_type).and_then(|one| one["url"].as_str());
        let url = url.unwrap_or_else(|| panic!("no {package_type} URL: {}", asset.json));
        crate::http::resolve(&self.edge, url)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the control plane's last words:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"));
        }
    }
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
