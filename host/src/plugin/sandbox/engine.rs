//! The WebAssembly engines: the compiler settings and the limits of components.
//!
//! There are two engines. Small components import `observe` at most, and get their memory from a pool in microseconds. Components
//! with a language runtime are large, may import WASI, and get their memory on demand.
//!
//! Memory reservations and guards are the defaults of wasmtime: smaller values cost bounds checks on every access.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{
    Cache, CacheConfig, Config, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
    Store, WasmBacktraceDetails,
};

use super::guest::{Caps, Guest};
use super::observe_linker;
use super::wasi::WasiPolicy;
use super::wasi_linker;

/// Resolution of deadlines.
const TICK: Duration = Duration::from_millis(100);

/// Larger components are taken to contain a language runtime.
const SMALL_COMPONENT_BYTES: usize = 1 << 20;

/// The limits of a guest.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// Duration of a call. Far above the duration of any valid call, even on a busy machine.
    pub(in super::super) deadline: Duration,
    /// Memory of an instance of a small component.
    pub(in super::super) memory_bytes: usize,
    /// Memory of an instance with a language runtime.
    pub(in super::super) runtime_memory_bytes: usize,
    /// Output of a call, checked before it is copied. The input of a call is far smaller, or a single document of
    /// 16 MiB.
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

/// Both engines. Their clock runs while the engines, or anything compiled by them, exist.
pub(in super::super) struct Engines {
    small: Engine,
    large: Engine,
}

impl Engines {
    pub(in super::super) fn new(limits: Limits, wasi: WasiPolicy) -> wasmtime::Result<Self> {
        let small = wasmtime::Engine::new(&pooled(limits))?;
        let large = wasmtime::Engine::new(&config())?;
        start_clock([small.weak(), large.weak()])?;
        let mut small_linker = Linker::new(&small);
        observe_linker::link(&mut small_linker)?;
        let mut linker = Linker::new(&large);
        observe_linker::link(&mut linker)?;
        wasi_linker::link(&mut linker)?;
        Ok(Self {
            small: Engine {
                linker: Arc::new(small_linker),
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

    /// The engine for a component of these bytes.
    pub(in super::super) fn of(&self, bytes: &[u8], imports_wasi: bool) -> &Engine {
        if imports_wasi || bytes.len() > SMALL_COMPONENT_BYTES {
            &self.large
        } else {
            &self.small
        }
    }
}

/// An engine, and the limits of its guests.
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

    /// A store for a new instance.
    pub(in super::super) fn store(&self) -> Store<Guest> {
        let mut store = Store::new(&self.wasmtime, Guest::new(self.caps, self.wasi));
        store.limiter(|guest| guest);
        store.set_hostcall_fuel(self.limits.output_bytes);
        self.begin_call(&mut store);
        store
    }

    /// Resets the deadline of the guest.
    pub(in super::super) fn begin_call(&self, store: &mut Store<Guest>) {
        let ticks = self.limits.deadline.as_millis() / TICK.as_millis();
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // A document has the same answer on every processor, for the bits of a NaN and for vector operations whose
        // results differ between processors.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .coredump_on_trap(true)
        .cache(cache());
    config
}

/// The sizes of the pool are the defaults of wasmtime: 1,000 of each kind, more than the workers of a host use at once.
fn pooled(limits: Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.max_memory_size(limits.memory_bytes);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// A cache of compiled components across starts. Best effort: without a writable folder, components are compiled at
/// every start.
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

/// Starts a thread that counts ticks, and ends with the engines.
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
