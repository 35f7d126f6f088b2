//! Adoption: the decision whether an installed build takes the place of a pinned component at a takeover.
//!
//! Builds with the same name and semantics give the same answers, bug fixes apart, so the newer build can always
//! replace the older one. A build with other semantics is never adopted without an operator.

use semver::Version;

use crate::model::ComponentInfo;

/// The decision for one pinned component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// The same bytes are installed.
    Unchanged,
    /// The installed build is adopted: a newer version with the same semantics.
    Swap,
    /// The pinned build stays: the installed build has newer semantics, which an operator has to request.
    Deferred,
    /// The pinned build stays, and runs from the destination: no component of its name is installed.
    Missing,
    /// The pinned build stays: the installed build is not newer.
    NotNewer,
}

/// Decides for `pinned`, where `installed` is the installed component of the same name. The single decision
/// function, shared by takeover, progress and `featureset diff`.
pub fn adoption(pinned: &ComponentInfo, installed: Option<&ComponentInfo>) -> Adoption {
    let Some(installed) = installed else {
        return Adoption::Missing;
    };
    if installed.digest == pinned.digest {
        Adoption::Unchanged
    } else if installed.semantics > pinned.semantics {
        Adoption::Deferred
    } else if installed.semantics == pinned.semantics
        && is_newer(&installed.version, &pinned.version)
    {
        Adoption::Swap
    } else {
        Adoption::NotNewer
    }
}

/// Compares by semantic version, without build metadata. A version that does not parse is neither newer nor older
/// than any other.
fn is_newer(version: &str, than: &str) -> bool {
    match (Version::parse(version), Version::parse(than)) {
        (Ok(version), Ok(than)) => version.cmp_precedence(&than).is_gt(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(version: &str, digest: &str, semantics: u32) -> ComponentInfo {
        ComponentInfo {
            role: "transform".to_owned(),
            name: "field-mask".to_owned(),
            version: version.to_owned(),
            digest: digest.to_owned(),
            abi: "1.0.0".to_owned(),
            semantics,
        }
    }

    #[test]
    fn bug_fixes_arrive_and_other_answers_wait() {
        let pinned = build("1.9.0", "a", 2);
        for (installed, expected) in [
            (None, Adoption::Missing),
            (Some(build("1.9.0", "a", 2)), Adoption::Unchanged),
            (Some(build("1.10.0", "b", 2)), Adoption::Swap),
            (Some(build("1.9.1-rc.1", "b", 2)), Adoption::Swap),
            (Some(build("2.0.0", "b", 3)), Adoption::Deferred),
            (Some(build("1.9.0", "b", 3)), Adoption::Deferred),
            (Some(build("1.9.0", "b", 2)), Adoption::NotNewer),
            (Some(build("1.9.0+later", "b", 2)), Adoption::NotNewer),
            (Some(build("1.8.0", "b", 2)), Adoption::NotNewer),
            (Some(build("2.0.0", "b", 1)), Adoption::NotNewer),
            (Some(build("newest", "b", 2)), Adoption::NotNewer),
        ] {
            assert_eq!(
                adoption(&pinned, installed.as_ref()),
                expected,
                "{installed:?}"
            );
        }
    }
}
