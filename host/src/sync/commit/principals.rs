//! Users and roles of the source, merged into the destination at commit.
//!
//! Invariant: what the destination had before, under the same name and otherwise, stays unless the operator has asked for
//! more; and the users of tidegate itself are never changed. Ids of what is merged are persisted before, so a repetition
//! knows its own.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::{
    metadata::NamespaceKind,
    model::{
        options::{OnClash, UsersAndRoles},
        principals::{PrincipalConflict, PrincipalFate, PrincipalsProgress, PrincipalsSurvey},
    },
    mongo::{
        Client, Principal, PrincipalKind, drop_principal, drop_temporary_principals,
        merge_principals, own_principals, principals, update_role,
    },
    observe::failpoint,
    sync::{Context, Error, Record},
};

/// Rounds in which changes on the source are followed.
const MAX_ROUNDS: u32 = 5;

/// Databases whose users and roles are those of the whole cluster.
const OF_THE_CLUSTER: [&str; 2] = ["admin", "$external"];

type Key = (PrincipalKind, String);

/// Brings the users and roles in scope to the destination, until a round finds nothing to do. Returns a sentence, without a
/// full stop, if not all are as on the source.
pub(super) async fn merge(
    context: &Context,
    options: UsersAndRoles,
) -> Result<Option<String>, Error> {
    let destination = context.destination.reads();
    for _ in 0..MAX_ROUNDS {
        let plan = Plan::make((&context.source, &destination), &context.record, options).await?;
        if plan.is_done() {
            let counts = plan.survey().counts;
            let progress = PrincipalsProgress::Checked(counts);
            context.status.principals.set(Some(progress));
            return Ok(counts.complaint());
        }
        plan.carry_out(context).await?;
        failpoint("principals_merged");
    }
    Ok(Some(
        "users and roles: they keep changing on the source".to_owned(),
    ))
}

/// The outcome of a transfer at present, from the source to the destination. Writes nothing.
///
/// # Errors
/// Errors of the reads.
pub async fn survey_principals(
    clusters: (&Client, &Client),
    record: &Record,
    options: UsersAndRoles,
) -> Result<PrincipalsSurvey, Error> {
    Ok(Plan::make(clusters, record, options).await?.survey())
}

/// Drops the copies of credentials that a host has left which died in a transfer. A destination that refuses it keeps
/// them until the commit, which tries again.
pub(in crate::sync) async fn drop_left_copies(context: &Context) -> Result<(), Error> {
    let has_begun = !context.record.get().merged_principals.is_empty();
    if context.options.users_and_roles.is_none() || !has_begun {
        return Ok(());
    }
    if let Err(error) = drop_temporary_principals(&context.destination).await {
        let error = Error::from(error).unless_fatal()?;
        tracing::warn!(error = %error, "temporary copies of users and roles were not dropped");
    }
    Ok(())
}

/// What a round has to do.
#[derive(Default)]
struct Plan {
    /// Missing on the destination.
    new: Vec<Principal>,
    /// Otherwise on the destination.
    changed: Vec<Principal>,
    /// Brought over before, and gone from the source.
    dropped: Vec<Principal>,
    /// As on the source.
    equal: Vec<PrincipalKind>,
    conflicts: Vec<PrincipalConflict>,
}

impl Plan {
    async fn make(
        (source, destination): (&Client, &Client),
        record: &Record,
        options: UsersAndRoles,
    ) -> Result<Self, Error> {
        let choice = Choice::new((source, destination), record, options).await?;
        let (wanted, others): (Vec<_>, Vec<_>) = principals(source)
            .await?
            .into_iter()
            .partition(|principal| choice.wants(principal));
        let mut found = by_key(principals(destination).await?);
        let available = role_ids(wanted.iter().chain(found.values()));
        let missing: HashSet<String> = &role_ids(others.iter()) - &available;
        let mut plan = Self::default();
        for principal in wanted {
            let there = found.remove(&key(&principal));
            plan.decide(&choice, principal, there, &missing);
        }
        plan.dropped = found
            .into_values()
            .filter(|there| choice.is_ours(there) && choice.wants(there))
            .collect();
        Ok(plan)
    }

    /// Decides on a wanted user or role, which the destination has as `there`.
    fn decide(
        &mut self,
        choice: &Choice,
        principal: Principal,
        there: Option<Principal>,
        missing: &HashSet<String>,
    ) {
        let may_replace = choice.may_replace(&principal);
        let stays = there
            .as_ref()
            .is_some_and(|there| !there.equals(&principal) && !may_replace);
        if stays {
            return self.note(&principal, PrincipalFate::Stays);
        }
        for role in principal.roles() {
            if missing.contains(&role) {
                self.note(&principal, PrincipalFate::LacksRole(role));
            }
        }
        match there {
            None => self.new.push(principal),
            Some(there) if there.equals(&principal) => self.equal.push(principal.kind),
            Some(_) => {
                if !choice.is_ours(&principal) {
                    self.note(&principal, PrincipalFate::Overwritten);
                }
                self.changed.push(principal);
            }
        }
    }

    fn note(&mut self, principal: &Principal, fate: PrincipalFate) {
        self.conflicts.push(PrincipalConflict {
            kind: principal.kind.as_str(),
            id: principal.id().to_owned(),
            fate,
        });
    }

    fn survey(self) -> PrincipalsSurvey {
        let arriving = self.new.iter().chain(&self.changed);
        let kinds = arriving.map(|principal| principal.kind).chain(self.equal);
        let (users, roles): (Vec<_>, Vec<_>) = kinds.partition(|kind| *kind == PrincipalKind::User);
        PrincipalsSurvey::new(users.len(), roles.len(), self.conflicts)
    }

    fn is_done(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.dropped.is_empty()
    }

    /// Roles come before the users that have them. Between its removal and its insertion a changed user is missing, and a
    /// host that goes on inserts it.
    async fn carry_out(&self, context: &Context) -> Result<(), Error> {
        let marks: Vec<String> = self.new.iter().chain(&self.changed).map(mark).collect();
        let update = context.record.update(|session| {
            let known = &mut session.merged_principals;
            known.extend(marks);
            known.sort();
            known.dedup();
        });
        update.await?;
        failpoint("principals_begun");
        let destination = &context.destination;
        let (roles, users): (Vec<&Principal>, Vec<&Principal>) = self
            .changed
            .iter()
            .partition(|principal| principal.kind == PrincipalKind::Role);
        for principal in self.dropped.iter().chain(users.iter().copied()) {
            drop_principal(destination, principal).await?;
        }
        failpoint("principals_dropped");
        let inserted: Vec<_> = self.new.iter().chain(users).collect();
        merge_principals(destination, &inserted).await?;
        for role in roles {
            update_role(destination, role).await?;
        }
        Ok(())
    }
}

/// Which users and roles are brought over.
struct Choice {
    options: UsersAndRoles,
    databases: HashSet<String>,
    /// Users of tidegate itself, on both clusters.
    own_users: HashSet<String>,
    /// Roles of tidegate's user of the destination, and the roles that these have.
    own_roles: HashSet<String>,
    /// Marks of what was brought over before.
    ours: HashSet<String>,
}

impl Choice {
    async fn new(
        (source, destination): (&Client, &Client),
        record: &Record,
        options: UsersAndRoles,
    ) -> Result<Self, Error> {
        let (of_source, of_destination) = (
            own_principals(source).await?,
            own_principals(destination).await?,
        );
        let own_users = of_source.users.into_iter().chain(of_destination.users);
        Ok(Self {
            options,
            databases: databases_in_scope(record).await?,
            own_users: own_users.collect(),
            own_roles: of_destination.roles.into_iter().collect(),
            ours: record.get().merged_principals.into_iter().collect(),
        })
    }

    fn wants(&self, principal: &Principal) -> bool {
        let database = principal.database();
        let is_of_cluster = OF_THE_CLUSTER.contains(&database);
        let is_own =
            principal.kind == PrincipalKind::User && self.own_users.contains(principal.id());
        !is_own && (self.databases.contains(database) || (self.options.admin && is_of_cluster))
    }

    /// Whether an earlier round has brought it over. Invariant: not so for a role that tidegate itself needs.
    fn is_ours(&self, principal: &Principal) -> bool {
        !self.is_own_role(principal) && self.ours.contains(&mark(principal))
    }

    fn is_own_role(&self, principal: &Principal) -> bool {
        principal.kind == PrincipalKind::Role && self.own_roles.contains(principal.id())
    }

    fn may_replace(&self, principal: &Principal) -> bool {
        !self.is_own_role(principal)
            && (self.options.on_clash == OnClash::Overwrite || self.is_ours(principal))
    }
}

fn role_ids<'a>(principals: impl Iterator<Item = &'a Principal>) -> HashSet<String> {
    let roles = principals.filter(|principal| principal.kind == PrincipalKind::Role);
    roles.map(|role| role.id().to_owned()).collect()
}

/// Databases of the source of which collections are synced.
async fn databases_in_scope(record: &Record) -> Result<HashSet<String>, Error> {
    let namespaces = record.store().namespaces().await?;
    let synced = namespaces
        .into_iter()
        .filter(|namespace| namespace.kind == NamespaceKind::Collection);
    Ok(synced.map(|namespace| namespace.source.database).collect())
}

fn by_key(principals: Vec<Principal>) -> BTreeMap<Key, Principal> {
    let keyed = principals
        .into_iter()
        .map(|principal| (key(&principal), principal));
    keyed.collect()
}

fn key(principal: &Principal) -> Key {
    (principal.kind, principal.id().to_owned())
}

/// The persisted mark of a merged user or role: its name appears in no export of the metadata.
fn mark(principal: &Principal) -> String {
    let named = format!("{} {}", principal.kind, principal.id());
    let digest = Sha256::digest(named);
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}
