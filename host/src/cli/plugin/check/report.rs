//! The report of `tidegate plugin check`.

use anyhow::Result;
use serde_json::{Value, json};

use crate::model::OperatorError;

use super::super::super::status::CommandStatus;
use super::super::console::{Console, Paint};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckResult {
    Ok,
    Skipped,
    Failed,
}

impl CheckResult {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// The results of all checks, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<(&'static str, CheckResult, String)>,
}

impl Report {
    pub(super) fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, CheckResult::Ok, detail.into()));
    }

    pub(super) fn skipped(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks
            .push((check, CheckResult::Skipped, detail.into()));
    }

    pub(super) fn failed(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks
            .push((check, CheckResult::Failed, detail.into()));
    }

    pub(super) fn status(&self) -> CommandStatus {
        let failed = self
            .checks
            .iter()
            .any(|(_, result, _)| *result == CheckResult::Failed);
        if failed {
            CommandStatus::Failure
        } else {
            CommandStatus::Success
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let check = |(name, result, detail): &(&str, CheckResult, String)| json!({ "check": name, "result": result.as_str(), "detail": detail });
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({ "ok": self.status() == CommandStatus::Success, "checks": checks })
    }

    pub(super) fn print(&self, console: &mut Console) -> Result<()> {
        for (check, result, detail) in &self.checks {
            let paint = match result {
                CheckResult::Ok => Paint::Green,
                CheckResult::Skipped => Paint::Yellow,
                CheckResult::Failed => Paint::Red,
            };
            let word = console.paint(paint, &format!("{:<8}", result.as_str()));
            console.line(format!("{word} {check:<12} {detail}"))?;
        }
        Ok(())
    }
}

/// The message of an error, without its error name.
pub(super) fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<OperatorError>() {
        Some(error) => error.message.clone(),
        None => format!("{error:#}"),
    }
}
