//! Server versions and feature compatibility versions (FCV).
//!
//! Supported: 6.0 up to the last 8.x on either side, 4.4 and 5.0 as a source, and a destination that is not older than its source:
//! it must understand all data that the source can hold.

use bson::{Document, doc};

use super::{
    super::Cluster,
    command::{ask, unexpected},
};
use crate::model::{ErrorName, OperatorError};

/// The versions before [`FIRST`] that a source may have. Their change streams hide DDL (`sync::hidden_ddl`).
const OLD_SOURCES: [(u32, u32); 2] = [(4, 4), (5, 0)];
/// The first version of both sides.
const FIRST: (u32, u32) = (6, 0);
/// The first unsupported version.
const END: (u32, u32) = (9, 0);

/// Requires supported versions and FCVs of a source and a destination.
pub(super) async fn require_supported(
    (source, source_version): (&Cluster, (u32, u32, u32)),
    (destination, destination_version): (&Cluster, (u32, u32, u32)),
) -> Result<(), OperatorError> {
    let (from, to) = (series(source_version), series(destination_version));
    version_fault(
        (source.name.as_str(), from),
        (destination.name.as_str(), to),
    )
    .map_or(Ok(()), |fault| {
        refuse(ErrorName::ServerVersionNotSupported, fault)
    })?;

    let (from_fcv, to_fcv) = (fcv(source).await?, fcv(destination).await?);
    fcv_fault(
        (source.name.as_str(), from, from_fcv),
        (destination.name.as_str(), to_fcv),
    )
    .map_or(Ok(()), |fault| {
        refuse(ErrorName::FeatureCompatibilityVersionNotSupported, fault)
    })
}

/// Reads "6.0.5", "8.0.0-rc1" and the like.
pub(super) fn parse(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

fn series((major, minor, _): (u32, u32, u32)) -> (u32, u32) {
    (major, minor)
}

fn refuse(name: ErrorName, fault: String) -> Result<(), OperatorError> {
    Err(OperatorError::new(name, fault))
}

fn is_supported(version: (u32, u32)) -> bool {
    (FIRST..END).contains(&version)
}

fn is_old_source(version: (u32, u32)) -> bool {
    OLD_SOURCES.contains(&version)
}

/// Whether a source of this version needs the privilege to read collections by UUID alone.
pub(super) fn reads_by_uuid_alone(version: (u32, u32, u32)) -> bool {
    is_old_source(series(version))
}

/// Requires a supported version of a cluster that is only read.
pub(super) fn require_readable(name: &str, version: (u32, u32, u32)) -> Result<(), OperatorError> {
    let version = series(version);
    if is_supported(version) || is_old_source(version) {
        return Ok(());
    }
    refuse(
        ErrorName::ServerVersionNotSupported,
        unsupported(name, version),
    )
}

fn unsupported(name: &str, version: (u32, u32)) -> String {
    format!(
        "{name} runs MongoDB {}.{}; tidegate works with 6.0 up to 8.x, and with 4.4 and 5.0 as a source. Bring {name} to a \
         supported version first.",
        version.0, version.1
    )
}

fn version_fault(source: (&str, (u32, u32)), destination: (&str, (u32, u32))) -> Option<String> {
    if !is_supported(source.1) && !is_old_source(source.1) {
        return Some(unsupported(source.0, source.1));
    }
    if !is_supported(destination.1) {
        return Some(unsupported(destination.0, destination.1));
    }
    let ((_, from), (name, to)) = (source, destination);
    (to < from).then(|| {
        format!(
            "The destination, {name}, runs MongoDB {}.{}, older than the source's {}.{}. Upgrade \
             {name} to {}.{} or newer.",
            to.0, to.1, from.0, from.1, from.0, from.1
        )
    })
}

/// The FCV of a cluster.
async fn fcv(cluster: &Cluster) -> Result<(u32, u32), OperatorError> {
    let reply = ask(
        cluster,
        doc! { "getParameter": 1, "featureCompatibilityVersion": 1 },
    )
    .await?;
    let field = "featureCompatibilityVersion";
    let fcv = reply
        .get_document(field)
        .map_err(|_absent| unexpected(cluster, "getParameter", field))?;
    if let Ok(target) = fcv.get_str("targetVersion") {
        return Err(OperatorError::new(
            ErrorName::FeatureCompatibilityVersionNotSupported,
            format!(
                "{}'s feature compatibility version is changing to {target}. Wait until \
                 setFeatureCompatibilityVersion has finished, or run it again.",
                cluster.name.as_str()
            ),
        ));
    }
    parse_fcv(fcv).ok_or_else(|| unexpected(cluster, "getParameter", field))
}

fn parse_fcv(fcv: &Document) -> Option<(u32, u32)> {
    let (major, minor) = fcv.get_str("version").ok()?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The fault of a source with its version, and of a destination. An old feature compatibility version is that of the same
/// old version alone: with a later version it turns features off that the later version is relied on for.
fn fcv_fault(
    (source, version, from): (&str, (u32, u32), (u32, u32)),
    (name, to): (&str, (u32, u32)),
) -> Option<String> {
    let is_own = is_old_source(version) && from == version;
    for (name, fcv, is_supported) in [
        (source, from, is_supported(from) || is_own),
        (name, to, is_supported(to)),
    ] {
        if !is_supported {
            return Some(format!(
                "{name}'s feature compatibility version is {}.{}; tidegate works with 6.0 up to \
                 8.x, and with 4.4 or 5.0 on a source that runs the same version. Raise it with setFeatureCompatibilityVersion.",
                fcv.0, fcv.1
            ));
        }
    }
    (to < from).then(|| {
        format!(
            "The destination's feature compatibility version, {}.{}, is lower than the source's \
             {}.{}. Raise {name}'s with setFeatureCompatibilityVersion.",
            to.0, to.1, from.0, from.1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse("6.0.5"), Some((6, 0, 5)));
        assert_eq!(parse("8.0.0-rc1"), Some((8, 0, 0)));
        assert_eq!(parse("eight"), None);
        assert_eq!(parse_fcv(&doc! { "version": "6.0" }), Some((6, 0)));
        assert_eq!(parse_fcv(&doc! { "version": "6" }), None);
    }

    #[test]
    fn supported_are_6_to_8_and_older_sources_with_a_destination_not_behind() {
        for (source, destination, accepted) in [
            ((6, 0), (6, 0), true),
            ((6, 0), (8, 2), true),
            ((7, 0), (6, 0), false),
            ((4, 2), (6, 0), false),
            ((4, 4), (6, 0), true),
            ((4, 4), (5, 0), false),
            ((5, 0), (5, 0), false),
            ((5, 0), (6, 0), true),
            ((5, 1), (6, 0), false),
            ((6, 0), (5, 0), false),
            ((8, 0), (9, 0), false),
        ] {
            let (from, destination) = (("cluster0", source), ("cluster1", destination));
            assert_eq!(version_fault(from, destination).is_none(), accepted);
            let from = ("cluster0", source, source);
            assert_eq!(fcv_fault(from, destination).is_none(), accepted);
        }
        for (version, lowered) in [((6, 0), (5, 0)), ((5, 0), (4, 4))] {
            let from = ("cluster0", version, lowered);
            assert!(fcv_fault(from, ("cluster1", (6, 0))).is_some());
        }
    }
}
