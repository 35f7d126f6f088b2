//! What a plugin says beside its answers, through `tidegate:plugin/observe`: log lines and counters of a stage, since
//! the start of the host.
//!
//! Invariant: nothing that a plugin says holds a secret of its configuration or a control character, and all of it is
//! bounded: in length, in number, and in lines a second.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::model::plugins::{LogLevel, LogLineTotals, PluginLogs, PluginProgress};
use crate::observe::field;

use super::super::runtime::{Component, Pool};
use super::super::sandbox::Observer;
use super::super::secrets::RevealedConfig;

/// Most lines of a call. A call is given about 120 KiB of documents.
const LINES_PER_CALL: u32 = 16;
/// Most lines of a plugin at once.
const BURST: u32 = 20;
/// The time after which a plugin may write one more line.
const LINE_INTERVAL: Duration = Duration::from_millis(500);
/// Most bytes of a line, and of an ellipsis behind it.
const LINE_BYTES: usize = 1024;
/// Most counters of a plugin. Each is a time series of the operator's monitoring.
const COUNTERS: usize = 32;
/// Most bytes of the name of a counter.
const NAME_BYTES: usize = 48;
/// The largest value of a counter: that of a signed integer, which clients of the API can read.
const LARGEST_COUNT: u64 = i64::MAX.cast_unsigned();

/// The log lines and counters of a stage. Shared by all workers.
pub(super) struct Observations {
    logs: PluginLogs,
    budget: Mutex<LineBudget>,
    written: AtomicU64,
    dropped: AtomicU64,
    not_allowed: AtomicU64,
    counters: Mutex<Counters>,
}

/// Counters by their names, and additions that were dropped.
#[derive(Default)]
struct Counters {
    values: BTreeMap<String, u64>,
    dropped: u64,
}

/// The lines that a plugin may write now.
struct LineBudget {
    left: u32,
    refilled: Instant,
}

/// The observer of one call.
pub(super) struct CallObserver {
    observations: Arc<Observations>,
    component: Arc<Component>,
    config: Arc<RevealedConfig>,
    lines: AtomicU32,
    /// Counts of this call. Added up when its outcome is valid: a failed call is repeated.
    counters: Mutex<Counters>,
}

impl Observations {
    pub(super) fn new(logs: PluginLogs) -> Self {
        Self {
            logs,
            budget: Mutex::new(LineBudget::full(Instant::now())),
            written: AtomicU64::default(),
            dropped: AtomicU64::default(),
            not_allowed: AtomicU64::default(),
            counters: Mutex::default(),
        }
    }

    /// Adds the log lines and counters to the figures of the stage.
    pub(super) fn read(&self, progress: PluginProgress) -> PluginProgress {
        let counters = self.counters.lock();
        PluginProgress {
            counts: counters.values.clone(),
            counts_dropped: counters.dropped,
            log_lines: LogLineTotals {
                written: self.written.load(Relaxed),
                dropped: self.dropped.load(Relaxed),
                not_allowed: self.not_allowed.load(Relaxed),
            },
            ..progress
        }
    }
}

impl Counters {
    /// Adds to a counter, or drops the addition.
    fn add(&mut self, name: &str, delta: u64) {
        if let Some(value) = self.values.get_mut(name) {
            *value = value.saturating_add(delta).min(LARGEST_COUNT);
        } else if self.values.len() < COUNTERS && is_name(name) {
            self.values
                .insert(name.to_owned(), delta.min(LARGEST_COUNT));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    fn append(&mut self, counters: Self) {
        self.dropped = self.dropped.saturating_add(counters.dropped);
        for (name, delta) in counters.values {
            self.add(&name, delta);
        }
    }
}

impl LineBudget {
    fn full(now: Instant) -> Self {
        Self {
            left: BURST,
            refilled: now,
        }
    }

    /// Takes a line, if there is one.
    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.refilled);
        let intervals = elapsed.as_millis() / LINE_INTERVAL.as_millis();
        let more = u32::try_from(intervals).unwrap_or(u32::MAX);
        if self.left.saturating_add(more) >= BURST {
            *self = Self::full(now);
        } else {
            self.left += more;
            self.refilled += LINE_INTERVAL * more;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

impl CallObserver {
    /// The observer of a call of the pool's component, if the component says anything.
    pub(super) fn new(observations: &Arc<Observations>, pool: &Pool) -> Option<Arc<Self>> {
        let component = pool.component();
        component.installed().observes.then(|| {
            Arc::new(Self {
                observations: Arc::clone(observations),
                component: Arc::clone(component),
                config: Arc::clone(pool.config()),
                lines: AtomicU32::default(),
                counters: Mutex::default(),
            })
        })
    }

    /// Adds up the counts of the call.
    pub(super) fn commit(&self) {
        let counters = std::mem::take(&mut *self.counters.lock());
        self.observations.counters.lock().append(counters);
    }
}

impl Observer for CallObserver {
    fn log(&self, level: LogLevel, message: &str) {
        let observations = &self.observations;
        if !observations.logs.allows(level) {
            observations.not_allowed.fetch_add(1, Relaxed);
            return;
        }
        let too_many = self.lines.load(Relaxed) >= LINES_PER_CALL;
        if too_many || !observations.budget.lock().take(Instant::now()) {
            observations.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.lines.fetch_add(1, Relaxed);
        observations.written.fetch_add(1, Relaxed);
        // Secrets first: a shortened secret would not be found.
        let line = one_line(&self.config.mask(message));
        write(level, &self.component, &line);
    }

    fn count(&self, name: &str, delta: u64) {
        let mut counters = self.counters.lock();
        if name.len() <= NAME_BYTES && self.config.mask(name) == name {
            counters.add(name, delta);
        } else {
            counters.dropped = counters.dropped.saturating_add(1);
        }
    }
}

/// Writes a line. It is marked, so that a collector of logs can keep it apart from lines without contents of documents.
fn write(level: LogLevel, component: &Component, line: &str) {
    let info = component.info();
    match level {
        LogLevel::Info => tracing::info!(
            { field::PLUGIN } = info.name,
            { field::PLUGIN_DIGEST } = info.digest,
            { field::MAY_HOLD_DATA } = true,
            line,
            "a plugin logs"
        ),
        LogLevel::Warn => tracing::warn!(
            { field::PLUGIN } = info.name,
            { field::PLUGIN_DIGEST } = info.digest,
            { field::MAY_HOLD_DATA } = true,
            line,
            "a plugin warns"
        ),
    }
}

/// The start of a message, with its control characters as escapes.
fn one_line(message: &str) -> String {
    let mut line = String::new();
    for character in message.chars() {
        let length = line.len();
        if is_hidden(character) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > LINE_BYTES {
            line.truncate(length);
            line.push('…');
            break;
        }
    }
    line
}

/// Whether a character is invisible, and changes where or in what order others are shown.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// Whether a counter can have this name, which becomes a label of metrics.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= NAME_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(one_line("a \"b\" ä𝄞"), "a \"b\" ä𝄞");
        assert_eq!(
            one_line("a\nb\r\x1b[31m\0\u{2028}\u{202e}\u{9b}"),
            "a\\nb\\r\\u{1b}[31m\\u{0}\\u{2028}\\u{202e}\\u{9b}"
        );
        for long in ["x".repeat(1 << 20), "\n".repeat(5000), "𝄞".repeat(5000)] {
            let line = one_line(&long);
            assert!(line.ends_with('…'), "{line}");
            assert!((LINE_BYTES - 8..=LINE_BYTES + 3).contains(&line.len()));
        }
        assert_eq!(one_line(&"x".repeat(LINE_BYTES)), "x".repeat(LINE_BYTES));
    }

    #[test]
    fn names_of_counters_are_plain_words() {
        let long = "x".repeat(NAME_BYTES);
        for name in ["a", "rows_2", "a__", &long] {
            assert!(is_name(name), "{name}");
        }
        let longer = "x".repeat(NAME_BYTES + 1);
        for name in [
            "", "_a", "2a", "A", "a-b", "a b", "a\"} 1\n", "ä", "a\0", &longer,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn counters_are_bounded_in_number_and_size() {
        let mut counters = Counters::default();
        counters.add("big", u64::MAX);
        counters.add("big", u64::MAX);
        for number in 0..100 {
            counters.add(&format!("c{number}"), 1);
        }
        counters.add("c0", 1);
        counters.add("no name", 1);
        assert_eq!(counters.values.len(), COUNTERS);
        assert_eq!(counters.values["big"], LARGEST_COUNT);
        assert_eq!(counters.values["c0"], 2);
        assert_eq!(counters.dropped, 100 - 31 + 1);
    }

    #[test]
    fn lines_come_at_their_rate() {
        let start = Instant::now();
        let mut budget = LineBudget::full(start);
        let mut taken = |ms| budget.take(start + Duration::from_millis(ms));
        assert_eq!((0..100).filter(|_| taken(0)).count(), 20);
        assert_eq!((1..100).filter(|at| taken(at * 100)).count(), 19);
        assert_eq!((0..100).filter(|_| taken(3_600_000)).count(), 20);
    }
}
