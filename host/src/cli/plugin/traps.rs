//! Prints the backtrace of a trap. The plugin room logs it, and these commands have no log.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::observe::field;

/// Prints the backtrace of the first trap from now on to standard error.
pub(super) fn show() {
    // Fails if a subscriber is set already, which then receives the backtrace.
    _ = tracing_subscriber::registry()
        .with(FirstBacktrace(Once::new()))
        .try_init();
}

/// A layer that prints the first backtrace only: a plugin that traps usually does so on every document.
struct FirstBacktrace(Once);

impl<S: Subscriber> Layer<S> for FirstBacktrace {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut trap = TrapFields::default();
        event.record(&mut trap);
        if let (Some(plugin), Some(backtrace)) = (trap.plugin, trap.backtrace) {
            self.0.call_once(|| {
                _ = writeln!(io::stderr(), "{plugin} trapped: {backtrace}");
            });
        }
    }
}

/// The fields of a logged trap.
#[derive(Default)]
struct TrapFields {
    plugin: Option<String>,
    backtrace: Option<String>,
}

impl Visit for TrapFields {
    fn record_str(&mut self, recorded: &Field, value: &str) {
        match recorded.name() {
            field::PLUGIN => self.plugin = Some(value.to_owned()),
            field::ERROR => self.backtrace = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _recorded: &Field, _value: &dyn Debug) {}
}
