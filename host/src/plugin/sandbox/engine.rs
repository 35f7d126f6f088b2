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
    Store, WasmBacktraceDetails,
};

use super::guest::{Caps, Guest};
use super::wasi::WasiPolicy;
use super::wasi_linker;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// A component beyond this brings a language's runtime along.
const SMALL_COMPONENT_BYTES: usize = 1 << 20;

/// What one guest may use.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// Of one call. Far beyond what an honest call takes, also on a busy machine.
    pub(in super::super) deadline: Duration,
    /// Of one instance.
    pub(in super::super) memory_bytes: usize,
    /// Of one instance with a language's runtime.
    pub(in super::super) runtime_memory_bytes: usize,
    /// Of what one call gives back; looked at before it is copied. A call is given
    /// far less, or one document of 16 MiB.
    pub(in super::super) output_bytes: usize,
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
pub(in super::super) struct Engines {
    small: Engine,
    large: Engine,
}

impl Engines {
    pub(in super::super) fn new(limits: Limits, wasi: WasiPolicy) -> wasmtime::Result<Self> {
        let small = wasmtime::Engine::new(&pooled(limits))?;
        let large = wasmtime::Engine::new(&config())?;
        start_clock([small.weak(), large.weak()])?;
        let mut linker = Linker::new(&large);
        wasi_linker::link(&mut linker)?;
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
    }

    /// The engine for a component.
    pub(in super::super) fn of(&self, bytes: &[u8], imports_wasi: bool) -> &Engine {
        if imports_wasi || bytes.len() > SMALL_COMPONENT_BYTES {
            &self.large
        } else {
            &self.small
        }
    }
}

/// One engine, and what its guests get.
#[derive(Clone)]
pub(in super::super) struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Arc<Linker<Guest>>,
    limits: Limits,
    caps: Caps,
    wasi: WasiPolicy,
}

impl Engine {
    pub(in super::super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(in super::super) fn linker(&self) -> &Linker<Guest> {
        &self.linker
    }

    pub(in super::super) fn store(&self) -> Store<Guest> {
        let mut store = Store::new(&self.wasmtime, Guest::new(self.caps, self.wasi));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.output_bytes);
        self.begin_call(&mut store);
        store
    }

    /// Gives the guest its full time again.
    pub(in super::super) fn begin_call(&self, store: &mut Store<Guest>) {
        let ticks = self.limits.deadline.as_millis() / TICK.as_millis();
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
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
