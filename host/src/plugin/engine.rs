//! The WebAssembly engine: how components are compiled, and the limits they run in.
//!
//! Memory reservation and guards are wasmtime's defaults: smaller ones cost
//! bounds checks on every access.

use std::path::PathBuf;
use std::time::Duration;

use wasmtime::{
    Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig,
    ResourceLimiter, Store, WasmBacktraceDetails,
};

use super::error::{Error, Result};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// More than the workers of any host.
const MAX_INSTANCES: u32 = 128;

/// What one guest may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of one call. Far beyond what an honest call takes, also on a busy machine.
    pub(super) deadline: Duration,
    /// Of one instance.
    pub(super) memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            memory_bytes: 64 << 20,
        }
    }
}

/// The engine; its clock runs as long as it, or anything compiled by it, lives.
#[derive(Clone)]
pub(super) struct Engine {
    wasmtime: wasmtime::Engine,
    limits: Limits,
}

impl Engine {
    pub(super) fn new(limits: Limits) -> Result<Self> {
        let wasmtime = wasmtime::Engine::new(&config(limits)).map_err(Error::Engine)?;
        start_clock(&wasmtime)?;
        Ok(Self { wasmtime, limits })
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(super) fn store(&self) -> Store<Guest> {
        let guest = Guest {
            memory_bytes: self.limits.memory_bytes,
            wanted_more: false,
        };
        let mut store = Store::new(&self.wasmtime, guest);
        store.limiter(|guest| guest);
        self.begin_call(&mut store);
        store
    }

    /// Gives the guest its full time again.
    pub(super) fn begin_call(&self, store: &mut Store<Guest>) {
        let ticks = self.limits.deadline.as_millis() / TICK.as_millis();
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
    }
}

/// What the host knows of one guest.
pub(super) struct Guest {
    memory_bytes: usize,
    wanted_more: bool,
}

impl Guest {
    /// True when the guest asked for more memory than it may have.
    pub(super) fn wanted_more(&self) -> bool {
        self.wanted_more
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory_bytes;
        self.wanted_more |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pool's own limit holds.
        Ok(true)
    }
}

fn config(limits: Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_INSTANCES)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES)
        .max_memory_size(limits.memory_bytes);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .cache(cache());
    config
}

/// Compiled components from an earlier start. Best effort: without a folder that
/// can be written, components are compiled at every start.
fn cache() -> Option<Cache> {
    let folder = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let mut config = CacheConfig::new();
    config.with_directory(folder.join("tidegate"));
    Cache::new(config)
        .inspect_err(|error| tracing::debug!(%error, "no cache of compiled components"))
        .ok()
}

/// A thread that counts ticks, and ends with the engine.
fn start_clock(engine: &wasmtime::Engine) -> Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::park_timeout(TICK);
        }
    };
    std::thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(tick)
        .map_err(|error| Error::Engine(error.into()))?;
    Ok(())
}
