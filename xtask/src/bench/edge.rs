//! The edge over HTTP, against static files.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use super::load::{Load, Loaded, agent, get};
use super::measure::{Series, linear_memory_bytes, memory_bytes, percentile};
use super::report::Report;
use super::server::{GROUP, Server, Static};
use super::spin::Spin;

const SECTION: &str = "Edge over HTTP";
/// Configurations whose segments are measured.
const KINDS: [&str; 6] = ["cmaf", "cbcs", "cenc", "ts", "sample-aes", "aes-128"];
/// Of them a smoke run takes one of each way.
const QUICK_KINDS: [&str; 3] = ["cmaf", "cenc", "ts"];
const FEW: usize = 1;
const MANY: usize = 64;
/// Segments of a title that are asked for by turns: within what an instance keeps of indexes.
const SEGMENTS: usize = 10;
/// How often memory is looked at while the edge is under load.
const LOOK: Duration = Duration::from_millis(100);

/// A server that is measured.
struct Side {
    name: String,
    base: String,
    paths: Vec<String>,
    group: u32,
    runs: Vec<Loaded>,
}

impl Side {
    fn series(&self, value: impl Fn(&Loaded) -> f64) -> Series {
        self.runs.iter().map(value).collect()
    }
}

/// Measures the edge.
pub fn run(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let nginx = Static::start(&bench.folder)?;
    let spin = Spin::start(bench, server)?;
    for &kind in bench.kinds() {
        let paths = segments(&server.edge, &manifest("minute", kind, "m3u8"), SEGMENTS)?;
        let largest = download(&server.edge, &paths, &bench.folder.join("static"))?;
        let edge = Side::new("edge", &server.edge, &paths, server.running.id());
        let mut sides = vec![edge, Side::new("nginx", &nginx.base, &paths, nginx.running.id())];
        if let Some(spin) = &spin {
            let paths = segments(&spin.base, &manifest("minute", kind, "m3u8"), SEGMENTS)?;
            sides.push(Side::new("edge under Spin", &spin.base, &paths, spin.running.id()));
        }
        for (name, url) in &bench.peers {
            let (base, path) = split(url)?;
            sides.push(Side::new(name, base, &segments(base, path, SEGMENTS)?, 0));
        }
        for &connections in bench.connections() {
            sides.iter_mut().for_each(|side| side.runs.clear());
            let peak = AtomicU64::new(0);
            for _ in 0..bench.repetitions {
                for side in &mut sides {
                    let run = watch(server.running.id(), &peak, || side.load(bench, connections))?;
                    side.runs.push(run);
                }
            }
            show(report, kind, connections, &sides);
            let beyond = (peak.into_inner()).saturating_sub(largest);
            report.add(
                SECTION,
                format!("{kind}, {connections} connections: linear memory beyond a segment"),
                "bytes",
                [beyond as f64].into_iter().collect(),
            );
            if connections == MANY {
                let bytes = sides[0].series(|run| run.bytes);
                report.goal_max("memory", beyond as f64);
                match kind {
                    "cmaf" => {
                        report.goal("cmaf", bytes.median());
                        report.goal("cmaf/nginx", bytes.over(&sides[1].series(|run| run.bytes)).median());
                    }
                    "cbcs" => report.goal_over("cbcs", bytes.median(), "cmaf"),
                    "cenc" => report.goal_over("cenc", bytes.median(), "cmaf"),
                    _ => {}
                }
            }
        }
    }
    let peak = memory_bytes(server.running.id(), "VmHWM");
    let peak = [peak as f64].into_iter().collect();
    report.add(SECTION, "peak memory of the process, control plane and edge (VmHWM)", "bytes", peak);
    manifests(bench, server, report)?;
    lengths(bench, server, report)
}

impl Bench {
    fn kinds(&self) -> &'static [&'static str] {
        if self.quick { &QUICK_KINDS } else { &KINDS }
    }

    fn connections(&self) -> &'static [usize] {
        if self.quick { &[MANY] } else { &[FEW, MANY] }
    }
}

impl Side {
    fn new(name: &str, base: &str, paths: &[String], group: u32) -> Self {
        Self { name: name.into(), base: base.into(), paths: paths.to_vec(), group, runs: Vec::new() }
    }

    fn load(&self, bench: &Bench, connections: usize) -> Result<Loaded> {
        let (base, paths, server) = (self.base.as_str(), self.paths.as_slice(), self.group);
        Load { base, paths, connections, time: bench.time, headers: &[], server }.run(&bench.folder)
    }
}

/// Notes the most memory that instances have while something runs.
fn watch<T>(group: u32, peak: &AtomicU64, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(linear_memory_bytes(group), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        let result = run();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn show(report: &mut Report, kind: &str, connections: usize, sides: &[Side]) {
    let nginx = sides.get(1).map(|side| (side.name.clone(), side.series(|run| run.bytes)));
    let nginx_cpu = sides.get(1).map(|side| (side.name.clone(), side.series(|run| run.cpu_a_gigabyte)));
    for side in sides {
        let name = |what: &str| format!("{kind}, {connections} connections, {}: {what}", side.name);
        let bytes = side.series(|run| run.bytes);
        match nginx.as_ref().filter(|(name, _)| *name != side.name) {
            Some((with, other)) => report.compare(SECTION, name("bytes"), "bytes/s", bytes, (with, other)),
            None => report.add(SECTION, name("bytes"), "bytes/s", bytes),
        }
        report.add(SECTION, name("requests"), "a second", side.series(|run| run.requests));
        report.add(SECTION, name("p50"), "s", side.series(|run| run.p50));
        report.add(SECTION, name("p99"), "s", side.series(|run| run.p99));
        let cpu = side.series(|run| run.cpu_a_gigabyte);
        match nginx_cpu.as_ref().filter(|(name, _)| *name != side.name) {
            // Nothing is known of the processes of others.
            _ if side.group == 0 => {}
            Some((with, other)) => report.compare(SECTION, name("CPU"), "s/GB", cpu, (with, other)),
            None => report.add(SECTION, name("CPU"), "s/GB", cpu),
        }
    }
}

/// Manifests of three lengths.
fn manifests(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let titles = [&bench.media.thin, &bench.media.long, &bench.media.longest];
    for (number, title) in titles.iter().enumerate() {
        let multivariant = manifest(title.name, "cmaf", "m3u8");
        let playlist = playlist(&server.edge, &multivariant)?;
        let mpd = manifest(title.name, "dash", "mpd");
        for (what, path) in [("multivariant", multivariant), ("playlist", playlist), ("MPD", mpd)] {
            for &connections in bench.connections() {
                let mut side = Side::new("edge", &server.edge, std::slice::from_ref(&path), server.running.id());
                for _ in 0..bench.repetitions {
                    side.runs.push(side.load(bench, connections)?);
                }
                let requests = side.series(|run| run.requests);
                let name = |kind: &str| format!("{what} of {}, {connections} connections: {kind}", title.name);
                report.add(SECTION, name("requests"), "a second", requests.clone());
                report.add(SECTION, name("p99"), "s", side.series(|run| run.p99));
                report.add(SECTION, name("CPU"), "s", side.series(|run| run.cpu_a_request));
                if connections == MANY && what == "playlist" {
                    match number {
                        0 => report.goal("manifest", requests.median()),
                        1 => report.goal_over("long manifest", requests.median(), "manifest"),
                        _ => {}
                    }
                }
            }
        }
    }
    Ok(())
}

/// Segments of titles of the same bit rate and other length, by turns.
fn lengths(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let titles = [&bench.media.thin, &bench.media.long, &bench.media.longest];
    let mut sides = Vec::new();
    for title in titles {
        let paths = segments(&server.edge, &manifest(title.name, "cmaf", "m3u8"), SEGMENTS)?;
        sides.push(Side::new(title.name, &server.edge, &paths, server.running.id()));
    }
    for _ in 0..bench.repetitions {
        for side in &mut sides {
            side.runs.push(side.load(bench, 1)?);
        }
    }
    let time = |side: &Side| side.series(|run| 1.0 / run.requests);
    let minute = time(&sides[0]);
    for side in &sides {
        let name = format!("a segment of {} after the other", side.name);
        report.compare(SECTION, name, "s", time(side), (sides[0].name.as_str(), &minute));
    }
    report.goal("ten hours", time(&sides[2]).over(&minute).median());
    Ok(())
}

/// What was not asked for since the edge was started.
pub fn cold(bench: &Bench, server: &Server, report: &mut Report, connections: usize) -> Result<()> {
    for (title, kind) in
        KINDS.iter().map(|kind| ("minute", *kind)).chain([("two-hours", "cmaf"), ("ten-hours", "cmaf")])
    {
        let first = manifest(title, kind, "m3u8");
        let manifest = Load {
            base: &server.edge,
            paths: std::slice::from_ref(&first),
            connections: 1,
            time: bench.time,
            headers: &[],
            server: server.running.id(),
        };
        let (times, _) = manifest.each_once()?;
        let series = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect::<Series>();
        report.add("Cold", format!("first manifest of {title}, {kind}"), "s", series(&times));
        let paths = segments(&server.edge, &first, 4 * SEGMENTS)?;
        let (mut times, _) = Load { paths: &paths, connections, ..manifest }.each_once()?;
        let middle = series(&[percentile(&mut times, 0.5)]);
        report.add("Cold", format!("segments of {title}, {kind}, {connections} connections: p50"), "s", middle);
        let late = series(&[percentile(&mut times, 0.99)]);
        report.add("Cold", format!("segments of {title}, {kind}, {connections} connections: p99"), "s", late);
    }
    Ok(())
}

/// The path of a manifest.
pub fn manifest(title: &str, configuration: &str, extension: &str) -> String {
    format!("/vod/v1/{GROUP}/{title}/{configuration}/index.{extension}")
}

/// A URL as base and path.
fn split(url: &str) -> Result<(&str, &str)> {
    let start = url.find("://").context("a URL begins with http://")? + 3;
    Ok(url.split_at(url[start..].find('/').map_or(url.len(), |slash| start + slash)))
}

/// The path of the first media playlist of a multivariant playlist.
fn playlist(base: &str, path: &str) -> Result<String> {
    let text = String::from_utf8(get(&agent(), &format!("{base}{path}"))?)?;
    let uri = text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty());
    Ok(resolve(path, uri.with_context(|| format!("no rendition in {base}{path}"))?))
}

/// Paths of segments of the first rendition, spread over its length.
fn segments(base: &str, path: &str, count: usize) -> Result<Vec<String>> {
    let playlist = playlist(base, path)?;
    let text = String::from_utf8(get(&agent(), &format!("{base}{playlist}"))?)?;
    let mut all: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    // The last one may be short.
    if all.len() > 1 {
        all.pop();
    }
    let count = count.min(all.len());
    let chosen = (0..count).filter_map(|n| all.get(n * all.len() / count));
    Ok(chosen.map(|uri| resolve(&playlist, uri)).collect())
}

/// A relative reference, or a path, at a place.
fn resolve(at: &str, uri: &str) -> String {
    match uri.starts_with('/') {
        true => uri.to_owned(),
        false => format!("{}/{uri}", at.rsplit_once('/').map_or("", |(folder, _)| folder)),
    }
}

/// Stores what is at these paths; the bytes of the largest.
fn download(base: &str, paths: &[String], folder: &Path) -> Result<u64> {
    let (agent, mut largest) = (agent(), 0);
    for path in paths {
        let place = folder.join(path.trim_start_matches('/'));
        let bytes = get(&agent, &format!("{base}{path}"))?;
        largest = largest.max(bytes.len() as u64);
        fs::create_dir_all(place.parent().context("a path without a folder")?)?;
        fs::write(&place, bytes)?;
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_and_references_resolved() {
        assert_eq!(split("http://a:1/b/c").expect("a URL"), ("http://a:1", "/b/c"));
        assert!(split("a/b").is_err());
        assert_eq!(resolve("/a/b.m3u8", "v0/c.m3u8"), "/a/v0/c.m3u8");
        assert_eq!(resolve("/a/b.m3u8", "/c.m3u8"), "/c.m3u8");
    }
}
