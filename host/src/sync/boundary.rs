//! Requests of the session to the work, and boundaries.
//!
//! A *boundary* is a moment at which every earlier round is applied and no later round has begun,
//! so no document of the stream is with a plugin. The position is persisted at the boundary, and no
//! event is read until the session releases it. Copies go on, and take up a swap between two batches.

use tokio::sync::oneshot;

use super::Context;
use crate::model::{ClusterTime, OperatorError};

/// A request to the running work, with the channel for its answer.
///
/// A dropped sender means that the work ended before it served the request.
pub enum WorkRequest {
    /// Retry quarantined documents.
    RetryQuarantined(oneshot::Sender<Result<(), OperatorError>>),
    /// Write all documents that differ again from the source.
    RepairMismatches,
    /// Verify all documents again.
    VerifyAgain,
    /// Come to a boundary and hold it.
    Boundary(oneshot::Sender<Result<Boundary, OperatorError>>),
}

/// A boundary that the work holds. Dropping it releases the work with its components unchanged.
#[derive(Debug)]
pub struct Boundary {
    /// The source's cluster time of the boundary: the present components have seen every event
    /// before it and no event after it.
    pub time: ClusterTime,
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
) -> Continuation {
    let (then, released) = oneshot::channel();
    let boundary = Boundary { time, then };
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
