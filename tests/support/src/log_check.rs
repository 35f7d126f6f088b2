//! The host's log, read after a test: a line of level ERROR or WARN that the
//! test did not allow fails it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Reads every JSON line of every file in a log directory.
#[derive(Clone, Debug)]
pub struct LogCheck {
    directory: PathBuf,
    allowed: Vec<String>,
}

impl LogCheck {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            // Two seconds without an answer are not rare on a machine that is full of tests.
            allowed: vec!["cluster does not answer".to_owned()],
        }
    }

    /// Lets lines pass that hold this text anywhere.
    pub fn allow(&mut self, text: impl Into<String>) {
        self.allowed.push(text.into());
    }

    /// Fails with the lines that are not allowed.
    pub fn check(&self) -> Result<()> {
        let bad: Vec<String> = self
            .lines()?
            .into_iter()
            .filter(|line| self.is_bad(line))
            .collect();
        let shown: Vec<String> = bad
            .iter()
            .take(20)
            .map(|line| line.chars().take(600).collect())
            .collect();
        ensure!(
            bad.is_empty(),
            "{} log lines are not allowed:\n{}",
            bad.len(),
            shown.join("\n")
        );
        Ok(())
    }

    /// True if any line holds the text.
    pub fn has(&self, text: &str) -> Result<bool> {
        Ok(self.lines()?.iter().any(|line| line.contains(text)))
    }

    /// Every line, in the order of the files' names.
    pub fn lines(&self) -> Result<Vec<String>> {
        let entries = self.directory.read_dir();
        let entries = entries.with_context(|| format!("list {}", self.directory.display()))?;
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.sort();
        let mut lines = Vec::new();
        for file in files {
            let text = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
            lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
        }
        Ok(lines)
    }

    fn is_bad(&self, line: &str) -> bool {
        let level = serde_json::from_str::<Value>(line)
            .ok()
            .and_then(|value| Some(value.get("level")?.as_str()?.to_ascii_uppercase()));
        matches!(level.as_deref(), Some("ERROR" | "WARN"))
            && !self.allowed.iter().any(|text| line.contains(text.as_str()))
    }
}
