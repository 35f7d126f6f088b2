//! How the demo looks: steps that stay, bars that move. Without a terminal the
//! bars are a line every two seconds.

use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use support::host::{number, text};

const LINE_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Show {
    begun: Instant,
    multi: MultiProgress,
    terminal: bool,
}

impl Show {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        Self {
            begun: Instant::now(),
            multi: MultiProgress::new(),
            terminal,
        }
    }

    pub(super) fn title(&self, text: &str) {
        println!("\n{text}\n");
    }

    /// A step that is done.
    pub(super) fn done(&self, text: &str) {
        println!("{:6.1} s  ✓ {text}", self.begun.elapsed().as_secs_f64());
    }

    pub(super) fn detail(&self, text: &str) {
        println!("            {text}");
    }

    /// A step that takes a while.
    pub(super) fn busy(&self, text: &str) -> Busy {
        if !self.terminal {
            println!("{:6.1} s  … {text}", self.begun.elapsed().as_secs_f64());
            return Busy(ProgressBar::hidden());
        }
        let bar = self.multi.add(ProgressBar::new_spinner());
        bar.set_style(style("{elapsed:>8.dim}  {spinner:.cyan} {msg}"));
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Busy(bar)
    }

    /// The sync's progress: bytes of the copy, events, lag.
    pub(super) fn bars(&self) -> Bars {
        if !self.terminal {
            return Bars {
                copy: ProgressBar::hidden(),
                events: ProgressBar::hidden(),
                lines: Some(Cell::new(None)),
                begun: self.begun,
            };
        }
        let copy = self.multi.add(ProgressBar::new(1));
        copy.set_style(
            style("{elapsed:>8.dim}    copy   [{bar:36.cyan/blue}] {bytes} of {total_bytes}, {bytes_per_sec}")
                .progress_chars("█▉▊▋▌▍▎▏ "),
        );
        let events = self.multi.add(ProgressBar::new_spinner());
        events.set_style(style("{elapsed:>8.dim}  {spinner:.cyan} {msg}"));
        Bars {
            copy,
            events,
            lines: None,
            begun: self.begun,
        }
    }
}

/// A spinner; gone when dropped or cleared.
pub(super) struct Busy(ProgressBar);

impl Busy {
    pub(super) fn clear(self) {
        self.0.finish_and_clear();
    }
}

pub(super) struct Bars {
    copy: ProgressBar,
    events: ProgressBar,
    /// Without a terminal: when the last line was printed.
    lines: Option<Cell<Option<Instant>>>,
    begun: Instant,
}

impl Bars {
    pub(super) fn update(&self, progress: &Value) {
        let copied = number(progress, "/collectionCopy/estimatedCopiedBytes");
        let total = number(progress, "/collectionCopy/estimatedTotalBytes");
        let message = format!(
            "{}, {} events applied, lag {} s",
            text(progress, "info"),
            millions(number(progress, "/totalEventsApplied")),
            progress.get("lagTimeSeconds").unwrap_or(&Value::Null),
        );
        match &self.lines {
            None => {
                self.copy.set_length(total);
                self.copy.set_position(copied);
                self.events.set_message(message);
                self.events.tick();
            }
            Some(last) if last.get().is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                last.set(Some(Instant::now()));
                let mb = |bytes: u64| bytes / 1_000_000;
                let seconds = self.begun.elapsed().as_secs_f64();
                println!(
                    "{seconds:6.1} s    copied {} of {} MB; {message}",
                    mb(copied),
                    mb(total)
                );
            }
            Some(_) => {}
        }
    }

    pub(super) fn clear(self) {
        self.copy.finish_and_clear();
        self.events.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// 1,234,567.
pub(super) fn millions(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
