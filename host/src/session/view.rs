//! What a standby has read of the sync: the persisted session, how much is copied, the position.
//!
//! A destination that is silent does not stop `/progress`: what was read last is shown, with its age.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::timeout;

use super::{Session, takeover::Found};
use crate::{
    metadata::{self, Copied, PositionDocument, Standing},
    mongo::{self, Moment},
};

/// How long `/progress` waits for the destination.
const READ_WITHIN: Duration = Duration::from_millis(800);

/// What was read at one moment.
#[derive(Clone)]
pub(super) struct Sight {
    pub(super) at: Moment,
    pub(super) standing: Standing,
    pub(super) copied: Copied,
    pub(super) position: Option<PositionDocument>,
}

#[derive(Default)]
pub(super) struct View(Mutex<Option<Arc<Sight>>>);

impl View {
    /// Reads the sync, and gives what was read last; the second value says why that is not new.
    pub(super) async fn read(
        &self,
        session: &Session,
        found: &Found,
    ) -> (Option<Arc<Sight>>, Option<String>) {
        let name = found.destination.name;
        if session.monitor.silence(name).is_some() {
            return (self.last(), Some(format!("{} is silent", name.as_str())));
        }
        let fault = match timeout(READ_WITHIN, read(&found.reader)).await {
            Ok(Ok(sight)) => {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sight.map(Arc::new);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!("{} does not answer", name.as_str())),
        };
        (self.last(), fault)
    }

    fn last(&self) -> Option<Arc<Sight>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn read(reader: &metadata::Reader) -> Result<Option<Sight>, mongo::Error> {
    let Some(standing) = reader.standing().await? else {
        return Ok(None);
    };
    let (copied, position) = reader.shown(standing.metadata_version).await?;
    Ok(Some(Sight {
        at: Moment::now(),
        standing,
        copied,
        position,
    }))
}
