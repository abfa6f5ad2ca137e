//! The same request gives the same bytes wherever it is answered: by the packager natively, by the component in the
//! embedded host, and under Spin where `spin` is on the PATH.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::http::Client;
use e2e::{Asset, Control, control, media, source, title, tools};
use packager::config::{self, Body, Document, SourceObject};
use packager::job::{Documents, Job, Step};
use packager::make::{Maker, Progress, Recipe};
use packager::media::protection::Keys;
use packager::response::{Part, Response};
use packager::route::Route;
use packager::sealing::SealingKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What the control plane tells edges, read as an edge reads it.
struct Origin<'a> {
    control: &'a Control,
    token: String,
    sealing: SealingKey,
}

/// The edge that it is read as: the embedded one.
const EDGE: &str = "embedded";

impl<'a> Origin<'a> {
    fn new(control: &'a Control) -> Self {
        let token = std::fs::read_to_string(control.data.join("origin-token")).expect("the origin token");
        let variables = edge_variables(control, EDGE);
        let sealing = variables.iter().find(|(name, _)| name.ends_with("SEALING_KEY")).expect("a sealing key");
        let sealing = SealingKey::from_hex(&sealing.1).expect("a sealing key");
        Self { control, token: token.trim().to_owned(), sealing }
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.token);
        let url = format!("{}{path}", self.control.url);
        let fields = [("authorization", bearer.as_str()), (config::EDGE_HEADER, EDGE)];
        let response = self.control.client.send("GET", &url, &fields, &[]);
        assert_eq!(response.status, 200, "{url}: {}", response.text());
        response.body
    }

    fn document(&self, key: &str) -> Body {
        let json = self.get(&format!("{}{key}", config::PULL_PATH));
        Document::from_json(&json).unwrap_or_else(|error| panic!("{key}: {error}")).body
    }

    fn documents(&self, route: &Route) -> Documents {
        let Body::Configuration(configuration) = self.document(&route.configuration_key()) else {
            panic!("no configuration under {}", route.configuration_key())
        };
        let Body::Asset(asset) = self.document(&route.asset_key()) else {
            panic!("no asset under {}", route.asset_key())
        };
        let keys = configuration.protection.as_ref().map(|_| {
            let Body::Keys(keys) = self.document(&route.keys_key()) else {
                panic!("no content keys under {}", route.keys_key())
            };
            Arc::new(Keys::open(&keys, &self.sealing).expect("keys that were sealed for this edge"))
        });
        Documents { configuration: Arc::new(configuration), asset: Arc::new(asset), keys }
    }
}

/// Answers a path natively, from the whole index and the files of the media storage.
fn native(documents: &Documents, index: &Bytes, media: &Path, path: &str) -> (Response, Vec<u8>) {
    let route = Route::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut job = Job::new(route, documents.clone(), None).unwrap_or_else(|error| panic!("{path}: {error}"));
    let response = loop {
        match job.step().unwrap_or_else(|error| panic!("{path}: {error}")) {
            Step::Done(response) => break response,
            Step::Fetch(list) => {
                for fetch in list {
                    let bytes = index.slice(fetch.range.start as usize..fetch.range.end as usize);
                    job.supply(fetch.id, bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
                }
            }
        }
    };
    let mut body = Vec::new();
    for part in &response.parts {
        match part {
            Part::Bytes(bytes) => body.extend_from_slice(bytes),
            Part::Source { object, range } => body.extend(stretch(media, object, range)),
            Part::Made { recipe, range } => made(recipe, range, media, &mut body),
        }
    }
    (response, body)
}

/// Bytes of an object of the media storage.
fn stretch(media: &Path, object: &SourceObject, range: &Range<u64>) -> Vec<u8> {
    let mut file =
        std::fs::File::open(media.join(&object.path)).unwrap_or_else(|error| panic!("{}: {error}", object.path));
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.seek(SeekFrom::Start(range.start)).and_then(|_| file.read_exact(&mut bytes)).expect("bytes of a file");
    bytes
}

/// Appends what a recipe makes. The input comes in pieces of an odd size: how it is cut up must not show.
fn made(recipe: &Arc<Recipe>, range: &Range<u64>, media: &Path, body: &mut Vec<u8>) {
    const PIECE: usize = 1009;
    let mut maker = Maker::new(recipe.clone(), range.clone());
    let inputs: Vec<Vec<u8>> = maker.inputs().iter().map(|input| stretch(media, &input.object, &input.range)).collect();
    let mut given = vec![0; inputs.len()];
    let mut out = Vec::new();
    loop {
        let progress = maker.step(&mut out).unwrap_or_else(|error| panic!("{error}"));
        body.append(&mut out);
        match progress {
            Progress::Need(input) => {
                let rest = &inputs[input][given[input]..];
                let piece = &rest[..rest.len().min(PIECE)];
                assert!(!piece.is_empty(), "more is needed of an input that has come whole");
                maker.supply(input, piece.to_vec()).unwrap_or_else(|error| panic!("{error}"));
                given[input] += piece.len();
            }
            Progress::Ready => {}
            Progress::Done => return,
        }
    }
}

/// Every URL of an asset in all outputs that can carry it: some codecs have no place in transport streams.
fn every_url(control: &Control, asset: &Asset) -> Vec<String> {
    let carried = |url: &&String| control.client.send("GET", url, &[], &[]).status != 501;
    control.playbacks(asset).iter().filter(carried).flat_map(|url| title::every_url(&control.client, url)).collect()
}

#[test]
fn natively_and_in_the_embedded_host() {
    let control = Control::start();
    let origin = Origin::new(&control);
    control.group_of_everything("same", 2);
    let mut assets: Vec<(String, Asset)> = Vec::new();
    for source in source::all() {
        assets.push((source.name.to_owned(), source.playable(&control, "same")));
    }
    for (index, file) in media::all_small().into_iter().enumerate() {
        let name = media::asset_name(index, &file);
        let asset = control.playable("same", &name, &[file]);
        assets.push((name, asset));
    }
    let compared = assets.iter().map(|(name, asset)| compare(&origin, name, asset)).sum::<usize>();
    println!("{compared} URLs give the same bytes natively and in the embedded host");
    assert!(compared > 100, "only {compared} URLs");
}

/// Every scheme in every package type that has it, with a clear lead here and there.
const PROTECTED: [(&str, &str); 7] = [
    (
        "cmaf-cbcs",
        r#"{"package_type":"CMAF","protection":{"scheme":"cbcs","systems":["clearkey"],"pssh_in_moov":true}}"#,
    ),
    ("cmaf-cenc", r#"{"package_type":"CMAF","protection":{"scheme":"cenc","systems":["widevine","playready"]}}"#),
    (
        "dash-cbcs",
        r#"{"package_type":"DASH","protection":{"scheme":"cbcs","systems":["playready"],"clear_lead_segments":1}}"#,
    ),
    ("dash-cenc", r#"{"package_type":"DASH","protection":{"scheme":"cenc","systems":["clearkey"]}}"#),
    ("ts-aes", r#"{"package_type":"HLS","protection":{"scheme":"aes-128","clear_lead_segments":1}}"#),
    ("ts-sample", r#"{"package_type":"HLS","protection":{"scheme":"sample-aes"}}"#),
    ("apart-sample", r#"{"package_type":"HLS","audio_separation":true,"protection":{"scheme":"sample-aes"}}"#),
];

#[test]
fn protected_natively_and_in_the_embedded_host() {
    let control = Control::start();
    let origin = Origin::new(&control);
    control.create("/v1/packaging-groups", &json!({ "name": "protected" }));
    for (name, body) in PROTECTED {
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        body["name"] = json!(name);
        body["segment_duration_seconds"] = json!(2);
        body["protection"]["static_keys"] = json!([{ "key": "000102030405060708090a0b0c0d0e0f" }]);
        body["protection"]["key_delivery"] = json!({ "policy": "open" });
        control.create("/v1/packaging-groups/protected/configurations", &body);
    }
    let mut compared = 0;
    for source in source::all() {
        let asset = source.playable(&control, "protected");
        compared += compare(&origin, source.name, &asset);
    }
    println!("{compared} URLs of protected output give the same bytes natively and in the embedded host");
    assert!(compared > 500, "only {compared} URLs");
}

/// Compares every URL of an asset; how many.
fn compare(origin: &Origin<'_>, name: &str, asset: &Asset) -> usize {
    let control = origin.control;
    let mut compared = 0;
    let mut known: Option<(String, Documents, Bytes)> = None;
    for url in every_url(control, asset) {
        let path = &url[control.edge.len()..];
        let route = Route::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        if known.as_ref().is_none_or(|(configuration, ..)| *configuration != route.configuration) {
            let documents = origin.documents(&route);
            let index = Bytes::from(origin.get(&format!("{}{}", config::INDEX_PATH, documents.asset.index.path)));
            assert_eq!(hex::encode(Sha256::digest(&index)), documents.asset.index.digest, "{name}: the index's digest");
            known = Some((route.configuration.clone(), documents, index));
        }
        let (_, documents, index) = known.as_ref().expect("documents");
        let (response, body) = native(documents, index, &control.media, path);
        assert_eq!(response.len(), body.len() as u64, "{path}: the length is known before the media is read");
        let ours = control.client.get(&url);
        assert!(ours.body == body, "{path}: {} bytes natively, {} from the component", body.len(), ours.body.len());
        assert_eq!(ours.header("etag"), Some(response.etag.as_str()), "{path}");
        assert_eq!(ours.header("content-type"), Some(response.content_type), "{path}");
        compared += 1;
    }
    compared
}

struct Spin(Child);

impl Drop for Spin {
    fn drop(&mut self) {
        // Spin runs its trigger as a child of its own; both end on an interrupt.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn under_spin() {
    let Some(spin) = tools::find_program(&["spin"]) else {
        println!("spin is not on the PATH: nothing compared under Spin (https://spinframework.dev/install)");
        return;
    };
    let control = Control::start();
    control.group_of_everything("spin", 2);
    let asset = control.playable("spin", "sample", &media::ladder());
    let urls = every_url(&control, &asset);
    let address = control::free_address();
    let body = json!({ "name": "spin", "url": format!("http://{address}") });
    let state = tempfile::tempdir().expect("a folder");
    let _running = Spin(start_spin(&spin, &control, &address.to_string(), state.path()));
    wait(&control.client, &format!("http://{address}/healthz"));
    control.create("/v1/edges", &body);
    for url in &urls {
        let theirs = control.client.get(&url.replace(&control.edge, &format!("http://{address}")));
        let ours = control.client.get(url);
        assert!(ours.body == theirs.body, "{url} differs under Spin");
        assert_eq!(ours.header("etag"), theirs.header("etag"), "{url}");
    }
    println!("{} URLs give the same bytes under Spin", urls.len());
}

/// What the control plane prints for an edge of this name.
fn edge_variables(control: &Control, edge: &str) -> Vec<(String, String)> {
    let mut variables = Command::new(tools::control_binary());
    variables.env("CONTROL_MASTER_KEY", control::MASTER_KEY);
    variables.args(["edge-variables", "--edge", edge, "--control-url", &control.url, "--data"]).arg(&control.data);
    let text = tools::succeed(&mut variables, Duration::from_secs(20));
    let text = String::from_utf8_lossy(&text).into_owned();
    let pairs = text.lines().filter_map(|line| line.trim().trim_start_matches("export ").split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned())).collect()
}

fn start_spin(spin: &Path, control: &Control, address: &str, state: &Path) -> Child {
    Command::new(spin)
        .current_dir(tools::root())
        .args(["up", "--quiet", "--listen", address, "--state-dir"])
        .arg(state)
        .envs(edge_variables(control, "spin"))
        .stdin(Stdio::null())
        .spawn()
        .expect("spin")
}

fn wait(client: &Client, url: &str) {
    let started = Instant::now();
    while client.try_send("GET", url, &[], &[]).is_none_or(|response| response.status != 200) {
        assert!(started.elapsed() < Duration::from_secs(60), "{url} does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
}
