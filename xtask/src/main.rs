//! The commands of this repository: `cargo xtask demo`, `build`, `test`, `bench`, `fixtures`.

mod bench;
mod checks;
mod demo;
mod fixtures;
mod live;
mod process;
mod product;
mod rest;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Builds, shows and tests edgepack. Everything a command needs and can get by itself, it gets by itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds everything, ingests media and serves it until Ctrl-C
    ///
    /// Adds the wasm target, builds the edge component, installs the npm packages of the player page, builds and starts
    /// the control plane with its embedded edge, ingests the bundled sample or the files given, waits until they can be
    /// played, and prints the administrator token, a playback URL per configuration and links to the player page.
    Demo(Demo),
    /// Builds the release binary target/release/control, with the component and the player page that it needs
    Build,
    /// Runs every check and every test, after setting up what they need
    ///
    /// On Debian as root it installs ffmpeg, chromium and xmllint with apt-get; elsewhere it says exactly what is missing
    /// and fails. The npm packages of the tests go to tests/browser, Python packages to target/test-tools. Words after
    /// `--` choose end-to-end tests by name and skip everything else but the builds.
    Test {
        /// Run only the end-to-end tests whose names contain one of these
        #[arg(last = true)]
        only: Vec<String>,
    },
    /// Measures the core, the edge and the control plane, and writes target/bench/report.md and report.json
    ///
    /// Every figure comes with a ratio to something measured in the same run: memcpy, ffmpeg, shaka-packager, nginx with
    /// static files. Takes about fifteen minutes, after the builds, and 6 GB in target/bench.
    Bench(bench::Options),
    /// Makes the media in tests/media anew (needs ffmpeg with libx264, libx265, libaom, libvpx and libopus)
    Fixtures,
}

#[derive(Args)]
pub(crate) struct Demo {
    /// A media file: one rendition, audio track or subtitles of the asset. May be given many times. Or the multivariant
    /// playlist of an HLS title. Without it, the bundled sample
    #[arg(long, value_name = "PATH")]
    media: Vec<PathBuf>,
    /// Also start a live channel, fed by ffmpeg's test source
    #[arg(long)]
    live: bool,
    /// Address of the control plane: REST, player page
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    control: SocketAddr,
    /// Address of the embedded edge: playback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    edge: SocketAddr,
    /// Where the database, the indexes and the copies of the media are kept
    #[arg(long, value_name = "DIR", default_value = "data/demo")]
    data: PathBuf,
}

fn main() -> ExitCode {
    let result = process::stop_children_on_signals().and_then(|()| match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Build => product::build(),
        Command::Test { only } => checks::run(&only),
        Command::Bench(options) => bench::run(&options),
        Command::Fixtures => fixtures::make(),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
