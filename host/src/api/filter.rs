//! Namespace filters of requests, and their checks.
//!
//! Regular expressions are not compiled here. The component that matches them refuses invalid expressions before the
//! sync begins.

use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Refusal;
use crate::model::namespace::is_internal_database;
use crate::model::options::{NamespaceFilter, Regex};
use crate::model::{ErrorName, Namespace};

/// Options of the server's `$regex` (MongoDB manual, "$regex").
const REGEX_OPTIONS: &str = "imsx";
/// Characters that the server allows in no database name (MongoDB manual, "MongoDB Limits and Thresholds", naming
/// restrictions).
const FORBIDDEN_IN_DATABASE_NAMES: &str = "/\\. \"$\0";

/// Whole databases, or selected collections of databases.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[schema(as = NamespaceFilter)]
pub(super) struct FilterField {
    /// A database by name. Either this field or databaseRegex is required.
    #[schema(example = "sales")]
    database: Option<String>,
    /// Databases by pattern.
    database_regex: Option<RegexField>,
    /// Collections by name. Excludes collectionsRegex.
    #[schema(example = json!(["EMEA", "APAC"]))]
    collections: Option<Vec<String>>,
    /// Collections by pattern.
    collections_regex: Option<RegexField>,
}

/// A regular expression with the semantics of the server's `$regex`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Regex)]
struct RegexField {
    #[schema(example = "^accounts_.+$")]
    pattern: String,
    /// Any of i, m, s and x.
    #[schema(example = "i")]
    options: Option<String>,
}

/// The checked filters of the field `name`. An absent field is an empty list.
///
/// # Errors
///
/// `InvalidField` or `InvalidRegex`, for the first fault.
pub(super) fn check(
    name: &str,
    filters: Option<Vec<FilterField>>,
) -> Result<Vec<NamespaceFilter>, Refusal> {
    let filters = filters.unwrap_or_default().into_iter().enumerate();
    filters
        .map(|(index, filter)| filter.check(&format!("{name}[{index}]")))
        .collect()
}

impl FilterField {
    fn check(self, place: &str) -> Result<NamespaceFilter, Refusal> {
        if self.database.is_some() == self.database_regex.is_some() {
            return Err(invalid(
                place,
                "either 'database' or 'databaseRegex' is needed",
            ));
        }
        if self.collections.is_some() && self.collections_regex.is_some() {
            return Err(invalid(
                place,
                "both 'collections' and 'collectionsRegex' are given; give one",
            ));
        }
        if let Some(database) = &self.database {
            check_database(place, database)?;
        }
        if let Some(collections) = &self.collections {
            check_collections(place, self.database.as_deref(), collections)?;
        }
        let regex = |field: Option<RegexField>, name: &str| {
            field
                .map(|regex| regex.check(&format!("{place}.{name}")))
                .transpose()
        };
        Ok(NamespaceFilter {
            database_regex: regex(self.database_regex, "databaseRegex")?,
            collections_regex: regex(self.collections_regex, "collectionsRegex")?,
            database: self.database,
            collections: self.collections,
        })
    }
}

fn check_database(place: &str, database: &str) -> Result<(), Refusal> {
    let place = format!("{place}.database");
    if is_internal_database(database) {
        Err(invalid(
            &place,
            &format!("'{database}' is a system database, which is never synced"),
        ))
    } else if database.is_empty() || database.contains(|c| FORBIDDEN_IN_DATABASE_NAMES.contains(c))
    {
        let why = format!(
            "'{database}' cannot be the name of a database; name collections in 'collections'"
        );
        Err(invalid(&place, &why))
    } else {
        Ok(())
    }
}

fn check_collections(
    place: &str,
    database: Option<&str>,
    collections: &[String],
) -> Result<(), Refusal> {
    if collections.is_empty() {
        let why = "the array is empty; leave it out to take whole databases";
        return Err(invalid(&format!("{place}.collections"), why));
    }
    for (index, collection) in collections.iter().enumerate() {
        let place = format!("{place}.collections[{index}]");
        let namespace = Namespace::new(database.unwrap_or_default(), collection);
        if collection.is_empty() {
            return Err(invalid(&place, "the name is empty"));
        }
        if namespace.is_internal() {
            let why = format!("'{collection}' is a system collection, which is never synced");
            return Err(invalid(&place, &why));
        }
    }
    Ok(())
}

impl RegexField {
    fn check(self, place: &str) -> Result<Regex, Refusal> {
        let options = self.options.unwrap_or_default();
        match options
            .chars()
            .find(|option| !REGEX_OPTIONS.contains(*option))
        {
            None => Ok(Regex {
                pattern: self.pattern,
                options,
            }),
            Some(option) => Err(Refusal::new(
                ErrorName::InvalidRegex,
                format!("Field '{place}.options': '{option}' is not one of i, m, s and x."),
            )),
        }
    }
}

fn invalid(place: &str, why: &str) -> Refusal {
    Refusal::new(ErrorName::InvalidField, format!("Field '{place}': {why}."))
}
