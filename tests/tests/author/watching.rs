//! `tidegate plugin watch`: a plugin that is built and run anew at each change.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use support::{host, wait::Look, wait_until};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};

use super::{folder, said, tidegate};

/// A first build compiles the SDK.
const DEADLINE: Duration = Duration::from_secs(900);

/// The line that ends a round.
const WAITING: &str = "waiting for a change; Ctrl-C ends\n";

/// A watch, with what it has printed.
struct Watch {
    child: Child,
    printed: Arc<Mutex<String>>,
    rounds: usize,
}

impl Watch {
    fn start(plugin: &Path, cargo: &Path) -> Result<Self> {
        let mut command = Command::new(host::binary()?);
        command
            .args(["plugin", "watch"])
            .arg(plugin)
            .env("CARGO_TARGET_DIR", cargo)
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().context("start the watch")?;
        let mut out = child.stdout.take().context("standard output")?;
        let printed = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&printed);
        tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes).await {
                let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
                all.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&text);
            }
        });
        Ok(Self {
            child,
            printed,
            rounds: 0,
        })
    }

    /// What the next round prints.
    async fn round(&mut self) -> Result<String> {
        let number = self.rounds;
        self.rounds += 1;
        let printed = &self.printed;
        wait_until("a round of the watch", DEADLINE, async || {
            let printed = printed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let rounds: Vec<&str> = printed.split_inclusive(WAITING).collect();
            Ok(match rounds.get(number) {
                Some(round) if round.ends_with(WAITING) => Look::Done((*round).to_owned()),
                _ => Look::NotYet(printed),
            })
        })
        .await
    }
}

fn edit(file: &Path, from: &str, to: &str) -> Result<()> {
    let text = fs::read_to_string(file)?;
    ensure!(text.contains(from), "{} has no {from}", file.display());
    Ok(fs::write(file, text.replace(from, to))?)
}

#[tokio::test]
async fn f227_a_plugin_is_built_and_run_anew_at_each_change() -> Result<()> {
    let folder = folder("work-watch")?;
    let work = folder.join("work-watch");
    let into = work.to_str().context("a path in UTF-8")?;
    let made = tidegate(&["new", "watched", "--into", into])?;
    ensure!(made.status.success(), "{}", said(&made));
    let plugin = work.join("watched");
    let source = plugin.join("src/lib.rs");

    let mut watch = Watch::start(&plugin, &folder.join("cargo"))?;
    let first = watch.round().await?;
    ensure!(
        first.contains("dropped   {\"_id\":2,") && first.contains("documents: 2 kept, 1 dropped,"),
        "{first}"
    );
    edit(
        &source,
        "        Ok(Verdict::Drop)\n",
        "        Ok(Verdict::Keep)\n",
    )?;
    let kept = watch.round().await?;
    ensure!(
        kept.contains("differs   _id 2: dropped, now kept\n")
            && kept
                .contains("documents: 2 the same, 0 with other contents, 1 with another outcome"),
        "{kept}"
    );
    edit(&source, "Ok(Verdict::Keep)\n", "Ok(Verdict::Kept)\n")?;
    let broken = watch.round().await?;
    ensure!(broken.contains("error     cargo failed"), "{broken}");
    // The comparison is with the last build that ran.
    edit(&source, "Ok(Verdict::Kept)\n", "Ok(Verdict::Keep)\n")?;
    let mended = watch.round().await?;
    ensure!(mended.contains("documents: 3 the same,"), "{mended}");
    // Other documents have no answers before.
    edit(&plugin.join("documents.json"), "\"gone\"", "\"away\"")?;
    let others = watch.round().await?;
    ensure!(others.contains("documents: 3 kept, 0 dropped,"), "{others}");

    let id = watch.child.id().context("the watch runs")?.to_string();
    let interrupted = Command::new("kill").args(["-INT", &id]).status().await?;
    ensure!(interrupted.success(), "kill {id}");
    let ended = watch.child.wait().await?;
    ensure!(ended.signal() == Some(2), "{ended}");
    fs::remove_dir_all(work)?;
    Ok(())
}
