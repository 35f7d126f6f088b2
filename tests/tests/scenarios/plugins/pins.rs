//! A sync keeps its initial components (scenario 74), independent of the components that are installed on the next
//! host.

use anyhow::{Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{
    Rig,
    host::DEADLINE,
    rig::Options,
    workload::{self, Pace, Writer, plugins},
};

use super::builds::{
    AllStamped, Build, FIRST, FIXED, FeatureSets, Load, OTHER, Timeline, Times, arguments, pinned,
    restart_with, since, stamped, upgraded, write_one,
};
use crate::steps::{insert, metadata, refused, start_body, wait_in_step};

async fn rig_with(sets: &FeatureSets, build: Build) -> Result<Rig> {
    let host_arguments = arguments(&sets.with(build)?);
    let mut rig = Rig::with(Options {
        host_arguments,
        ..Options::default()
    })
    .await?;
    rig.expect(AllStamped(FIRST.stamp));
    Ok(rig)
}

/// The deferred components: the write block needs access control, the verification a sync that begins with it.
fn deferred_components(feature_set: &Value) -> Vec<&Value> {
    let deferred = feature_set["deferredFeatures"].as_array();
    let deferred = deferred.map(Vec::as_slice).unwrap_or_default();
    let components = deferred.iter();
    components
        .filter(|feature| {
            !["writeBlocking", "verification"]
                .contains(&feature["name"].as_str().unwrap_or_default())
        })
        .collect()
}

/// With nothing installed at all, a sync with a filter, masks and a writer goes on in every phase.
#[tokio::test]
async fn a_sync_goes_on_without_any_component_installed() -> Result<()> {
    const DOCUMENTS: u64 = 6_000;
    let sets = FeatureSets::new()?;
    let mut rig = Rig::start().await?;
    rig.expect(plugins::expected()?);
    workload::load(rig.source.client(), DOCUMENTS, 1).await?;
    let writer = Writer::start(rig.source.client(), DOCUMENTS, 2, Pace::default());
    rig.host.start(plugins::filters()).await?;
    let used = json!(["namespaceFilter", "plugins[0]", "plugins[1]", "plugins[2]"]);
    for run in 0..2 {
        restart_with(&mut rig, &sets.empty()?).await?;
        let progress = rig.host.progress().await?;
        let set = &progress["featureSet"];
        let slots = set["pinned"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let slots: Vec<_> = slots.iter().map(|pinned| &pinned["slot"]).collect();
        ensure!(
            json!(slots) == used && set["available"] == json!([]),
            "{set}"
        );
        ensure!(
            set["swaps"] == json!([]) && deferred_components(set).is_empty(),
            "{set}"
        );
        if run == 0 {
            rig.host.wait_can_commit().await?;
        }
    }
    rig.host.wait_can_commit().await?;
    writer.stop().await?;
    // The components of a new sync have to be installed, though.
    rig.commit().await?;
    rig.compare().await?;
    rig.begin_again(None).await?;
    let answer = rig
        .host
        .call("POST", "/api/v1/start", &start_body(json!({})).to_string())
        .await?;
    ensure!(answer.error() == "PluginNotFound", "{}", answer.body);
    ensure!(
        answer.body.to_string().contains("namespace-filter"),
        "{}",
        answer.body
    );
    rig.log.check()?;
    rig.abandon();
    sets.remove();
    Ok(())
}

/// Another build with the same version is installed, and then a newer build with other semantics: neither is
/// requested, so neither transforms a document.
#[tokio::test]
async fn s74_what_was_not_asked_for_changes_nothing() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = rig_with(&sets, FIRST).await?;
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    let began_with = pinned(&rig, "plugins[0]").await?;
    ensure!(
        metadata(&rig, "components").await?.len() == 2,
        "the filter and the plugin"
    );

    let rebuilt = Build {
        stamp: "rebuilt",
        ..FIRST
    };
    for (id, build, is_deferred) in [(2, rebuilt, false), (3, OTHER, true)] {
        restart_with(&mut rig, &sets.with(build)?).await?;
        insert(&source, "c", vec![doc! { "_id": id }]).await?;
        insert(&source, &format!("new{id}"), vec![doc! { "_id": id }]).await?;
        wait_in_step(&rig).await?;
        ensure!(pinned(&rig, "plugins[0]").await? == began_with);
        let progress = rig.host.progress().await?;
        let deferred = deferred_components(&progress["featureSet"]);
        if is_deferred {
            ensure!(deferred[0]["name"] == "stamp", "{deferred:?}");
            ensure!(
                deferred[0]["reason"].to_string().contains("8.0.0"),
                "{deferred:?}"
            );
        } else {
            ensure!(deferred.is_empty(), "{deferred:?}");
        }
    }
    rig.compare().await?;

    // Asked for, it sees every document.
    let progress = rig.host.progress().await?;
    let available = progress["featureSet"]["available"].as_array();
    let other = available
        .and_then(|all| all.iter().find(|one| one["name"] == "stamp"))
        .and_then(|other| other["digest"].as_str())
        .unwrap_or_default();
    upgraded(&rig, other, "recopy").await?;
    rig.expect(AllStamped(OTHER.stamp));
    let progress = rig.host.wait_can_commit().await?;
    ensure!(deferred_components(&progress["featureSet"]).is_empty());
    rig.finish().await?;
    sets.remove();
    Ok(())
}

/// A host that ships a newer build with the same answers adopts it, from the takeover on.
#[tokio::test]
async fn a_bug_fix_arrives_with_the_host_that_has_it() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = rig_with(&sets, FIRST).await?;
    let source = rig.source_db("app");
    let mut times = Times::new();
    for id in 0..50 {
        write_one(&source, &mut times, id).await?;
    }
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    let load = Load::start(source, times);
    rig.host
        .wait_until("events are applied", DEADLINE, |progress| {
            progress["totalEventsApplied"].as_u64() > Some(200)
        })
        .await?;
    restart_with(&mut rig, &sets.with(FIXED)?).await?;
    ensure!(pinned(&rig, "plugins[0]").await?["version"] == FIXED.version);
    let from = since(&rig, "plugins[0]").await?;
    rig.host.wait_can_commit().await?;
    let times = load.stop().await?;
    wait_in_step(&rig).await?;
    // Older again, as after a way back: nothing changes.
    restart_with(&mut rig, &sets.with(FIRST)?).await?;
    ensure!(pinned(&rig, "plugins[0]").await?["version"] == FIXED.version);
    ensure!(since(&rig, "plugins[0]").await? == from);
    let progress = rig.host.progress().await?;
    let swaps = &progress["featureSet"]["swaps"];
    ensure!(swaps.as_array().map(Vec::len) == Some(1), "{swaps}");
    ensure!(swaps[0]["fromVersion"] == FIRST.version && swaps[0]["recopied"] == false);
    let swaps = vec![(from, FIXED.stamp)];
    let timeline = Timeline::of(&rig, times, FIRST.stamp, swaps).await?;
    ensure!(timeline.counts().len() == 2, "{:?}", timeline.counts());
    rig.expect(timeline);
    rig.finish().await?;
    sets.remove();
    Ok(())
}

/// A fix that does not work stays out, and the operator reads why.
#[tokio::test]
async fn a_fix_that_fails_its_self_check_stays_out() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = rig_with(&sets, FIRST).await?;
    for text in ["an installed component was not adopted", "a plugin trapped"] {
        rig.allow_log(text);
    }
    let source = rig.source_db("app");
    insert(&source, "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    for (id, manner, why) in [
        (2, "trap", "PluginTrapped"),
        (3, "move", "would go to moved.c"),
    ] {
        let broken = Build { manner, ..FIXED };
        restart_with(&mut rig, &sets.with(broken)?).await?;
        insert(&source, "c", vec![doc! { "_id": id }]).await?;
        wait_in_step(&rig).await?;
        ensure!(pinned(&rig, "plugins[0]").await?["version"] == FIRST.version);
        let progress = rig.host.progress().await?;
        let warning = progress["warnings"].to_string();
        ensure!(warning.contains("stamp 7.0.1 was not adopted"), "{warning}");
        ensure!(warning.contains(why), "{warning}");
    }
    rig.finish().await?;
    sets.remove();
    Ok(())
}

/// Nothing is installed and nothing is stored: the sync waits, and names the missing component.
#[tokio::test]
async fn a_component_that_is_lost_stops_the_sync_by_name() -> Result<()> {
    let sets = FeatureSets::new()?;
    let mut rig = rig_with(&sets, FIRST).await?;
    for text in [
        "the sync cannot be taken over yet",
        "this host could not run the sync",
    ] {
        rig.allow_log(text);
    }
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    rig.host.start(stamped()).await?;
    rig.host.wait_can_commit().await?;
    rig.host.kill()?;
    let metadata = rig.destination_db("mongosync_internal_tidegate");
    let of_stamp = doc! { "name": "stamp" };
    metadata
        .collection::<bson::Document>("components")
        .delete_one(of_stamp)
        .await?;
    restart_with(&mut rig, &sets.with(OTHER)?).await?;
    let progress = rig.host.wait_for_state("PAUSED").await?;
    let warning = progress["warnings"].to_string();
    ensure!(
        warning.contains("IncompatiblePlugin") && warning.contains("stamp 7.0.0"),
        "{warning}"
    );
    refused(&rig, "resume", json!({}), "IncompatiblePlugin").await?;
    super::builds::upload(&rig, FIRST).await?;
    // It goes on by itself.
    rig.host.wait_for_state("RUNNING").await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 2 }]).await?;
    rig.finish().await?;
    sets.remove();
    Ok(())
}
