//! `cargo xtask demo`: from a fresh clone to a film in the browser.

use std::collections::BTreeSet;
use std::fs;
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::Demo;
use crate::live;
use crate::process::{Running, Steps};
use crate::product;
use crate::rest::{Rest, describe};
use crate::tools::root;

const GROUP: &str = "demo";
/// Compiling the component to machine code at the first start takes some seconds.
const START: Duration = Duration::from_secs(120);

pub fn run(options: &Demo) -> Result<()> {
    for (address, option) in [(options.control, "--control"), (options.edge, "--edge")] {
        TcpListener::bind(address)
            .with_context(|| format!("cannot listen on {address}; choose another address with {option}"))?;
    }
    let files = media(&options.media)?;
    let mut steps = Steps::default();
    product::all(&mut steps)?;

    fs::create_dir_all(&options.data).with_context(|| format!("cannot make {}", options.data.display()))?;
    let data = fs::canonicalize(&options.data)?;
    let sources = steps.step("media", || store(&files, &data.join("media")))?;
    let (mut control, rest, token) = steps.step("start", || start(options, &data))?;
    let asset = steps.step("ingest", || ingest(&rest, &mut control, &data, &asset_name(options), &sources))?;

    let channel = match options.live {
        true => Some(steps.step("live", || live::start(&rest, options.control, options.edge, &data))?),
        false => None,
    };

    print(options, &token, &asset, channel.as_ref());
    let status = control.wait()?;
    bail!("the control plane ended: {status}\n{}", last_lines(&data))
}

/// The files given, or the bundled sample.
fn media(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let sample = root().join("tests/media/ladder");
    let names = ["video_180p.mp4", "video_360p.mp4", "video_720p.mp4", "audio_eng.mp4", "audio_fra.mp4"];
    let subtitles = root().join("tests/media/text/eng.vtt");
    let files = match given {
        [] => names.iter().map(|name| sample.join(name)).chain([subtitles]).collect(),
        given => given.to_vec(),
    };
    if files.len() > 1 && files.iter().any(|file| is_playlist(file)) {
        bail!("an HLS title is one multivariant playlist; nothing can be put beside it");
    }
    for file in &files {
        let found = fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
        if !found.is_file() {
            bail!("{} is not a file", file.display());
        }
    }
    Ok(files)
}

fn is_playlist(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("m3u8"))
}

/// Puts the files below the media storage; what REST has to be told about them.
fn store(files: &[PathBuf], media: &Path) -> Result<Value> {
    let folder = media.join(GROUP);
    fs::create_dir_all(&folder)?;
    if let [playlist] = files
        && is_playlist(playlist)
    {
        let playlist = fs::canonicalize(playlist)?;
        let from = playlist.parent().context("a playlist without a folder")?;
        let title = name_of(from);
        store_folder(from, &folder.join(&title))?;
        let name = playlist.file_name().unwrap_or_default().to_string_lossy();
        println!("{} -> {GROUP}/{title}", from.display());
        return Ok(json!({ "source": { "path": format!("{GROUP}/{title}/{name}") } }));
    }
    let mut taken = BTreeSet::new();
    let mut sources = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let stem = name_of(file);
        let extension = file.extension().map_or_else(|| "mp4".into(), |extension| extension.to_string_lossy());
        let mut name = format!("{stem}.{extension}");
        if !taken.insert(name.clone()) {
            name = format!("{stem}-{index}.{extension}");
            taken.insert(name.clone());
        }
        put(&fs::canonicalize(file)?, &folder.join(&name))?;
        println!("{} -> {GROUP}/{name}", file.display());
        let mut source = json!({ "path": format!("{GROUP}/{name}") });
        if stem == "eng" && extension == "vtt" {
            // The bundled subtitles; those of others are told by REST.
            source["language"] = json!("en");
        }
        sources.push(source);
    }
    Ok(json!({ "sources": sources }))
}

/// Everything in a folder.
fn store_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            store_folder(&entry.path(), &target)?;
        } else {
            put(&entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A hard link where the file system allows it, else a copy.
fn put(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// What may stand in a URL of a file's name.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' })
        .take(100)
        .collect();
    if name.is_empty() { "media".into() } else { name }
}

fn asset_name(options: &Demo) -> String {
    let named = |file: &PathBuf| {
        let folder = fs::canonicalize(file).ok().and_then(|file| file.parent().map(Path::to_path_buf));
        name_of(folder.filter(|_| is_playlist(file)).as_deref().unwrap_or(file))
    };
    options.media.first().map_or_else(|| "sample".into(), named)
}

fn start(options: &Demo, data: &Path) -> Result<(Running, Rest, String)> {
    let log_path = data.join("control.log");
    let log = fs::File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    println!("log: {}", log_path.display());
    let mut control = Running::start(
        Command::new(product::control_binary()?)
            .current_dir(root())
            .arg("serve")
            .args(["--listen", &options.control.to_string()])
            .args(["--edge-listen", &options.edge.to_string()])
            .arg("--data")
            .arg(data)
            .args(["--media", &format!("file://{}", data.join("media").display())])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log),
    )?;
    let probe = Rest::new(String::new(), String::new());
    for address in [options.control, options.edge] {
        wait_for(&probe, address, &mut control, data)?;
    }
    let token = token(data)?;
    let rest = Rest::new(format!("http://{}", options.control), token.clone());
    Ok((control, rest, token))
}

fn wait_for(probe: &Rest, address: SocketAddr, control: &mut Running, data: &Path) -> Result<()> {
    let url = format!("http://{address}/healthz");
    let started = Instant::now();
    while probe.status(&url) != Some(200) {
        still_running(control, data)?;
        if started.elapsed() > START {
            bail!("{url} does not answer 200\n{}", last_lines(data));
        }
        thread::sleep(Duration::from_millis(100));
    }
    println!("{url} answers");
    Ok(())
}

fn still_running(control: &mut Running, data: &Path) -> Result<()> {
    match control.ended()? {
        None => Ok(()),
        Some(status) => bail!("the control plane ended: {status}\n{}", last_lines(data)),
    }
}

/// The administrator token: from the environment, else the one that the control plane made and stored.
fn token(data: &Path) -> Result<String> {
    if let Some(token) = std::env::var("CONTROL_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()) {
        return Ok(token);
    }
    let path = data.join("admin-token");
    let token = fs::read_to_string(&path).with_context(|| format!("no administrator token in {}", path.display()))?;
    Ok(token.trim().to_owned())
}

fn last_lines(data: &Path) -> String {
    let log = fs::read_to_string(data.join("control.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Makes the group, its configurations and the asset, and waits until the asset can be played.
fn ingest(rest: &Rest, control: &mut Running, data: &Path, name: &str, media: &Value) -> Result<Value> {
    rest.ensure("/v1/packaging-groups", &json!({ "name": GROUP }))?;
    for (configuration, package_type) in [("hls", "CMAF"), ("dash", "DASH"), ("ts", "HLS")] {
        let body = json!({ "name": configuration, "package_type": package_type, "segment_duration_seconds": 4 });
        rest.ensure(&format!("/v1/packaging-groups/{GROUP}/configurations"), &body)?;
    }
    let path = format!("/v1/assets/{name}");
    if rest.get(&path)?.0 == 200 {
        // An earlier demo with the same data: the files may be others now.
        let (status, answer) = rest.delete(&path)?;
        if !(200..300).contains(&status) {
            bail!("DELETE {path}: {}", describe(status, &answer));
        }
    }
    let mut body = media.clone();
    body["name"] = json!(name);
    body["packaging_group"] = json!(GROUP);
    let (status, answer) = rest.post("/v1/assets", &body)?;
    if status != 202 {
        bail!("POST /v1/assets: {}", describe(status, &answer));
    }
    let mut shown = String::new();
    loop {
        still_running(control, data)?;
        let (status, asset) = rest.get(&path)?;
        if status != 200 {
            bail!("GET {path}: {}", describe(status, &asset));
        }
        let state = asset.get("status").and_then(Value::as_str).unwrap_or_default();
        let progress = asset.get("progress").and_then(Value::as_f64).unwrap_or_default();
        report(&mut shown, &format!("{name}: {state} {:.0} %", progress * 100.0));
        match state {
            "PLAYABLE" => break finish(asset),
            "FAILED" => {
                println!();
                let failure = asset.get("failure").cloned().unwrap_or_default();
                bail!(
                    "{name} cannot be played: {}",
                    failure.as_str().map_or_else(|| failure.to_string(), str::to_owned)
                );
            }
            _ => thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn report(shown: &mut String, line: &str) {
    if shown == line {
        return;
    }
    if std::io::stdout().is_terminal() {
        print!("\r{line}    ");
        let _ = std::io::stdout().flush();
    } else {
        println!("{line}");
    }
    line.clone_into(shown);
}

fn finish(asset: Value) -> Result<Value> {
    println!();
    for warning in asset.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        println!("warning: {}", warning.as_str().map_or_else(|| warning.to_string(), str::to_owned));
    }
    Ok(asset)
}

fn print(options: &Demo, token: &str, asset: &Value, channel: Option<&live::Channel>) {
    println!("\nadministrator token  {token}");
    println!("REST                 http://{}/v1/assets", options.control);
    for playback in asset.get("playback_urls").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| playback.get(name).and_then(Value::as_str).unwrap_or_default();
        let url = absolute(part("url"), options.edge);
        println!("\n{} ({})", part("configuration"), part("package_type"));
        println!("  playback URL       {url}");
        println!("  player             http://{}/player?url={}", options.control, query_value(&url));
    }
    for endpoint in channel.into_iter().flat_map(|c| &c.endpoints) {
        let part = |name: &str| endpoint.get(name).and_then(Value::as_str).unwrap_or_default();
        let url = endpoint.pointer("/playback_urls/0/url").and_then(Value::as_str).unwrap_or_default();
        let url = absolute(url, options.edge);
        println!("\nlive {} ({})", part("name"), part("protocol"));
        println!("  playback URL       {url}");
        println!("  player             http://{}/player?url={}", options.control, query_value(&url));
    }
    println!("\nCtrl-C stops everything.");
}

/// The URL of a playback path at an edge.
pub fn absolute(url: &str, edge: SocketAddr) -> String {
    if url.starts_with('/') { format!("http://{edge}{url}") } else { url.to_owned() }
}

/// `text` as the value of a query parameter.
fn query_value(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_a_url() {
        assert_eq!(name_of(Path::new("/films/My Film (1).mp4")), "My-Film--1-");
        assert_eq!(name_of(Path::new("ü.mp4")), "-");
        assert_eq!(name_of(Path::new("/")), "media");
        assert_eq!(name_of(&PathBuf::from("a".repeat(300))).len(), 100);
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(query_value("http://a:1/b?c&d=é"), "http://a:1/b%3Fc%26d%3D%C3%A9");
    }

    #[test]
    fn playback_urls_are_made_absolute() {
        let edge = SocketAddr::from(([127, 0, 0, 1], 3000));
        assert_eq!(absolute("/vod/v1/x", edge), "http://127.0.0.1:3000/vod/v1/x");
        assert_eq!(absolute("http://e/vod", edge), "http://e/vod");
    }
}
