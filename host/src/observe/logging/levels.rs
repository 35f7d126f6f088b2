//! The levels of targets, asked for each event.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// Filters by level and target.
///
/// Invariant: the answer of a call site is never cached. With cached answers `tracing-subscriber` 0.3 loses lines: a call
/// site that another thread is registering leaves "disabled" in the state of this thread, and the next event, whose cached
/// answer is "enabled", is dropped by that state. Levels that are off everywhere cost nothing nevertheless.
pub(super) struct Levels(Targets);

impl From<Targets> for Levels {
    fn from(targets: Targets) -> Self {
        Self(targets)
    }
}

impl<S: Subscriber> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        self.0.would_enable(metadata.target(), metadata.level())
    }

    fn callsite_enabled(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::Layer;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// Another subscriber that wants everything has a disabled call site asked at each passage, as one is that another
    /// thread is registering.
    #[test]
    fn a_line_after_a_disabled_call_site_is_written() {
        let all = tracing_subscriber::fmt::layer().with_writer(io::sink);
        let other = tracing_subscriber::registry().with(all.with_filter(LevelFilter::TRACE));
        let _other = tracing::Dispatch::new(other);
        let lines = Lines::default();
        let targets = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("silent", LevelFilter::OFF);
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(lines.clone())
            .with_filter(Levels::from(targets));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..10 {
                let _answer = tracing::enabled!(target: "silent", tracing::Level::INFO);
                tracing::error!(number, "kept");
            }
        });
        let text = String::from_utf8_lossy(&lines.0.lock()).into_owned();
        assert_eq!(text.matches("kept").count(), 10, "{text}");
    }
}
