//! The full comparison of two clusters: collections with their options, views, indexes, and every document as raw
//! bytes, field order included.
//!
//! Ignored are only the server's own databases, metadata of sync tools, UUIDs, and the order of option fields at
//! the top level of a collection's options or an index's spec. The order inside a key pattern, a validator or a
//! view's pipeline counts.

mod catalog;
mod documents;
mod expectation;

use std::fmt;

use anyhow::{Result, bail};
use mongodb::Client;

pub use expectation::{Expectation, Expected};

/// Name prefix of the buckets of a time-series collection.
const BUCKETS: &str = "system.buckets.";

/// Limit of differences that are reported for a collection.
const MOST_PER_COLLECTION: usize = 10;

/// Numbers of equal objects, and the differences of two clusters.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub collections: u64,
    pub indexes: u64,
    pub documents: u64,
    pub bytes: u64,
    pub differences: Vec<Difference>,
}

/// A difference, readable.
#[derive(Clone, Debug)]
pub struct Difference {
    pub namespace: String,
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.namespace, self.what)
    }
}

impl Comparison {
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    /// Fails with the differences.
    pub fn into_result(self) -> Result<Self> {
        if self.is_equal() {
            return Ok(self);
        }
        let lines: Vec<String> = self.differences.iter().map(Difference::to_string).collect();
        bail!("source and destination differ:\n{}", lines.join("\n"))
    }

    fn differs(&mut self, namespace: impl Into<String>, what: impl Into<String>) {
        self.differences.push(Difference {
            namespace: namespace.into(),
            what: what.into(),
        });
    }
}

/// The expected name on the destination. Buckets go with their time-series collection.
fn expected_name(
    expectation: &dyn Expectation,
    (database, collection): &(String, String),
) -> Option<(String, String)> {
    let Some(series) = collection.strip_prefix(BUCKETS) else {
        return expectation.name(database, collection);
    };
    let (database, series) = expectation.name(database, series)?;
    Some((database, format!("{BUCKETS}{series}")))
}

/// Compares the expected contents with the whole destination: an unexpected object there is a difference, too.
pub async fn compare(
    source: &Client,
    destination: &Client,
    expectation: &dyn Expectation,
) -> Result<Comparison> {
    let mut found = Comparison::default();
    let mut actual = catalog::read(destination).await?;
    for (namespace, theirs) in catalog::read(source).await? {
        let Some(expected) = expected_name(expectation, &namespace) else {
            continue;
        };
        let name = format!("{}.{}", expected.0, expected.1);
        let Some(ours) = actual.remove(&expected) else {
            found.differs(name, "is not on the destination");
            continue;
        };
        found.collections += 1;
        found.indexes += theirs.indexes.len() as u64;
        theirs.compare(&ours, &name, &mut found);
        if theirs.kind == "collection" && ours.kind == "collection" {
            let sides = documents::Sides {
                source,
                destination,
                namespace: &namespace,
                expected: &expected,
                expectation,
            };
            sides.compare(theirs.order(), &mut found).await?;
        }
    }
    for namespace in actual.keys() {
        found.differs(
            format!("{}.{}", namespace.0, namespace.1),
            "is on the destination only",
        );
    }
    Ok(found)
}
