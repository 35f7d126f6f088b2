//! The report of `tidegate plugin check`.

use anyhow::Result;
use serde_json::{Value, json};

use crate::model::OperatorError;

use super::super::Ended;
use super::super::console::{Console, Paint};

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Ok,
    Skipped,
    Failed,
}

impl Finding {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// All checks so far, in their order.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<(&'static str, Finding, String)>,
}

impl Report {
    pub(super) fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Ok, detail.into()));
    }

    pub(super) fn skipped(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Skipped, detail.into()));
    }

    pub(super) fn failed(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Failed, detail.into()));
    }

    pub(super) fn ended(&self) -> Ended {
        let failed = self
            .checks
            .iter()
            .any(|(_, finding, _)| *finding == Finding::Failed);
        if failed { Ended::Badly } else { Ended::Well }
    }

    pub(super) fn to_json(&self) -> Value {
        let check = |(name, finding, detail): &(&str, Finding, String)| json!({ "check": name, "result": finding.as_str(), "detail": detail });
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({ "ok": self.ended() == Ended::Well, "checks": checks })
    }

    pub(super) fn print(&self, console: &mut Console) -> Result<()> {
        for (check, finding, detail) in &self.checks {
            let paint = match finding {
                Finding::Ok => Paint::Green,
                Finding::Skipped => Paint::Yellow,
                Finding::Failed => Paint::Red,
            };
            let result = console.paint(paint, &format!("{:<8}", finding.as_str()));
            console.line(format!("{result} {check:<12} {detail}"))?;
        }
        Ok(())
    }
}

/// An error without its stable name.
pub(super) fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<OperatorError>() {
        Some(error) => error.message.clone(),
        None => format!("{error:#}"),
    }
}
