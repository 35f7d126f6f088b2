//! The calls about shadows: another build of a component is given the same documents, and its answers are compared.
//!
//! Invariant: nothing of a shadow is persisted. It ends with the work of this host on the sync: at a restart, a handover
//! and a takeover.

use crate::{
    distribution::fetch_components,
    model::{
        ErrorName, OperatorError, State,
        shadow::{ShadowReport, ShadowRequest},
    },
    plugin::begin_shadow,
    session::{
        components::{adoption::configured, pins::blocking},
        role::host::Host,
    },
};

/// Begins a shadow of each use of a component, in place of its earlier shadows.
pub(crate) async fn begin(host: &Host, request: ShadowRequest) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let active = host.active().ok_or_else(|| impossible(State::Idle))?;
    let state = active.state().public();
    if !matches!(state, State::Running | State::Paused) {
        return Err(impossible(state));
    }
    let (registry, access) = (&active.runtime.registry, &host.context.settings.registry);
    fetch_components(registry, access, &[request.component.as_str()]).await?;
    let configured = configured(&active).await?;
    let registry = registry.clone();
    let (name, component) = (request.name.clone(), request.component.clone());
    blocking(move || begin_shadow(&registry, &configured.chain, &request)).await?;
    tracing::info!(
        sync_id = active.sync_id(),
        plugin = name,
        component,
        "a shadow begins"
    );
    Ok(())
}

/// Ends all shadows. Idempotent.
pub(crate) async fn end(host: &Host) -> Result<(), OperatorError> {
    let _turn = host.active_turn().await?;
    let configured = host.active().and_then(|active| active.configured());
    if let Some(configured) = configured {
        configured.chain.end_shadows();
        tracing::info!("the shadows end");
    }
    Ok(())
}

/// The shadows of the sync on this host.
pub(crate) fn reports(host: &Host) -> Vec<ShadowReport> {
    let configured = host.active().and_then(|active| active.configured());
    configured.map_or_else(Vec::new, |configured| configured.chain.shadow_reports())
}

fn impossible(state: State) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidStateTransition,
        format!("shadow is possible in the states RUNNING and PAUSED, and the state is {state}."),
    )
}
