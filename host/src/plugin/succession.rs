//! What becomes of a pinned component when a host that has others takes its sync
//! over: the table of the design, as a function.

use semver::Version;

use super::featureset::ComponentInfo;

/// What the installed component means for the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// It is the same one.
    Unchanged,
    /// It gives the same answers, and is newer: it takes over.
    Swap,
    /// Its answers are newer ones: the sync stays with what it began with.
    Deferred,
    /// There is none: the pinned one runs from the destination.
    Missing,
    /// It is no newer than the pinned one, which stays.
    NotNewer,
}

/// Compares the component that a sync is pinned to with the installed one of the same name.
pub fn succession(pinned: &ComponentInfo, installed: Option<&ComponentInfo>) -> Succession {
    let Some(installed) = installed else {
        return Succession::Missing;
    };
    if installed.digest == pinned.digest {
        return Succession::Unchanged;
    }
    match installed.semantics.cmp(&pinned.semantics) {
        std::cmp::Ordering::Greater => Succession::Deferred,
        std::cmp::Ordering::Less => Succession::NotNewer,
        std::cmp::Ordering::Equal if is_newer(&installed.version, &pinned.version) => {
            Succession::Swap
        }
        std::cmp::Ordering::Equal => Succession::NotNewer,
    }
}

/// A version that cannot be read is newer than none.
fn is_newer(installed: &str, pinned: &str) -> bool {
    match (Version::parse(installed), Version::parse(pinned)) {
        (Ok(installed), Ok(pinned)) => installed > pinned,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, semantics: u32) -> ComponentInfo {
        ComponentInfo {
            role: "transform".to_owned(),
            name: "field-mask".to_owned(),
            version: version.to_owned(),
            digest: format!("sha256:{version}/{semantics}"),
            abi: "1.0.0".to_owned(),
            semantics,
        }
    }

    #[test]
    fn the_table_is_kept() {
        let pinned = info("1.2.0", 2);
        for (installed, wanted) in [
            (None, Succession::Missing),
            (Some(info("1.2.0", 2)), Succession::Unchanged),
            (Some(info("1.10.0", 2)), Succession::Swap),
            (Some(info("1.1.9", 2)), Succession::NotNewer),
            (Some(info("1.2.0-rc.1", 2)), Succession::NotNewer),
            (Some(info("new", 2)), Succession::NotNewer),
            (Some(info("1.1.0", 3)), Succession::Deferred),
            (Some(info("2.0.0", 1)), Succession::NotNewer),
        ] {
            assert_eq!(
                succession(&pinned, installed.as_ref()),
                wanted,
                "{installed:?}"
            );
        }
        let rebuilt = ComponentInfo {
            digest: "sha256:other".to_owned(),
            ..info("1.2.0", 2)
        };
        assert_eq!(succession(&pinned, Some(&rebuilt)), Succession::NotNewer);
    }
}
