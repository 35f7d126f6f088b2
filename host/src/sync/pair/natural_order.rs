//! The natural order of capped collections, which is data: readers with a tailable cursor rely on it.

use bson::rawdoc;
use tokio::time::{Instant, sleep};

use super::{
    catalogs::NamespacePair,
    clusters::ClusterPair,
    collection::CollectionPair,
    ledger::Ledger,
    report::{Certainty, ReportEntry},
    watch::{Digests, KeyWatch, Verdict},
};
use crate::{
    model::mismatch::{Mismatch, MismatchKind, MismatchSubject},
    mongo::{Client, write::CollectionRef},
    plugin::NamespaceChain,
    sync::{
        Error,
        copy::{CollectionDigest, CollectionReader},
    },
};

/// The findings about the order of capped collections whose documents are equal. A running sync brings them in order
/// at its commit.
pub(super) async fn compare(
    pair: &ClusterPair,
    ledger: &Ledger,
    namespaces: &[NamespacePair],
) -> Result<Vec<ReportEntry>, Error> {
    let mut findings = Vec::new();
    for namespace in namespaces.iter().filter(|namespace| namespace.is_capped()) {
        let Some((source, destination)) = namespace.uuids() else {
            continue;
        };
        let has_mismatches = ledger.has_mismatches(&CollectionPair::id(source, destination));
        if pair.options.before_commit || has_mismatches {
            continue;
        }
        if let Some(certainty) = compare_order(pair, namespace, (source, destination)).await? {
            let mismatch = Mismatch {
                source: namespace.source.clone(),
                destination: namespace.destination.clone(),
                subject: MismatchSubject::NaturalOrder,
                kind: MismatchKind::Differs,
                path: None,
            };
            findings.push(ReportEntry::new(mismatch, certainty));
        }
    }
    Ok(findings)
}

/// The certainty of a difference in the order of a collection; `None` if there is none.
async fn compare_order(
    pair: &ClusterPair,
    namespace: &NamespacePair,
    (source, destination): ([u8; 16], [u8; 16]),
) -> Result<Option<Certainty>, Error> {
    let chain = pair.chain.of(&namespace.source)?;
    let reference = |namespace: &crate::model::Namespace, uuid| CollectionRef {
        namespace: namespace.clone(),
        uuid: Some(uuid),
    };
    let source = reader(&pair.source, reference(&namespace.source, source));
    let destination = reader(
        &pair.destination,
        reference(&namespace.destination, destination),
    );
    let mut watch = KeyWatch::new(Instant::now());
    let times = (pair.options.settle, pair.options.patience);
    loop {
        let digests = digests(&source, &destination, chain.as_ref()).await?;
        match watch.look(digests, Instant::now(), times) {
            Verdict::Agreement => return Ok(None),
            Verdict::Mismatch => return Ok(Some(Certainty::Settled)),
            Verdict::Unsettled => return Ok(Some(Certainty::Unsettled)),
            Verdict::Again(due) => sleep(due.saturating_duration_since(Instant::now())).await,
        }
    }
}

async fn digests(
    source: &CollectionReader,
    destination: &CollectionReader,
    chain: Option<&NamespaceChain>,
) -> Result<Digests, Error> {
    let (source, destination) = tokio::join!(source.digest(chain), destination.digest(None));
    let digest = |(_, digest): CollectionDigest| Some(digest);
    Ok((digest(source?), digest(destination?)))
}

fn reader(client: &Client, collection: CollectionRef) -> CollectionReader {
    CollectionReader {
        client: client.clone(),
        collection,
        read_concern: rawdoc! { "level": "majority" },
    }
}
