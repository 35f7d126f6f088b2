//! Failures of a set of three members: of its primary, its secondary, its links, and of all of it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::Client;

use super::{DEADLINE, Partition, ReplicaSet, client};
use crate::wait::{Look, wait_until};

impl ReplicaSet {
    /// The place of the primary in [`Self::addresses`]. Waits for one.
    pub async fn primary(&self) -> Result<usize> {
        wait_until("a primary", DEADLINE, async || {
            let hello = self.db("admin").run_command(doc! { "hello": 1 }).await;
            let place = hello.ok().and_then(|hello| {
                let primary = hello.get_str("me").ok()?.to_owned();
                let writes = hello.get_bool("isWritablePrimary").ok()?;
                writes.then(|| self.place(&primary))?
            });
            Ok(place.map_or_else(|| Look::NotYet("none".to_owned()), Look::Done))
        })
        .await
    }

    fn place(&self, address: &str) -> Option<usize> {
        self.addresses().iter().position(|one| one == address)
    }

    /// The place of a member with data that is not primary.
    pub async fn data_secondary(&self) -> Result<usize> {
        let primary = self.primary().await?;
        let arbiter = self.options.arbiter.then(|| self.members.len() - 1);
        let mut places = 0..self.members.len();
        let found = places.find(|place| *place != primary && Some(*place) != arbiter);
        found.context("a set of one has no secondary")
    }

    /// A client of one member, whatever its state.
    pub async fn member_client(&self, place: usize) -> Result<Client> {
        let addresses = self.addresses();
        let address = addresses.get(place).context("no such member")?;
        client(&format!("mongodb://{address}/?directConnection=true")).await
    }

    /// kill -9 of all members.
    pub fn kill_all(&mut self) -> Result<()> {
        for place in 0..self.members.len() {
            self.kill_member(place)?;
        }
        Ok(())
    }

    /// Parts a member from its peers. Clients reach it as before.
    pub fn part(&self, place: usize, partition: Partition) -> Result<()> {
        let links = self.links.as_ref().context("a set without links")?;
        links.part(Some((place, partition)));
        Ok(())
    }

    /// Ends a partition.
    pub fn join(&self) {
        if let Some(links) = &self.links {
            links.part(None);
        }
    }

    /// Waits until all members are up and have the data of the primary.
    pub async fn in_step(&self) -> Result<()> {
        let what = format!("the members of {} are in step", self.name());
        wait_until(&what, DEADLINE, async || {
            let status = match self.admin(doc! { "replSetGetStatus": 1 }).await {
                Ok(status) => status,
                Err(error) => return Ok(Look::NotYet(format!("{error:#}"))),
            };
            let members = status.get_array("members").context("members")?;
            let members = members.iter().filter_map(|member| member.as_document());
            let states: Vec<String> = members.map(state).collect();
            Ok(match is_in_step(&states) {
                true => Look::Done(()),
                false => Look::NotYet(states.join(", ")),
            })
        })
        .await
    }

    /// The number of files with documents that members have rolled back.
    pub fn rolled_back(&self) -> usize {
        let directories = self.members.iter().map(|member| member.rolled_back());
        directories.map(|directory| files(directory).len()).sum()
    }
}

/// State and position of a member, as one text.
fn state(member: &Document) -> String {
    let state = member.get_str("stateStr").unwrap_or_default();
    let applied = member.get_document("optime").ok();
    let applied = applied.and_then(|time| time.get_timestamp("ts").ok());
    format!("{state} {applied:?}")
}

fn is_in_step(states: &[String]) -> bool {
    let position = |state: &String| state.split_once(' ').map(|(_, at)| at.to_owned());
    let mut with_data = states.iter().filter(|state| !state.starts_with("ARBITER"));
    let Some(first) = with_data.next() else {
        return false;
    };
    let is_well = |state: &&String| state.starts_with("PRIMARY") || state.starts_with("SECONDARY");
    let has_primary = states.iter().any(|state| state.starts_with("PRIMARY"));
    has_primary
        && is_well(&first)
        && with_data.all(|state| is_well(&state) && position(state) == position(first))
}

/// All files below a directory, which may be missing.
fn files(directory: PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let below = paths.flat_map(|path| match path.is_dir() {
        true => files(path),
        false => vec![path],
    });
    below.collect()
}
