//! Users and roles of the source, merged into the destination at commit.
//!
//! Invariant: what the destination had before, under the same name and otherwise, stays unless the operator has asked for
//! more; and the users of tidegate itself are never changed. Ids of what is merged are persisted before, so a repetition
//! knows its own.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use crate::{
    metadata::NamespaceKind,
    model::options::{OnClash, UsersAndRoles},
    mongo::{
        Principal, PrincipalKind, drop_principal, merge_principals, own_users, principals,
        update_role,
    },
    observe::failpoint,
    sync::{Context, Error},
};

/// Rounds in which changes on the source are followed.
const MAX_ROUNDS: u32 = 5;

/// Databases whose users and roles are those of the whole cluster.
const OF_THE_CLUSTER: [&str; 2] = ["admin", "$external"];

type Key = (PrincipalKind, String);

/// Brings the users and roles in scope to the destination, until a round finds nothing to do. Returns a sentence, without a
/// full stop, for each that is not as on the source.
pub(super) async fn merge(context: &Context, options: UsersAndRoles) -> Result<Vec<String>, Error> {
    for _ in 0..MAX_ROUNDS {
        let plan = Plan::make(context, options).await?;
        if plan.is_done() {
            return Ok(plan.complaints);
        }
        plan.carry_out(context).await?;
        failpoint("principals_merged");
    }
    Ok(vec![
        "users and roles: they keep changing on the source".to_owned(),
    ])
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
    complaints: Vec<String>,
}

impl Plan {
    async fn make(context: &Context, options: UsersAndRoles) -> Result<Self, Error> {
        let destination = context.destination.reads();
        let choice = Choice::new(context, options).await?;
        let (wanted, others): (Vec<_>, Vec<_>) = principals(&context.source)
            .await?
            .into_iter()
            .partition(|principal| choice.wants(principal));
        let mut found = by_key(principals(&destination).await?);
        let available = role_ids(wanted.iter().chain(found.values()));
        let missing: HashSet<String> = &role_ids(others.iter()) - &available;
        let mut plan = Self::default();
        for principal in wanted {
            for role in principal.roles() {
                if missing.contains(&role) {
                    plan.complain(&principal, &format!("the destination has no role {role}"));
                }
            }
            match found.remove(&key(&principal)) {
                None => plan.new.push(principal),
                Some(there) if there.equals(&principal) => {}
                Some(_) if choice.may_replace(&principal) => plan.changed.push(principal),
                Some(_) => plan.complain(&principal, "the destination has another of this name"),
            }
        }
        plan.dropped = found
            .into_values()
            .filter(|there| choice.is_ours(there) && choice.wants(there))
            .collect();
        Ok(plan)
    }

    fn is_done(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.dropped.is_empty()
    }

    fn complain(&mut self, principal: &Principal, what: &str) {
        self.complaints
            .push(format!("{} {}: {what}", principal.kind, principal.id()));
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
    own: HashSet<String>,
    /// Marks of what was brought over before.
    ours: HashSet<String>,
}

impl Choice {
    async fn new(context: &Context, options: UsersAndRoles) -> Result<Self, Error> {
        let mut own: HashSet<String> = own_users(&context.source).await?.into_iter().collect();
        own.extend(own_users(&context.destination.reads()).await?);
        Ok(Self {
            options,
            databases: databases_in_scope(context).await?,
            own,
            ours: context.record.get().merged_principals.into_iter().collect(),
        })
    }

    fn wants(&self, principal: &Principal) -> bool {
        let database = principal.database();
        let is_of_cluster = OF_THE_CLUSTER.contains(&database);
        let is_own = principal.kind == PrincipalKind::User && self.own.contains(principal.id());
        !is_own && (self.databases.contains(database) || (self.options.admin && is_of_cluster))
    }

    fn is_ours(&self, principal: &Principal) -> bool {
        self.ours.contains(&mark(principal))
    }

    fn may_replace(&self, principal: &Principal) -> bool {
        self.options.on_clash == OnClash::Overwrite || self.is_ours(principal)
    }
}

fn role_ids<'a>(principals: impl Iterator<Item = &'a Principal>) -> HashSet<String> {
    let roles = principals.filter(|principal| principal.kind == PrincipalKind::Role);
    roles.map(|role| role.id().to_owned()).collect()
}

/// Databases of the source of which collections are synced.
async fn databases_in_scope(context: &Context) -> Result<HashSet<String>, Error> {
    let namespaces = context.store.namespaces().await?;
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
