//! `deploy/prometheus` and `deploy/grafana`: Prometheus's own tool accepts and tests the rules, every expression of rules
//! and board names metrics that `/metrics` serves, and every alert has its section in docs/metrics.md.

use std::{collections::BTreeSet, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use support::{TestDir, mongod::workspace, package};

use crate::metrics::documented;

fn promtool(directory: &Path, arguments: &[&str]) -> Result<()> {
    let ended = Command::new(package::promtool()?)
        .args(arguments)
        .current_dir(directory)
        .output()
        .context("run promtool")?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned()
        + &String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "promtool {arguments:?}: {said}");
    Ok(())
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(workspace().join(file)).with_context(|| format!("read {file}"))
}

/// Every `expr` of the board, with a value in place of each variable of Grafana.
fn expressions() -> Result<Vec<String>> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(
                    fields
                        .get("expr")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let board: Value = serde_json::from_str(&read("deploy/grafana/tidegate.json")?)?;
    let mut found = Vec::new();
    collect(&board, &mut found);
    ensure!(found.len() > 20, "{} expressions", found.len());
    let variables = [("$__rate_interval", "5m"), ("$instance", ".*")];
    let plain = |expression: String| {
        variables
            .iter()
            .fold(expression, |text, (name, value)| text.replace(name, value))
    };
    Ok(found.into_iter().map(plain).collect())
}

/// Words of a text that look like a metric of the host.
fn metrics_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tidegate_") || word.starts_with("process_"))
}

/// Names that are not served, of those in a text.
fn unknown(text: &str, served: &BTreeSet<String>) -> Vec<String> {
    let is_served = |name: &str| {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix));
        served.contains(name) || family.is_some_and(|family| served.contains(family))
    };
    metrics_in(text)
        .filter(|name| !is_served(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn prometheus_accepts_and_tests_the_alerts() -> Result<()> {
    let directory = workspace().join("deploy/prometheus");
    promtool(&directory, &["check", "rules", "alerts.yaml"])?;
    promtool(&directory, &["test", "rules", "alerts_test.yaml"])
}

#[test]
fn prometheus_accepts_the_expressions_of_the_board() -> Result<()> {
    let directory = TestDir::new()?;
    let mut rules = "groups:\n- name: board\n  rules:\n".to_owned();
    for (number, expression) in expressions()?.iter().enumerate() {
        let expression = serde_json::to_string(expression)?;
        rules += &format!("  - record: board:expression:n{number}\n    expr: {expression}\n");
    }
    std::fs::write(directory.path().join("board.yaml"), rules)?;
    promtool(directory.path(), &["check", "rules", "board.yaml"])?;
    directory.remove();
    Ok(())
}

#[test]
fn alerts_and_board_name_metrics_that_are_served() -> Result<()> {
    let served = documented()?;
    for text in [
        read("deploy/prometheus/alerts.yaml")?,
        expressions()?.join("\n"),
    ] {
        let unknown = unknown(&text, &served);
        ensure!(unknown.is_empty(), "not served: {unknown:?}");
    }
    Ok(())
}

/// The names of the alerts, and the alerts that a test of the rules expects to fire.
#[test]
fn each_alert_has_a_section_a_runbook_and_a_test() -> Result<()> {
    let (rules, tests, page) = (
        read("deploy/prometheus/alerts.yaml")?,
        read("deploy/prometheus/alerts_test.yaml")?,
        read("docs/metrics.md")?,
    );
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    ensure!(alerts.len() >= 10, "{alerts:?}");
    for alert in alerts {
        let section = format!("### {alert}\n");
        ensure!(page.contains(&section), "docs/metrics.md lacks {section}");
        let runbook = format!("runbook: docs/metrics.md#{}", alert.to_lowercase());
        ensure!(rules.contains(&runbook), "alerts.yaml lacks {runbook}");
        let fires = format!("alertname: {alert}\n");
        let expected = tests
            .split(&fires)
            .skip(1)
            .filter_map(|rest| rest.split("alertname:").next());
        ensure!(
            expected.into_iter().any(|rest| rest.contains("exp_labels")),
            "no test in which {alert} fires"
        );
    }
    Ok(())
}
