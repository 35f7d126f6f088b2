//! Links WASI 0.2, as [`super::wasi`] grants it, to guests.

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{WasiCtxView, WasiView};

use super::guest::Guest;

/// Adds WASI 0.2 to the linker, except HTTP.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // The clock of wasmtime waits in real time, which no deadline interrupts.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Guest, MonotonicClock>(linker, |guest| GuestClock(guest))?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().view()
    }
}

/// Names the data of the monotonic clock for the bindings.
struct MonotonicClock;

impl HasData for MonotonicClock {
    type Data<'a> = GuestClock<'a>;
}

/// The stopped monotonic clock of a guest.
struct GuestClock<'a>(&'a mut Guest);

impl GuestClock<'_> {
    fn no_wait(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let table = self.0.wasi().table();
        let elapsed = table.push(ReadyPollable)?;
        subscribe(table, elapsed)
    }
}

impl monotonic_clock::Host for GuestClock<'_> {
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

/// A pollable that is always ready.
struct ReadyPollable;

#[wasmtime_wasi::async_trait]
impl Pollable for ReadyPollable {
    async fn ready(&mut self) {}
}
