//! The HTTP API: mongosync's calls, bodies and states, and additional calls of tidegate.
//!
//! The only room that knows HTTP. A request is read and checked in full before it reaches the session, so a refused
//! request has changed nothing.

mod answer;
mod audit;
mod body;
mod chain;
mod commit;
mod connections;
mod console;
mod control;
mod error;
mod filter;
mod list_query;
mod load_level;
mod log;
mod metrics;
mod openapi;
mod origin;
mod parameters;
mod passed_calls;
mod plugins;
mod progress;
mod protection;
mod quarantine;
mod recopy;
mod request;
mod routes;
mod start;
mod start_users;
mod start_verification;
mod users;
mod verification;
mod write_block_mode;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::{self, from_fn_with_state};
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::model::{ErrorName, OperatorError};
pub use control::{CallFuture, Control};
pub use metrics::export_metrics;
pub use protection::Protection;
pub use start::start_options;

/// Binds the API's port.
///
/// # Errors
///
/// `PortInUse` if the port cannot be bound.
pub async fn bind(address: IpAddr, port: u16) -> Result<TcpListener, OperatorError> {
    TcpListener::bind((address, port)).await.map_err(|error| {
        OperatorError::new(
            ErrorName::PortInUse,
            format!(
                "The API cannot listen on {}: {error}. Stop the process that listens there, or choose another port \
                 with --port.",
                SocketAddr::new(address, port)
            ),
        )
    })
}

/// Serves the API until `stop` is cancelled, then for at most the grace period, 2 s, in which calls under way are
/// answered.
///
/// Cancellation: a dropped future closes the listener. Calls under way finish in their own tasks; their answers may
/// be lost.
pub async fn serve<C: Control>(
    listener: TcpListener,
    control: Arc<C>,
    protection: Arc<Protection>,
    stop: CancellationToken,
) {
    tokio::spawn(protection.clone().watch(stop.clone()));
    let passed = passed_router(control.clone());
    tokio::spawn(passed_calls::carry_out(
        control.clone(),
        passed,
        stop.clone(),
    ));
    let router = router(control, protection.clone());
    connections::serve(listener, router, protection, stop).await;
}

/// The API as a service: for `serve`, and for tests without a socket.
fn router<C: Control>(control: Arc<C>, protection: Arc<Protection>) -> Router {
    let recorder = audit::Recorder::new(control.clone());
    calls::<C>()
        .merge(console::routes::<C>())
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(from_fn_with_state(
            control.clone(),
            passed_calls::pass_on::<C>,
        ))
        .layer(from_fn_with_state(recorder.clone(), audit::announce::<C>))
        .layer(from_fn_with_state(protection.clone(), protection::admit))
        .layer(from_fn_with_state(protection, origin::admit))
        .layer(from_fn_with_state(recorder, audit::record_call::<C>))
        .layer(middleware::from_fn(metrics::measure))
        .layer(middleware::from_fn(log::log_call))
        .with_state(control)
}

/// The calls of the API that other hosts have admitted.
fn passed_router<C: Control>(control: Arc<C>) -> Router {
    let recorder = audit::Recorder::new(control.clone());
    calls::<C>()
        .fallback(routes::not_found)
        .method_not_allowed_fallback(routes::method_not_allowed)
        .layer(from_fn_with_state(recorder.clone(), audit::announce::<C>))
        .layer(middleware::from_fn(passed_calls::admitted))
        .layer(from_fn_with_state(recorder, audit::record_call::<C>))
        .layer(middleware::from_fn(log::log_call))
        .with_state(control)
}

fn calls<C: Control>() -> Router<Arc<C>> {
    Router::new()
        .route("/api/v1/start", post(routes::start::<C>))
        .route("/api/v1/pause", post(routes::pause::<C>))
        .route("/api/v1/resume", post(routes::resume::<C>))
        .route("/api/v1/commit", post(commit::commit::<C>))
        .route("/api/v1/reverse", post(routes::reverse::<C>))
        .route("/api/v1/handover", post(routes::handover::<C>))
        .route("/api/v1/loadLevel", post(load_level::set::<C>))
        .route("/api/v1/progress", get(routes::progress::<C>))
        .route(
            "/api/v1/plugins",
            get(plugins::list::<C>).post(plugins::add::<C>),
        )
        .route("/api/v1/plugins/{digest}", delete(plugins::remove::<C>))
        .route("/api/v1/upgrade", post(plugins::upgrade::<C>))
        .route("/api/v1/recopy", post(recopy::recopy::<C>))
        .route("/api/v1/quarantine", get(quarantine::list::<C>))
        .route("/api/v1/quarantine/retry", post(quarantine::retry::<C>))
        .route("/api/v1/verification", get(verification::progress::<C>))
        .route(
            "/api/v1/verification/mismatches",
            get(verification::mismatches::<C>),
        )
        .route(
            "/api/v1/verification/repair",
            post(verification::repair::<C>),
        )
        .route(
            "/api/v1/verification/restart",
            post(verification::restart::<C>),
        )
        .route("/api/v1/usersAndRoles", get(users::show::<C>))
        .route("/api/v1/audit", get(audit::list::list::<C>))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/metrics", get(metrics::scrape::<C>))
        .route("/healthz", get(routes::healthz))
        .route("/readyz", get(routes::readyz::<C>))
}

#[cfg(test)]
mod tests;
