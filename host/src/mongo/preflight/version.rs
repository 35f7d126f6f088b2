//! Server versions and feature compatibility versions (FCV).
//!
//! Supported: 6.0 up to the last 8.x on either side, and a destination that is not older than its source:
//! it must understand all data that the source can hold.

use bson::{Document, doc};

use super::{
    super::Cluster,
    command::{ask, unexpected},
};
use crate::model::{ErrorName, OperatorError};

/// The first supported version.
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

    let (from, to) = (fcv(source).await?, fcv(destination).await?);
    fcv_fault(
        (source.name.as_str(), from),
        (destination.name.as_str(), to),
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

/// Requires a supported version of a cluster that is only read.
pub(super) fn require_readable(name: &str, version: (u32, u32, u32)) -> Result<(), OperatorError> {
    let version = (name, series(version));
    version_fault(version, version).map_or(Ok(()), |fault| {
        refuse(ErrorName::ServerVersionNotSupported, fault)
    })
}

fn version_fault(source: (&str, (u32, u32)), destination: (&str, (u32, u32))) -> Option<String> {
    for (name, version) in [source, destination] {
        if !is_supported(version) {
            return Some(format!(
                "{name} runs MongoDB {}.{}; tidegate works with 6.0 up to 8.x. Bring {name} to a \
                 supported version first.",
                version.0, version.1
            ));
        }
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

fn fcv_fault(source: (&str, (u32, u32)), destination: (&str, (u32, u32))) -> Option<String> {
    for (name, fcv) in [source, destination] {
        if !is_supported(fcv) {
            return Some(format!(
                "{name}'s feature compatibility version is {}.{}; tidegate works with 6.0 up to \
                 8.x. Raise it with setFeatureCompatibilityVersion.",
                fcv.0, fcv.1
            ));
        }
    }
    let ((_, from), (name, to)) = (source, destination);
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
    fn supported_are_6_to_8_with_a_destination_not_behind() {
        for (source, destination, accepted) in [
            ((6, 0), (6, 0), true),
            ((6, 0), (8, 2), true),
            ((7, 0), (6, 0), false),
            ((5, 0), (6, 0), false),
            ((8, 0), (9, 0), false),
        ] {
            let (source, destination) = (("cluster0", source), ("cluster1", destination));
            assert_eq!(version_fault(source, destination).is_none(), accepted);
            assert_eq!(fcv_fault(source, destination).is_none(), accepted);
        }
    }
}
