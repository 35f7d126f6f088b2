//! A WASI that grants nothing, for components that are built by tools which put
//! its imports in: Python's and JavaScript's.
//!
//! There are no files, no network, no arguments and no environment. Time stands
//! still and does not have to be waited for; randomness is the same in every
//! instance. So such a component is as pure as one without imports.

use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView};

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

/// True for an import that the linker answers, such as `wasi:io/poll@0.2.0`.
pub(in super::super) fn is_wasi(import: &str) -> bool {
    let package = import.strip_prefix("wasi:").and_then(|rest| {
        let (package, interface) = rest.split_once('/')?;
        let (_, version) = interface.split_once('@')?;
        version.starts_with("0.2.").then_some(package)
    });
    package.is_some_and(|package| PACKAGES.contains(&package))
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

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.context,
            table: &mut self.table,
        }
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// Every byte once, and again: no loop that waits for a certain one is endless.
fn same_bytes() -> Deterministic {
    Deterministic::new((0..=u8::MAX).collect())
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
