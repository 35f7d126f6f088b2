//! Databases whose names differ in the case of letters alone: a server takes one of them only, and keeps
//! the name of a database that has lost its last collection.

use bson::rawdoc;

use super::destination::run;
use crate::{
    model::namespace::folded_database,
    mongo::{self, Destination, listing},
    sync::Error,
};

/// After a command that `error` refused since `database` has an empty one with its name in other
/// letters in its way: drops that one. True: the command can be sent again.
///
/// `dropDatabase` has no UUID, so a late one would take a later database of that name with it: it is
/// sent here only, to a database that holds nothing.
pub(crate) async fn free_database_name(
    destination: &Destination,
    database: &str,
    error: &mongo::Error,
) -> Result<bool, Error> {
    let Some(other) = in_the_way(database, error) else {
        return Ok(false);
    };
    let other = destination.database(&other);
    if !listing::collections(other.reads()).await?.is_empty() {
        return Ok(false);
    }
    run(&other, rawdoc! { "dropDatabase": 1 }).await?;
    Ok(true)
}

/// The database in the way of `database`.
fn in_the_way(database: &str, error: &mongo::Error) -> Option<String> {
    let other = error.database_in_the_way()?;
    let is_same = folded_database(&other) == folded_database(database);
    (other != database && is_same).then_some(other)
}
