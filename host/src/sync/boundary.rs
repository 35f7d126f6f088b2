//! Requests of the session to the work, and boundaries.
//!
//! A *boundary* is a moment at which every earlier round is applied and no later round has begun,
//! so no document is with a plugin. During change event application the position is persisted at
//! the boundary, and nothing is read until the session releases it. During a copy there is no
//! position: the copy goes on, and takes up a swap between two batches.

use tokio::sync::{mpsc, oneshot};

use super::{Context, Error};
use crate::{
    model::{ClusterTime, ErrorName, OperatorError},
    mongo::listing,
};

/// A request to the running work, with the channel for its answer.
///
/// A dropped sender means that the work ended before it served the request.
pub enum WorkRequest {
    /// Retry quarantined documents.
    RetryQuarantined(oneshot::Sender<Result<(), OperatorError>>),
    /// Come to a boundary and hold it.
    Boundary(oneshot::Sender<Result<Boundary, OperatorError>>),
}

/// A boundary that the work holds. Dropping it releases the work with its components unchanged.
#[derive(Debug)]
pub struct Boundary {
    /// The source's cluster time of the boundary: the present components have seen every event
    /// before it and no event after it. During the initial sync, which sees no events, it is the
    /// source's current time.
    pub time: ClusterTime,
    /// Whether collections are being copied. Their set is fixed: others join when the work starts
    /// again.
    pub copying: bool,
    then: oneshot::Sender<Continuation>,
}

/// How the work goes on after a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The components are the same.
    Unchanged,
    /// Components have been swapped.
    Swapped,
    /// Components have been swapped, and the session lists collections that have to be copied
    /// again.
    CopyAgain,
}

impl Boundary {
    /// Releases the work with swapped components. `copy_again`: the session lists collections to
    /// copy again.
    pub fn swapped(self, copy_again: bool) {
        let then = if copy_again {
            Continuation::CopyAgain
        } else {
            Continuation::Swapped
        };
        // Work that was stopped meanwhile starts with the new components.
        let _ = self.then.send(then);
    }
}

/// Answers with a boundary and holds it until the session releases it or the work is cancelled.
pub(super) async fn hold(
    context: &Context,
    answer: oneshot::Sender<Result<Boundary, OperatorError>>,
    time: ClusterTime,
    copying: bool,
) -> Continuation {
    let (then, released) = oneshot::channel();
    let boundary = Boundary {
        time,
        copying,
        then,
    };
    if answer.send(Ok(boundary)).is_err() {
        return Continuation::Unchanged;
    }
    let then = tokio::select! {
        then = released => then.unwrap_or(Continuation::Unchanged),
        () = context.cancel.cancelled() => Continuation::Unchanged,
    };
    if then != Continuation::Unchanged {
        context.scope.forget();
    }
    then
}

/// Runs the work of a copy and serves requests meanwhile. `position` is the stream's position, if
/// it has one.
///
/// Cancel safe as far as `work` is.
pub(super) async fn copy_and_serve<T>(
    context: &Context,
    requests: &mut mpsc::Receiver<WorkRequest>,
    position: Option<ClusterTime>,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(request) = requests.recv() => serve_in_copy(context, position, request).await,
        }
    }
}

async fn serve_in_copy(context: &Context, position: Option<ClusterTime>, request: WorkRequest) {
    match request {
        WorkRequest::Boundary(answer) => {
            let time = match position {
                Some(time) => Ok(time),
                None => listing::operation_time(&context.source).await,
            };
            match time {
                Ok(time) => {
                    hold(context, answer, time, true).await;
                }
                Err(error) => {
                    // The receiver is gone if the call was cut off.
                    let _ = answer.send(Err(error.into()));
                }
            }
        }
        WorkRequest::RetryQuarantined(answer) => {
            let _ = answer.send(Err(OperatorError::new(
                ErrorName::InvalidStateTransition,
                "Quarantined documents cannot be retried while collections are copied. Wait until /progress \
                 shows `change event application`.",
            )));
        }
    }
}
