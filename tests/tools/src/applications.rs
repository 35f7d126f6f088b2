//! `cargo xtask applications`: applications on pymongo, the Node driver and mongoose, and data in the shapes of MongoDB's sample sets,
//! before, while and after their cluster is synced. Not part of the suite: it takes drivers of PyPI and npm.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use futures::future::try_join_all;
use serde_json::{Value, json};
use support::{
    Rig,
    host::DEADLINE,
    mongod::{target_directory, workspace},
    release::Profile,
    rig,
    wait::{Look, wait_until},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
};

use crate::build::{self, succeed};

/// The applications: files of `tests/applications`.
const PROGRAMS: [&str; 5] = [
    "gridfs_files.py",
    "bson_types.py",
    "sample_sets.py",
    "bson_types.mjs",
    "shop.mjs",
];

/// Rounds of each application in step, before the commit.
const ROUNDS: u64 = 3;

/// Seeds of the applications, on the old and on the new cluster: no value of a unique field comes twice.
const OLD: &str = "20260";
const NEW: &str = "20270";

#[derive(Args)]
pub(crate) struct Options {
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
    /// One of the files of tests/applications; all if absent
    #[arg(long, value_name = "FILE")]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build::all(Profile::Dev)?;
    }
    let tools = Tools::obtain()?;
    let chosen: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|program| options.only.as_deref().is_none_or(|only| only == *program))
        .collect();
    ensure!(!chosen.is_empty(), "the applications are {PROGRAMS:?}");
    crate::block_on(play(&tools, &chosen))
}

async fn play(tools: &Tools, programs: &[&str]) -> Result<()> {
    // Many partitions, so that applications meet each state of the copy.
    let small = ("TIDEGATE_PARTITION_BYTES".to_owned(), "262144".to_owned());
    let rig = Rig::with(rig::Options {
        host_environment: vec![small],
        ..rig::Options::default()
    })
    .await?;
    let (source, destination) = (rig.source.uri(), rig.destination.uri());
    println!("prepares {programs:?}");
    let prepared = programs
        .iter()
        .map(|program| tools.output(program, "prepare", &source, OLD));
    try_join_all(prepared).await?;
    let running = programs
        .iter()
        .map(|program| Running::begin(tools, program, &source, OLD));
    let running: Vec<Running> = running.collect::<Result<_>>()?;
    println!("syncs while they work");
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    try_join_all(running.iter().map(Running::some_rounds)).await?;
    try_join_all(running.into_iter().map(Running::end)).await?;
    let before = answers(tools, programs, &source).await?;
    rig.commit().await?;
    let progress = rig.host.progress().await?;
    ensure!(
        progress
            .pointer("/verification/verifiedTo")
            .is_some_and(Value::is_object),
        "not verified: {progress:#}"
    );
    let compared = rig.compare().await?;
    println!("equal byte for byte: {compared:?}");
    let after = answers(tools, programs, &destination).await?;
    same(programs, &before, &after)?;
    println!("the same answers from the new cluster; the applications go on there");
    let next = programs
        .iter()
        .map(|program| Running::begin(tools, program, &destination, NEW));
    let next: Vec<Running> = next.collect::<Result<_>>()?;
    try_join_all(next.into_iter().map(Running::end)).await?;
    answers(tools, programs, &destination).await?;
    rig.log.check()?;
    rig.abandon();
    Ok(())
}

async fn answers(tools: &Tools, programs: &[&str], uri: &str) -> Result<Vec<Value>> {
    let asked = programs.iter().map(async |program| {
        let text = tools.output(program, "answers", uri, OLD).await?;
        let answers: Value =
            serde_json::from_str(&text).with_context(|| format!("the answers of {program}"))?;
        let fields = answers.as_object().map_or(0, serde_json::Map::len);
        ensure!(fields > 0, "{program} has no answers");
        Ok(answers)
    });
    try_join_all(asked).await
}

/// Names each answer that differs.
fn same(programs: &[&str], before: &[Value], after: &[Value]) -> Result<()> {
    let mut differing = Vec::new();
    for ((program, before), after) in programs.iter().zip(before).zip(after) {
        let fields = before.as_object().into_iter().flatten();
        let others = fields.filter(|(field, value)| after.get(field) != Some(value));
        differing.extend(others.map(|(field, value)| {
            format!(
                "{program}, {field}: {value:#} on the source, {:#} on the destination",
                after[field]
            )
        }));
    }
    ensure!(
        differing.is_empty(),
        "answers differ: {}",
        differing.join("\n")
    );
    Ok(())
}

/// An application that keeps writing.
struct Running {
    program: String,
    child: Child,
    input: ChildStdin,
    rounds: AtomicRounds,
}

/// Rounds that an application has done.
type AtomicRounds = std::sync::Arc<AtomicU64>;

impl Running {
    fn begin(tools: &Tools, program: &str, uri: &str, seed: &str) -> Result<Self> {
        let mut command = tools.command(program, "work", uri, seed);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("run {program}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let rounds = AtomicRounds::default();
        let counted = rounds.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(_)) = lines.next_line().await {
                counted.fetch_add(1, Relaxed);
            }
        });
        Ok(Self {
            program: program.to_owned(),
            child,
            input,
            rounds,
        })
    }

    /// Waits until it has done some rounds more.
    async fn some_rounds(&self) -> Result<()> {
        let begun = self.rounds.load(Relaxed);
        let what = format!("{ROUNDS} rounds of {}", self.program);
        wait_until(&what, DEADLINE, async || {
            let done = self.rounds.load(Relaxed);
            Ok(if done >= begun + ROUNDS {
                Look::Done(())
            } else {
                Look::NotYet(format!("{done} rounds since its start"))
            })
        })
        .await
    }

    /// Ends it after its present round.
    async fn end(mut self) -> Result<()> {
        drop(self.input);
        let status = self.child.wait().await?;
        ensure!(status.success(), "{}: {status}", self.program);
        println!("{}: {} rounds", self.program, self.rounds.load(Relaxed));
        Ok(())
    }
}

/// Python and Node with their drivers.
struct Tools {
    python: PathBuf,
    /// The applications, beside the packages of npm.
    programs: PathBuf,
}

impl Tools {
    fn obtain() -> Result<Self> {
        let folder = std::path::absolute(target_directory().join("applications"))?;
        let programs = folder.join("programs");
        fs::create_dir_all(&programs)?;
        let python = folder.join("venv/bin/python");
        if !python.exists() {
            let mut venv = std::process::Command::new("python3");
            succeed(venv.args(["-m", "venv"]).arg(folder.join("venv")))?;
        }
        let from = workspace().join("tests/applications");
        let mut pip = std::process::Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        succeed(pip.arg(from.join("requirements.txt")))?;
        for file in fs::read_dir(&from)? {
            let file = file?;
            fs::copy(file.path(), programs.join(file.file_name()))?;
        }
        install(&programs)?;
        Ok(Self { python, programs })
    }

    fn command(&self, program: &str, mode: &str, uri: &str, seed: &str) -> Command {
        let is_python = Path::new(program)
            .extension()
            .is_some_and(|end| end == "py");
        let runtime = if is_python {
            self.python.as_path()
        } else {
            Path::new("node")
        };
        let mut command = Command::new(runtime);
        command
            .arg(self.programs.join(program))
            .args([mode, uri, seed]);
        command.kill_on_drop(true);
        command
    }

    /// Runs a program to its end. Returns what it has written to standard output.
    async fn output(&self, program: &str, mode: &str, uri: &str, seed: &str) -> Result<String> {
        let mut command = self.command(program, mode, uri, seed);
        command.stderr(Stdio::inherit());
        let output = command
            .output()
            .await
            .with_context(|| format!("run {program}"))?;
        ensure!(
            output.status.success(),
            "{program} {mode}: {}",
            output.status
        );
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Installs the packages of `package-lock.json`, without their scripts, where they have changed.
fn install(programs: &Path) -> Result<()> {
    let lock = fs::read(programs.join("package-lock.json"))?;
    let installed = programs.join("node_modules/installed.json");
    if fs::read(&installed).is_ok_and(|known| known == lock) {
        return Ok(());
    }
    let mut npm = std::process::Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--silent",
    ]);
    succeed(npm.current_dir(programs))?;
    Ok(fs::write(installed, lock)?)
}
