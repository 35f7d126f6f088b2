//! The operator's page: docs/live-upgrade.md is run as it stands, command by command,
//! on a sync that the previous release has begun.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use support::{
    ReplicaSet, TestDir, Writer,
    compare::compare,
    guide::{blocks, script},
    host::{self, DEADLINE},
    mongod::workspace,
    process::free_port,
    release::{self, Profile},
    replica_set,
    wait::{Look, wait_until},
    workload::{self, Pace, dataset},
};

const DOCUMENTS: u64 = 2_000;
/// For all commands of the page before its step back.
const PAGE: Duration = Duration::from_secs(240);

/// The preconditions of the page: an old host at work.
const BEFORE: &str = "
tidegate-old --port $PORT --logPath old.log & echo $! > old.pid
until curl -sf localhost:$PORT/readyz; do sleep 0.1; done
curl -sf localhost:$PORT/api/v1/start -XPOST --data \"$START\"
until curl -sf localhost:$PORT/api/v1/progress | grep -q '\"canCommit\":true'; do sleep 0.1; done
";

/// The end after the page: the host that the page leaves finishes the sync.
const BEHIND: &str = "
until curl -sf localhost:$PORT/api/v1/progress | grep -q '\"canCommit\":true'; do sleep 0.1; done
curl -sf localhost:$PORT/api/v1/commit -XPOST --data '{ }'
until curl -sf localhost:$PORT/api/v1/progress | grep -q '\"state\":\"COMMITTED\"'; do sleep 0.1; done
";

/// Before the page's step back, which is refused while DDL is unfinished: the script waits until the
/// writer has stopped and all is applied.
const STEP_BACK: &str = "
touch going-back
until [ -e stopped ]; do sleep 0.1; done
";

/// The commands of the page, with [`STEP_BACK`] before its step back.
fn commands(page: &str) -> Result<String> {
    let script = script(&blocks(page))?;
    let stop = script.find("cat >&2 <<'COMMAND'\n$ kill -TERM \"$(cat standby.pid)\"");
    let (before, back) = script.split_at(stop.context("the page's step back")?);
    Ok(format!("{before}{STEP_BACK}{back}"))
}

/// Stops the writer when the script is about to go back, and lets it do so when the destination has
/// all that was written: every DDL before the last document is then done.
async fn stop_before_the_step_back(
    writer: Writer,
    clusters: [&ReplicaSet; 2],
    directory: &Path,
) -> Result<()> {
    wait_until("the page's step back", PAGE, async || {
        Ok(match directory.join("going-back").exists() {
            true => Look::Done(()),
            false => Look::NotYet("the script is before it".to_owned()),
        })
    })
    .await?;
    writer.stop().await?;
    let [source, destination] =
        clusters.map(|cluster| cluster.db("shop").collection::<Document>("last"));
    let last = doc! { "_id": "written" };
    source.insert_one(&last).await.context("write")?;
    wait_until("all is applied", DEADLINE, async || {
        Ok(match destination.find_one(last.clone()).await? {
            Some(_) => Look::Done(()),
            None => Look::NotYet("the last document is not there".to_owned()),
        })
    })
    .await?;
    fs::write(directory.join("stopped"), "").context("tell the script")
}

/// The binaries under the names of the page.
fn binaries(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).context("make a folder for the binaries")?;
    let old = release::previous()?.binary(Profile::Dev)?;
    for (binary, name) in [(old, "tidegate-old"), (host::binary()?, "tidegate")] {
        symlink(std::path::absolute(binary)?, folder.join(name)).context("link a binary")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_page_leads_from_the_old_release_to_this_one_and_back() -> Result<()> {
    let page = fs::read_to_string(workspace().join("docs/live-upgrade.md")).context("the page")?;
    let directory = TestDir::new()?;
    let at = |name: &str| directory.path().join(name);
    let cluster = |name| ReplicaSet::start(name, at(name), replica_set::Options::default());
    let (source, destination) = tokio::try_join!(cluster("source"), cluster("destination"))?;
    workload::load(source.client(), DOCUMENTS, 1).await?;
    binaries(&at("bin"))?;
    let writer = Writer::start(source.client(), DOCUMENTS, 1, Pace::default());

    let script = commands(&page)?;
    let (head, commands) = script.split_once('\n').context("a script")?;
    let (trap, commands) = commands.split_once('\n').context("a script")?;
    let path = format!("{}:{}", at("bin").display(), std::env::var("PATH")?);
    let mut start = serde_json::json!({ "source": "cluster0", "destination": "cluster1" });
    for (name, value) in dataset::filters().as_object().into_iter().flatten() {
        start[name] = value.clone();
    }
    let run = async |commands: &str, port: u16, standby: u16| {
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-c", &format!("{head}\n{trap}\n{commands}")])
            .current_dir(directory.path())
            .env("PATH", &path)
            .env("TIDEGATE_CLUSTER0", source.uri())
            .env("TIDEGATE_CLUSTER1", destination.uri())
            .env("PORT", port.to_string())
            .env("STANDBY_PORT", standby.to_string())
            .env("START", start.to_string())
            .kill_on_drop(true);
        let output = bash.output().await.context("run bash")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(
            output.status.success(),
            "a command of docs/live-upgrade.md failed:\n{said}"
        );
        anyhow::Ok(())
    };
    let (port, standby) = (free_port()?, free_port()?);
    let leave = "kill -TERM \"$(cat old.pid)\"; while kill -0 \"$(cat old.pid)\" 2>/dev/null; do sleep 0.1; done";
    let there = format!("{BEFORE}{commands}\n{leave}");
    tokio::try_join!(
        run(&there, port, standby),
        stop_before_the_step_back(writer, [&source, &destination], directory.path()),
    )?;
    let old = "tidegate-old --port $PORT --logPath old.log & echo $! > old.pid";
    run(&format!("{old}\n{BEHIND}{leave}"), port, standby).await?;
    let scope: Box<dyn support::compare::Expectation> = Box::new(dataset::in_scope);
    compare(source.client(), destination.client(), &*scope)
        .await?
        .into_result()?;
    drop((source, destination));
    directory.remove();
    Ok(())
}
