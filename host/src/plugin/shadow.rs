//! Begins shadows: another build of a component of the chain is given the same documents, and its answers are compared
//! and never written.

use std::sync::Arc;

use crate::model::shadow::ShadowRequest;
use crate::model::{ErrorName, OperatorError};

use super::chain::Chain;
use super::error::{Error, Result};
use super::registry::Registry;
use super::swap::{SwapPolicy, check_fit};

/// Begins a shadow of each use of the component that the request names, in place of earlier shadows of these. Compiles
/// and configures first; an error changes nothing.
///
/// # Errors
///
/// `PluginNotFound` if no component of this name transforms documents, or the other build is missing;
/// `IncompatiblePlugin` for a component of another name or use; the errors of its configuration.
pub fn begin_shadow(
    registry: &Registry,
    chain: &Chain,
    request: &ShadowRequest,
) -> std::result::Result<(), OperatorError> {
    let begun = begin(registry, chain, request).map_err(Error::reported)?;
    if begun == 0 {
        return Err(OperatorError::new(
            ErrorName::PluginNotFound,
            format!(
                "No component named {} transforms documents of the sync. GET /api/v1/progress lists those that do under \
                 plugins.",
                request.name
            ),
        ));
    }
    Ok(())
}

/// Returns the number of shadows.
fn begin(registry: &Registry, chain: &Chain, request: &ShadowRequest) -> Result<usize> {
    let component = registry.component(&request.component)?;
    let mut ready = Vec::new();
    for stage in chain.stages_of(&request.name) {
        let current = stage.usage().pool();
        check_fit(current.component(), &component, SwapPolicy::AnyAnswers)?;
        let shadow = stage.usage().shadow(Arc::clone(&component))?;
        ready.push((stage, stage.shadow_of(shadow, request.contents)?));
    }
    let begun = ready.len();
    for (stage, shadow) in ready {
        stage.set_shadow(Some(shadow));
    }
    Ok(begun)
}
