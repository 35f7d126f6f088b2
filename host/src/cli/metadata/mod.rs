//! `tidegate metadata`: shows, exports, checks and takes back what a sync persists.
//!
//! All but `rollback` only read. Exit codes: 0 done, 1 `check` has found something,
//! otherwise those of the host.

mod check;
mod export;
mod show;

use std::io::{self, Write};

use crate::{
    config::{MetadataCommand, MetadataTask},
    metadata::{self, Heading, newest_release_of},
    model::{ErrorName, OperatorError, namespace::METADATA_DATABASE, options::ClusterName},
    mongo::{Cluster, Documents, connect},
    observe,
    session::{Settings, rollback},
};

/// Whether what was looked at is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    Badly,
}

/// The metadata of a sync, wherever it is.
struct Metadata {
    cluster: Cluster,
    reader: metadata::Reader,
    documents: Documents,
    heading: Heading,
}

/// Runs one command; prints to standard output.
pub async fn metadata(command: MetadataCommand, settings: Settings) -> anyhow::Result<Ended> {
    let mut out: Box<dyn Write> = match command.task {
        MetadataTask::Export => export::output(command.out.as_deref())?,
        _ => Box::new(io::stdout().lock()),
    };
    if command.task == MetadataTask::Rollback {
        let rolled = rollback(settings).await?;
        writeln!(
            out,
            "Metadata rolled back from version {} to {}. Start release {}.",
            rolled.from,
            rolled.to,
            newest_release_of(rolled.to).unwrap_or("of that version")
        )?;
        return Ok(Ended::Well);
    }
    let metadata = Metadata::find(&settings).await?;
    match command.task {
        MetadataTask::Show => show::show(&metadata, command.json, &mut out).await,
        MetadataTask::Export => export::export(&metadata, &mut out).await,
        MetadataTask::Check | MetadataTask::Rollback => check::check(&metadata, &mut out).await,
    }
}

impl Metadata {
    async fn find(settings: &Settings) -> Result<Self, OperatorError> {
        let app_name = format!("tidegate {} metadata", observe::VERSION);
        for (name, uri) in [
            (ClusterName::Cluster0, &settings.cluster0),
            (ClusterName::Cluster1, &settings.cluster1),
        ] {
            let cluster = connect(name, uri.reveal(), &app_name).await?;
            let reader = metadata::Reader::new(&cluster.client);
            if let Some(heading) = reader.heading().await? {
                let documents = Documents::new(&cluster.client, METADATA_DATABASE);
                return Ok(Self {
                    cluster,
                    reader,
                    documents,
                    heading,
                });
            }
        }
        Err(OperatorError::new(
            ErrorName::NotFound,
            "Neither cluster holds the metadata of a sync. Give the connection strings that it was begun with.",
        ))
    }
}
