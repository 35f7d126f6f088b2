//! A report: the enumeration in its first line, and a line for each run.

use std::{collections::HashSet, fs::File, io::Write as _, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use support::faults::{Name, Outcome};

#[derive(Serialize, Deserialize)]
struct Enumeration {
    seed: u64,
    runs: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    /// `ok`, `not met` or `failed`.
    outcome: String,
    seconds: f64,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

pub(super) struct Report {
    file: Option<File>,
    seed: u64,
    plan: Option<Vec<Name>>,
    lines: Vec<Line>,
    written: usize,
}

impl Report {
    /// A new report, or the existing report if it is to be continued.
    pub(super) fn open(path: Option<&Path>, resume: bool, seed: u64) -> Result<Self> {
        let mut report = Self {
            file: None,
            seed,
            plan: None,
            lines: Vec::new(),
            written: 0,
        };
        let Some(path) = path else {
            return Ok(report);
        };
        if resume && path.exists() {
            report.read(path)?;
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

    fn read(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).context("read the report")?;
        let mut lines = text.lines();
        let Some(first) = lines.next() else {
            return Ok(());
        };
        let first: Enumeration = serde_json::from_str(first).context("the report's first line")?;
        self.seed = first.seed;
        let names: Result<Vec<Name>> = first.runs.iter().map(|name| name.parse()).collect();
        self.plan = Some(names?);
        // The last line may be half written.
        self.lines
            .extend(lines.filter_map(|line| serde_json::from_str(line).ok()));
        Ok(())
    }

    /// The enumeration that is gone on with.
    pub(super) fn plan(&self) -> Option<Vec<Name>> {
        self.plan.clone()
    }

    pub(super) fn begin(&mut self, names: &[Name]) -> Result<()> {
        if self.plan.is_some() {
            return Ok(());
        }
        let runs = names.iter().map(Name::to_string).collect();
        let seed = self.seed;
        self.write(&Enumeration { seed, runs })
    }

    /// The names of the runs that the report has.
    pub(super) fn names(&self) -> HashSet<String> {
        self.lines.iter().map(|line| line.name.clone()).collect()
    }

    pub(super) fn add(&mut self, name: &Name, outcome: &Outcome) -> Result<()> {
        let said = match (&outcome.failure, outcome.met) {
            (Some(_), _) => "failed",
            (None, true) => "ok",
            (None, false) => "not met",
        };
        let line = Line {
            name: name.to_string(),
            outcome: said.to_owned(),
            seconds: outcome.seconds,
            seed: self.seed,
            failure: outcome.failure.clone(),
        };
        self.write(&line)?;
        self.lines.push(line);
        self.written += 1;
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        if let Some(file) = &mut self.file {
            writeln!(file, "{}", serde_json::to_string(line)?).context("write the report")?;
        }
        Ok(())
    }

    /// Runs since this report was opened.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    pub(super) fn failed(&self) -> Vec<String> {
        let failed = self.lines.iter().filter(|line| line.outcome == "failed");
        failed.map(|line| line.name.clone()).collect()
    }

    pub(super) fn summary(&self) -> String {
        let count = |outcome: &str| {
            self.lines
                .iter()
                .filter(|line| line.outcome == outcome)
                .count()
        };
        let counts =
            ["ok", "not met", "failed"].map(|outcome| format!("{} {outcome}", count(outcome)));
        format!("{} runs: {}", self.lines.len(), counts.join(", "))
    }
}
