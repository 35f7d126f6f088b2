//! The keeper of the write blocks: brings each cluster to the block that the session wants, while this host holds the
//! lease.
//!
//! Invariant: the wish is persisted, guarded, before any command is sent, and the keeper compares it with the cluster
//! again and again. So a crash, a refusal, a lost answer or a late packet leaves no block behind: this host or the next
//! finds the difference and removes it. A block that was there before the sync asked for it is never lifted.

use std::{sync::Arc, time::Duration};

use tokio_util::task::AbortOnDropHandle;

use super::{
    Record, Status, context::SOURCE, throttle_status::Side, write_block_status::BlockView,
};
use crate::{
    metadata::{BlockState, SessionDocument, WriteBlockDocument, WriteBlocksDocument},
    model::State,
    mongo::{
        Client, Delivery, Error, Fence, Moment, code, is_write_blocked, listing, open_transactions,
        set_write_block,
    },
    observe::{failpoint, shortened},
};

/// Interval between two looks at a block that stands as it should.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Interval between two looks at a cluster without a block.
const IDLE: Duration = Duration::from_secs(3_600);

/// Interval between two looks while a command may still arrive.
const DOUBT_EVERY: Duration = Duration::from_millis(500);

/// Pause between two attempts to set or lift a block: applications go on between them.
const AGAIN: Duration = Duration::from_millis(500);

/// Pause after a refusal.
const REFUSED: Duration = Duration::from_secs(5);

/// Age from which an open transaction keeps the block from being tried: the attempt would only stall the cluster.
const OLD_TRANSACTION: Duration = Duration::from_millis(500);

/// Time after a lift in which a lost command is looked for. TCP gives a packet up after less.
const DOUBT: Duration = Duration::from_secs(300);

/// Keeps the blocks of a sync. Dropping it ends the work; the blocks stay.
pub struct BlockKeeper {
    _task: AbortOnDropHandle<()>,
}

/// The keeper of one cluster's block.
struct SideKeeper {
    side: Side,
    client: Client,
    destination: Client,
    fence: Fence,
    record: Arc<Record>,
    status: Arc<Status>,
    /// True while an attempt without an answer may still arrive, of this host or of the previous one.
    is_uncertain: bool,
    /// True once the server has confirmed a block to this host.
    is_confirmed: bool,
}

impl BlockKeeper {
    /// Starts the keeper of the two clusters, within the fence of this host's lease.
    pub fn start(
        (source, destination): (&Client, &Client),
        fence: &Fence,
        record: &Arc<Record>,
        status: &Arc<Status>,
    ) -> Self {
        let source = source.with_name(SOURCE);
        let destination = destination.with_name("the destination");
        let keeper = |side, client: &Client| SideKeeper {
            side,
            client: client.clone(),
            destination: destination.clone(),
            fence: fence.clone(),
            record: record.clone(),
            status: status.clone(),
            is_uncertain: block_of(&record.get(), side).is_some_and(|block| block.in_flight),
            is_confirmed: false,
        };
        let sides = [
            keeper(Side::Source, &source),
            keeper(Side::Destination, &destination),
        ];
        let [source, destination] = sides.map(SideKeeper::keep);
        let both = async move {
            tokio::join!(source, destination);
        };
        Self {
            _task: AbortOnDropHandle::new(tokio::spawn(both)),
        }
    }
}

impl SideKeeper {
    /// Brings the cluster to the wanted state, until the lease is lost.
    async fn keep(mut self) {
        let mut changes = self.record.changes();
        loop {
            changes.mark_unchanged();
            let pause = match self.bring().await {
                Ok(pause) => pause,
                Err(Error::Fenced) => return,
                Err(error) if error.code().is_some() => {
                    let name = self.side.name();
                    let obstacle = format!("The write block of {name} is not as wanted: {error}.");
                    self.status.write_blocks.hold_up(self.side, obstacle);
                    REFUSED
                }
                Err(error) => {
                    tracing::debug!(cluster = self.side.name(), error = %error, "write block");
                    AGAIN
                }
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.status.write_blocks.look_asked(self.side) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Does a step towards the wanted state. Returns the pause before the next look.
    async fn bring(&mut self) -> Result<Duration, Error> {
        // Before the session is read: a later look sees a later wish.
        let begun = Moment::now();
        let session = self.record.get();
        let Some(block) = block_of(&session, self.side) else {
            return Ok(IDLE);
        };
        match block.state {
            BlockState::Open => {
                if let Some(is_blocked) = self.look().await? {
                    self.show(block, is_blocked, begun);
                }
                Ok(IDLE)
            }
            BlockState::Blocked
                if self.side == Side::Source && self.status.write_blocks.opens_source() =>
            {
                self.open(block, begun).await
            }
            BlockState::Blocked => self.block(&session, block, begun).await,
            BlockState::Lifting => self.lift(block, begun).await,
        }
    }

    async fn block(
        &mut self,
        session: &SessionDocument,
        block: &WriteBlockDocument,
        begun: Moment,
    ) -> Result<Duration, Error> {
        // A block that the server has confirmed stands, where it cannot be seen.
        let is_blocked = match self.look().await? {
            Some(is_blocked) => is_blocked,
            None => block.ours && (self.is_confirmed || !block.in_flight),
        };
        self.show(block, is_blocked, begun);
        // From COMMITTED on, the old cluster's operator decides whether it is written to.
        if is_blocked || session.state == State::Committed {
            return Ok(LOOK_EVERY);
        }
        let open = open_transactions(&self.client, OLD_TRANSACTION).await?;
        if let Some(oldest) = open.as_ref().and_then(|open| open.first()) {
            self.held_up(&format!("{oldest} is in the way"));
            return Ok(AGAIN);
        }
        self.update(|block| (block.ours, block.in_flight) = (true, true))
            .await?;
        failpoint("block_wanted");
        match set_write_block(&self.client, Some(&self.fence), true).await? {
            Delivery::Done(()) => {
                failpoint("block_set");
                self.is_confirmed = true;
                tracing::info!(cluster = self.side.name(), "user writes are blocked");
                if !self.is_uncertain {
                    self.update(|block| block.in_flight = false).await?;
                }
                Ok(Duration::ZERO)
            }
            Delivery::Unknown(error) => {
                if error.code().is_some() {
                    self.held_up("an open transaction is in the way, of a client that this user may not see (inprog)");
                } else {
                    self.is_uncertain = true;
                }
                Ok(AGAIN)
            }
        }
    }

    async fn lift(&mut self, block: &WriteBlockDocument, begun: Moment) -> Result<Duration, Error> {
        match self.look().await? {
            Some(true) => {
                self.show(block, true, begun);
                return self.send_lift(Some(&self.fence)).await;
            }
            Some(false) => {}
            // Lifting a block that is not there does nothing, and the answer tells that none is.
            None => {
                let pause = self.send_lift(Some(&self.fence)).await?;
                if !pause.is_zero() {
                    return Ok(pause);
                }
            }
        }
        // A failover must not bring the block back.
        listing::settled_time(&self.client).await?;
        self.show(block, false, begun);
        let now = listing::local_time(&self.destination).await?;
        let since = now
            .timestamp_millis()
            .saturating_sub(block.changed_at.timestamp_millis());
        let doubt = shortened("TIDEGATE_BLOCK_DOUBT_SECONDS", DOUBT);
        if block.in_flight && u128::try_from(since).unwrap_or_default() < doubt.as_millis() {
            return Ok(DOUBT_EVERY);
        }
        self.update(|block| {
            if block.state == BlockState::Lifting {
                *block = WriteBlockDocument::open(now);
            }
        })
        .await?;
        (self.is_uncertain, self.is_confirmed) = (false, false);
        Ok(Duration::ZERO)
    }

    /// Lifts a block that the session still wants.
    async fn open(&self, block: &WriteBlockDocument, begun: Moment) -> Result<Duration, Error> {
        let seen = self.look().await?;
        self.show(block, seen.unwrap_or(false), begun);
        match seen.unwrap_or(true) && block.ours {
            // Without the fence, which a silent destination closes: applications of the source must not wait for it. A
            // late lift opens the source for a moment, which the search for late writes finds.
            true => Ok(self.send_lift(None).await?.max(DOUBT_EVERY)),
            false => Ok(DOUBT_EVERY),
        }
    }

    async fn send_lift(&self, fence: Option<&Fence>) -> Result<Duration, Error> {
        let lifted = set_write_block(&self.client, fence, false).await?;
        failpoint("block_lifted");
        Ok(match lifted {
            Delivery::Done(()) => {
                tracing::info!(cluster = self.side.name(), "user writes are allowed again");
                Duration::ZERO
            }
            Delivery::Unknown(_) => AGAIN,
        })
    }

    /// Whether the cluster is blocked; `None` where this user may not see it, since its privilege `serverStatus` was
    /// revoked under the sync.
    async fn look(&self) -> Result<Option<bool>, Error> {
        match is_write_blocked(&self.client).await {
            Ok(is_blocked) => Ok(Some(is_blocked)),
            Err(error) if error.has_code(code::UNAUTHORIZED) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn show(&self, block: &WriteBlockDocument, is_blocked: bool, begun: Moment) {
        let view = BlockView {
            is_blocked: Some(is_blocked),
            is_settled: match block.state {
                BlockState::Open => true,
                BlockState::Blocked => is_blocked,
                BlockState::Lifting => !is_blocked,
            },
            seen_at: Some(begun),
            is_foreign: is_blocked && !block.ours,
            obstacle: None,
        };
        self.status.write_blocks.show(self.side, view);
    }

    fn held_up(&self, why: &str) {
        let name = self.side.name();
        let obstacle = format!(
            "User writes of {name} cannot be blocked yet: {why}. The block is tried again. End the transaction, or its \
             session with db.adminCommand({{killSessions: [{{id: UUID(\"...\")}}]}})."
        );
        self.status.write_blocks.hold_up(self.side, obstacle);
    }

    async fn update(&self, change: impl FnOnce(&mut WriteBlockDocument)) -> Result<(), Error> {
        let side = self.side;
        let updated = self.record.update(|session| {
            let block = session
                .write_blocks
                .as_mut()
                .and_then(|blocks| side_of(blocks, side));
            if let Some(block) = block {
                change(block);
            }
        });
        updated.await
    }
}

fn side_of(blocks: &mut WriteBlocksDocument, side: Side) -> Option<&mut WriteBlockDocument> {
    match side {
        Side::Source => blocks.source.as_mut(),
        Side::Destination => blocks.destination.as_mut(),
    }
}

fn block_of(session: &SessionDocument, side: Side) -> Option<&WriteBlockDocument> {
    let blocks = session.write_blocks.as_ref()?;
    match side {
        Side::Source => blocks.source.as_ref(),
        Side::Destination => blocks.destination.as_ref(),
    }
}
