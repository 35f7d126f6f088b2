//! A WASI that grants nothing, for components that are built by tools which put
//! its imports in: Python's and JavaScript's.
//!
//! There are no files, no network, no arguments and no environment. Time stands
//! still and does not have to be waited for; randomness is the same in every
//! instance. So such a component is as pure as one without imports.

use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::engine::Guest;

/// The packages that are there. Not `http`, and nothing of the versions after 0.2.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// What a host does with a component that imports WASI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WasiPolicy {
    /// It runs, and is granted nothing.
    #[default]
    GrantNothing,
    /// As before, and what it prints can be read on standard error: for authors
    /// alone, because it may print documents.
    ShowOutput,
    /// It is refused.
    Refuse,
}

/// True for an import that [`link`] answers, such as `wasi:io/poll@0.2.0`.
pub(super) fn is_wasi(import: &str) -> bool {
    let package = import.strip_prefix("wasi:").and_then(|rest| {
        let (package, interface) = rest.split_once('/')?;
        let (_, version) = interface.split_once('@')?;
        version.starts_with("0.2.").then_some(package)
    });
    package.is_some_and(|package| PACKAGES.contains(&package))
}

/// Gives the linker all of WASI 0.2 but HTTP.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // Theirs waits in real time, which no deadline ends.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Guest, StoppedClock>(linker, |guest| Stopped(guest))?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What one guest has of WASI.
pub(super) struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    pub(super) fn granting_nothing(policy: WasiPolicy) -> Self {
        let mut context = WasiCtx::builder();
        context
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .wall_clock(StoppedClock)
            .secure_random(same_bytes())
            .insecure_random(same_bytes())
            .insecure_random_seed(0)
            .max_random_size(1 << 20);
        if policy == WasiPolicy::ShowOutput {
            context.inherit_stderr();
        }
        Self {
            context: context.build(),
            table: ResourceTable::new(),
        }
    }
}

/// Every byte once, and again: no loop that waits for a certain one is endless.
fn same_bytes() -> Deterministic {
    Deterministic::new((0..=u8::MAX).collect())
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Wasi { context, table } = self.wasi();
        WasiCtxView {
            ctx: context,
            table,
        }
    }
}

/// It is always the first moment of 1970.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HasData for StoppedClock {
    type Data<'a> = Stopped<'a>;
}

/// The monotonic clock of one guest.
struct Stopped<'a>(&'a mut Guest);

impl Stopped<'_> {
    fn no_wait(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let table = &mut self.0.wasi().table;
        let elapsed = table.push(Elapsed)?;
        subscribe(table, elapsed)
    }
}

impl monotonic_clock::Host for Stopped<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.no_wait()
    }

    fn subscribe_duration(&mut self, _wait: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.no_wait()
    }
}

/// A time that has come.
struct Elapsed;

#[wasmtime_wasi::async_trait]
impl Pollable for Elapsed {
    async fn ready(&mut self) {}
}
