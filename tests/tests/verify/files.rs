//! The list and the state of a run that is killed and goes on.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use serde_json::Value;

use crate::{Pair, run, texts};

/// Partitions with differences, and a collection whose differences cannot be told before its end.
async fn fill(pair: &Pair) -> Result<()> {
    for (set, is_changed) in [(&pair.source, false), (&pair.destination, true)] {
        for name in ["a", "b", "c"] {
            let collection = set.db("app").collection::<Document>(name);
            let documents = (0..2000_i32)
                .filter(|n| !is_changed || n % 100 != 50)
                .map(|n| {
                    let v = if is_changed && n % 100 == 25 { -1 } else { n };
                    doc! { "_id": n, "v": v, "t": "x".repeat(50) }
                });
            collection
                .insert_many(documents.collect::<Vec<_>>())
                .await?;
        }
    }
    Ok(())
}

fn read(list: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(list)?;
    let lines = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    Ok(texts(&lines))
}

/// The number of partitions that a state has as done.
fn done(state: &str) -> Result<usize> {
    let state: Value = serde_json::from_str(&std::fs::read_to_string(state)?)?;
    let collections = state["progress"]["collections"]
        .as_array()
        .context("no collections")?;
    let done = collections
        .iter()
        .map(|collection| collection["done"].as_array().map_or(0, Vec::len));
    Ok(done.sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn f159_a_killed_run_goes_on_and_lists_each_mismatch_once() -> Result<()> {
    let pair = Pair::start().await?;
    fill(&pair).await?;
    let expected = pair.verify(&["--settle", "0"]).await?.expect(1)?.texts();
    ensure!(expected.len() == 3 * 40, "{} lines", expected.len());
    let path = |name: &str| {
        pair.directory
            .path()
            .join(name)
            .to_string_lossy()
            .into_owned()
    };
    let points = [
        "verify_batch_compared",
        "verify_list_written",
        "verify_state_written",
    ];
    for (round, point) in points.into_iter().enumerate() {
        let (list, state) = (
            path(&format!("list-{round}")),
            path(&format!("state-{round}")),
        );
        let arguments = [
            "--settle",
            "1s",
            "--out",
            &list,
            "--state",
            &state,
            "--loadLevel",
            "1",
        ];
        let (mut runs, mut most) = (0, 0);
        let verified = loop {
            // Later with each run, so that each gets further.
            let at = format!("{point}:{}", 1 + runs * 3);
            let verified = pair
                .verify_in(&arguments, &[("TIDEGATE_KILL_AT", &at)])
                .await?;
            runs += 1;
            if verified.code.is_some() {
                break verified;
            }
            ensure!(runs < 60, "no run comes to its end");
            if std::fs::exists(&state)? {
                let done = done(&state)?;
                ensure!(done >= most, "{done} partitions after {most}");
                most = done;
            }
        };
        let verified = verified.expect(1)?;
        eprintln!("{point}: {runs} runs");
        ensure!(runs > 1, "no run was killed at {point}");
        ensure!(read(&list)? == expected, "{point}: {:#?}", read(&list)?);
        ensure!(
            verified.summary["mismatches"] == expected.len(),
            "{}",
            verified.summary
        );
        ensure!(
            verified.summary["documents"].as_u64() >= Some(6000),
            "{}",
            verified.summary
        );
        ensure!(
            !std::fs::exists(&state)?,
            "a run with a result has left its state"
        );
    }
    refuses_others(&pair).await?;
    pair.end();
    Ok(())
}

/// A state of other clusters or options is refused, and stays as it was.
async fn refuses_others(pair: &Pair) -> Result<()> {
    let path = |name: &str| {
        pair.directory
            .path()
            .join(name)
            .to_string_lossy()
            .into_owned()
    };
    let (list, state) = (path("list"), path("state"));
    let files = ["--out", &list, "--state", &state];
    let kill = [("TIDEGATE_KILL_AT", "verify_state_written:2")];
    let arguments = [&files[..], &["--settle", "1s"]].concat();
    let killed = pair.verify_in(&arguments, &kill).await?;
    ensure!(killed.code.is_none(), "the run was not killed");
    let before = (std::fs::read(&list)?, std::fs::read(&state)?);
    let exchanged = run((&pair.destination.uri(), &pair.source.uri()), &files, &[])
        .await?
        .expect(2)?;
    ensure!(
        exchanged.stderr.contains("ClustersMismatch"),
        "{}",
        exchanged.stderr
    );
    let other = [&files[..], &["--before-commit"]].concat();
    let other = pair.verify(&other).await?.expect(2)?;
    ensure!(other.stderr.contains("OptionsMismatch"), "{}", other.stderr);
    // A list without its state is another run's, and never overwritten.
    let without = pair.verify(&["--out", &list]).await?.expect(2)?;
    ensure!(
        without.stderr.contains("InvalidConfig"),
        "{}",
        without.stderr
    );
    let new = path("new");
    let foreign = pair
        .verify(&["--out", &list, "--state", &new])
        .await?
        .expect(2)?;
    ensure!(foreign.stderr.contains("holds lines"), "{}", foreign.stderr);
    ensure!(
        !std::fs::exists(&new)?,
        "a state was written for a list of another run"
    );
    ensure!(
        before == (std::fs::read(&list)?, std::fs::read(&state)?),
        "a file has changed"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&list)?.permissions());
    ensure!(mode & 0o077 == 0, "others may read the list: {mode:o}");
    // The list is shorter than its state says.
    std::fs::write(&list, "")?;
    let short = pair.verify(&files).await?;
    let has_lines = !before.0.is_empty();
    ensure!(!has_lines || short.code == Some(2), "{}", short.stderr);
    std::fs::write(&state, "{}")?;
    let broken = pair.verify(&files).await?.expect(2)?;
    ensure!(broken.stderr.contains("InvalidConfig"), "{}", broken.stderr);
    Ok(())
}
