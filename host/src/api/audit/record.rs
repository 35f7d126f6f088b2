//! The middleware that records calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::moderation::Moderation;
use crate::api::control::Control;
use crate::api::error::Refusal;
use crate::api::parameters::collect;
use crate::api::passed_calls::PassedRecord;
use crate::api::protection::Peer;
use crate::model::audit::AuditRecord;
use crate::model::{Caller, ErrorName, OperatorError};

/// The calls after which the process ends. Their record is made before it, too, while the host can still write.
const LAST_CALLS: [&str; 2] = ["/api/v1/handover", "/console/handover"];

/// Most characters of method and path of a record.
const MAX_CALL: usize = 256;

/// Records the calls of a session.
pub(in crate::api) struct Recorder<C> {
    control: Arc<C>,
    moderation: Moderation,
}

impl<C: Control> Recorder<C> {
    /// A recorder without records.
    pub(in crate::api) fn new(control: Arc<C>) -> Arc<Self> {
        Arc::new(Self {
            control,
            moderation: Moderation::default(),
        })
    }

    fn finish(
        &self,
        mut record: AuditRecord,
        is_change: bool,
        has_credentials: bool,
        answer: &Response,
    ) {
        let status = answer.status();
        let is_refused = status.is_client_error() || status.is_server_error();
        let is_intrusion = match status {
            // A browser first asks without credentials.
            StatusCode::UNAUTHORIZED => has_credentials,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => true,
            _ => false,
        };
        if !is_change && !is_intrusion {
            return;
        }
        let caller = answer.extensions().get::<Caller>();
        if is_refused {
            match self.moderation.admit(caller.is_none(), Instant::now()) {
                Some(unrecorded) => record.unrecorded = unrecorded,
                None => return,
            }
        }
        record.who = caller.map(|caller| caller.name.clone());
        record.role = caller.map(|caller| caller.role.to_string());
        record.status = Some(status.as_u16());
        let error = answer.extensions().get::<OperatorError>();
        record.error = error.map(|error| error.name.to_string());
        self.control.record(record);
    }
}

/// Middleware that records each changing call, and each refused call. The record is not awaited.
///
/// Cancellation: a changing call runs in a task of its own, so that it is recorded although its client has gone.
pub(in crate::api) async fn record_call<C: Control>(
    State(recorder): State<Arc<Recorder<C>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_change = !request.method().is_safe();
    let has_credentials = request.headers().contains_key(header::AUTHORIZATION);
    let record = begin(&request);
    if !is_change {
        let answer = next.run(request).await;
        recorder.finish(record, false, has_credentials, &answer);
        return answer;
    }
    request.extensions_mut().insert(record.clone());
    let call = async move {
        let (answer, parameters) = collect(next.run(request)).await;
        let record = AuditRecord {
            parameters,
            ..record
        };
        recorder.finish(record, true, has_credentials, &answer);
        answer
    };
    tokio::spawn(call).await.unwrap_or_else(|error| {
        let message =
            format!("The call did not finish: {error}. See the log, and report this error.");
        Refusal::new(ErrorName::InternalError, message).into_response()
    })
}

/// Middleware inside the admission, which knows the caller: records the call after which the process ends before it is
/// carried out. Its record has the id of the record of [`record_call`].
pub(in crate::api) async fn announce<C: Control>(
    State(recorder): State<Arc<Recorder<C>>>,
    request: Request,
    next: Next,
) -> Response {
    let extensions = request.extensions();
    if LAST_CALLS.contains(&request.uri().path())
        && let (Some(record), Some(caller)) =
            (extensions.get::<AuditRecord>(), extensions.get::<Caller>())
    {
        recorder.control.record(AuditRecord {
            who: Some(caller.name.clone()),
            role: Some(caller.role.to_string()),
            ..record.clone()
        });
    }
    next.run(request).await
}

fn begin(request: &Request) -> AuditRecord {
    // By this host's clock: a record must not wait for a cluster.
    let at_ms = bson::DateTime::now().timestamp_millis();
    let random = uuid::Uuid::new_v4().simple().to_string();
    let random = random.get(..8).unwrap_or_default();
    let peer = request.extensions().get::<Peer>();
    let passed = request.extensions().get::<PassedRecord>();
    // A method can be as long as a head.
    let call = format!("{} {}", request.method(), request.uri().path());
    AuditRecord {
        id: passed.map_or_else(
            || format!("{at_ms:015}-{random}"),
            |passed| passed.id.clone(),
        ),
        at_ms,
        who: None,
        role: None,
        from: passed
            .map(|passed| passed.from.clone())
            .or_else(|| peer.map(|peer| peer.address.to_string())),
        call: call.chars().take(MAX_CALL).collect(),
        parameters: BTreeMap::new(),
        status: None,
        error: None,
        unrecorded: 0,
    }
}
