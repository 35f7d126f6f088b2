//! Calls that hosts pass on to the leader.
//!
//! Invariants:
//!
//! - A call is taken by one conditional update, and only before its time is over by the server's clock.
//! - A withdrawn call is never taken, and a taken call is never withdrawn.

use bson::{DateTime, Document, doc};

use super::{collections::PASSED_CALLS, documents::PassedCallDocument, store::Reader};
use crate::mongo::Error;

/// A call to pass on.
#[derive(Clone, Debug)]
pub struct NewPassedCall {
    /// Random.
    pub id: String,
    /// Path of the call.
    pub path: String,
    /// Body of the call.
    pub body: String,
    /// Name of the caller.
    pub who: String,
    /// Role of the caller.
    pub role: String,
    /// Id of the record of the call.
    pub record: String,
    /// `--id` of the host that was called.
    pub instance: String,
    /// By the destination's clock: no leader takes the call from then on. Taken before the call is sent, so that a call which
    /// the network delays is over when it arrives.
    pub expires_at: DateTime,
}

impl Reader {
    /// Writes a call for the leader.
    pub async fn pass_call(&self, call: &NewPassedCall) -> Result<(), Error> {
        let set = doc! {
            "path": { "$literal": &call.path },
            "body": { "$literal": &call.body },
            "who": { "$literal": &call.who },
            "role": { "$literal": &call.role },
            "record": { "$literal": &call.record },
            "instance": { "$literal": &call.instance },
            // A repetition of this write finds the state that followed.
            "state": { "$ifNull": ["$state", "waiting"] },
            "expiresAt": call.expires_at,
        };
        let set = vec![doc! { "$set": set }];
        self.documents
            .put_computed(PASSED_CALLS, &call.id, set)
            .await
    }

    /// Ids of the calls that wait for a leader.
    pub async fn waiting_calls(&self) -> Result<Vec<String>, Error> {
        let waiting = doc! { "state": "waiting", "$expr": { "$gt": ["$expiresAt", "$$NOW"] } };
        let found: Vec<PassedCallDocument> = self.documents.find(PASSED_CALLS, waiting).await?;
        Ok(found.into_iter().map(|call| call.id).collect())
    }

    /// Takes a call for the process `holder`. `None` if it is withdrawn or taken, or its time is over.
    pub async fn take_call(
        &self,
        id: &str,
        holder: &str,
    ) -> Result<Option<PassedCallDocument>, Error> {
        let waiting =
            doc! { "_id": id, "state": "waiting", "$expr": { "$gt": ["$expiresAt", "$$NOW"] } };
        let taken = doc! { "state": "taken", "takenBy": { "$literal": holder } };
        self.change_call(waiting, taken).await
    }

    /// Answers a call that `holder` has taken.
    pub async fn answer_call(
        &self,
        id: &str,
        holder: &str,
        (status, answer): (u16, &str),
    ) -> Result<(), Error> {
        let taken = doc! { "_id": id, "state": "taken", "takenBy": holder };
        let answered = doc! {
            "state": "answered",
            "status": i32::from(status),
            "answer": { "$literal": answer },
        };
        self.change_call(taken, answered).await.map(drop)
    }

    /// Withdraws a call. False if a leader has taken it.
    pub async fn withdraw_call(&self, id: &str) -> Result<bool, Error> {
        let waiting = doc! { "_id": id, "state": "waiting" };
        let withdrawn = self.change_call(waiting, doc! { "state": "withdrawn" });
        Ok(withdrawn.await?.is_some())
    }

    /// The call with this id.
    pub async fn passed_call(&self, id: &str) -> Result<Option<PassedCallDocument>, Error> {
        let found = self.documents.find(PASSED_CALLS, doc! { "_id": id });
        Ok(found.await?.pop())
    }

    /// Removes a call, whose answer was read.
    pub async fn remove_call(&self, id: &str) -> Result<(), Error> {
        self.documents
            .delete(PASSED_CALLS, doc! { "_id": id })
            .await
    }

    async fn change_call(
        &self,
        filter: Document,
        set: Document,
    ) -> Result<Option<PassedCallDocument>, Error> {
        let set = vec![doc! { "$set": set }];
        self.documents.update(PASSED_CALLS, filter, set).await
    }
}
