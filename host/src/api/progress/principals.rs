//! The transfer of users and roles in the answer of `GET /progress`: counts, and no names.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::principals::{PrincipalCounts, PrincipalsProgress};

/// The users and roles that a commit brings over, as of the last check.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsersAndRolesProgress)]
pub(in crate::api) struct PrincipalsBody {
    /// Null while the transfer is not possible.
    counts: Option<PrincipalCountsBody>,
    /// Why the transfer is not possible now. A commit is refused with it.
    failure: Option<String>,
}

/// Counts of a transfer of users and roles.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsersAndRolesCounts)]
pub(in crate::api) struct PrincipalCountsBody {
    /// Users that the destination has as the source, or gets at commit.
    users: u64,
    /// Roles that the destination has as the source, or gets at commit.
    roles: u64,
    /// Users and roles that the destination has otherwise, and that stay there.
    clashes: u64,
    /// Users and roles of the destination that the commit replaces.
    overwritten: u64,
    /// Roles that users and roles of the transfer have, and that the destination does not get.
    missing_roles: u64,
}

impl From<PrincipalsProgress> for PrincipalsBody {
    fn from(progress: PrincipalsProgress) -> Self {
        match progress {
            PrincipalsProgress::Checked(counts) => Self {
                counts: Some(counts.into()),
                failure: None,
            },
            PrincipalsProgress::Refused(reason) => Self {
                counts: None,
                failure: Some(reason),
            },
        }
    }
}

impl From<PrincipalCounts> for PrincipalCountsBody {
    fn from(counts: PrincipalCounts) -> Self {
        let PrincipalCounts {
            users,
            roles,
            clashes,
            overwritten,
            missing_roles,
        } = counts;
        Self {
            users,
            roles,
            clashes,
            overwritten,
            missing_roles,
        }
    }
}
