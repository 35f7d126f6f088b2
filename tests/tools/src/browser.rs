//! A migration, and the way back, in a browser by clicks alone: `tests/browser/console.py` on two clusters and a host, which are compared byte
//! for byte at the end. Not part of the suite: a machine needs chromium, and tools of PyPI and npm.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use bson::{RawDocument, doc};
use clap::Args;
use mongodb::bson::Document;
use support::{
    Host, Rig,
    compare::{Expectation, Expected},
    mongod::{target_directory, workspace},
    release::Profile,
};

use crate::build::{self, succeed};

/// The accessibility rules.
const AXE: &str = "axe-core@4.14.1";

/// Names of the browser, in the order of preference.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Documents of the source.
const DOCUMENTS: i32 = 30_000;

#[derive(Args)]
pub(crate) struct Options {
    /// Write a picture of each state into this folder
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Take the host as it is built already
    #[arg(long)]
    no_build: bool,
}

/// Documents as the second build of the guest `stamp` answers them.
struct Stamped;

impl Expectation for Stamped {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        Some((database.to_owned(), collection.to_owned()))
    }

    fn document(&self, _: &str, _: &str, document: &[u8]) -> Result<Expected> {
        let mut stamped = RawDocument::from_bytes(document)?.to_owned();
        stamped.append(bson::cstr!("stamp"), "other");
        Ok(Expected::Changed(stamped.into_bytes()))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.no_build {
        build::all(Profile::Dev)?;
    }
    let tools = Tools::obtain()?;
    crate::block_on(play(&tools, options))
}

/// The programs and files of the script.
struct Tools {
    python: PathBuf,
    chromium: PathBuf,
    axe: PathBuf,
    /// Two builds of one plugin.
    plugins: [PathBuf; 2],
}

impl Tools {
    fn obtain() -> Result<Self> {
        let folder = target_directory().join("browser");
        std::fs::create_dir_all(&folder)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let chromium = std::env::split_paths(&path)
            .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
            .find(|file| file.is_file())
            .with_context(|| format!("none of {BROWSERS:?} is on the PATH: install chromium"))?;
        let python = folder.join("venv/bin/python");
        if !python.exists() {
            succeed(
                Command::new("python3")
                    .args(["-m", "venv"])
                    .arg(folder.join("venv")),
            )?;
        }
        let requirements = workspace().join("tests/browser/requirements.txt");
        succeed(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--requirement"])
                .arg(requirements),
        )?;
        let axe = folder.join("package/axe.min.js");
        if !axe.exists() {
            succeed(
                Command::new("npm")
                    .args(["pack", "--silent", AXE])
                    .current_dir(&folder),
            )?;
            let packed = format!("{}.tgz", AXE.replace('@', "-"));
            succeed(
                Command::new("tar")
                    .args(["xzf", &packed])
                    .current_dir(&folder),
            )?;
        }
        Ok(Self {
            plugins: [
                stamp(&folder, "first", "7.0.0", 1)?,
                stamp(&folder, "other", "8.0.0", 2)?,
            ],
            python,
            chromium,
            axe,
        })
    }
}

impl Tools {
    /// The script of the operator at the host of `rig`.
    fn script(&self, rig: &Rig, options: &Options) -> Command {
        let mut script = Command::new(&self.python);
        script
            .current_dir(workspace())
            .arg("tests/browser/console.py")
            .args(["--url", &url(&rig.host)])
            .args(["--source", &rig.source.uri()])
            .args(["--destination", &rig.destination.uri()])
            .arg("--chromium")
            .arg(&self.chromium)
            .arg("--axe")
            .arg(&self.axe);
        if let Some(folder) = &options.pictures {
            script.arg("--pictures").arg(folder);
        }
        script
    }
}

/// A build of the guest `stamp` with this answer.
fn stamp(folder: &Path, answer: &str, version: &str, semantics: u8) -> Result<PathBuf> {
    const MARK: &[u8] = b"#STAMP-BUILD#";
    let mut bytes = std::fs::read(target_directory().join("guests/stamp.wasm"))?;
    let at = bytes.windows(MARK.len()).position(|window| window == MARK);
    let at = at.context("the mark of the guest `stamp`")? + MARK.len();
    let build = format!("{version:10}{semantics}{answer:12}keep");
    let place = bytes.get_mut(at..at + build.len()).context("its build")?;
    place.copy_from_slice(build.as_bytes());
    let file = folder.join(format!("stamp-{answer}.wasm"));
    std::fs::write(&file, bytes)?;
    Ok(file)
}

async fn play(tools: &Tools, options: &Options) -> Result<()> {
    if let Some(folder) = &options.pictures {
        std::fs::create_dir_all(folder)?;
    }
    go_forth(tools, options).await?;
    go_back(tools, options).await
}

/// A migration from start to commit.
async fn go_forth(tools: &Tools, options: &Options) -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.expect(Stamped);
    rig.allow_log("a document differs");
    rig.allow_log("mismatches");
    rig.allow_log("call refused");
    load(&rig).await?;
    let mut script = tools.script(&rig, options);
    let [first, second] = &tools.plugins;
    script.arg("--first").arg(first).arg("--second").arg(second);
    watch(script).await?;
    let comparison = rig.close().await?;
    println!(
        "✓ started, repaired, swapped, paused and committed by clicks; equal: {} documents",
        comparison.documents
    );
    Ok(())
}

/// A takeover by a standby, a commit, and the way back.
async fn go_back(tools: &Tools, options: &Options) -> Result<()> {
    let rig = Rig::start().await?;
    load(&rig).await?;
    let mut arguments = rig.host.arguments().clone();
    arguments.log_path = arguments.log_path.with_file_name("log-standby");
    let id = ["--id".to_owned(), "standby".to_owned()];
    arguments.more.extend(id);
    let standby = Host::spawn(arguments).await?;
    let mut script = tools.script(&rig, options);
    script.args(["--standby", &url(&standby)]);
    watch(script).await?;
    drop(standby);
    let comparison = rig.close().await?;
    println!(
        "✓ taken over, committed, reversed and committed by clicks; equal: {} documents",
        comparison.documents
    );
    Ok(())
}

fn url(host: &Host) -> String {
    format!("http://127.0.0.1:{}", host.port())
}

async fn watch(mut script: Command) -> Result<()> {
    let status = tokio::task::spawn_blocking(move || script.status()).await??;
    ensure!(
        status.success(),
        "the operator with the browser has failed: see target/browser/failure.png"
    );
    Ok(())
}

/// Orders, and a hundred small collections.
async fn load(rig: &Rig) -> Result<()> {
    let shop = rig.source_db("shop");
    let orders = shop.collection::<Document>("orders");
    for from in (0..DOCUMENTS).step_by(1_000) {
        let orders_of = (from..from + 1_000)
            .map(|id| doc! { "_id": id, "total": id % 97, "note": "x".repeat(200) });
        orders.insert_many(orders_of).await?;
    }
    orders
        .create_index(
            mongodb::IndexModel::builder()
                .keys(doc! { "total": 1 })
                .build(),
        )
        .await?;
    for number in 0..100 {
        let name = format!("part{number:03}");
        shop.collection::<Document>(&name)
            .insert_one(doc! { "_id": number })
            .await?;
    }
    Ok(())
}
