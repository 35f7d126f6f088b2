//! What the session asks of the work while it runs.
//!
//! A *boundary* is a moment at which no document is with a plugin whose answer counts
//! from another moment. In change event application everything that was read is
//! applied and its position is persisted, and nothing is read before the session lets
//! go. While collections are copied there is no position: the copy goes on, and takes
//! up a swap between two batches.

use tokio::sync::{mpsc, oneshot};

use super::{Context, Error};
use crate::{
    model::{ClusterTime, ErrorName, OperatorError},
    mongo::listing,
};

/// What the session asks for, and where to answer. A wish that is dropped is one
/// that the work has ended before.
pub enum WorkRequest {
    /// Try quarantined documents again.
    RetryQuarantined(oneshot::Sender<Result<(), OperatorError>>),
    /// Come to a boundary, and stay there.
    Boundary(oneshot::Sender<Result<Boundary, OperatorError>>),
}

/// The work at a boundary. It goes on when this is dropped.
#[derive(Debug)]
pub struct Boundary {
    /// The source's cluster time: no event behind it has been through the plugins as they are,
    /// and every event before it has. In the initial sync, in which no event has, it is the
    /// source's time at that moment.
    pub time: ClusterTime,
    /// Collections are being copied. Which ones is settled: more join them when the work begins
    /// anew.
    pub copying: bool,
    then: oneshot::Sender<Continuation>,
}

/// How the work goes on behind a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// Nothing has changed.
    Unchanged,
    /// Components have been swapped.
    Swapped,
    /// And the session has listed what is to be copied again because of it.
    CopyAgain,
}

impl Boundary {
    /// Lets the work go on with other components.
    pub fn swapped(self, copy_again: bool) {
        let then = if copy_again {
            Continuation::CopyAgain
        } else {
            Continuation::Swapped
        };
        // Work that was stopped meanwhile begins with them.
        let _ = self.then.send(then);
    }
}

/// Answers with a boundary and waits until the session lets go, or the work is to stop.
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

/// Does the work of a copy, and grants requests meanwhile. `position` is where the stream
/// stands, if there is one.
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
                    // Nobody waits any more when the call was cut off.
                    let _ = answer.send(Err(error.into()));
                }
            }
        }
        WorkRequest::RetryQuarantined(answer) => {
            let _ = answer.send(Err(OperatorError::new(
                ErrorName::InvalidStateTransition,
                "Quarantined documents are tried again once no collections are copied. Wait until /progress \
                 shows `change event application`.",
            )));
        }
    }
}
