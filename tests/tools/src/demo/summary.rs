//! The results of the demo as tables, one for each act.

use std::time::Duration;

use support::{
    Comparison,
    process::Usage,
    workload::{Counts, Loaded},
};

use super::show::millions;

/// A row: name and value.
type Row = (&'static str, String);

/// Results of the first act.
pub(super) struct Upgrade {
    pub(super) loaded: Loaded,
    pub(super) compared: Comparison,
    pub(super) counts: Counts,
    pub(super) events: u64,
    /// From the start request to COMMITTED.
    pub(super) sync: Duration,
    pub(super) usage: Usage,
    pub(super) downtime: Duration,
    /// Of the live upgrade.
    pub(super) paused_ms: u64,
}

/// Results of the second act.
pub(super) struct Cutover {
    pub(super) loaded: Loaded,
    pub(super) there: Commit,
    pub(super) back: Commit,
}

/// A commit of the second act.
pub(super) struct Commit {
    /// Documents that were compared while the sync ran.
    pub(super) verified: u64,
    pub(super) mismatches: u64,
    pub(super) blocked_ms: u64,
    /// From the first refused write to an accepted write, by the application's clock.
    pub(super) outage: Duration,
    /// Writes of the application until the block.
    pub(super) counts: Counts,
    pub(super) compared: Comparison,
}

impl Upgrade {
    pub(super) fn print(&self) {
        print(
            "Act 1: copied, killed, upgraded, committed",
            &[
                (
                    "documents compared, equal",
                    millions(self.compared.documents),
                ),
                ("bytes compared, equal", megabytes(self.compared.bytes)),
                ("collections and indexes, equal", catalog(&self.compared)),
                (
                    "documents at the beginning",
                    millions(self.loaded.documents),
                ),
                ("writes meanwhile", millions(self.counts.total())),
                ("change events applied", millions(self.events)),
                (
                    "start to COMMITTED",
                    format!("{:.1} s", self.sync.as_secs_f64()),
                ),
                ("our CPU", format!("{:.2} s", self.usage.cpu_seconds())),
                (
                    "our peak memory",
                    format!("{} MB", self.usage.peak_rss_mb()),
                ),
                (
                    "downtime of the kill -9",
                    format!("{} ms", self.downtime.as_millis()),
                ),
                (
                    "pausedMs of the live upgrade",
                    format!("{} ms", self.paused_ms),
                ),
            ],
        );
    }
}

impl Cutover {
    pub(super) fn print(&self) {
        let mut rows = vec![(
            "documents at the beginning",
            millions(self.loaded.documents),
        )];
        rows.extend(self.there.rows([
            "commit: writes on the old cluster until the block",
            "documents verified meanwhile, mismatches",
            "writes blocked (blockedMs)",
            "no write accepted, by the application's clock",
            "old and new cluster compared, equal",
        ]));
        rows.extend(self.back.rows([
            "reversed: writes on the new cluster until the block",
            "documents verified on the way back, mismatches",
            "writes blocked on the way back (blockedMs)",
            "no write accepted, by the application's clock",
            "new and old cluster compared, equal",
        ]));
        rows.push((
            "collections and indexes, equal",
            catalog(&self.back.compared),
        ));
        print(
            "Act 2: verified, writes blocked, committed, reversed, committed back",
            &rows,
        );
    }
}

impl Commit {
    fn rows(&self, names: [&'static str; 5]) -> Vec<Row> {
        let values = [
            millions(self.counts.total()),
            format!("{}, {}", millions(self.verified), self.mismatches),
            format!("{} ms", self.blocked_ms),
            format!("{} ms", self.outage.as_millis()),
            format!("{} documents", millions(self.compared.documents)),
        ];
        names.into_iter().zip(values).collect()
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes / 1_000_000)
}

fn catalog(compared: &Comparison) -> String {
    format!("{} and {}", compared.collections, compared.indexes)
}

fn print(heading: &str, rows: &[Row]) {
    let (left, right) = (
        rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0),
        rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0),
    );
    let line = |a, b, c| format!("{a}{}{b}{}{c}", "─".repeat(left + 2), "─".repeat(right + 2));
    println!("\n{heading}\n{}", line('┌', '┬', '┐'));
    for (name, value) in rows {
        println!("│ {name:left$} │ {value:>right$} │");
    }
    println!("{}", line('└', '┴', '┘'));
}
