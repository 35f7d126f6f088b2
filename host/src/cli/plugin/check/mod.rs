//! `tidegate plugin check`: checks that a host can run a plugin, and, as far as tests can tell, that the plugin keeps to
//! the contract.

mod delta;
mod earlier_build;
mod report;
mod self_test;

use anyhow::Result;
use serde_json::json;

use super::super::status::CommandStatus;
use super::console::{Console, size};
use super::subject::{self, Subject};
use super::usage_error::is_usage_error;
use super::{command, documents};
use report::{Report, message};

/// Most documents of `--in` that are used.
const OWN_DOCUMENTS: usize = 1_000;

pub(super) fn execute(
    arguments: &command::CheckArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    let config = subject::config(&arguments.subject)?;
    let own = arguments.input.as_deref();
    let own = own.map(|input| documents::read(input, OWN_DOCUMENTS));
    let own = own.transpose()?;
    let earlier = arguments.against.as_deref();
    let earlier = earlier.map(Subject::open).transpose()?;
    let mut report = Report::default();
    match Subject::open(&arguments.subject.file) {
        Ok(subject) => {
            report_properties(&subject, &mut report);
            let asked = self_test::run(&subject, config.clone(), own, &mut report)?;
            if let (Some(samples), Some(earlier)) = (asked, earlier) {
                let config = config.unwrap_or_else(|| json!({}));
                earlier_build::check(&subject, &earlier, &config, &samples, &mut report)?;
            }
        }
        Err(error) if is_usage_error(&error) => return Err(error),
        Err(error) => report.failed("component", message(&error)),
    }
    if arguments.json {
        console.line(format!("{:#}", report.to_json()))?;
    } else {
        report.print(console)?;
    }
    Ok(report.status())
}

/// Reports the properties that loading the component has checked.
fn report_properties(subject: &Subject, report: &mut Report) {
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
        match (plugin.observes, plugin.wasi) {
            (false, false) => "nothing",
            (true, false) => "observe: it may log and count",
            (false, true) => "WASI, of which it is granted nothing",
            (true, true) => "observe: it may log and count; WASI, of which it is granted nothing",
        },
    );
    report.ok(
        "describe",
        format!(
            "{} {}, semantics {}, scope {}",
            info.name,
            info.version,
            info.semantics,
            plugin.scope.as_str()
        ),
    );
    report.ok("schema", "a JSON Schema");
}
