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
    mongo::{Principal, PrincipalKind, drop_principal, merge_principals, own_users, principals},
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
    merged: Vec<Principal>,
    dropped: Vec<Principal>,
    complaints: Vec<String>,
}

impl Plan {
    async fn make(context: &Context, options: UsersAndRoles) -> Result<Self, Error> {
        let (source, destination) = (&context.source, context.destination.reads());
        let databases = databases_in_scope(context).await?;
        let mut own: HashSet<String> = own_users(source).await?.into_iter().collect();
        own.extend(own_users(&destination).await?);
        let is_ours: HashSet<String> = context.record.get().merged_principals.into_iter().collect();
        let is_wanted = |principal: &Principal| {
            let database = principal.database();
            let is_of_cluster = OF_THE_CLUSTER.contains(&database);
            let is_own = principal.kind == PrincipalKind::User && own.contains(principal.id());
            !is_own && (databases.contains(database) || (options.admin && is_of_cluster))
        };
        let all = principals(source).await?;
        let mut found = by_key(principals(&destination).await?);
        let mut plan = Self::default();
        let roles: HashSet<String> = all
            .iter()
            .chain(found.values())
            .filter(|principal| principal.kind == PrincipalKind::Role)
            .map(|role| role.id().to_owned())
            .collect();
        let (wanted, left): (Vec<_>, Vec<_>) = all.into_iter().partition(is_wanted);
        let available: HashSet<String> = wanted
            .iter()
            .chain(found.values())
            .filter(|principal| principal.kind == PrincipalKind::Role)
            .map(|role| role.id().to_owned())
            .collect();
        drop(left);
        for principal in wanted {
            for role in principal.roles() {
                if roles.contains(&role) && !available.contains(&role) {
                    plan.complain(&principal, &format!("the destination has no role {role}"));
                }
            }
            match found.remove(&key(&principal)) {
                Some(there) if there.equals(&principal) => {}
                Some(_)
                    if options.on_clash == OnClash::Report
                        && !is_ours.contains(&mark(&principal)) =>
                {
                    plan.complain(&principal, "the destination has another of this name");
                }
                _ => plan.merged.push(principal),
            }
        }
        plan.dropped = found
            .into_values()
            .filter(|there| is_ours.contains(&mark(there)) && is_wanted(there))
            .collect();
        Ok(plan)
    }

    fn is_done(&self) -> bool {
        self.merged.is_empty() && self.dropped.is_empty()
    }

    fn complain(&mut self, principal: &Principal, what: &str) {
        self.complaints
            .push(format!("{} {}: {what}", principal.kind, principal.id()));
    }

    async fn carry_out(&self, context: &Context) -> Result<(), Error> {
        let marks: Vec<String> = self.merged.iter().map(mark).collect();
        let update = context.record.update(|session| {
            let known = &mut session.merged_principals;
            known.extend(marks);
            known.sort();
            known.dedup();
        });
        update.await?;
        failpoint("principals_begun");
        for principal in &self.dropped {
            drop_principal(&context.destination, principal).await?;
        }
        let merged: Vec<_> = self.merged.iter().collect();
        merge_principals(&context.destination, &merged).await?;
        Ok(())
    }
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
    hex(&Sha256::digest(named)[..16])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
