//! The start of the verifier, which reads events once more where the previous host may not have compared their
//! documents.

use std::sync::Arc;

use super::{Context, Error, reader::StreamReader};
use crate::{
    model::{ClusterTime, Position, event::ChangeEvent},
    sync::{
        change_stream::Events,
        verification::{Recovery, Verifier},
    },
};

/// Seconds of events that are read once more at most, to find what was dirty.
const MAX_RECOVERY_SECONDS: u32 = 600;

/// Starts the verifier, where documents are verified. `safe`: the persisted position.
pub(super) async fn start(context: &Arc<Context>, safe: Option<Position>) -> Option<Verifier> {
    if !context.verification.options.enabled {
        return None;
    }
    let recovering = context.clone();
    let verifier = Verifier::start(
        context.verified_clusters(),
        &context.verification,
        &context.throttle,
        &context.cancel,
        move |verified| async move {
            match safe {
                Some(safe) => recover(&recovering, verified, &safe).await,
                None => Ok(Recovery::Lost),
            }
        },
    );
    Some(verifier.await)
}

/// Marks the keys of the events between two positions as dirty: they may have changed documents that were verified,
/// and the previous host may not have compared them.
async fn recover(context: &Context, from: Position, to: &Position) -> Result<Recovery, Error> {
    let is_late = from.cluster_time.seconds_behind(to.cluster_time) > MAX_RECOVERY_SECONDS;
    if is_late || swapped_since(context, from.cluster_time) {
        return Ok(Recovery::Lost);
    }
    let mut reader = StreamReader::new(
        context.source.clone(),
        context.status.clone(),
        (Events::of(&context.record.get()), from.cluster_time),
        Some(from),
    )
    .await?;
    loop {
        let batch = match reader.next(std::time::Duration::ZERO).await {
            Err(Error::PositionLost(_)) => return Ok(Recovery::Lost),
            batch => batch?,
        };
        let mut last = None;
        for event in batch.events()? {
            let event = event?;
            note(context, std::slice::from_ref(&event));
            last = Some(event.cluster_time);
        }
        let reached = batch.position().map(|position| position.cluster_time);
        let is_past = last.is_none_or(|last| last > to.cluster_time);
        if is_past && reached.is_some_and(|reached| reached >= to.cluster_time) {
            return Ok(Recovery::Done);
        }
    }
}

/// Whether documents may have been compared with the answers of a build that was swapped meanwhile.
fn swapped_since(context: &Context, verified: ClusterTime) -> bool {
    let swaps = context.record.get().swaps;
    let mut times = swaps.iter().filter_map(|swap| swap.cluster_time);
    times.any(|time| time >= verified)
}

/// Marks the keys of events of documents as dirty.
fn note(context: &Context, events: &[ChangeEvent<'_>]) {
    context.verification.note(|dirty| {
        for event in events.iter().filter(|event| event.op_type.is_crud()) {
            if let (Some(uuid), Some(id)) = (event.uuid, event.document_id) {
                dirty.note(uuid, id);
            }
        }
    });
}
