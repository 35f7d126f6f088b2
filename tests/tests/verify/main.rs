//! `tidegate verify`, on real clusters that are equal, differ, or change meanwhile.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "literals and JSON of the tests' own, and what they have seen"
)]

mod differences;
mod files;
mod functions;
mod live;

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::Value;
use support::{ReplicaSet, TestDir, host, replica_set};
use tokio::process::Command;

/// A small partition, so that small collections have several.
const PARTITION_BYTES: (&str, &str) = ("TIDEGATE_PARTITION_BYTES", "20000");

/// What a run has printed.
pub(crate) struct Verification {
    /// The exit code; `None` for a run that was killed.
    pub(crate) code: Option<i32>,
    /// The mismatches on standard output.
    pub(crate) lines: Vec<Value>,
    /// The summary of a run with a result.
    pub(crate) summary: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Verification {
    /// Fails unless the run has ended with this code.
    pub(crate) fn expect(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == Some(code),
            "exit code {:?} in place of {code}\n{}\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self)
    }

    /// The mismatches, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        texts(&self.lines)
    }
}

/// Mismatches as sorted texts: namespace, subject, name or `_id`, kind, path.
pub(crate) fn texts(lines: &[Value]) -> Vec<String> {
    let field = |line: &Value, name: &str| match &line[name] {
        Value::Null => String::new(),
        Value::String(text) => format!(" {text}"),
        other => format!(" {other}"),
    };
    let text = |line: &Value| {
        let names = ["namespace", "subject", "name", "_id", "kind", "path"];
        let text: String = names.iter().map(|name| field(line, name)).collect();
        text.trim_start().to_owned()
    };
    let mut texts: Vec<String> = lines.iter().map(text).collect();
    texts.sort();
    texts
}

/// Runs `tidegate verify --json` with these arguments and this environment.
pub(crate) async fn run(
    (source, destination): (&str, &str),
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Verification> {
    let mut command = Command::new(host::binary()?);
    command
        .args([
            "verify",
            "--json",
            "--cluster0",
            source,
            "--cluster1",
            destination,
        ])
        .args(arguments)
        .envs([PARTITION_BYTES])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.context("run tidegate verify")?;
    let stdout = String::from_utf8(output.stdout)?;
    let mut lines = stdout
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let has_summary = lines
        .last()
        .is_some_and(|line| line.get("verdict").is_some());
    let summary = if has_summary { lines.pop() } else { None };
    Ok(Verification {
        code: output.status.code(),
        lines,
        summary: summary.unwrap_or_default(),
        stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Two clusters without a tool between them.
pub(crate) struct Pair {
    pub(crate) source: ReplicaSet,
    pub(crate) destination: ReplicaSet,
    pub(crate) directory: TestDir,
}

impl Pair {
    pub(crate) async fn start() -> Result<Self> {
        Self::with(replica_set::Options::default).await
    }

    pub(crate) async fn with(options: impl Fn() -> replica_set::Options) -> Result<Self> {
        let directory = TestDir::new()?;
        let path = |name: &str| directory.path().join(name);
        let (source, destination) = tokio::try_join!(
            ReplicaSet::start("source", path("source"), options()),
            ReplicaSet::start("destination", path("destination"), options()),
        )?;
        Ok(Self {
            source,
            destination,
            directory,
        })
    }

    pub(crate) async fn verify(&self, arguments: &[&str]) -> Result<Verification> {
        self.verify_in(arguments, &[]).await
    }

    pub(crate) async fn verify_in(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Verification> {
        let uris = (self.source.uri(), self.destination.uri());
        run((&uris.0, &uris.1), arguments, environment).await
    }

    pub(crate) fn end(self) {
        let Self {
            source,
            destination,
            directory,
        } = self;
        drop((source, destination));
        directory.remove();
    }
}

/// Operations in a cluster's oplog, without the server's own no-ops.
pub(crate) async fn operations(set: &ReplicaSet) -> Result<u64> {
    let oplog = set.db("local").collection::<bson::Document>("oplog.rs");
    Ok(oplog
        .count_documents(
            doc! { "op": { "$ne": "n" }, "ns": { "$not": { "$regex": "^config\\." } } },
        )
        .await?)
}
