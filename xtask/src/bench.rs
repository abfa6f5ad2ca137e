//! `cargo xtask bench`: how fast everything is, as ratios that were measured in the same run.

mod control;
mod core;
mod edge;
mod goals;
mod load;
mod measure;
mod media;
mod report;
mod server;
mod spin;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::media::Media;
use self::report::Report;
use self::server::Server;
use crate::checks;
use crate::process::Steps;
use crate::product;
use crate::tools;

/// Parts that can be chosen.
const SECTIONS: [&str; 4] = ["core", "edge", "start", "control"];

/// Options of the benchmark.
#[derive(Args)]
pub struct Options {
    /// Short and with little media: shows that everything runs, measures nothing of worth
    #[arg(long)]
    quick: bool,
    /// Measure what is built, without building anything but the core by itself
    #[arg(long)]
    no_build: bool,
    /// Only this part: core, edge, start or control. May be given many times
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(SECTIONS))]
    only: Vec<String>,
    /// Another origin beside the edge: the URL of the multivariant playlist at which it serves the same media. May be given
    /// many times
    #[arg(long, value_name = "NAME=URL")]
    peer: Vec<String>,
}

/// What every part needs.
pub struct Bench {
    /// Where everything of the benchmark is.
    folder: PathBuf,
    /// Data of the control plane.
    data: PathBuf,
    media: Media,
    quick: bool,
    repetitions: usize,
    /// How long each load lasts.
    time: Duration,
    peers: Vec<(String, String)>,
}

/// Builds what is measured, and measures it.
pub fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("tools", || {
        tools::require(&[&tools::FFMPEG, &tools::PYTHON, &tools::NGINX, &tools::WRK, &tools::TASKSET])
    })?;
    if !options.no_build {
        product::all(&mut steps)?;
    }
    steps.step("shaka-packager and wasmtime", checks::packaging_tools)?;
    measure(options, &mut steps)?;
    steps.summary();
    Ok(())
}

/// A short run of everything, with what the tests have built.
pub fn smoke() -> Result<()> {
    run(&Options { quick: true, no_build: true, only: Vec::new(), peer: Vec::new() })
}

/// Measures what is built.
fn measure(options: &Options, steps: &mut Steps) -> Result<()> {
    let peer = |text: &String| match text.split_once('=') {
        Some((name, url)) if url.starts_with("http://") => Ok((name.to_owned(), url.to_owned())),
        _ => bail!("--peer {text}: a name, =, and a URL that begins with http://"),
    };
    let peers = options.peer.iter().map(peer).collect::<Result<_>>()?;
    let folder = product::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = fs::canonicalize(folder)?;
    let quick = options.quick;
    let media = steps.step("media", || media::prepare(&folder.join("media"), quick))?;
    let (repetitions, time) = if quick { (1, Duration::from_secs(1)) } else { (3, Duration::from_secs(2)) };
    let data = folder.join("data");
    let bench = Bench { data, folder, media, quick, repetitions, time, peers };
    let wanted = |part: &str| options.only.is_empty() || options.only.iter().any(|only| only == part);
    let mut report = Report::default();

    if wanted("core") {
        steps.step("core", || core::run(&bench, &mut report))?;
        // What comes later may be broken off.
        report.write(&bench.folder, &conditions(&bench))?;
    }
    if ["edge", "start", "control"].into_iter().any(wanted) {
        empty(&bench.data)?;
        let server = steps.step("control plane with its edge", || {
            let server = Server::start(&bench.data, &bench.media.folder, true)?;
            server.configure()?;
            Ok(server)
        })?;
        steps.step("titles", || control::titles(&bench, &server, &mut report))?;
        if wanted("edge") {
            steps.step("edge", || edge::run(&bench, &server, &mut report))?;
            report.write(&bench.folder, &conditions(&bench))?;
        }
        if wanted("control") {
            steps.step("control", || control::run(&bench, &server, &mut report))?;
        }
        if wanted("start") {
            steps.step("fresh instances", || start::instances(&bench, &server, &mut report))?;
        }
        drop(server);
        if wanted("edge") {
            for &connections in if quick { &[64][..] } else { &[1, 64] } {
                steps.step("edge that was just started", || {
                    let server = Server::start(&bench.data, &bench.media.folder, true)?;
                    edge::cold(&bench, &server, &mut report, connections)
                })?;
            }
        }
        if wanted("start") {
            steps.step("start", || start::run(&bench, &mut report))?;
        }
    }
    steps.step("report", || report.write(&bench.folder, &conditions(&bench)))
}

/// Removes what an earlier run left, but for the compiled component.
fn empty(data: &Path) -> Result<()> {
    for entry in fs::read_dir(data).into_iter().flatten() {
        let path = entry?.path();
        match path.is_dir() {
            true if path.ends_with("cache") => {}
            true => fs::remove_dir_all(path)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// Under which conditions the figures hold.
fn conditions(bench: &Bench) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let media = &bench.media;
    let megabits = |title: &media::Title, seconds: f64| title.bytes as f64 * 8.0 / seconds / 1e6;
    let mut said = vec![format!(
        "{cores} cores. Servers run on one of them with one worker thread each, the load generator on another; all over \
         loopback. Medians of {} runs of {} s each. Ratios are of figures of the same run, repetition by repetition.",
        bench.repetitions,
        bench.time.as_secs()
    )];
    match bench.quick {
        true => said.push("A smoke run: small media, short runs. Its figures say nothing.".into()),
        false => said.push(format!(
            "Three renditions and sound each: a minute of {:.1} Mbit/s in all; for lengths a minute, two hours and ten hours of \
             {:.2} Mbit/s, which keeps ten hours below {:.1} GB. The embedded edge reads media through the control plane in the \
             same process: its CPU time is counted too.",
            megabits(&media.minute, 60.0),
            megabits(&media.longest, 36_000.0),
            media.longest.bytes as f64 / 1e9
        )),
    }
    if !spin::installed() {
        said.push("`spin` is not on the PATH: the edge was measured in the embedded host only.".into());
    }
    said
}
