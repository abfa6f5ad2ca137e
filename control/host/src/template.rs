//! The compiled component, linked and ready to be instantiated.

use crate::bindings::{key_value, variables};
use crate::guest::{CpuClock, Guest, Shared};
use crate::limits::{EPOCH_TICK, MAX_RETIRED_INSTANCES};
use crate::{Options, keyvalue};
use anyhow::{Context, anyhow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi_http::handler::Proxy;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// Memories of one component instance: its own, and one for an adapter.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Memory of a slot that is zeroed in place when the slot is freed, instead of being handed back to the system.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

pub(crate) struct Template {
    engine: Engine,
    pre: ServicePre<Guest>,
    shared: Shared,
    next_instance: AtomicU64,
}

impl Template {
    /// Compiles (or takes from the cache) and links the component of `options`. Takes seconds of CPU time when nothing
    /// is cached, so it does not belong on an executor's thread.
    pub(crate) fn new(options: &Options, shared: Shared) -> anyhow::Result<Self> {
        let engine = engine(options)?;
        let bytes = std::fs::read(&options.component)
            .with_context(|| format!("cannot read the edge component {}", options.component.display()))?;
        let component = Component::from_binary(&engine, &bytes)
            .map_err(|error| anyhow!("{} is not a usable component: {error:#}", options.component.display()))?;
        let mut linker = Linker::new(&engine);
        let link = |linker: &mut Linker<Guest>| -> wasmtime::Result<ServicePre<Guest>> {
            // The Rust standard library of wasm32-wasip2 imports WASI 0.2, the bindings of the SDK 0.3.
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
            wasmtime_wasi::p3::add_to_linker(linker)?;
            wasmtime_wasi_http::p3::add_to_linker(linker)?;
            key_value::add_to_linker::<_, keyvalue::Interface>(linker, Guest::key_value)?;
            variables::add_to_linker::<_, crate::variables::Interface>(linker, Guest::variables)?;
            ServicePre::new(linker.instantiate_pre(&component)?)
        };
        let pre = link(&mut linker)
            .map_err(|error| anyhow!("{} does not fit this host: {error:#}", options.component.display()))?;
        Ok(Self { engine, pre, shared, next_instance: AtomicU64::new(1) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A fresh instance, whose CPU time `clock` watches.
    pub(crate) async fn instantiate(&self, clock: Arc<CpuClock>) -> wasmtime::Result<(Store<Guest>, Proxy)> {
        let instance = self.next_instance.fetch_add(1, Ordering::Relaxed);
        let mut store = Store::new(&self.engine, Guest::new(instance, &self.shared));
        store.limiter(|guest| &mut guest.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| clock.tick());
        let service = self.pre.instantiate_async(&mut store).await?;
        Ok((store, Proxy::P3(service)))
    }
}

/// The engine: with pooled instances where the address space allows it, else without.
fn engine(options: &Options) -> anyhow::Result<Engine> {
    let cache = options
        .cache_dir
        .as_ref()
        .map(|directory| {
            // The cache insists on an absolute path, which may have to be made first.
            std::fs::create_dir_all(directory)?;
            let mut config = CacheConfig::new();
            config.with_directory(directory.canonicalize()?);
            Cache::new(config).map_err(|error| anyhow!("{error:#}"))
        })
        .transpose()
        .context("the cache of compiled code cannot be used")?;
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config.cache(cache);
    if options.pooling {
        let mut pooled = config.clone();
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(options)));
        match Engine::new(&pooled) {
            Ok(engine) => return Ok(engine),
            Err(error) => tracing::warn!("no pooled instances on this system: {error:#}"),
        }
    }
    Engine::new(&config).map_err(|error| anyhow!("wasmtime cannot start: {error:#}"))
}

fn pooling(options: &Options) -> PoolingAllocationConfig {
    let instances = u32::try_from(options.max_instances + MAX_RETIRED_INSTANCES + 1).unwrap_or(u32::MAX);
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(8))
        .total_stacks(instances.saturating_mul(u32::try_from(options.reuse_concurrent).unwrap_or(16).saturating_add(1)))
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_memory_size(options.memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10);
    pooling
}

/// Advances the epoch of `engine` and calls `each_tick`, on a thread of its own: guests that keep all threads of the
/// executor busy must still be interrupted. Ends when `each_tick` answers that nothing is left to interrupt.
pub(crate) fn start_epochs(engine: Engine, each_tick: impl Fn() -> bool + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("edge-epoch".into())
        .spawn(move || {
            while each_tick() {
                std::thread::sleep(EPOCH_TICK);
                engine.increment_epoch();
            }
        })
        .map(drop)
}
