//! Serves one component: `serve COMPONENT ADDR [name=value...]`, values being Spin variables.
//!
//! For measurements: `REUSE_REQUESTS`, `REUSE_CONCURRENT`, `MAX_INSTANCES`, `POOLING` (0 or 1), `CACHE_DIR` and
//! `WORKER_THREADS` in the environment change the options of the same name.

use edge_host::{EdgeHost, Options};
use std::str::FromStr;

fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = setting("WORKER_THREADS") {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(component), Some(address)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: serve COMPONENT ADDR [name=value...]");
    };
    let mut options = Options::new(component);
    for argument in arguments {
        let (name, value) =
            argument.split_once('=').ok_or_else(|| anyhow::anyhow!("`{argument}` is not name=value"))?;
        options.variables.insert(name.to_owned(), value.to_owned());
    }
    options.reuse_requests = setting("REUSE_REQUESTS").unwrap_or(options.reuse_requests);
    options.reuse_concurrent = setting("REUSE_CONCURRENT").unwrap_or(options.reuse_concurrent);
    options.max_instances = setting("MAX_INSTANCES").unwrap_or(options.max_instances);
    options.pooling = setting::<u8>("POOLING").map_or(options.pooling, |on| on != 0);
    options.cache_dir = setting("CACHE_DIR");
    let started = std::time::Instant::now();
    let host = EdgeHost::new(options).await?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ready on {} after {:?}", listener.local_addr()?, started.elapsed());
    host.clone().serve(listener, tokio::signal::ctrl_c()).await?;
    println!("{:?}", host.stats());
    Ok(())
}
