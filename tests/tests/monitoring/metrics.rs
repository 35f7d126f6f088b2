//! `GET /metrics` of real hosts: Prometheus's own tool accepts it in each state, and the page lists every family.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::json;
use support::{Host, Rig, mongod::workspace, package, wait::Look, wait_until};

use crate::standby_of;

/// The families of the table in docs/metrics.md.
pub(crate) fn documented() -> Result<BTreeSet<String>> {
    let page = std::fs::read_to_string(workspace().join("docs/metrics.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let names = names.filter(|name| name.starts_with("tidegate_") || name.starts_with("process_"));
    Ok(names.map(str::to_owned).collect())
}

/// The text of a scrape that Prometheus's tool accepts without a word, and whose families the page lists.
async fn scrape(host: &Host) -> Result<String> {
    let answer = host.call("GET", "/metrics", "").await?;
    ensure!(answer.status == 200, "metrics answers {}", answer.status);
    let text = answer.body.as_str().context("a text")?.to_owned();
    let (checked, documented) = (text.clone(), documented()?);
    tokio::task::spawn_blocking(move || accepted(&checked)).await??;
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap_or_default();
        ensure!(documented.contains(name), "docs/metrics.md lacks {name}");
    }
    Ok(text)
}

fn accepted(text: &str) -> Result<()> {
    let mut tool = Command::new(package::promtool()?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run promtool")?;
    tool.stdin
        .take()
        .context("its input")?
        .write_all(text.as_bytes())?;
    let ended = tool.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned()
        + &String::from_utf8_lossy(&ended.stdout);
    ensure!(
        ended.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
    Ok(())
}

#[tokio::test]
async fn f61_prometheus_accepts_the_metrics_of_each_state() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.source_db("app")
        .collection("c")
        .insert_one(doc! { "_id": 1 })
        .await?;
    let has = |text: &str, sample: &str| -> Result<()> {
        ensure!(
            text.lines().any(|line| line == sample),
            "{sample} in {text}"
        );
        Ok(())
    };
    let idle = scrape(&rig.host).await?;
    has(&idle, r#"tidegate_state{state="IDLE"} 1"#)?;
    rig.host.start(json!({})).await?;
    rig.host.wait_can_commit().await?;
    let standby = standby_of(&rig.host).await?;
    let running = scrape(&rig.host).await?;
    for sample in [
        r#"tidegate_state{state="RUNNING"} 1"#,
        r#"tidegate_cluster_up{cluster="cluster0"} 1"#,
        "tidegate_ready 1",
        "tidegate_lease_held 1",
        "tidegate_verification_mismatches 0",
        "tidegate_copied_documents_total 1",
        r#"tidegate_api_request_duration_seconds_count{method="POST",path="/api/v1/start",status="200"} 1"#,
    ] {
        has(&running, sample)?;
    }
    let copied = running
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_copy_batch_duration_seconds_count "));
    ensure!(copied.is_some_and(|batches| batches != "0"), "{running}");
    let second = scrape(&standby).await?;
    has(&second, r#"tidegate_role{role="standby"} 1"#)?;
    has(&second, "tidegate_lease_held 0")?;
    drop(standby);
    rig.source.kill()?;
    wait_until(
        "the dead source is told",
        support::host::DEADLINE,
        async || {
            let text = scrape(&rig.host).await?;
            let is_told = text.contains("tidegate_cluster_up{cluster=\"cluster0\"} 0\n")
                && text.contains("tidegate_ready 0\n")
                && !text.contains("\ntidegate_lag_seconds ");
            Ok(match is_told {
                true => Look::Done(()),
                false => Look::NotYet(text),
            })
        },
    )
    .await?;
    rig.source.restart().await?;
    rig.host.wait_can_commit().await?;
    rig.host.commit().await?;
    rig.host.wait_for_state("COMMITTED").await?;
    let committed = scrape(&rig.host).await?;
    has(&committed, r#"tidegate_state{state="COMMITTED"} 1"#)?;
    has(&committed, "tidegate_can_write 1")?;
    rig.close().await.map(drop)
}
