//! Builds of the guest `stamp`, feature sets made of them, and the expected destination for a timeline of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bson::{RawDocument, Timestamp, doc};
use mongodb::Database;
use serde_json::{Value, json};
use support::{
    Rig, TestDir,
    compare::{Expectation, Expected},
    host::Answer,
};
use tidegate::{
    metadata::METADATA_VERSION,
    plugin::{Registry, WasiPolicy},
};
use tokio::task::JoinHandle;

use super::guests::{STAMP, component};
use crate::steps::{find, run};

/// A build of the guest `stamp`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    pub(crate) semantics: u8,
    pub(crate) stamp: &'static str,
    /// `keep`, `trap`, `deny` or `move`; see the guest.
    pub(crate) manner: &'static str,
}

/// The initial build of a sync.
pub(crate) const FIRST: Build = Build {
    version: "7.0.0",
    semantics: 1,
    stamp: "first",
    manner: "keep",
};

/// A newer build that claims equal semantics, so that a host takes it for a bug fix. Its answers differ, by which
/// tests recognize a swap.
pub(crate) const FIXED: Build = Build {
    version: "7.0.1",
    stamp: "fixed",
    ..FIRST
};

/// A build with other answers and other semantics.
pub(crate) const OTHER: Build = Build {
    version: "8.0.0",
    semantics: 2,
    stamp: "other",
    ..FIRST
};

impl Build {
    pub(crate) fn bytes(self) -> Result<Vec<u8>> {
        const MARK: &[u8] = b"#STAMP-BUILD#";
        let mut bytes = component(STAMP)?;
        let at = bytes.windows(MARK.len()).position(|window| window == MARK);
        let at = at.context("the mark of the guest `stamp`")? + MARK.len();
        let Self {
            version,
            semantics,
            stamp,
            manner,
        } = self;
        let build = format!("{version:10}{semantics}{stamp:12}{manner}");
        let place = bytes.get_mut(at..at + build.len()).context("its build")?;
        place.copy_from_slice(build.as_bytes());
        Ok(bytes)
    }
}

/// A folder with a feature set, for `--featureSet`.
pub(crate) struct FeatureSets {
    folder: TestDir,
    registry: Registry,
}

impl FeatureSets {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            folder: TestDir::new()?,
            registry: Registry::load(None, WasiPolicy::default())?,
        })
    }

    /// A feature set without any component.
    pub(crate) fn empty(&self) -> Result<PathBuf> {
        self.write("empty", &[])
    }

    /// A single guest, as a step of the metadata.
    pub(crate) fn with_step(&self, guest: &str) -> Result<PathBuf> {
        let step = ("migrate".to_owned(), component(guest)?);
        self.write(guest, &[step])
    }

    /// Everything that this release ships, and builds of `stamp`.
    pub(crate) fn with(&self, build: Build) -> Result<PathBuf> {
        let shipped = self.registry.feature_set().components().iter();
        let mut components = Vec::new();
        for info in shipped {
            let bytes = self.registry.bytes(&info.digest).context("its bytes")?;
            components.push((info.role.clone(), bytes.into_owned()));
        }
        components.push(("transform".to_owned(), build.bytes()?));
        let name = format!("{}-{}-{}", build.version, build.stamp, build.manner);
        self.write(&name, &components)
    }

    fn write(&self, name: &str, components: &[(String, Vec<u8>)]) -> Result<PathBuf> {
        let folder = self.folder.subdirectory(name)?;
        let mut manifest = format!(
            "name = \"tests\"\nversion = \"9.9.9\"\nmetadata_version = {METADATA_VERSION}\n"
        );
        for (role, bytes) in components {
            let info = self.registry.add(bytes)?.info;
            manifest += &format!(
                "[[components]]\nrole = {role:?}\nname = {:?}\nversion = {:?}\ndigest = {:?}\nabi = {:?}\nsemantics = {}\n",
                info.name, info.version, info.digest, info.abi, info.semantics
            );
            std::fs::write(folder.join(format!("{}.wasm", info.name)), bytes)?;
        }
        std::fs::write(folder.join("featureset.toml"), manifest)?;
        Ok(folder)
    }

    pub(crate) fn remove(self) {
        self.folder.remove();
    }
}

/// The arguments of a host with this feature set.
pub(crate) fn arguments(folder: &Path) -> Vec<String> {
    vec!["--featureSet".to_owned(), folder.display().to_string()]
}

/// Restarts the host with another feature set, as an upgrade of the binary does.
pub(crate) async fn restart_with(rig: &mut Rig, folder: &Path) -> Result<()> {
    rig.host.arguments_mut().more = arguments(folder);
    rig.host.restart().await
}

/// The start option. Builds of one semantics have to answer the same, and a verification holds them to it; these do not, so
/// that a test sees which one has answered.
pub(crate) fn stamped() -> Value {
    json!({ "plugins": [{ "component": "stamp" }], "verification": false })
}

/// Uploads a build. Returns its digest.
pub(crate) async fn upload(rig: &Rig, build: Build) -> Result<String> {
    let plugin = super::guests::upload(rig, build.bytes()?).await?;
    Ok(plugin["digest"].as_str().context("a digest")?.to_owned())
}

/// `POST /upgrade` of the component `stamp`.
pub(crate) async fn upgrade(rig: &Rig, digest: &str, on_incompatible: &str) -> Result<Answer> {
    let body = json!({
        "components": [{ "name": "stamp", "digest": digest }],
        "onIncompatible": on_incompatible,
    });
    let body = body.to_string();
    rig.host.call("POST", "/api/v1/upgrade", &body).await
}

/// The same, and it has to succeed.
pub(crate) async fn upgraded(rig: &Rig, digest: &str, on_incompatible: &str) -> Result<()> {
    let answer = upgrade(rig, digest, on_incompatible).await?;
    ensure!(answer.status == 200, "the upgrade answers {}", answer.body);
    Ok(())
}

/// The `/progress` entry of the component in a slot.
pub(crate) async fn pinned(rig: &Rig, slot: &str) -> Result<Value> {
    let progress = rig.host.progress().await?;
    let pinned = progress["featureSet"]["pinned"].as_array();
    let found = pinned.and_then(|pinned| pinned.iter().find(|pinned| pinned["slot"] == slot));
    found
        .cloned()
        .with_context(|| format!("no {slot} in {}", progress["featureSet"]))
}

/// The cluster time from which the component in a slot applies.
pub(crate) async fn since(rig: &Rig, slot: &str) -> Result<Timestamp> {
    let pinned = pinned(rig, slot).await?;
    time(&pinned["since"]).with_context(|| format!("no time in {pinned}"))
}

/// A cluster time of the API.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    let number = |name: &str| u32::try_from(value[name].as_u64()?).ok();
    Some(Timestamp {
        time: number("T")?,
        increment: number("I")?,
    })
}

/// When each document of `app.c` was written last, by its `_id`.
pub(crate) type Times = BTreeMap<i32, Timestamp>;

/// Keeps inserting documents into `app.c` and updating earlier ones.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Times>>,
}

impl Load {
    pub(crate) fn start(source: Database, times: Times) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let task = tokio::spawn(write(source, times, stop.clone()));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) -> Result<Times> {
        self.stop.store(true, Relaxed);
        self.task.await?
    }
}

async fn write(source: Database, mut times: Times, stop: Arc<AtomicBool>) -> Result<Times> {
    let mut next = times.keys().last().map_or(0, |last| last + 1);
    while !stop.load(Relaxed) {
        write_one(&source, &mut times, next).await?;
        if next % 3 == 0 {
            let earlier = next / 2;
            let statement = doc! { "q": { "_id": earlier }, "u": { "$inc": { "changed": 1 } } };
            let reply = run(&source, doc! { "update": "c", "updates": [statement] }).await?;
            times.insert(earlier, reply.get_timestamp("operationTime")?);
        }
        next += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(times)
}

/// Inserts a document into `app.c`.
pub(crate) async fn write_one(source: &Database, times: &mut Times, id: i32) -> Result<()> {
    let document = doc! { "_id": id, "text": format!("document {id}") };
    let reply = run(source, doc! { "insert": "c", "documents": [document] }).await?;
    times.insert(id, reply.get_timestamp("operationTime")?);
    Ok(())
}

/// Every document has the stamp of the build that applied at its last write.
pub(crate) struct Timeline {
    times: Times,
    /// The initial stamp, and each later stamp with the time from which it applies.
    first: &'static str,
    swaps: Vec<(Timestamp, &'static str)>,
    /// At the very time of a swap events lie on both sides of it.
    seen: BTreeMap<i32, String>,
}

impl Timeline {
    pub(crate) async fn of(
        rig: &Rig,
        times: Times,
        first: &'static str,
        swaps: Vec<(Timestamp, &'static str)>,
    ) -> Result<Self> {
        let mut seen = BTreeMap::new();
        for (id, time) in &times {
            if swaps.iter().any(|(since, _)| since == time)
                && let Some(document) = find(&rig.destination_db("app"), "c", *id).await?
            {
                seen.insert(*id, document.get_str("stamp")?.to_owned());
            }
        }
        Ok(Self {
            times,
            first,
            swaps,
            seen,
        })
    }

    /// How many documents have which stamp.
    pub(crate) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for id in self.times.keys() {
            *counts.entry(self.stamp(*id)).or_default() += 1;
        }
        counts
    }

    fn stamp(&self, id: i32) -> &str {
        if let Some(seen) = self.seen.get(&id) {
            return seen;
        }
        let time = self.times.get(&id);
        let behind = |(since, _): &&(Timestamp, &str)| time.is_some_and(|time| time > since);
        let swap = self.swaps.iter().rev().find(behind);
        swap.map_or(self.first, |(_, stamp)| stamp)
    }
}

impl Expectation for Timeline {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        Some((database.to_owned(), collection.to_owned()))
    }

    fn document(&self, _database: &str, _collection: &str, document: &[u8]) -> Result<Expected> {
        let id = RawDocument::from_bytes(document)?.get_i32("_id")?;
        stamp_with(document, self.stamp(id))
    }
}

/// Every document has this stamp.
pub(crate) struct AllStamped(pub(crate) &'static str);

impl Expectation for AllStamped {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        Some((database.to_owned(), collection.to_owned()))
    }

    fn document(&self, _database: &str, _collection: &str, document: &[u8]) -> Result<Expected> {
        stamp_with(document, self.0)
    }
}

fn stamp_with(document: &[u8], stamp: &str) -> Result<Expected> {
    let mut stamped = RawDocument::from_bytes(document)?.to_owned();
    stamped.append(bson::cstr!("stamp"), stamp);
    Ok(Expected::Changed(stamped.into_bytes()))
}
