//! The progress of a verification on standard error: a bar on a terminal, otherwise a line from time to time.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::{
    mongo::{Cluster, Contact},
    sync::PairProgress,
};

/// The time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Silence of a cluster that is shown.
const SILENCE: Duration = Duration::from_secs(2);

/// The display of a process.
pub(super) struct ProgressDisplay {
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    last_line: Instant,
    clusters: Vec<(&'static str, Contact)>,
}

impl ProgressDisplay {
    pub(super) fn of_process(clusters: &[Cluster]) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let template =
                "{bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        let contact = |cluster: &Cluster| (cluster.name.as_str(), cluster.client.contact().clone());
        let clusters = clusters.iter().map(contact).collect();
        Self {
            bar,
            last_line: Instant::now(),
            clusters,
        }
    }

    /// Shows these figures.
    pub(super) fn show(&mut self, figures: &PairProgress) {
        if let Some(bar) = &self.bar {
            bar.set_length(figures.total_bytes.max(figures.bytes));
            bar.set_position(figures.bytes);
            bar.set_message(self.text(figures));
            return;
        }
        if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let (done, total) = (figures.bytes >> 20, figures.total_bytes >> 20);
            // A closed standard error misses nothing.
            _ = writeln!(
                io::stderr(),
                "{done} of {total} MiB, {}",
                self.text(figures)
            );
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn text(&self, figures: &PairProgress) -> String {
        let mut text = format!(
            "{} documents, {} of {} collections, {} mismatches",
            HumanCount(figures.documents),
            figures.collections_done,
            figures.collections,
            HumanCount(figures.mismatches)
        );
        if figures.pending > 0 {
            text += &format!(", looking again at {}", HumanCount(figures.pending as u64));
        }
        for (name, contact) in &self.clusters {
            let silence = contact.silent_since().map(|since| since.elapsed());
            if let Some(silence) = silence.filter(|silence| *silence >= SILENCE) {
                text += &format!(", {name} has not answered for {} s", silence.as_secs());
            }
        }
        text
    }
}
