//! The transfer of users and roles, as operators see it.

/// Counts of a transfer of users and roles. They hold no name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrincipalCounts {
    /// Users of the source that the destination has in the same form, or gets at commit.
    pub users: u64,
    /// Roles of the source that the destination has in the same form, or gets at commit.
    pub roles: u64,
    /// Users and roles that the destination has otherwise, and that stay there as they are.
    pub clashes: u64,
    /// Users and roles of the destination that the commit replaces.
    pub overwritten: u64,
    /// Roles that users and roles of the transfer have, and that the destination does not get.
    pub missing_roles: u64,
}

/// The last check of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalsProgress {
    /// The transfer is possible.
    Checked(PrincipalCounts),
    /// The transfer is not possible: the reason, as a sentence.
    Refused(String),
}

/// A user or role that does not simply arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrincipalConflict {
    /// "role" or "user".
    pub kind: &'static str,
    /// Database and name, such as `sales.app`.
    pub id: String,
    /// Its fate.
    pub fate: PrincipalFate,
}

/// The fate of a user or role that does not simply arrive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrincipalFate {
    /// The destination has it otherwise, and it stays.
    Stays,
    /// The destination has it otherwise, and the commit replaces it.
    Overwritten,
    /// It has this role, which the destination does not get.
    LacksRole(String),
}

/// A transfer of users and roles, with the names that do not simply arrive.
#[derive(Clone, Debug, Default)]
pub struct PrincipalsSurvey {
    /// The counts of the transfer.
    pub counts: PrincipalCounts,
    /// In the order of kind and id.
    pub conflicts: Vec<PrincipalConflict>,
}

impl PrincipalsSurvey {
    /// A survey with the counts of these conflicts, of a transfer of so many users and roles.
    pub fn new(users: usize, roles: usize, mut conflicts: Vec<PrincipalConflict>) -> Self {
        conflicts.sort();
        let count = |matches: fn(&PrincipalFate) -> bool| {
            let found = conflicts.iter().filter(|conflict| matches(&conflict.fate));
            found.count() as u64
        };
        Self {
            counts: PrincipalCounts {
                users: users as u64,
                roles: roles as u64,
                clashes: count(|fate| *fate == PrincipalFate::Stays),
                overwritten: count(|fate| *fate == PrincipalFate::Overwritten),
                missing_roles: count(|fate| matches!(fate, PrincipalFate::LacksRole(_))),
            },
            conflicts,
        }
    }
}

impl PrincipalCounts {
    /// The sentence, without a full stop, about users and roles that do not arrive; `None` if all do.
    pub fn complaint(&self) -> Option<String> {
        let parts = [
            (
                self.clashes,
                "that the destination has otherwise, and that stay there as they are",
            ),
            (
                self.missing_roles,
                "with a role that the destination does not get",
            ),
        ];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts
            .map(|(number, what)| format!("{number} {what}"))
            .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "users and roles: {}. GET /api/v1/usersAndRoles names them",
                parts.join("; ")
            )
        })
    }
}
