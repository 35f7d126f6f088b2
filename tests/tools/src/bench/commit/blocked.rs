//! Writers that a block stops, and the steps of a commit.

use std::{fmt, time::Instant};

use anyhow::Result;
use serde_json::Value;
use support::host::text;

use super::super::writer;

/// A writer until user writes are blocked.
pub(super) struct UntilBlocked<S> {
    steps: S,
    blocked: bool,
}

impl<S> UntilBlocked<S> {
    pub(super) fn new(steps: S) -> Self {
        Self {
            steps,
            blocked: false,
        }
    }
}

impl<S: writer::Steps> writer::Steps for UntilBlocked<S> {
    async fn step(&mut self) -> Result<u64> {
        if self.blocked {
            return Ok(0);
        }
        match self.steps.step().await {
            Err(error) if format!("{error:#}").contains("User writes blocked") => {
                self.blocked = true;
                Ok(0)
            }
            other => other,
        }
    }
}

/// The steps that a commit has shown, and when each began.
#[derive(Default)]
pub(super) struct Steps(Vec<(String, Instant)>);

impl Steps {
    pub(super) fn look(&mut self, progress: &Value) {
        let step = text(progress, "info");
        if self.0.last().is_none_or(|(last, _)| last != step) {
            self.0.push((step.to_owned(), Instant::now()));
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pair in self.0.windows(2) {
            if let [(step, begun), (_, ended)] = pair {
                let ms = ended.duration_since(*begun).as_millis();
                write!(f, "; {step}: {ms} ms")?;
            }
        }
        Ok(())
    }
}
