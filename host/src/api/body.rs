//! Request bodies, each within limits of size and time, and all together within a memory budget.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures::TryStreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::Refusal;
use crate::model::ErrorName;

/// Limits of one kind of body.
struct BodyLimits {
    /// Largest size of a body.
    max_bytes: usize,
    /// Longest time for a whole body.
    timeout: Duration,
    /// Budget, in KiB, for all bodies of this kind that are being received or processed.
    budget: Semaphore,
}

/// Largest JSON body: enough for filters that name thousands of collections.
const MAX_JSON_BYTES: usize = 1 << 20;

/// Largest component: the engine's own limit.
const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// Longest wait for the next part of a body.
const PART_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for a share of the budget.
const BUDGET_TIMEOUT: Duration = Duration::from_secs(3);

const KIB: usize = 1 << 10;

static JSON: BodyLimits = BodyLimits {
    max_bytes: MAX_JSON_BYTES,
    timeout: Duration::from_secs(30),
    budget: Semaphore::const_new(16 * MAX_JSON_BYTES / KIB),
};

static COMPONENTS: BodyLimits = BodyLimits {
    max_bytes: MAX_COMPONENT_BYTES,
    timeout: Duration::from_secs(300),
    budget: Semaphore::const_new(2 * MAX_COMPONENT_BYTES / KIB),
};

/// The bytes of a body, with their share of the budget. Dropping the value returns the share.
#[derive(Default)]
pub(super) struct BodyBytes {
    bytes: Vec<u8>,
    share: Option<SemaphorePermit<'static>>,
}

impl BodyBytes {
    /// The bytes of the body.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Moves the bytes out. The share stays with `self` until it is dropped.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Appends `part`. The share grows with the bytes received, not with the announced length: a stalled body
    /// takes no budget from other bodies.
    async fn add(&mut self, part: &[u8], limits: &'static BodyLimits) -> Result<(), Refusal> {
        let held = self.share.as_ref().map_or(0, SemaphorePermit::num_permits);
        let needed = (self.bytes.len() + part.len()).div_ceil(KIB);
        let more = reserve(needed.saturating_sub(held), limits).await?;
        match &mut self.share {
            Some(share) => share.merge(more),
            None => self.share = Some(more),
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }
}

/// Receives a JSON body of at most 1 MiB, within 30 s.
///
/// Cancellation: dropping the future returns the share of the budget.
///
/// # Errors
///
/// `BodyTooLarge`, `BodyIncomplete` (the connection failed, or the time is over) or `TooManyRequests` (no budget).
pub(super) async fn receive_json(body: Body) -> Result<BodyBytes, Refusal> {
    receive(body, &JSON).await
}

/// Like `receive_json`, for a component of at most 64 MiB, within 300 s.
pub(super) async fn receive_component(body: Body) -> Result<BodyBytes, Refusal> {
    receive(body, &COMPONENTS).await
}

/// Receives a body. A body whose announced length is over the limit is refused before it is read: curl sends
/// `Expect: 100-continue` for large bodies, and then sends none.
async fn receive(body: Body, limits: &'static BodyLimits) -> Result<BodyBytes, Refusal> {
    let too_large = || {
        Refusal::new(
            ErrorName::BodyTooLarge,
            format!(
                "The request body is larger than the limit of {} bytes.",
                limits.max_bytes
            ),
        )
    };
    if usize::try_from(body.size_hint().lower()).is_ok_and(|lower| lower > limits.max_bytes) {
        return Err(too_large());
    }
    let mut received = BodyBytes::default();
    let mut parts = body.into_data_stream();
    let whole = timeout(limits.timeout, async {
        while let Some(part) = next_part(&mut parts).await? {
            if received.bytes.len() + part.len() > limits.max_bytes {
                return Err(too_large());
            }
            received.add(&part, limits).await?;
        }
        Ok(())
    });
    whole.await.map_err(|_elapsed| timed_out())??;
    Ok(received)
}

async fn next_part(
    parts: &mut axum::body::BodyDataStream,
) -> Result<Option<axum::body::Bytes>, Refusal> {
    let part = timeout(PART_TIMEOUT, parts.try_next())
        .await
        .map_err(|_elapsed| timed_out())?;
    part.map_err(|error| {
        Refusal::new(
            ErrorName::BodyIncomplete,
            format!("The request body ended early: {error}. Nothing was changed."),
        )
    })
}

fn timed_out() -> Refusal {
    Refusal::new(
        ErrorName::BodyIncomplete,
        "The request body did not arrive in time. Nothing was changed.",
    )
}

async fn reserve(
    kib: usize,
    limits: &'static BodyLimits,
) -> Result<SemaphorePermit<'static>, Refusal> {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    match timeout(BUDGET_TIMEOUT, limits.budget.acquire_many(kib)).await {
        Ok(Ok(share)) => Ok(share),
        // The error of a closed semaphore cannot occur: budgets are statics, which are never closed.
        Ok(Err(_)) | Err(_) => Err(Refusal::new(
            ErrorName::TooManyRequests,
            "Too many bytes of request bodies are in transit. Nothing was changed. Repeat the call when other \
             calls have finished.",
        )),
    }
}
