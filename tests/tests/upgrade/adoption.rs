//! Components at a takeover by a newer release: changed components are adopted, unchanged components stay.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{
    Rig, doc,
    host::{self, text},
    release::{self, Profile},
    rig::Options,
};

/// Every shipped component that routes or transforms is in the chain, with a configuration that leaves the documents alone.
#[tokio::test]
async fn only_changed_components_are_adopted() -> Result<()> {
    let old = release::previous()?.binary(Profile::Dev)?;
    let mut rig = Rig::with(Options {
        host_binary: Some(old),
        ..Options::default()
    })
    .await?;
    let documents = (0..100).map(|number| doc! { "_id": number });
    let collection = rig.source_db("app").collection("c");
    collection.insert_many(documents).await?;
    let absent = |rule: Value| json!({ "rules": [rule] });
    rig.host
        .start(json!({
            "includeNamespaces": [{ "database": "app" }],
            "namespaceRemap": [{ "from": { "database": "none" }, "to": { "database": "other" } }],
            "documentFilter": { "filter": {} },
            "plugins": [
                { "component": "field-mask", "config": absent(json!({ "path": "none", "action": "drop" })) },
                { "component": "field-rename", "config": absent(json!({ "rename": { "from": "none", "to": "other" } })) },
            ],
        }))
        .await?;
    let before = pins(&rig.host.wait_can_commit().await?)?;
    ensure!(before.len() == 5, "{before:#?}");

    ensure!(rig.host.terminate().await?.success());
    rig.host.arguments_mut().binary = host::binary()?;
    rig.host.restart().await?;
    let progress = rig.host.wait_can_commit().await?;
    let after = pins(&progress)?;
    for (old, new) in before.iter().zip(&after) {
        let shipped = shipped(&progress, text(old, "name"))?;
        let is_changed = old["version"] != shipped["version"];
        let expected = if is_changed { shipped } else { old };
        ensure!(
            new["digest"] == expected["digest"] && new["version"] == expected["version"],
            "{old:#} became {new:#}"
        );
    }
    rig.finish().await?;
    Ok(())
}

/// The components that the sync runs on, by slot.
fn pins(progress: &Value) -> Result<Vec<Value>> {
    let pinned = progress.pointer("/featureSet/pinned");
    let pinned = pinned.and_then(Value::as_array);
    let mut pinned = pinned.context("no pins")?.clone();
    pinned.sort_by_key(|pin| text(pin, "slot").to_owned());
    Ok(pinned)
}

/// The component of this release with this name.
fn shipped<'a>(progress: &'a Value, name: &str) -> Result<&'a Value> {
    let available = progress.pointer("/featureSet/available");
    let mut available = available.and_then(Value::as_array).into_iter().flatten();
    available
        .find(|component| text(component, "name") == name)
        .with_context(|| format!("{name} is not shipped"))
}
