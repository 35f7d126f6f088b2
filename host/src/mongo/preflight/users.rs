//! The command that merges users and roles, which not every cluster has.

use bson::doc;

use super::super::{
    Cluster,
    cluster::{admin, cluster_refusal},
    code,
};
use crate::model::{ErrorKind, ErrorName, OperatorError};

/// Requires the command `_mergeAuthzCollections`. Asked to merge nothing, the server refuses it as `BadValue` before
/// it does anything.
pub(super) async fn require_merge(destination: &Cluster) -> Result<(), OperatorError> {
    let merge = doc! {
        "_mergeAuthzCollections": 1,
        "tempUsersCollection": "",
        "tempRolesCollection": "",
        "db": "",
        "drop": false,
    };
    match admin(destination, merge).await {
        Ok(_) => Ok(()),
        Err(error) if error.has_code(code::BAD_VALUE) => Ok(()),
        Err(error) if error.kind() != ErrorKind::Operator || error.is_unauthorized() => {
            Err(cluster_refusal(destination, &error))
        }
        Err(error) => Err(OperatorError::new(
            ErrorName::NotSupported,
            format!(
                "{} refuses the command _mergeAuthzCollections, which brings over users and roles: {error}. A sync without \
                 usersAndRoles can be started; create its users by other means.",
                destination.name.as_str()
            ),
        )),
    }
}
