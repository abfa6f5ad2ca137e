//! Builds what runs: the edge component, the player page, the control plane.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Steps};
use crate::tools::{self, cargo, root};

/// The target of the edge component.
pub const WASM_TARGET: &str = "wasm32-wasip2";

/// The crates that contain wasmtime. They are always built together: which crates are chosen decides which features of
/// shared dependencies are on, and with another choice wasmtime would be compiled again, for ten minutes.
pub const HEAVY: [&str; 7] = ["--release", "-p", "control", "-p", "edge-host", "-p", "e2e"];

/// Oldest Node.js that the npm packages run on.
const NODE: u32 = 20;

/// `cargo xtask build`
pub fn build() -> Result<()> {
    let mut steps = Steps::default();
    all(&mut steps)?;
    steps.summary();
    println!("\ntarget/release/control serve --help tells how to start it");
    Ok(())
}

/// Builds everything that the product needs to run.
pub fn all(steps: &mut Steps) -> Result<()> {
    steps.step("tools of the build", || {
        tools::require(&[&tools::CC, &tools::NODE, &tools::NPM])?;
        tools::require_node_version(NODE)
    })?;
    component(steps)?;
    player(steps)?;
    control(steps)
}

/// Builds the edge component, `target/wasm32-wasip2/edge/edge.wasm`.
pub fn component(steps: &mut Steps) -> Result<()> {
    steps.step("wasm target", wasm_target)?;
    steps.step("edge component", || {
        process::run(cargo().args(["build", "--profile", "edge", "--target", WASM_TARGET, "-p", "edge"]))
    })
}

/// Builds the control plane. Cold, wasmtime takes most of ten minutes on two cores; cargo shows how far it is.
pub fn control(steps: &mut Steps) -> Result<()> {
    steps.step("control plane with the embedded edge (the first time about ten minutes on two cores)", || {
        process::run(cargo().arg("build").args(HEAVY))
    })
}

fn wasm_target() -> Result<()> {
    let sysroot = process::output(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))
        .context("rustc --print sysroot does not work; install Rust from https://rustup.rs")?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET).join("lib");
    if libraries.is_dir() {
        return Ok(());
    }
    process::run(Command::new("rustup").current_dir(root()).args(["target", "add", WASM_TARGET]))
        .with_context(|| format!("the Rust target {WASM_TARGET} is missing and rustup could not add it"))
}

/// Builds the player page, `control/player/dist`.
pub fn player(steps: &mut Steps) -> Result<()> {
    let source = root().join("control/player");
    steps.step("npm packages of the player page", || npm(&source))?;
    steps.step("player page", || {
        let dist = source.join("dist");
        if dist.exists() {
            fs::remove_dir_all(&dist).with_context(|| format!("cannot empty {}", dist.display()))?;
        }
        copy(&source.join("src"), &dist)?;
        for (from, to) in PLAYERS {
            copy(&source.join("node_modules").join(from), &dist.join("lib").join(to))?;
        }
        Ok(())
    })
}

/// What the page takes from npm packages, as it is: the packages ship files that browsers load directly.
const PLAYERS: [(&str, &str); 8] = [
    ("hls.js/dist/hls.min.mjs", "hls.mjs"),
    ("hls.js/dist/hls.worker.js", "hls.worker.js"),
    ("hls.js/LICENSE", "hls.LICENSE"),
    ("shaka-player/dist/shaka-player.compiled.js", "shaka-player.js"),
    ("shaka-player/LICENSE", "shaka-player.LICENSE"),
    ("dashjs/dist/modern/esm/dash.all.min.js", "dash.mjs"),
    ("dashjs/dist/modern/esm/dash.all.min.js.LICENSE.txt", "dash.LICENSE.third-party"),
    ("dashjs/LICENSE.md", "dash.LICENSE"),
];

/// Copies a file, or a folder with everything in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Installs exactly what `package-lock.json` says, unless that is what is installed.
pub fn npm(folder: &Path) -> Result<()> {
    let lock = fs::read(folder.join("package-lock.json")).context("package-lock.json")?;
    let stamp = folder.join("node_modules/.installed-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        println!("up to date");
        return Ok(());
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    process::run(Command::new("npm").current_dir(folder).args(arguments))?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The built control plane.
///
/// # Errors
/// When it is not there.
pub fn control_binary() -> Result<PathBuf> {
    let binary = target().join("release/control");
    if !binary.is_file() {
        bail!("{} was not built", binary.display());
    }
    Ok(binary)
}
