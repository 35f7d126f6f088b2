//! The numbers of the process, under the names that Prometheus's client libraries use.

use std::fs;

use super::exposition::Exposition;
use super::family::{Counter, Family, Gauge, Unit};

const CPU: Family<Counter, 0> = Family::new(
    "process_cpu_seconds",
    Unit::Seconds,
    "Total user and system CPU time spent in seconds",
    [],
);

const RESIDENT_MEMORY: Family<Gauge, 0> = Family::new(
    "process_resident_memory_bytes",
    Unit::Bytes,
    "Resident memory size in bytes",
    [],
);

const VIRTUAL_MEMORY: Family<Gauge, 0> = Family::new(
    "process_virtual_memory_bytes",
    Unit::Bytes,
    "Virtual memory size in bytes",
    [],
);

const START_TIME: Family<Gauge, 0> = Family::new(
    "process_start_time_seconds",
    Unit::Seconds,
    "Start time of the process since unix epoch in seconds",
    [],
);

const OPEN_FILES: Family<Gauge, 0> = Family::new(
    "process_open_fds",
    Unit::One,
    "Number of open file descriptors",
    [],
);

const MAX_FILES: Family<Gauge, 0> = Family::new(
    "process_max_fds",
    Unit::One,
    "Maximum number of open file descriptors",
    [],
);

/// Adds the numbers of this process from `/proc` (proc(5)). Numbers that are unavailable are left out.
pub(super) fn expose(exposition: &mut Exposition) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = ProcessStat::of(&stat).unwrap_or_default();
    let started = fields.started_seconds.zip(boot_seconds());
    let started = started.map(|(started, boot)| boot + started);
    exposition.add_if_known(&CPU, fields.cpu_seconds);
    exposition.add_if_known(&RESIDENT_MEMORY, fields.resident_bytes);
    exposition.add_if_known(&VIRTUAL_MEMORY, fields.virtual_bytes);
    exposition.add_if_known(&START_TIME, started);
    exposition.add_if_known(&OPEN_FILES, open_files());
    exposition.add_if_known(&MAX_FILES, max_files());
}

/// Fields of `/proc/PID/stat`.
#[derive(Default)]
struct ProcessStat {
    cpu_seconds: Option<f64>,
    /// Start of the process, after the boot of the machine.
    started_seconds: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
}

impl ProcessStat {
    /// Reads fields 14, 15, 22, 23 and 24. Field 2, the name of the program in parentheses, may hold any characters.
    fn of(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (ticks, page) = (
            rustix::param::clock_ticks_per_second() as f64,
            rustix::param::page_size() as f64,
        );
        Some(Self {
            cpu_seconds: field(14)
                .zip(field(15))
                .map(|(user, system)| (user + system) / ticks),
            started_seconds: field(22).map(|started| started / ticks),
            virtual_bytes: field(23),
            resident_bytes: field(24).map(|pages| pages * page),
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn open_files() -> Option<f64> {
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    // The open directory itself is among the entries.
    u32::try_from(files.saturating_sub(1)).ok().map(f64::from)
}

fn max_files() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::metrics::exposition::Format;

    #[test]
    fn f61_the_process_is_told() {
        let mut exposition = Exposition::default();
        expose(&mut exposition);
        let text = exposition.text(Format::Prometheus);
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_start_time_seconds ",
            "process_open_fds ",
            "process_max_fds ",
        ] {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value: f64 = line.expect(name).parse().expect("a number");
            assert!(value >= 0.0, "{name}");
        }
    }
}
