//! The bodies of requests: each within its size and its time, and all together within a bound.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use futures::TryStreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::Refusal;
use crate::model::ErrorName;

/// What is taken of one kind of body.
struct BodyLimits {
    /// The most bytes of one.
    max_bytes: usize,
    /// The time for one.
    timeout: Duration,
    /// The kibibytes of all that are being received or worked on.
    budget: Semaphore,
}

/// The most bytes of a JSON body: ample for filters that name thousands of collections.
const MAX_JSON_BYTES: usize = 1 << 20;

/// The most bytes of a component, the engine's own limit.
const MAX_COMPONENT_BYTES: usize = 64 << 20;

/// The longest wait for the next part of a body.
const PART_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest wait for a share of the budget.
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

/// A body, and its share of the budget until it is dropped.
#[derive(Default)]
pub(super) struct BodyBytes {
    bytes: Vec<u8>,
    share: Option<SemaphorePermit<'static>>,
}

impl BodyBytes {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes; the share is kept by the value that is left.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The share grows with what has come: a body that does not come takes nothing from others.
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

/// Receives a JSON body.
pub(super) async fn receive_json(body: Body) -> Result<BodyBytes, Refusal> {
    receive(body, &JSON).await
}

/// Receives a component.
pub(super) async fn receive_component(body: Body) -> Result<BodyBytes, Refusal> {
    receive(body, &COMPONENTS).await
}

/// A body that announces too many bytes is refused before it is read: curl asks first, and sends
/// nothing then.
async fn receive(body: Body, limits: &'static BodyLimits) -> Result<BodyBytes, Refusal> {
    let too_large = || {
        Refusal::new(
            ErrorName::BodyTooLarge,
            format!(
                "The request body has more than {} bytes, the limit.",
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
            format!("The request body has broken off: {error}. Nothing was changed."),
        )
    })
}

fn timed_out() -> Refusal {
    Refusal::new(
        ErrorName::BodyIncomplete,
        "The request body did not come in full in time. Nothing was changed.",
    )
}

async fn reserve(
    kib: usize,
    limits: &'static BodyLimits,
) -> Result<SemaphorePermit<'static>, Refusal> {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    match timeout(BUDGET_TIMEOUT, limits.budget.acquire_many(kib)).await {
        Ok(Ok(share)) => Ok(share),
        // A budget is never closed.
        Ok(Err(_)) | Err(_) => Err(Refusal::new(
            ErrorName::TooManyRequests,
            "Too many bytes of request bodies are on their way. Nothing was changed. Repeat the call when others \
             are done.",
        )),
    }
}
