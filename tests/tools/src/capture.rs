//! Captures the persisted state of a release: the metadata of syncs of its real host, phase by phase, each in a
//! file that is never edited afterwards.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use support::{
    metadata::{dump, to_text},
    mongod::{self, target_directory, workspace},
    release::{Profile, Release},
    upgrade::{Course, Persisted, Phase},
};

use crate::{build, releases};

/// How a host ends when its metadata is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By kill -9, its own at a named point included.
    Kill,
    /// By SIGTERM: the position is clean.
    Terminate,
}

/// The files, and the phases they are taken in.
const CAPTURES: &[(&str, &str, End)] = &[
    ("copy-begun", "copy begun", End::Kill),
    ("copy-half-done", "copy half done", End::Kill),
    ("copy-half-done-stopped", "copy half done", End::Terminate),
    (
        "copy-half-done-paused",
        "copy half done, paused",
        End::Terminate,
    ),
    ("copy-done", "copy done", End::Kill),
    ("index-build", "index build", End::Kill),
    ("events-applied", "catch-up, events applied", End::Kill),
    ("ddl-applied", "catch-up, DDL applied", End::Kill),
    ("in-step", "in step", End::Kill),
    ("in-step-stopped", "in step", End::Terminate),
    ("in-step-paused", "in step, paused", End::Terminate),
    ("commit-drained", "commit, drained", End::Kill),
    (
        "commit-preparing-unique",
        "commit, preparing unique",
        End::Kill,
    ),
    ("committed", "committed", End::Terminate),
];

pub(crate) fn run(version: &str) -> Result<()> {
    let release = Release::of(version)?;
    build::all(Profile::Dev)?;
    releases::build(&release, Profile::Dev)?;
    eprintln!("mongod: {}", mongod::obtain()?.display());
    crate::block_on(capture(&release))
}

async fn capture(release: &Release) -> Result<()> {
    let host = release.binary(Profile::Dev)?;
    let mut course = Course::prepare(&host, &host, release.has_plugins()).await?;
    let work = target_directory().join("captured");
    if work.exists() {
        std::fs::remove_dir_all(&work).context("remove an earlier capture")?;
    }
    std::fs::create_dir_all(&work)?;
    let mut metadata_version = 0;
    for (file, phase, end) in CAPTURES.iter().copied() {
        let captured = take(&mut course, phase, end).await;
        let (text, persisted) = captured.with_context(|| format!("capture {file}"))?;
        std::fs::write(work.join(file).with_extension("json"), &text)?;
        let (done, partitions) = persisted.partitions();
        eprintln!(
            "{file}: {} KiB; {}, {done} of {partitions} partitions, {} events, {} in quarantine",
            text.len() / 1024,
            persisted.state,
            persisted.events_applied,
            persisted.quarantined,
        );
        metadata_version = persisted.metadata_version;
    }
    course.close()?;
    let folder = format!("tests/fixtures/metadata/{metadata_version}");
    keep(
        &work,
        &workspace().join(folder).join(release.version.to_string()),
    )
}

/// The metadata in a phase.
async fn take(course: &mut Course, phase: &str, end: End) -> Result<(String, Persisted)> {
    course.reach(Phase::named(phase)?).await?;
    let host = &mut course.rig.host;
    if host.process().is_ok() {
        match end {
            End::Terminate => {
                host.terminate().await?;
            }
            End::Kill => host.kill()?,
        }
    }
    let mut entries = dump(&course.rig.destination).await?;
    // The bytes of components are no metadata, and many.
    entries.retain(|entry| entry.collection != "componentChunks");
    Ok((to_text(&entries)?, Persisted::of(&entries)?))
}

/// Moves the files to where they stay.
fn keep(work: &Path, folder: &Path) -> Result<()> {
    ensure!(
        !folder.exists(),
        "{} is there already, and captured metadata is never changed; the new one is in {}",
        folder.display(),
        work.display()
    );
    std::fs::create_dir_all(folder.parent().context("a folder in a folder")?)?;
    std::fs::rename(work, folder).with_context(|| format!("create {}", folder.display()))?;
    println!("{}", folder.display());
    Ok(())
}
