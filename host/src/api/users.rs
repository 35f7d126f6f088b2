//! Handler of the transfer of users and roles: its counts, and the names that do not simply arrive.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Control;
use super::error::{Failure, Refusal};
use super::progress::PrincipalCountsBody;
use crate::model::principals::{PrincipalConflict, PrincipalFate};

/// Answer of `GET /usersAndRoles`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsersAndRolesAnswer {
    success: bool,
    /// Null in a sync without `usersAndRoles`.
    users_and_roles: Option<PrincipalCountsBody>,
    /// Users and roles that do not simply arrive, by kind and id.
    conflicts: Vec<ConflictBody>,
}

/// A user or role that does not simply arrive.
#[derive(Serialize, ToSchema)]
#[schema(as = PrincipalConflict)]
struct ConflictBody {
    /// `role` or `user`.
    kind: &'static str,
    /// Database and name.
    #[schema(example = "sales.app")]
    id: String,
    /// `stays`: the destination has it otherwise, and keeps it; `overwritten`: the commit replaces it; `lacksRole`: it has a role
    /// that the destination does not get.
    fate: &'static str,
    /// The role of `lacksRole`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    role: Option<String>,
}

/// The users and roles that a commit would bring over now. Reads both clusters.
#[utoipa::path(
    get, path = "/api/v1/usersAndRoles", tag = "control", operation_id = "usersAndRoles",
    responses(
        (status = 200, description = "The transfer at present.", body = UsersAndRolesAnswer),
        (status = "4XX", description = "Refused.", body = Failure),
        (status = "5XX", description = "A cluster does not answer, or tidegate has failed.", body = Failure),
    ),
)]
pub(super) async fn show<C: Control>(
    State(control): State<Arc<C>>,
) -> Result<Json<UsersAndRolesAnswer>, Refusal> {
    let survey = control.users_and_roles().await?;
    let counts = survey.as_ref().map(|survey| survey.counts.into());
    let conflicts = survey.map(|survey| survey.conflicts).unwrap_or_default();
    Ok(Json(UsersAndRolesAnswer {
        success: true,
        users_and_roles: counts,
        conflicts: conflicts.into_iter().map(ConflictBody::from).collect(),
    }))
}

impl From<PrincipalConflict> for ConflictBody {
    fn from(conflict: PrincipalConflict) -> Self {
        let (fate, role) = match conflict.fate {
            PrincipalFate::Stays => ("stays", None),
            PrincipalFate::Overwritten => ("overwritten", None),
            PrincipalFate::LacksRole(role) => ("lacksRole", Some(role)),
        };
        Self {
            kind: conflict.kind,
            id: conflict.id,
            fate,
            role,
        }
    }
}
