//! `tidegate plugin check`: whether a host can run a plugin, and whether the
//! plugin keeps to the rules of the contract, as far as trying it out can tell.

mod against;
mod delta;
mod rules;

use anyhow::Result;
use serde_json::{Value, json};

use crate::model::OperatorError;

use super::console::{Console, Paint, size};
use super::subject::{self, Subject, scope};
use super::{Ended, command, documents, is_misuse};

/// How many documents of `--in` are tried.
const OWN_DOCUMENTS: usize = 1_000;

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
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
struct Report {
    checks: Vec<(&'static str, Finding, String)>,
}

impl Report {
    fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Ok, detail.into()));
    }

    fn skipped(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Skipped, detail.into()));
    }

    fn failed(&mut self, check: &'static str, detail: impl Into<String>) {
        self.checks.push((check, Finding::Failed, detail.into()));
    }

    fn ended(&self) -> Ended {
        let failed = self
            .checks
            .iter()
            .any(|(_, finding, _)| *finding == Finding::Failed);
        if failed { Ended::Badly } else { Ended::Well }
    }

    fn to_json(&self) -> Value {
        let check = |(name, finding, detail): &(&str, Finding, String)| json!({ "check": name, "result": finding.as_str(), "detail": detail });
        let checks: Vec<Value> = self.checks.iter().map(check).collect();
        json!({ "ok": self.ended() == Ended::Well, "checks": checks })
    }

    fn print(&self, console: &mut Console) -> Result<()> {
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

pub(super) fn execute(arguments: &command::Check, console: &mut Console) -> Result<Ended> {
    let config = subject::config(&arguments.subject)?;
    let own = arguments.input.as_deref();
    let own = own.map(|input| documents::read(input, OWN_DOCUMENTS));
    let own = own.transpose()?;
    let earlier = arguments.against.as_deref();
    let earlier = earlier.map(Subject::open).transpose()?;
    let mut report = Report::default();
    match Subject::open(&arguments.subject.file) {
        Ok(subject) => {
            look_at(&subject, &mut report);
            let asked = rules::try_out(&subject, config.clone(), own, &mut report)?;
            if let (Some(samples), Some(earlier)) = (asked, earlier) {
                let config = config.unwrap_or_else(|| json!({}));
                against::check(&subject, &earlier, &config, &samples, &mut report)?;
            }
        }
        Err(error) if is_misuse(&error) => return Err(error),
        Err(error) => report.failed("component", message(&error)),
    }
    if arguments.json {
        console.line(format!("{:#}", report.to_json()))?;
    } else {
        report.print(console)?;
    }
    Ok(report.ended())
}

/// What has been found right, or the component would not have been taken in.
fn look_at(subject: &Subject, report: &mut Report) {
    let (plugin, info) = (&subject.plugin, &subject.plugin.info);
    report.ok(
        "component",
        format!("{}, {}", size(plugin.bytes), info.digest),
    );
    report.ok("exports", plugin.exports.join(", "));
    report.ok(
        "abi",
        format!("tidegate:plugin {}, which this host supports", info.abi),
    );
    report.ok(
        "imports",
        if plugin.wasi {
            "WASI, of which it is granted nothing"
        } else {
            "nothing"
        },
    );
    report.ok(
        "describe",
        format!(
            "{} {}, semantics {}, scope {}",
            info.name,
            info.version,
            info.semantics,
            scope(plugin.scope)
        ),
    );
    report.ok("schema", "a JSON Schema");
}

/// An error without its stable name.
fn message(error: &anyhow::Error) -> String {
    match error.downcast_ref::<OperatorError>() {
        Some(error) => error.message.clone(),
        None => format!("{error:#}"),
    }
}
