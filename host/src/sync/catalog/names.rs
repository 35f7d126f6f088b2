//! Names on the destination: two namespaces never share a name.
//!
//! MongoDB accepts no two databases whose names differ only in case (manual, "Database Name Case
//! Sensitivity"). Collection names may.

use std::collections::HashMap;

use crate::model::{ErrorName, Namespace, OperatorError, namespace::folded_database};

/// The destination names in use, with the source namespace of each.
#[derive(Default)]
pub(crate) struct DestinationNames<'a> {
    namespaces: HashMap<&'a Namespace, &'a Namespace>,
    /// Keyed by the name as the server compares it; the value holds the name itself.
    databases: HashMap<String, (&'a str, &'a Namespace)>,
}

impl<'a> DestinationNames<'a> {
    /// Adds the destination name of a source namespace.
    ///
    /// # Errors
    /// `NamespaceCollision` if the name, or a database name that differs only in case, is in use.
    pub(crate) fn take(
        mut self,
        (source, destination): (&'a Namespace, &'a Namespace),
    ) -> Result<Self, OperatorError> {
        if let Some(other) = self.namespaces.insert(destination, source) {
            return Err(collision(format!(
                "{other} and {source} would both become {destination}"
            )));
        }
        let database = destination.database.as_str();
        let folded = folded_database(database);
        let (taken, other) = *self.databases.entry(folded).or_insert((database, source));
        if taken != database {
            return Err(collision(format!(
                "{other} and {source} would go to the databases {taken} and {database}, whose names differ only in case"
            )));
        }
        Ok(self)
    }
}

fn collision(what: String) -> OperatorError {
    OperatorError::new(
        ErrorName::NamespaceCollision,
        format!("{what}. Rename or exclude one of them, or change the remap."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[(&str, &str)]) -> Result<(), OperatorError> {
        let namespace = |name: &str| {
            let (database, collection) = name.split_once('.').unwrap();
            Namespace::new(database, collection)
        };
        let names: Vec<_> = names
            .iter()
            .map(|(source, destination)| (namespace(source), namespace(destination)))
            .collect();
        let mut pairs = names
            .iter()
            .map(|(source, destination)| (source, destination));
        pairs
            .try_fold(DestinationNames::default(), DestinationNames::take)
            .map(|_| ())
    }

    #[test]
    fn names_meet_when_equal_and_databases_in_any_case() {
        assert!(all(&[("a.x", "b.x"), ("a.y", "b.y"), ("a.Y", "b.Y")]).is_ok());
        for names in [
            [("a.x", "b.x"), ("b.x", "b.x")],
            [("a.x", "b.x"), ("c.x", "B.y")],
        ] {
            let error = all(&names).unwrap_err();
            assert_eq!(error.name, ErrorName::NamespaceCollision);
        }
    }

    #[test]
    fn f42_letters_beyond_ascii_differ_as_on_the_server() {
        assert!(
            all(&[
                ("é.x", "é.x"),
                ("É.x", "É.x"),
                ("ß.x", "ß.x"),
                ("ẞ.x", "ẞ.x")
            ])
            .is_ok()
        );
        assert!(all(&[("éa.x", "éa.x"), ("éA.x", "éA.x")]).is_err());
    }
}
