//! The `control` program: options, logs and signals around [`control::serve`].

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use control::options::{Command, EdgeVariablesOptions, MasterKeyText, Options, ServeOptions};
use control::secrets::Secrets;
use control::{embedded, telemetry};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Serve(options) => serve(*options),
        Command::EdgeVariables(options) => print_edge_variables(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("control: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: ServeOptions) -> Result<()> {
    telemetry::init_logs();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let result = runtime.block_on(async {
        // Before anything else, so that a signal during the start is not lost.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        tokio::pin!(stop);
        let data = options.data.clone();
        let server = tokio::select! {
            server = control::serve(options) => server?,
            () = &mut stop => return Ok(()),
        };
        println!("control plane  {}", server.control_url());
        if let Some(url) = server.edge_url() {
            println!("embedded edge  {url}");
        }
        if server.admin_token_is_new() {
            println!("administrator token, kept in {}: {}", data.join("admin-token").display(), server.admin_token());
        }
        stop.await;
        tracing::info!("stopping");
        server.shutdown().await;
        Ok(())
    });
    // A piece of indexing cannot be interrupted; it is run again at the next start.
    runtime.shutdown_background();
    result
}

fn print_edge_variables(options: &EdgeVariablesOptions) -> Result<()> {
    anyhow::ensure!(packager::config::is_name(&options.edge), "--edge: use 1 to 200 characters of A-Z a-z 0-9 _ -");
    anyhow::ensure!(options.data.is_dir(), "{} is not the data of a control plane", options.data.display());
    let secrets = Secrets::open(&options.data, None)?;
    let master = options.master_key.as_ref().map(MasterKeyText::read).transpose()?;
    for (name, value) in embedded::variables(&options.edge, &options.control_url, &secrets, master.as_ref()) {
        println!("SPIN_VARIABLE_{}={value}", name.to_uppercase());
    }
    Ok(())
}
