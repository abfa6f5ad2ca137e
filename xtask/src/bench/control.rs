//! The control plane: ingest, REST, pushes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Bench;
use super::load::{Load, agent};
use super::measure::{Series, memory_bytes};
use super::report::Report;
use super::server::{GROUP, Server, folder_bytes};
use crate::rest::describe;

const SECTION: &str = "Control plane";
/// Encoders at the same time, each with a channel.
const CHANNELS: usize = 4;
const EDGES: usize = 100;
/// Documents that change one after the other.
const CHANGES: usize = 20;
/// How long edges may take to have everything.
const PUSHED: Duration = Duration::from_secs(120);

/// Has the titles ingested, and says how long that took.
pub fn titles(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let media = &bench.media;
    for title in [&media.minute, &media.thin, &media.long, &media.longest] {
        let indexes = bench.data.join("indexes");
        let before = folder_bytes(&indexes).unwrap_or(0);
        let took = server.ingest(title.name, &title.files)?.as_secs_f64();
        let share = (folder_bytes(&indexes)? - before) as f64 / title.bytes as f64;
        report.add(SECTION, format!("{} to PLAYABLE", title.name), "s", [took].into_iter().collect());
        report.add(SECTION, format!("index of {}, of the media", title.name), "", [share].into_iter().collect());
        if title.name == media.long.name {
            report.goal("playable", took);
            report.goal("index", share);
        }
    }
    let peak = [memory_bytes(server.running.id(), "VmHWM") as f64].into_iter().collect();
    report.add(SECTION, "peak memory after that (VmHWM)", "bytes", peak);
    Ok(())
}

/// Measures REST, ingest and pushes.
pub fn run(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    rest(bench, server, report)?;
    ingest(bench, server, report)?;
    pushes(bench, report)
}

fn rest(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let headers = [Server::authorization()];
    for (what, path) in [("an asset", "/v1/assets/minute"), ("a page of assets", "/v1/assets")] {
        for connections in [1, 64] {
            let mut requests = Series::default();
            for _ in 0..bench.repetitions {
                let load = Load {
                    base: &server.control,
                    paths: &[path.to_owned()],
                    connections,
                    time: bench.time,
                    headers: &headers,
                    server: server.running.id(),
                };
                requests.push(load.run(&bench.folder)?.requests);
            }
            report.add(SECTION, format!("GET of {what}, {connections} connections"), "a second", requests);
        }
    }
    let count = if bench.quick { 20 } else { 300 };
    let start = Instant::now();
    for number in 0..count {
        let (status, answer) = server.rest.post("/v1/packaging-groups", &json!({ "name": format!("g{number}") }))?;
        if status != 201 {
            bail!("POST /v1/packaging-groups: {}", describe(status, &answer));
        }
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    report.add(SECTION, "POST of packaging groups, one after the other", "a second", [rate].into_iter().collect());
    Ok(())
}

/// Encoders that push a segment and a playlist as fast as they are taken.
fn ingest(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let segments = segments(&bench.media.folder.join("ts"))?;
    server.rest.ensure("/v1/channel-groups", &json!({ "name": GROUP }))?;
    let mut inputs = Vec::new();
    for number in 0..CHANNELS {
        let channels = format!("/v1/channel-groups/{GROUP}/channels");
        let body = json!({ "name": format!("c{number}"), "protocol": "HLS", "segment_duration_seconds": 2 });
        server.rest.ensure(&channels, &body)?;
        let path = format!("{channels}/c{number}/inputs/1/credentials");
        let (status, answer) = server.rest.post(&path, &json!({}))?;
        let input = answer.pointer("/inputs/0").with_context(|| describe(status, &answer))?;
        let part = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let login = format!("{}:{}", part("username"), part("password"));
        inputs.push((format!("{}/ingest/v1/{GROUP}/1/c{number}", server.control), login));
    }
    let bytes: usize = segments.iter().map(|(_, bytes)| bytes.len()).sum();
    let start = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let encoders: Vec<_> =
            inputs.iter().map(|(base, login)| scope.spawn(|| encode(base, login, &segments))).collect();
        encoders.into_iter().try_for_each(|encoder| encoder.join().map_err(|_| anyhow::anyhow!("an encoder failed"))?)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let puts = (2 * segments.len() * CHANNELS) as f64 / seconds;
    let rate = (bytes * CHANNELS) as f64 / seconds;
    report.add(SECTION, format!("live ingest, {CHANNELS} channels: PUTs"), "a second", [puts].into_iter().collect());
    report.add(SECTION, format!("live ingest, {CHANNELS} channels"), "bytes/s", [rate].into_iter().collect());
    Ok(())
}

/// Segments of the first rendition.
fn segments(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("v0_"))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|name| Ok((name.clone(), fs::read(folder.join(name))?))).collect()
}

fn encode(base: &str, login: &str, segments: &[(String, Vec<u8>)]) -> Result<()> {
    let agent = agent();
    let authorization = format!("Basic {}", base64(login.as_bytes()));
    let put = |name: &str, bytes: &[u8]| -> Result<()> {
        let request = agent.put(format!("{base}/{name}")).header("authorization", &authorization);
        let mut response = request.send(bytes).with_context(|| format!("PUT {name}"))?;
        match response.status().as_u16() {
            200 | 201 => Ok(()),
            status => bail!("PUT {name}: {status} {}", response.body_mut().read_to_string().unwrap_or_default()),
        }
    };
    let mut playlist = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n");
    for (name, bytes) in segments {
        put(name, bytes)?;
        playlist.push_str(&format!("#EXTINF:2.000,\n{name}\n"));
        put("v0.m3u8", playlist.as_bytes())?;
    }
    Ok(())
}

/// RFC 4648, 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let word = (0..3).fold(0u32, |word, n| word << 8 | u32::from(group.get(n).copied().unwrap_or(0)));
        (0..4)
            .map(
                move |n| if n > group.len() { '=' } else { char::from(ALPHABET[(word >> (18 - 6 * n) & 63) as usize]) },
            )
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// A control plane of its own with a hundred edges, each a listener that takes pushes.
fn pushes(bench: &Bench, report: &mut Report) -> Result<()> {
    let data = bench.folder.join("pushes");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    let server = Server::start(&data, &bench.media.folder, false)?;
    server.rest.ensure("/v1/packaging-groups", &json!({ "name": GROUP }))?;
    let taken: Vec<Arc<AtomicU64>> = (0..EDGES).map(|_| Arc::default()).collect();
    for (number, revision) in taken.iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let revision = revision.clone();
        thread::spawn(move || listen(&listener, &revision));
        server.rest.ensure("/v1/edges", &json!({ "name": format!("e{number}"), "url": url }))?;
    }
    let mut times = Series::default();
    for change in 0..CHANGES {
        let body = json!({ "name": format!("c{change}"), "package_type": "CMAF", "segment_duration_seconds": 6 });
        let start = Instant::now();
        server.rest.ensure(&format!("/v1/packaging-groups/{GROUP}/configurations"), &body)?;
        let wanted = change as u64 + 1;
        while taken.iter().any(|revision| revision.load(Ordering::Relaxed) < wanted) {
            if start.elapsed() > PUSHED {
                bail!("not every edge took revision {wanted} in {PUSHED:?}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        times.push(start.elapsed().as_secs_f64());
    }
    report.add(SECTION, format!("a change until all of {EDGES} edges have it"), "s", times.clone());
    report.add(SECTION, format!("pushes to {EDGES} edges"), "a second", times.map(|seconds| EDGES as f64 / seconds));
    drop(server);
    fs::remove_dir_all(&data)?;
    Ok(())
}

/// Takes pushes until the process ends.
fn listen(listener: &TcpListener, revision: &Arc<AtomicU64>) {
    for stream in listener.incoming().flatten() {
        let revision = revision.clone();
        // A connection ends when the control plane closes it, and with it the thread.
        thread::spawn(move || drop(take(&stream, &revision)));
    }
}

/// Acknowledges what comes on a connection.
fn take(stream: &TcpStream, revision: &AtomicU64) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut signed, mut line) = (0, false, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let field = line.to_ascii_lowercase();
            match field.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("edgepack-signature", _)) => signed = true,
                _ if field.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let batch: Value = serde_json::from_slice(&body)?;
        let answer = json!({ "sequence": batch.get("sequence"), "revision": batch.get("revision") }).to_string();
        let status = if signed { "200 OK" } else { "401 Unauthorized" };
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        (&mut &*stream).write_all((head + &answer).as_bytes())?;
        let taken = batch.get("revision").and_then(Value::as_u64).unwrap_or(0);
        revision.fetch_max(if signed { taken } else { 0 }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_base64() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("user:pass", "dXNlcjpwYXNz")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
