//! The WebAssembly engines: how components are compiled, and the limits they run in.
//!
//! Two of them. Components of our kind are small, import nothing, and get their
//! memory from a pool in microseconds. Those that bring a language's runtime along
//! are large, may import WASI, and get their memory when they ask for it.
//!
//! Memory reservation and guards are wasmtime's defaults: smaller ones cost
//! bounds checks on every access.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
    ResourceLimiter, Store, WasmBacktraceDetails,
};

use super::error::{Error, Result};
use super::wasi::{self, Wasi, WasiPolicy};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// A component beyond this brings a language's runtime along.
const SMALL_COMPONENT_BYTES: usize = 1 << 20;

/// What one guest may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of one call. Far beyond what an honest call takes, also on a busy machine.
    pub(super) deadline: Duration,
    /// Of one instance.
    pub(super) memory_bytes: usize,
    /// Of one instance with a language's runtime.
    pub(super) runtime_memory_bytes: usize,
    /// Of what one call gives back; looked at before it is copied. A call is given
    /// far less, or one document of 16 MiB.
    pub(super) output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            memory_bytes: 128 << 20,
            runtime_memory_bytes: 512 << 20,
            output_bytes: 64 << 20,
        }
    }
}

/// Both engines. Their clock runs as long as they, or anything compiled by them, live.
pub(super) struct Engines {
    small: Engine,
    large: Engine,
}

impl Engines {
    pub(super) fn new(limits: Limits, wasi: WasiPolicy) -> Result<Self> {
        let set_up = || -> wasmtime::Result<Self> {
            let small = wasmtime::Engine::new(&pooled(limits))?;
            let large = wasmtime::Engine::new(&config())?;
            start_clock([small.weak(), large.weak()])?;
            let mut linker = Linker::new(&large);
            wasi::link(&mut linker)?;
            Ok(Self {
                small: Engine {
                    linker: Arc::new(Linker::new(&small)),
                    wasmtime: small,
                    limits,
                    caps: Caps::small(limits.memory_bytes),
                    wasi,
                },
                large: Engine {
                    linker: Arc::new(linker),
                    wasmtime: large,
                    limits,
                    caps: Caps::large(limits.runtime_memory_bytes),
                    wasi,
                },
            })
        };
        set_up().map_err(Error::Engine)
    }

    /// The engine for a component.
    pub(super) fn of(&self, bytes: &[u8], imports_wasi: bool) -> &Engine {
        if imports_wasi || bytes.len() > SMALL_COMPONENT_BYTES {
            &self.large
        } else {
            &self.small
        }
    }
}

/// One engine, and what its guests get.
#[derive(Clone)]
pub(super) struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    limits: Limits,
    caps: Caps,
    wasi: WasiPolicy,
}

impl Engine {
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    pub(super) fn store(&self) -> Store<Guest> {
        let guest = Guest {
            caps: self.caps,
            wanted_more: false,
            memory_bytes: 0,
            table_elements: 0,
            wasi: None,
            policy: self.wasi,
        };
        let mut store = Store::new(&self.wasmtime, guest);
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.output_bytes);
        self.begin_call(&mut store);
        store
    }

    /// Gives the guest its full time again.
    pub(super) fn begin_call(&self, store: &mut Store<Guest>) {
        let ticks = self.limits.deadline.as_millis() / TICK.as_millis();
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
    }
}

/// The caps of one instance.
#[derive(Clone, Copy, Debug)]
struct Caps {
    /// Of all its memories together.
    memory_bytes: usize,
    /// Of all its tables together.
    table_elements: usize,
    /// Core instances, memories and tables that a component may be made of.
    parts: usize,
}

impl Caps {
    fn small(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            table_elements: 20_000,
            parts: 16,
        }
    }

    /// Python has an instance for each of its extension modules.
    fn large(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            table_elements: 1_000_000,
            parts: 1_000,
        }
    }
}

/// What the host knows of one guest.
pub(super) struct Guest {
    caps: Caps,
    wanted_more: bool,
    /// Of all memories.
    memory_bytes: usize,
    /// Of all tables.
    table_elements: usize,
    wasi: Option<Box<Wasi>>,
    policy: WasiPolicy,
}

impl Guest {
    /// True when the guest asked for more memory than it may have.
    pub(super) fn wanted_more(&self) -> bool {
        self.wanted_more
    }

    /// What all its memories have.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What it gets of WASI, made when it first asks.
    pub(super) fn wasi(&mut self) -> &mut Wasi {
        let policy = self.policy;
        self.wasi
            .get_or_insert_with(|| Box::new(Wasi::granting_nothing(policy)))
    }
}

impl ResourceLimiter for Guest {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let together = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        let allowed = together <= self.caps.memory_bytes;
        if allowed {
            self.memory_bytes = together;
        }
        self.wanted_more |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let together = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let allowed = together <= self.caps.table_elements;
        if allowed {
            self.table_elements = together;
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.caps.parts
    }

    fn tables(&self) -> usize {
        self.caps.parts
    }

    fn memories(&self) -> usize {
        self.caps.parts
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The same document has the same answer on every processor: bits of a NaN, and vector
        // operations that hardware does in more than one way.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .coredump_on_trap(true)
        .cache(cache());
    config
}

/// The counts of the pool are wasmtime's own: 1,000 of each, more than the
/// instances that the workers of any host need at once.
fn pooled(limits: Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(limits.memory_bytes);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
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

/// A thread that counts ticks, and ends with the engines.
fn start_clock(engines: [EngineWeak; 2]) -> std::io::Result<()> {
    let tick = move || {
        loop {
            let alive = engines.iter().filter_map(EngineWeak::upgrade);
            if alive.map(|engine| engine.increment_epoch()).count() == 0 {
                return;
            }
            std::thread::park_timeout(TICK);
        }
    };
    std::thread::Builder::new()
        .name("plugin-clock".to_owned())
        .spawn(tick)?;
    Ok(())
}
