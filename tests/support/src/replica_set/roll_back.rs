//! Writes of a primary that no other member has, and that are rolled back: in a set of
//! three with fail points.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;

use super::{DEADLINE, ReplicaSet, client};
use crate::wait::{Look, wait_until};

/// A primary whose writes no other member gets.
pub struct Isolated {
    primary: Client,
    others: Vec<Client>,
    /// Time of its last applied operation when it was isolated.
    applied: Option<bson::Timestamp>,
}

impl ReplicaSet {
    /// Keeps the secondaries from following the primary.
    pub async fn isolate_primary(&self) -> Result<Isolated> {
        let (mut primary, mut others) = (None, Vec::new());
        for address in self.addresses() {
            let direct = client(&format!("mongodb://{address}/?directConnection=true")).await?;
            let hello = ask(&direct, &doc! { "hello": 1 }).await?;
            match hello.get_bool("isWritablePrimary") {
                Ok(true) => primary = Some(direct),
                // It has no data, and cannot become primary.
                _ if hello.contains_key("arbiterOnly") => {}
                _ => others.push(direct),
            }
        }
        ensure!(!others.is_empty(), "a set of one has no other member");
        let primary = primary.context("no primary")?;
        for other in &others {
            fail_point(other, "stopReplProducer", "alwaysOn").await?;
        }
        let applied = applied(&primary).await?;
        Ok(Isolated {
            primary,
            others,
            applied,
        })
    }
}

impl ReplicaSet {
    /// Joins the members of a set of three again after a roll-back that did not finish.
    pub async fn join_members(&self) -> Result<()> {
        for address in self.addresses() {
            let direct = client(&format!("mongodb://{address}/?directConnection=true")).await?;
            fail_point(&direct, "stopReplProducer", "off").await?;
            // Refused by a primary, which needs no leave to stand for election.
            let _ = run(&direct, doc! { "replSetFreeze": 0 }).await;
        }
        Ok(())
    }
}

impl Isolated {
    /// Waits until the primary has written something that no other member has. A command that
    /// changes nothing writes nothing: false after a while.
    pub async fn wait_for_write(&self) -> Result<bool> {
        const WHILE: Duration = Duration::from_secs(2);
        let written = wait_until("the isolated primary writes", WHILE, async || {
            let applied = applied(&self.primary).await?;
            Ok(match applied > self.applied {
                true => Look::Done(()),
                false => Look::NotYet(format!("{applied:?}")),
            })
        });
        Ok(written.await.is_ok())
    }

    /// Makes another member primary, which rolls back all later writes. Returns when all three members follow it.
    pub async fn replace(self) -> Result<()> {
        let down = doc! { "replSetStepDown": 30, "secondaryCatchUpPeriodSecs": 0, "force": true };
        // The answer is lost where connections are closed.
        let _ = run(&self.primary, down).await;
        let next = wait_until("another primary", DEADLINE, async || self.elect().await).await?;
        for other in &self.others {
            fail_point(other, "stopReplProducer", "off").await?;
        }
        let _ = run(&self.primary, doc! { "replSetFreeze": 0 }).await;
        self.follows(&next).await
    }

    /// The current primary. Where there is none, a member is asked to become primary.
    async fn elect(&self) -> Result<Look<Client>> {
        for other in &self.others {
            let hello = ask(other, &doc! { "hello": 1 }).await?;
            if hello.get_bool("isWritablePrimary").is_ok_and(|is| is) {
                return Ok(Look::Done(other.clone()));
            }
        }
        let first = self.others.first().context("no other member")?;
        let refused = run(first, doc! { "replSetStepUp": 1 }).await.err();
        Ok(Look::NotYet(format!("{refused:?}")))
    }

    /// Waits until the old primary has the data of the new primary.
    async fn follows(&self, next: &Client) -> Result<()> {
        let newest = applied(next).await?;
        wait_until("the old primary follows", DEADLINE, async || {
            let hello = run(&self.primary, doc! { "hello": 1 }).await;
            let is_secondary =
                hello.is_ok_and(|hello| hello.get_bool("secondary").is_ok_and(|is| is));
            let applied = applied(&self.primary).await.ok().flatten();
            Ok(match is_secondary && applied >= newest {
                true => Look::Done(()),
                false => Look::NotYet(format!("applied {applied:?} of {newest:?}")),
            })
        })
        .await
    }
}

async fn applied(member: &Client) -> Result<Option<bson::Timestamp>> {
    let hello = ask(member, &doc! { "hello": 1 }).await?;
    let written = hello
        .get_document("lastWrite")
        .and_then(|last| last.get_document("opTime"));
    Ok(written.ok().and_then(|time| time.get_timestamp("ts").ok()))
}

async fn fail_point(member: &Client, name: &str, mode: &str) -> Result<()> {
    let command = doc! { "configureFailPoint": name, "mode": mode };
    ask(member, &command).await.map(drop)
}

/// Runs a command whose repetition changes nothing. A member closes its connections when it changes its state, and a
/// pool hands out more than one of them.
async fn ask(member: &Client, command: &Document) -> Result<Document> {
    const ATTEMPTS: usize = 10;
    const PAUSE: Duration = Duration::from_millis(200);
    for _ in 1..ATTEMPTS {
        if let Ok(reply) = run(member, command.clone()).await {
            return Ok(reply);
        }
        tokio::time::sleep(PAUSE).await;
    }
    run(member, command.clone()).await
}

async fn run(member: &Client, command: Document) -> Result<Document> {
    let what = command.keys().next().cloned().unwrap_or_default();
    let done = member.database("admin").run_command(command).await;
    done.with_context(|| format!("run {what} on a member"))
}
