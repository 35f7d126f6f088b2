//! What becomes of a component that a sync is pinned to when another feature set
//! is installed. One function decides it, for a takeover and for who asks before.
//!
//! Builds of one name and semantics give the same answers, bug fixes apart: the
//! newer one may always take the older one's place. Other semantics never do so
//! by themselves.

use semver::Version;

/// What two builds of one component are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build<'a> {
    pub version: &'a str,
    pub digest: &'a str,
    pub semantics: i64,
}

/// What happens to a pinned component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// The same bytes are installed.
    Unchanged,
    /// The installed one takes its place: a newer version with the same semantics.
    Swap,
    /// It stays: the installed one is newer and gives other answers, which an
    /// operator has to ask for.
    Deferred,
    /// It stays, and runs from the destination: none of its name is installed.
    Missing,
    /// It stays: what is installed is no newer.
    NotNewer,
}

/// What happens to `pinned` where `installed` is the installed component of its name.
pub fn succession(pinned: Build<'_>, installed: Option<Build<'_>>) -> Succession {
    let Some(installed) = installed else {
        return Succession::Missing;
    };
    if installed.digest == pinned.digest {
        Succession::Unchanged
    } else if installed.semantics > pinned.semantics {
        Succession::Deferred
    } else if installed.semantics == pinned.semantics && is_newer(installed.version, pinned.version)
    {
        Succession::Swap
    } else {
        Succession::NotNewer
    }
}

/// By semantic versioning, where a build's own mark does not count. A version that
/// is none is not newer than any, and none is newer than it.
fn is_newer(version: &str, than: &str) -> bool {
    match (Version::parse(version), Version::parse(than)) {
        (Ok(version), Ok(than)) => version.cmp_precedence(&than).is_gt(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build<'a>(version: &'a str, digest: &'a str, semantics: i64) -> Build<'a> {
        Build {
            version,
            digest,
            semantics,
        }
    }

    #[test]
    fn bug_fixes_arrive_and_other_answers_wait() {
        let pinned = build("1.9.0", "a", 2);
        for (installed, expected) in [
            (None, Succession::Missing),
            (Some(build("1.9.0", "a", 2)), Succession::Unchanged),
            (Some(build("1.10.0", "b", 2)), Succession::Swap),
            (Some(build("1.9.1-rc.1", "b", 2)), Succession::Swap),
            (Some(build("2.0.0", "b", 3)), Succession::Deferred),
            (Some(build("1.9.0", "b", 3)), Succession::Deferred),
            (Some(build("1.9.0", "b", 2)), Succession::NotNewer),
            (Some(build("1.9.0+later", "b", 2)), Succession::NotNewer),
            (Some(build("1.8.0", "b", 2)), Succession::NotNewer),
            (Some(build("2.0.0", "b", 1)), Succession::NotNewer),
            (Some(build("newest", "b", 2)), Succession::NotNewer),
        ] {
            assert_eq!(succession(pinned, installed), expected, "{installed:?}");
        }
    }
}
