//! A failure of a cluster, of the lines to it, or of the host: caused, kept up for a while, and ended.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use bson::{Document, doc};
use rand::{Rng, rngs::StdRng};
use tokio::time::sleep;

use super::{host::Keeper, rig::Cluster};
use crate::{ReplicaSet, faults::Side, replica_set::Partition};

/// Clients that a faulty line concerns: the hosts.
const HOSTS: &str = "tidegate";

/// A failure, and when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// After the failure before it began, or after the course has reached its failures.
    pub after: Duration,
    pub side: Side,
    pub failure: Failure,
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, side) = (self.after.as_secs_f32(), self.side.name());
        match &self.failure {
            Failure::HostKilled(_) => write!(f, "+{after:.1} s {}", self.failure),
            failure => write!(f, "+{after:.1} s {side} {failure}"),
        }
    }
}

/// A kind of failure, with the time for which it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The primary steps down, and another member is elected.
    StepDown,
    /// kill -9 of the primary; started again.
    PrimaryKilled(Duration),
    /// kill -9 of a secondary; started again.
    SecondaryKilled(Duration),
    /// SIGSTOP of the primary; SIGCONT.
    PrimaryFrozen(Duration),
    /// The primary does not reach its peers, and goes on with its clients until it notices. Its writes are rolled back.
    PrimaryParted(Partition, Duration),
    /// No member follows the primary, which takes writes for this time; another member is elected, and they are
    /// rolled back.
    RolledBack(Duration),
    /// A secondary applies nothing.
    SecondaryLags(Duration),
    /// kill -9 of all members; started again.
    Away(Duration),
    /// Each message of the host is late.
    LineSlow { by: Duration, lasts: Duration },
    /// Of a thousand messages of the host and replies to it, so many are lost with their connections.
    LineLossy { of_thousand: u32, lasts: Duration },
    /// No message of the host arrives.
    LineSilent(Duration),
    /// Connections of the host are closed and refused.
    LineRefused(Duration),
    /// kill -9 of the host; started again.
    HostKilled(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, lasts) = match self {
            Self::StepDown => return f.write_str("steps down"),
            Self::PrimaryKilled(lasts) => ("primary killed".to_owned(), lasts),
            Self::SecondaryKilled(lasts) => ("secondary killed".to_owned(), lasts),
            Self::PrimaryFrozen(lasts) => ("primary frozen".to_owned(), lasts),
            Self::PrimaryParted(Partition::Refused, lasts) => ("primary parted".to_owned(), lasts),
            Self::PrimaryParted(Partition::Silent, lasts) => {
                ("primary parted in silence".to_owned(), lasts)
            }
            Self::RolledBack(lasts) => ("rolled back".to_owned(), lasts),
            Self::SecondaryLags(lasts) => ("secondary lags".to_owned(), lasts),
            Self::Away(lasts) => ("away".to_owned(), lasts),
            Self::LineSlow { by, lasts } => (format!("line slow by {} ms", by.as_millis()), lasts),
            Self::LineLossy { of_thousand, lasts } => {
                (format!("line loses {of_thousand} of 1,000"), lasts)
            }
            Self::LineSilent(lasts) => ("line silent".to_owned(), lasts),
            Self::LineRefused(lasts) => ("line refused".to_owned(), lasts),
            Self::HostKilled(lasts) => ("host killed".to_owned(), lasts),
        };
        write!(f, "{what} for {:.1} s", lasts.as_secs_f32())
    }
}

impl Failure {
    /// Draws a failure. A cluster that is away takes long, and is drawn rarely.
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let short = between(rng, 1_500, 6_000);
        // Longer than an election.
        let long = between(rng, 4_000, 9_000);
        match rng.random_range(0..27) {
            0..3 => Self::StepDown,
            3..6 => Self::PrimaryKilled(short),
            6..8 => Self::SecondaryKilled(short),
            8..10 => Self::PrimaryFrozen(long),
            10..13 => Self::PrimaryParted(Partition::Refused, long),
            13..15 => Self::PrimaryParted(Partition::Silent, long),
            15..18 => Self::RolledBack(between(rng, 1_000, 3_000)),
            18..20 => Self::SecondaryLags(long),
            20 => Self::Away(between(rng, 20_000, 30_000)),
            21 => Self::LineSlow {
                by: between(rng, 10, 80),
                lasts: long,
            },
            22..24 => Self::LineLossy {
                of_thousand: rng.random_range(3..30),
                lasts: long,
            },
            24 => Self::LineSilent(long),
            25 => Self::LineRefused(long),
            _ => Self::HostKilled(between(rng, 0, 3_000)),
        }
    }

    /// For how long a cluster is away.
    pub(super) fn away(&self) -> Duration {
        match self {
            Self::Away(lasts) => *lasts,
            _ => Duration::ZERO,
        }
    }

    /// Causes the failure, and returns when it has ended.
    pub(super) async fn happen(self, at: &Cluster, keeper: &Keeper) -> Result<()> {
        match self {
            Self::LineSlow { by, lasts } => {
                at.proxy.delay(HOSTS, by);
                return at.mend_after(lasts, HOSTS).await;
            }
            Self::LineLossy { of_thousand, lasts } => {
                at.proxy.lose(HOSTS, of_thousand);
                return at.mend_after(lasts, HOSTS).await;
            }
            Self::LineSilent(lasts) => {
                at.proxy.stall(HOSTS);
                return at.mend_after(lasts, HOSTS).await;
            }
            Self::LineRefused(lasts) => {
                at.proxy.refuse(HOSTS);
                return at.mend_after(lasts, HOSTS).await;
            }
            Self::HostKilled(lasts) => return keeper.kill(lasts).await,
            _ => {}
        }
        // One failure of members at a time: two could end the majority for good.
        let mut set = at.set.lock().await;
        let happened = self.happen_to(&mut set, at).await;
        happened.with_context(|| format!("{} {self}", at.side.name()))
    }

    async fn happen_to(self, set: &mut ReplicaSet, at: &Cluster) -> Result<()> {
        match self {
            Self::StepDown => set.step_down().await,
            Self::PrimaryKilled(lasts) => {
                let place = set.primary().await?;
                set.kill_member(place)?;
                sleep(lasts).await;
                set.restart().await
            }
            Self::SecondaryKilled(lasts) => {
                let place = set.data_secondary().await?;
                set.kill_member(place)?;
                sleep(lasts).await;
                set.restart().await
            }
            Self::PrimaryFrozen(lasts) => {
                let member = set.member(set.primary().await?)?;
                member.freeze()?;
                sleep(lasts).await;
                member.thaw()
            }
            Self::PrimaryParted(partition, lasts) => {
                let place = set.primary().await?;
                let primary = set.member_client(place).await?;
                set.part(place, partition)?;
                let writes = tokio::time::timeout(lasts, at.writes_to(&primary));
                let (_, ()) = tokio::join!(writes, sleep(lasts));
                set.join();
                Ok(())
            }
            Self::RolledBack(lasts) => {
                let primary = set.member_client(set.primary().await?).await?;
                let isolated = set.isolate_primary().await?;
                let _ = tokio::time::timeout(lasts, at.writes_to(&primary)).await;
                isolated.replace().await
            }
            Self::SecondaryLags(lasts) => {
                let secondary = set.member_client(set.data_secondary().await?).await?;
                lag(&secondary, "alwaysOn").await?;
                sleep(lasts).await;
                lag(&secondary, "off").await
            }
            Self::Away(lasts) => {
                set.kill_all()?;
                sleep(lasts).await;
                set.restart().await
            }
            _ => Ok(()),
        }
    }
}

/// Keeps a secondary from fetching writes, or no longer.
async fn lag(secondary: &mongodb::Client, mode: &str) -> Result<()> {
    let command: Document = doc! { "configureFailPoint": "stopReplProducer", "mode": mode };
    let done = secondary.database("admin").run_command(command).await;
    done.map(drop).context("let a secondary lag")
}

/// A time between these, in milliseconds.
pub(super) fn between(rng: &mut StdRng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.random_range(least..most))
}
