//! A report: a line for each run.

use std::{collections::HashSet, fs::File, io::Write as _, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use support::failovers::{Outcome, Plan};

#[derive(Serialize, Deserialize)]
struct Line {
    seed: u64,
    plan: String,
    /// `ok` or `failed`.
    outcome: String,
    seconds: f64,
    /// Files with rolled-back documents, on source and destination.
    rolled_back: [usize; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

pub(super) struct Report {
    file: Option<File>,
    lines: Vec<Line>,
    written: usize,
}

impl Report {
    /// A new report, or the existing report if it is to be continued.
    pub(super) fn open(path: Option<&Path>, resume: bool) -> Result<Self> {
        let mut report = Self {
            file: None,
            lines: Vec::new(),
            written: 0,
        };
        let Some(path) = path else {
            return Ok(report);
        };
        if resume && path.exists() {
            let text = std::fs::read_to_string(path).context("read the report")?;
            // The last line may be half written.
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            report.lines.extend(lines);
        }
        let file = File::options()
            .create(true)
            .append(resume)
            .write(true)
            .truncate(!resume)
            .open(path);
        report.file = Some(file.with_context(|| format!("open {}", path.display()))?);
        Ok(report)
    }

    /// Ends a line that is half written.
    pub(super) fn begin(&mut self) -> Result<()> {
        match &mut self.file {
            Some(file) if !self.lines.is_empty() => writeln!(file).context("write the report"),
            _ => Ok(()),
        }
    }

    /// The seeds of the runs that the report has.
    pub(super) fn seeds(&self) -> HashSet<u64> {
        self.lines.iter().map(|line| line.seed).collect()
    }

    pub(super) fn add(&mut self, plan: &Plan, outcome: &Outcome) -> Result<()> {
        let said = match &outcome.failure {
            Some(_) => "failed",
            None => "ok",
        };
        let line = Line {
            seed: plan.seed,
            plan: plan.to_string(),
            outcome: said.to_owned(),
            seconds: outcome.seconds,
            rolled_back: outcome.rolled_back,
            failure: outcome.failure.clone(),
        };
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", serde_json::to_string(&line)?).context("write the report")?;
        }
        self.lines.push(line);
        self.written += 1;
        Ok(())
    }

    /// Runs since this report was opened.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn failed(&self) -> Vec<String> {
        let failed = self.lines.iter().filter(|line| line.outcome == "failed");
        failed.map(|line| line.plan.clone()).collect()
    }

    pub(super) fn summary(&self) -> String {
        let failed = self.failed().len();
        let rolled_back = |side: usize| {
            let with = |line: &&Line| line.rolled_back.get(side).is_some_and(|files| *files > 0);
            self.lines.iter().filter(with).count()
        };
        format!(
            "{} runs: {} ok, {failed} failed; roll-backs on the source in {}, on the destination in {}",
            self.lines.len(),
            self.lines.len() - failed,
            rolled_back(0),
            rolled_back(1)
        )
    }
}
