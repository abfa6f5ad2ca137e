//! Programs that are needed and come from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// The folder of this repository.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// `cargo`, in the repository's folder.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// A program, how to see that it is there, and what brings it.
pub struct Tool {
    /// Names it goes by; one is enough.
    pub names: &'static [&'static str],
    /// Debian packages that bring it; empty when none does in the version that is needed.
    pub debian: &'static [&'static str],
    /// What to do elsewhere.
    pub hint: &'static str,
}

/// Node.js and npm, for the player page.
pub const NODE: Tool =
    Tool { names: &["node"], debian: &["nodejs"], hint: "install Node.js 20 or newer (https://nodejs.org)" };
/// See [`NODE`].
pub const NPM: Tool = Tool { names: &["npm"], debian: &["npm"], hint: "install npm; it comes with Node.js" };
/// Decodes and makes media.
pub const FFMPEG: Tool =
    Tool { names: &["ffmpeg"], debian: &["ffmpeg"], hint: "install ffmpeg 5 or newer (https://ffmpeg.org)" };
/// Comes with [`FFMPEG`].
pub const FFPROBE: Tool =
    Tool { names: &["ffprobe"], debian: &["ffmpeg"], hint: "install ffprobe; it comes with ffmpeg" };
/// The browser of the tests.
pub const CHROMIUM: Tool = Tool {
    names: &["chromium", "chromium-browser", "google-chrome"],
    debian: &["chromium"],
    hint: "install Chromium or Chrome, with H.264 and AAC",
};
/// Checks MPDs against the schema.
pub const XMLLINT: Tool =
    Tool { names: &["xmllint"], debian: &["libxml2-utils"], hint: "install xmllint; it is part of libxml2" };
/// Brings shaka-packager and SeaweedFS.
pub const PYTHON: Tool =
    Tool { names: &["python3"], debian: &["python3", "python3-venv"], hint: "install Python 3.9 or newer with venv" };
/// The linker that Rust uses, for C code in SQLite too.
pub const CC: Tool = Tool { names: &["cc"], debian: &["gcc", "libc6-dev"], hint: "install a C compiler (cc)" };

/// Serves static files beside the edge in the benchmark.
pub const NGINX: Tool = Tool { names: &["nginx", "/usr/sbin/nginx"], debian: &["nginx-light"], hint: "install nginx" };
/// The load generator of the benchmark.
pub const WRK: Tool = Tool { names: &["wrk"], debian: &["wrk"], hint: "install wrk (https://github.com/wg/wrk)" };
/// Keeps the servers of the benchmark on a core of their own.
pub const TASKSET: Tool = Tool { names: &["taskset"], debian: &["util-linux"], hint: "install util-linux" };

impl Tool {
    /// Its path, if one of its names is on the PATH.
    pub fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .flat_map(|folder| self.names.iter().map(move |name| folder.join(name)))
            .find(|candidate| candidate.is_file())
    }
}

/// Makes sure that all of `tools` are there; on Debian as root, by installing them.
///
/// # Errors
/// Says what is missing and how to get it.
pub fn require(tools: &[&Tool]) -> Result<()> {
    let missing =
        |tools: &[&Tool]| -> Vec<usize> { (0..tools.len()).filter(|index| tools[*index].find().is_none()).collect() };
    let mut absent = missing(tools);
    if !absent.is_empty() && is_debian() && is_root() {
        let packages: Vec<&str> = absent.iter().flat_map(|index| tools[*index].debian.iter().copied()).collect();
        if !packages.is_empty() {
            println!("installing {}", packages.join(" "));
            process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
            process::run(
                Command::new("apt-get")
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .args(["install", "--yes", "--no-install-recommends", "--quiet"])
                    .args(&packages),
            )?;
            absent = missing(tools);
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = absent
        .iter()
        .map(|index| {
            let tool = tools[*index];
            let debian = match tool.debian {
                [] => String::new(),
                packages => format!(" (Debian, Ubuntu: apt-get install {})", packages.join(" ")),
            };
            format!("  {}: {}{debian}", tool.names[0], tool.hint)
        })
        .collect();
    bail!("not found on the PATH:\n{}", lines.join("\n"))
}

/// Makes sure that Node.js is new enough.
///
/// # Errors
/// Names the version that was found.
pub fn require_node_version(oldest: u32) -> Result<()> {
    let version = process::output(Command::new("node").arg("--version")).unwrap_or_default();
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    match major {
        Some(major) if oldest <= major => Ok(()),
        _ => bail!("node --version says {:?}; {} or newer is needed: {}", version.trim(), oldest, NODE.hint),
    }
}

fn is_debian() -> bool {
    fs::metadata("/etc/debian_version").is_ok() && Command::new("apt-get").arg("--version").output().is_ok()
}

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
