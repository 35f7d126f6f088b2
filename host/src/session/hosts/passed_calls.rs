//! Calls that a standby passes on to the leader, through the metadata: hosts need no way to one another.
//!
//! A call is carried out at most once. A call whose fate is not known is answered as such, and never repeated.

use std::{collections::HashMap, sync::Weak, time::Duration};

use parking_lot::Mutex;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    metadata::{LeaseDocument, NewPassedCall, PassedCallDocument, PassedCallState, Reader},
    model::{
        ErrorName, OperatorError,
        hosts::{PassedAnswer, PassedCall, TakenCall},
    },
    mongo::{self, Moment, listing},
    observe,
    session::role::{
        host::Host,
        standby::{Standby, StandbyReason},
    },
};

/// Time in which a leader may take a call.
const TAKE_WITHIN: Duration = Duration::from_secs(3);
/// Time for each read and write of a call.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Time that a leader has after a takeover to register, before its calls are refused.
const REGISTERED_WITHIN: Duration = Duration::from_secs(2);
/// The longest time that a call of the leader may take. A hook of a commit may take minutes.
const LONGEST: Duration = Duration::from_secs(1_800);
/// Interval between two looks for an answer, and between two looks for calls.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The call after which the leader ends.
const HANDOVER: &str = "/api/v1/handover";

/// Passes a call on to the leader, and returns its answer. `None` if this host is no standby of a leader that takes
/// calls, so that it answers itself.
pub(crate) async fn pass_on(
    host: &Host,
    call: &PassedCall,
) -> Option<Result<PassedAnswer, OperatorError>> {
    let standby = host.standby()?;
    let StandbyReason::LeaseHeld(lease) = &standby.reason else {
        return None;
    };
    let destination = standby.sync.destination.name;
    if host.context.monitor.silence(destination).is_some()
        || !takes_calls(host, &standby, lease).await
    {
        return None;
    }
    let delivery = CallDelivery {
        host,
        standby: &standby,
        lease,
        id: Uuid::new_v4().to_string(),
    };
    Some(delivery.carry_out(call).await)
}

/// Whether the leader takes calls. A leader of this release registers within a second of its takeover.
async fn takes_calls(host: &Host, standby: &Standby, lease: &LeaseDocument) -> bool {
    let since = Moment::now();
    let list = &host.context.hosts;
    while !list.takes_calls(&lease.holder) {
        if lease.release != observe::VERSION || since.elapsed() > REGISTERED_WITHIN {
            return false;
        }
        match timeout(ANSWER_WITHIN, standby.sync.reader.hosts()).await {
            Ok(Ok(hosts)) => list.see(hosts),
            _ => return false,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

/// A call on its way.
struct CallDelivery<'a> {
    host: &'a Host,
    standby: &'a Standby,
    lease: &'a LeaseDocument,
    id: String,
}

impl CallDelivery<'_> {
    fn reader(&self) -> &Reader {
        &self.standby.sync.reader
    }

    async fn carry_out(&self, call: &PassedCall) -> Result<PassedAnswer, OperatorError> {
        let destination = &self.standby.sync.destination.client;
        let now = self.within(listing::local_time(destination)).await?;
        let expires_at = now.saturating_add_duration(TAKE_WITHIN);
        let document = NewPassedCall {
            id: self.id.clone(),
            path: call.path.clone(),
            body: call.body.clone(),
            who: call.who.clone(),
            role: call.role.clone(),
            record: call.record.clone(),
            instance: self.host.context.settings.id.clone(),
            expires_at,
        };
        let (begun, written) = (Moment::now(), self.reader().pass_call(&document));
        self.within(written).await?;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = self.within(self.reader().passed_call(&self.id)).await?;
            let found = found.ok_or_else(|| self.unknown())?;
            match found.state {
                PassedCallState::Answered => return self.answered(found).await,
                PassedCallState::Waiting => {
                    if begun.elapsed() > TAKE_WITHIN && self.withdraw().await? {
                        return Err(self.not_taken());
                    }
                }
                PassedCallState::Taken | PassedCallState::Withdrawn => {
                    let has_ended = self.has_taker_ended(&found).await?;
                    // The end of the leader is what a handover asks for.
                    if has_ended && call.path == HANDOVER {
                        return Ok(handed_over());
                    }
                    if has_ended || begun.elapsed() > LONGEST {
                        return Err(self.unknown());
                    }
                }
            }
        }
    }

    async fn answered(&self, call: PassedCallDocument) -> Result<PassedAnswer, OperatorError> {
        // A call that stays is removed by a later registration.
        let _ = timeout(ANSWER_WITHIN, self.reader().remove_call(&self.id)).await;
        let status = call.status.and_then(|status| u16::try_from(status).ok());
        match (status, call.answer) {
            (Some(status), Some(body)) => Ok(PassedAnswer { status, body }),
            _ => Err(self.unknown()),
        }
    }

    async fn withdraw(&self) -> Result<bool, OperatorError> {
        self.within(self.reader().withdraw_call(&self.id)).await
    }

    /// Whether the host that has taken the call no longer holds the lease. It need not be the host that led when the call was
    /// passed on.
    async fn has_taker_ended(&self, call: &PassedCallDocument) -> Result<bool, OperatorError> {
        let lease = self.within(self.reader().lease()).await?;
        let is_held = |lease: &LeaseDocument| {
            !lease.released && call.taken_by.as_ref() == Some(&lease.holder)
        };
        Ok(!lease.as_ref().is_some_and(is_held))
    }

    /// Waits a bounded time for the destination.
    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, mongo::Error>>,
    ) -> Result<T, OperatorError> {
        match timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::info!(error = %error, "a call was not passed on");
                Err(self.unknown())
            }
            Err(_elapsed) => Err(self.unknown()),
        }
    }

    fn not_taken(&self) -> OperatorError {
        OperatorError::new(
            ErrorName::StandbyInstance,
            format!(
                "{} Call that host: it has not taken the call from here within {} seconds. The call is withdrawn, and \
                 nothing was changed.",
                self.standby.reason.sentence(),
                TAKE_WITHIN.as_secs()
            ),
        )
    }

    fn unknown(&self) -> OperatorError {
        OperatorError::new(
            ErrorName::ConnectionFailed,
            format!(
                "The call was passed on to {}, and no answer came. Whether it was carried out is not known: see GET \
                 /api/v1/progress, and repeat the call if needed.",
                self.lease.instance
            ),
        )
    }
}

fn handed_over() -> PassedAnswer {
    PassedAnswer {
        status: 200,
        body: "{\"success\":true}".to_owned(),
    }
}

/// Calls of other hosts that this host carries out, each with the metadata that it came from: after a handover this host
/// has no sync, and still answers.
#[derive(Default)]
pub(crate) struct OpenCalls(Mutex<HashMap<String, Reader>>);

impl OpenCalls {
    /// The next call that a standby passes on to this host. Waits for as long as this host lives; `None` after that.
    ///
    /// Cancel safe: a call that is taken and not returned is answered as unknown, and not carried out.
    pub(crate) async fn next(&self, host: Weak<Host>) -> Option<TakenCall> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let host = host.upgrade()?;
            let lease = host.context.settings.lease;
            let is_several = host.context.hosts.is_several(lease);
            let Some(active) = host.active().filter(|_| is_several) else {
                continue;
            };
            let reader: &Reader = active.record.store();
            let Ok(Ok(waiting)) = timeout(ANSWER_WITHIN, reader.waiting_calls()).await else {
                continue;
            };
            for id in waiting {
                // A lost answer leaves the call to its caller, who learns that its fate is not known.
                if let Ok(Some(call)) = reader.take_call(&id, &host.context.holder).await {
                    host.context.hosts.note_call();
                    self.0.lock().insert(id, reader.clone());
                    return Some(taken(call));
                }
            }
        }
    }

    /// Answers a call that this host has taken as the process `holder`.
    pub(crate) async fn answer(&self, holder: &str, id: &str, answer: &PassedAnswer) {
        let Some(reader) = self.0.lock().remove(id) else {
            return;
        };
        let answered = reader.answer_call(id, holder, (answer.status, &answer.body));
        if !matches!(timeout(ANSWER_WITHIN, answered).await, Ok(Ok(()))) {
            tracing::info!(id, "the answer to a passed call was not written");
        }
    }
}

fn taken(document: PassedCallDocument) -> TakenCall {
    TakenCall {
        id: document.id,
        instance: document.instance,
        call: PassedCall {
            path: document.path,
            body: document.body,
            who: document.who,
            role: document.role,
            record: document.record,
        },
    }
}
