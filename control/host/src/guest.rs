//! What one instance has in the host: its WASI world, which is nearly empty, and its limits.

use crate::keyvalue::{self, KeyValue};
use crate::limits::{CPU_SLICE, EPOCH_TICK, MAX_CORE_INSTANCES, MAX_RESOURCES, MAX_TABLE_ELEMENTS};
use crate::log::{GuestLog, GuestOutput};
use crate::outgoing::{Hooks, Outgoing};
use crate::variables::Variables;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What all instances of a host share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) outgoing: Outgoing,
    pub(crate) key_value: Arc<KeyValue>,
    pub(crate) variables: Variables,
    pub(crate) memory_bytes: usize,
}

/// The data of a store.
pub(crate) struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    key_value: Arc<KeyValue>,
    open_stores: usize,
    variables: Variables,
    pub(crate) limits: Limits,
}

impl Guest {
    pub(crate) fn new(instance: u64, shared: &Shared) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        // No arguments, environment, files, sockets or standard input: clocks, randomness and output are what is left.
        let wasi = WasiCtxBuilder::new()
            .stdout(GuestLog { instance, output: GuestOutput::Stdout })
            .stderr(GuestLog { instance, output: GuestOutput::Stderr })
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        Self {
            table,
            wasi,
            http: WasiHttpCtx::new(),
            hooks: Hooks(shared.outgoing.clone()),
            key_value: shared.key_value.clone(),
            open_stores: 0,
            variables: shared.variables.clone(),
            limits: Limits { memory_bytes: shared.memory_bytes, used: 0 },
        }
    }

    pub(crate) fn key_value(&mut self) -> keyvalue::View<'_> {
        keyvalue::View { table: &mut self.table, store: &self.key_value, open: &mut self.open_stores }
    }

    pub(crate) fn variables(&mut self) -> &mut Variables {
        &mut self.variables
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

/// Bounds the memory of an instance: all its linear memories together, and its tables.
pub(crate) struct Limits {
    memory_bytes: usize,
    used: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.memory_bytes {
            tracing::warn!(limit = self.memory_bytes, asked = used, "an instance asked for more memory than its limit");
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_CORE_INSTANCES
    }
}

/// CPU time of an instance since it last returned to its event loop, in epoch ticks.
pub(crate) struct CpuClock {
    ticks: AtomicU64,
    limit: u64,
    yielded: AtomicBool,
    overrun: AtomicBool,
}

impl CpuClock {
    /// A clock that stops a guest after the CPU slice or the deadline for a response, whichever is shorter.
    pub(crate) fn new(deadline: Duration) -> Self {
        let limit = CPU_SLICE.min(deadline).as_millis() / EPOCH_TICK.as_millis();
        Self {
            ticks: AtomicU64::new(0),
            limit: u64::try_from(limit).unwrap_or(u64::MAX).max(1),
            yielded: AtomicBool::new(false),
            overrun: AtomicBool::new(false),
        }
    }

    /// The guest has returned to its event loop.
    pub(crate) fn reset(&self) {
        self.ticks.store(0, Ordering::Relaxed);
    }

    /// Whether the guest was interrupted in the middle of its work since the last call.
    pub(crate) fn take_yielded(&self) -> bool {
        self.yielded.swap(false, Ordering::Relaxed)
    }

    /// Whether the guest was stopped because its CPU time was used up.
    pub(crate) fn overrun(&self) -> bool {
        self.overrun.load(Ordering::Relaxed)
    }

    /// A tick has passed while the guest runs: lets others run, or stops it.
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        if self.ticks.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.overrun.store(true, Ordering::Relaxed);
            return Ok(UpdateDeadline::Interrupt);
        }
        self.yielded.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limits = Limits { memory_bytes: 100, used: 0 };
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert!(!limits.memory_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn cpu_time_counts_from_the_last_reset() {
        let clock = CpuClock::new(EPOCH_TICK * 2);
        assert!(matches!(clock.tick(), Ok(UpdateDeadline::Yield(1))));
        assert!(clock.take_yielded() && !clock.take_yielded());
        assert!(matches!(clock.tick(), Ok(UpdateDeadline::Yield(1))));
        clock.reset();
        assert!(matches!(clock.tick(), Ok(UpdateDeadline::Yield(1))));
        assert!(matches!(clock.tick(), Ok(UpdateDeadline::Yield(1))));
        assert!(!clock.overrun());
        assert!(matches!(clock.tick(), Ok(UpdateDeadline::Interrupt)));
        assert!(clock.overrun());
    }
}
