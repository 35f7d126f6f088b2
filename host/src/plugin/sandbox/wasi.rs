//! A WASI that grants nothing, for components whose build tools add its imports: those of Python and JavaScript.
//!
//! There are no files, network, arguments or environment. Clocks are stopped, and waits end at once. Randomness is the
//! same in every instance. So such a component is as pure as a component without imports.

use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView};

/// The linked packages of WASI 0.2. Not `http`, and no later version.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// The treatment of components that import WASI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WasiPolicy {
    /// Such a component runs, and is granted nothing.
    #[default]
    GrantNothing,
    /// Like `GrantNothing`, with the component's standard error connected to the host's. Only for plugin authors: a
    /// component may print documents.
    ShowOutput,
    /// Such a component is refused.
    Refuse,
}

/// Whether the linker provides an import such as `wasi:io/poll@0.2.0`.
pub(in super::super) fn is_wasi(import: &str) -> bool {
    let package = import.strip_prefix("wasi:").and_then(|rest| {
        let (package, interface) = rest.split_once('/')?;
        let (_, version) = interface.split_once('@')?;
        version.starts_with("0.2.").then_some(package)
    });
    package.is_some_and(|package| PACKAGES.contains(&package))
}

/// The WASI context of a guest.
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

/// Every byte value in turn, repeatedly: a loop that waits for a certain value ends.
fn same_bytes() -> Deterministic {
    Deterministic::new((0..=u8::MAX).collect())
}

/// A wall clock that is stopped at the start of 1970.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}
