//! The option `usersAndRoles` of `POST /start`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use utoipa::ToSchema;

use crate::model::options::{OnClash, UsersAndRoles};

/// `usersAndRoles`: a boolean, or an object.
pub(super) struct UsersAndRolesField(pub(super) Option<UsersAndRoles>);

/// Reaction to a user or role that the destination has otherwise.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", expecting = "a string")]
#[schema(as = OnClash)]
pub(super) enum OnClashField {
    Report,
    Overwrite,
}

#[derive(Deserialize, ToSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object or a boolean"
)]
#[schema(as = UsersAndRoles)]
pub(super) struct UsersAndRolesObject {
    /// Whether those of the databases `admin` and `$external` are transferred, too; false if absent.
    admin: Option<bool>,
    /// Reaction to a user or role that the destination has otherwise: `report` if absent, or `overwrite`.
    on_clash: Option<OnClashField>,
}

impl<'de> Deserialize<'de> for UsersAndRolesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UsersAndRolesVisitor)
    }
}

struct UsersAndRolesVisitor;

impl<'de> Visitor<'de> for UsersAndRolesVisitor {
    type Value = UsersAndRolesField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a boolean")
    }

    fn visit_bool<E>(self, is_wanted: bool) -> Result<UsersAndRolesField, E> {
        Ok(UsersAndRolesField(is_wanted.then(UsersAndRoles::default)))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<UsersAndRolesField, A::Error> {
        let object =
            UsersAndRolesObject::deserialize(de::value::MapAccessDeserializer::new(fields))?;
        Ok(UsersAndRolesField(Some(UsersAndRoles {
            admin: object.admin == Some(true),
            on_clash: match object.on_clash {
                None | Some(OnClashField::Report) => OnClash::Report,
                Some(OnClashField::Overwrite) => OnClash::Overwrite,
            },
        })))
    }
}
