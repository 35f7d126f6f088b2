//! Databases whose names differ in the case of letters alone: a server takes one of them only, and keeps
//! the name of a database that has lost its last collection.

use bson::rawdoc;

use super::{Context, Error, indexes};
use crate::mongo::{self, code, listing};

/// After a command that `error` refused since `database` has an empty one with its name in other
/// letters in its way: drops that one. True: the command can be sent again.
///
/// `dropDatabase` has no UUID, so a late one would take a later database of that name with it: it is
/// sent here only, to a database that holds nothing.
pub(super) async fn free_name(
    context: &Context,
    database: &str,
    error: &mongo::Error,
) -> Result<bool, Error> {
    let Some(other) = in_the_way(database, error) else {
        return Ok(false);
    };
    let destination = context.destination.database(&other);
    if !listing::collections(destination.reads()).await?.is_empty() {
        return Ok(false);
    }
    let command = rawdoc! { "dropDatabase": 1, "writeConcern": { "w": "majority" } };
    indexes::run(&destination, command).await?;
    Ok(true)
}

/// The name that the server's message gives: `already have: [App] trying to create [app]`.
fn in_the_way(database: &str, error: &mongo::Error) -> Option<String> {
    if !error.has_code(code::DATABASE_DIFFER_CASE) {
        return None;
    }
    let message = error.to_string();
    let (_, rest) = message.split_once("already have: [")?;
    let (other, _) = rest.split_once(']')?;
    (other != database && other.eq_ignore_ascii_case(database)).then(|| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_in_the_way_is_read_from_the_refusal() {
        let refusal = |text: &str| mongo::Error::Statement {
            code: code::DATABASE_DIFFER_CASE,
            message: text.to_owned(),
        };
        let text =
            "db already exists with different case already have: [App] trying to create [app]";
        assert_eq!(in_the_way("app", &refusal(text)), Some("App".to_owned()));
        for (database, text) in [("other", text), ("App", text), ("app", "db already exists")] {
            assert_eq!(in_the_way(database, &refusal(text)), None);
        }
    }
}
