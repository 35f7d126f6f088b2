//! The backtrace of a trap, for the author to read: the plugin room gives it to
//! the log, and an author has none.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::observe::field;

/// From now on, the first trap's backtrace goes to standard error.
pub(super) fn show() {
    // Somebody else's log is as good a place.
    _ = tracing_subscriber::registry()
        .with(FirstBacktrace(Once::new()))
        .try_init();
}

/// One is enough: a plugin that traps does so on document after document.
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
