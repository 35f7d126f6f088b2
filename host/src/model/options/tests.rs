//! Options that continue a sync.

use super::*;

#[test]
fn a_start_without_verification_continues_every_sync() {
    let start = StartOptions::between(ClusterName::Cluster0, ClusterName::Cluster1);
    let with = |verification| StartOptions {
        verification,
        ..start.clone()
    };
    let (on, off) = (
        with(Some(VerificationOptions::ON)),
        with(Some(VerificationOptions::OFF)),
    );
    // Of an earlier release: without the field.
    for begun in [&start, &on, &off] {
        assert!(begun.differing_fields(&start).is_empty());
    }
    assert!(start.differing_fields(&off).is_empty());
    for (begun, asked) in [(&start, &on), (&off, &on), (&on, &off)] {
        assert_eq!(begun.differing_fields(asked), ["verification"]);
    }
}
