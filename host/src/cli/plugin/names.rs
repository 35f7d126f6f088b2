//! The input names of commands, for plugins that route: from a file, or all collections of a cluster, which is only
//! listed.

use std::path::Path;

use anyhow::{Context, Result};

use crate::config::ConnectionString;
use crate::model::Namespace;
use crate::mongo;

use super::documents::{is_connection_string, namespace, split_path};
use super::usage_error::usage_error;

/// Reads a `DATABASE.COLLECTION` per line, or lists the collections of a cluster or a database.
pub(super) fn read(input: &str) -> Result<Vec<Namespace>> {
    let names = if is_connection_string(input) {
        from_cluster(input)?
    } else {
        from_file(Path::new(input))?
    };
    if names.is_empty() {
        let place = ConnectionString::new(input);
        return Err(usage_error(format!("{place} has no names.")));
    }
    Ok(names)
}

fn from_file(path: &Path) -> Result<Vec<Namespace>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        usage_error(format!(
            "{} cannot be read: {error}. --names takes a file, or mongodb://…",
            path.display()
        ))
    })?;
    lines(&text)
}

fn lines(text: &str) -> Result<Vec<Namespace>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(namespace).collect()
}

fn from_cluster(uri: &str) -> Result<Vec<Namespace>> {
    let (uri, database) = match split_path(uri) {
        Some((uri, database)) => (uri, Some(database)),
        None => (uri.to_owned(), None),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    Ok(runtime.block_on(mongo::sample::namespaces(&uri, database))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_name_a_line() -> Result<()> {
        let names = lines("shop.people\n\nshop.orders.2024\n")?;
        let expected = [("shop", "people"), ("shop", "orders.2024")];
        assert_eq!(names, expected.map(|(db, c)| Namespace::new(db, c)));
        for text in ["shop\n", "shop.a\n.c\n"] {
            assert!(lines(text).is_err(), "{text:?}");
        }
        Ok(())
    }
}
