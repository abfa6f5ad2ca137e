//! From the start of the process to the first manifest, and what a fresh instance costs.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::edge::manifest;
use super::load::{agent, get};
use super::measure::{Series, percentile};
use super::report::Report;
use super::server::Server;

const SECTION: &str = "Start";
/// An instance is replaced after some thousand requests: so many in a row meet a fresh one at least twice.
const REQUESTS: usize = 20_000;

/// Measures starts. The data have to hold the title already.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    // Compiling takes long on a busy machine; a smoke run does it once, when its server starts.
    for &compiled in if bench.quick { &[true][..] } else { &[false, true] } {
        let mut times = Series::default();
        let rounds = if compiled { bench.repetitions } else { 1 };
        for _ in 0..rounds {
            if !compiled {
                let cache = bench.data.join("cache");
                if cache.exists() {
                    fs::remove_dir_all(&cache)?;
                }
            }
            let mut server = Server::launch(&bench.data, &bench.media.folder, true)?;
            let url = format!("{}{}", server.edge, manifest("minute", "cmaf", "m3u8"));
            while server.rest.status(&url) != Some(200) {
                server.check(&bench.data)?;
                std::thread::sleep(Duration::from_millis(1));
            }
            times.push(server.started.elapsed().as_secs_f64());
        }
        let how = if compiled { "compiled component in the cache" } else { "component compiled first" };
        report.add(SECTION, format!("process start to first manifest, {how}"), "s", times);
    }
    Ok(())
}

/// How long answers take when an instance is replaced now and then.
pub fn instances(bench: &Bench, server: &Server, report: &mut Report) -> Result<()> {
    let (agent, url) = (agent(), format!("{}/healthz", server.edge));
    let count = if bench.quick { REQUESTS / 20 } else { REQUESTS };
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        get(&agent, &url)?;
        times.push(start.elapsed());
    }
    let at =
        |times: &mut Vec<Duration>, share| [percentile(times, share).as_secs_f64()].into_iter().collect::<Series>();
    report.add(SECTION, format!("{count} small answers one after the other: the middle one"), "s", at(&mut times, 0.5));
    let slowest = "the slowest, which bounds what a fresh instance costs";
    report.add(SECTION, format!("{count} small answers one after the other: {slowest}"), "s", at(&mut times, 1.0));
    Ok(())
}
