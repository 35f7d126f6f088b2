//! Users and roles, as a cluster stores them in `admin.system.users` and `admin.system.roles`.
//!
//! Facts of the server, tried on 6.0.5: `_mergeAuthzCollections` with `drop: false`, which mongorestore calls, inserts each
//! user and role of two temporary collections, credentials and `userId` included, and leaves existing ones as they are. It
//! can be repeated, and does nothing once the temporary collections are dropped. `dropRole` takes the role from all users
//! that have it. The role `restore` may write and merge temporary collections under the names below, and may read users,
//! but not roles.

use std::fmt;

use bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};

use super::{
    Client, Destination, DestinationDatabase, Error,
    cluster::{Retry, listing},
    code,
};
use crate::observe::failpoint;

/// Bytes of an insert into a temporary collection.
const INSERT_BYTES: usize = 4 << 20;

/// A user or a role. `Debug` shows its kind and name alone.
#[derive(Clone)]
pub struct Principal {
    /// Whether it is a user or a role.
    pub kind: PrincipalKind,
    id: String,
    database: String,
    stored: Document,
}

/// Users and roles are stored in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// Roles come first: users refer to them.
    Role,
    /// A user with its credentials.
    User,
}

impl PrincipalKind {
    const ALL: [Self; 2] = [Self::Role, Self::User];

    fn stored_in(self) -> &'static str {
        match self {
            Self::Role => "system.roles",
            Self::User => "system.users",
        }
    }

    fn temporary(self) -> &'static str {
        match self {
            Self::Role => "temproles",
            Self::User => "tempusers",
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::User => "user",
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

impl Principal {
    fn read(kind: PrincipalKind, stored: &RawDocument) -> Result<Self, Error> {
        let text = |field| {
            let text = stored.get_str(field).map(str::to_owned);
            text.map_err(|_absent| Error::Reply(field))
        };
        Ok(Self {
            kind,
            id: text("_id")?,
            database: text("db")?,
            stored: stored.to_owned().try_into().map_err(Error::Bson)?,
        })
    }

    /// Database and name, such as `sales.app`.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        let rest = self.id.strip_prefix(&self.database);
        rest.and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or_default()
    }

    /// The database that it belongs to.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Ids of the roles that it has.
    pub fn roles(&self) -> Vec<String> {
        let roles = self.stored.get_array("roles");
        let roles = roles.into_iter().flatten().filter_map(|role| {
            let role = role.as_document()?;
            let (database, name) = (role.get_str("db").ok()?, role.get_str("role").ok()?);
            Some(format!("{database}.{name}"))
        });
        roles.collect()
    }

    /// Whether both clusters have the same, but for `userId`, which a cluster may have given itself.
    pub fn equals(&self, other: &Self) -> bool {
        let without = |principal: &Self| {
            let mut stored = principal.stored.clone();
            stored.remove("userId");
            stored
        };
        (self.kind, without(self)) == (other.kind, without(other))
    }
}

/// All roles and users of a cluster, without those of the server itself.
///
/// # Errors
/// Errors of the reads: the privilege `find` on both collections is needed.
pub async fn principals(client: &Client) -> Result<Vec<Principal>, Error> {
    let admin = client.database("admin");
    let mut found = Vec::new();
    for kind in PrincipalKind::ALL {
        let stored = listing::aggregate(&admin, kind.stored_in(), RawArrayBuf::new()).await?;
        for stored in stored {
            found.push(Principal::read(kind, &stored)?);
        }
    }
    Ok(found)
}

/// Ids of the users and roles of a connection.
#[derive(Debug, Default)]
pub struct OwnPrincipals {
    /// The users as whom it is logged in; empty without access control.
    pub users: Vec<String>,
    /// Their roles, and the roles that these have.
    pub roles: Vec<String>,
}

/// The users and roles of this connection.
///
/// # Errors
/// Errors of `connectionStatus`.
pub async fn own_principals(client: &Client) -> Result<OwnPrincipals, Error> {
    let admin = client.database("admin");
    let ask = doc! { "connectionStatus": 1 };
    let status = Retry::quick(client.contact(), "ask for the users of the connection")
        .run(async || Ok(admin.driver().run_command(ask.clone()).await?))
        .await?;
    let info = status.get_document("authInfo").ok();
    let ids = |list: &str, name: &str| {
        let named = info.and_then(|info| info.get_array(list).ok());
        let ids = named.into_iter().flatten().filter_map(|named| {
            let named = named.as_document()?;
            let (database, name) = (named.get_str("db").ok()?, named.get_str(name).ok()?);
            Some(format!("{database}.{name}"))
        });
        ids.collect()
    };
    Ok(OwnPrincipals {
        users: ids("authenticatedUsers", "user"),
        roles: ids("authenticatedUserRoles", "role"),
    })
}

/// Inserts those of `principals` that the destination lacks, within the fence. Can be repeated.
///
/// # Errors
/// Errors of the fence and of the commands. A host that dies in between leaves the temporary collections, which
/// [`drop_temporary_principals`] drops.
pub async fn merge_principals(
    destination: &Destination,
    principals: &[&Principal],
) -> Result<(), Error> {
    let admin = destination.database("admin");
    drop_temporary(&admin).await?;
    let merged = insert_and_merge(&admin, principals).await;
    // Invariant: no copy of credentials stays, and a late packet of the merge finds nothing.
    drop_temporary(&admin).await?;
    merged
}

/// Drops the temporary collections, in which a host that has died may have left credentials.
///
/// # Errors
/// Errors of the fence and of the commands.
pub async fn drop_temporary_principals(destination: &Destination) -> Result<(), Error> {
    drop_temporary(&destination.database("admin")).await
}

async fn insert_and_merge(
    admin: &DestinationDatabase,
    principals: &[&Principal],
) -> Result<(), Error> {
    for kind in PrincipalKind::ALL {
        // The server wants both collections to exist.
        let create = rawdoc! { "create": kind.temporary() };
        run(admin, create, Some(code::NAMESPACE_EXISTS)).await?;
        let stored = principals.iter().filter(|principal| principal.kind == kind);
        let mut batch = Batch::default();
        for principal in stored {
            batch.push(principal)?;
            if batch.bytes >= INSERT_BYTES {
                batch.insert(admin, kind).await?;
            }
        }
        batch.insert(admin, kind).await?;
    }
    failpoint("principals_inserted");
    let merge = rawdoc! {
        "_mergeAuthzCollections": 1,
        "tempUsersCollection": format!("admin.{}", PrincipalKind::User.temporary()),
        "tempRolesCollection": format!("admin.{}", PrincipalKind::Role.temporary()),
        "db": "",
        "drop": false,
    };
    run(admin, merge, None).await
}

/// Gives a role of the destination the privileges and roles of `role`. Can be repeated. A role that was dropped and
/// inserted would be lost to the users that have it.
///
/// # Errors
/// Errors of the fence and of the command.
pub async fn update_role(destination: &Destination, role: &Principal) -> Result<(), Error> {
    let stored = RawDocumentBuf::try_from(&role.stored).map_err(Error::Bson)?;
    let mut command = rawdoc! { "updateRole": role.name() };
    for field in [
        cstr!("privileges"),
        cstr!("roles"),
        cstr!("authenticationRestrictions"),
    ] {
        match stored.get(field.as_str()) {
            Ok(Some(value)) => command.append(field, value),
            _ => command.append(field, RawArrayBuf::new()),
        }
    }
    run(&destination.database(&role.database), command, None).await
}

/// Removes a user or a role from the destination. Can be repeated.
///
/// # Errors
/// Errors of the fence and of the command.
pub async fn drop_principal(destination: &Destination, principal: &Principal) -> Result<(), Error> {
    let name = principal.name();
    let database = destination.database(&principal.database);
    let (command, missing) = match principal.kind {
        PrincipalKind::Role => (rawdoc! { "dropRole": name }, code::ROLE_NOT_FOUND),
        PrincipalKind::User => (rawdoc! { "dropUser": name }, code::USER_NOT_FOUND),
    };
    run(&database, command, Some(missing)).await
}

/// Documents of one insert.
#[derive(Default)]
struct Batch {
    documents: RawArrayBuf,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, principal: &Principal) -> Result<(), Error> {
        let stored = RawDocumentBuf::try_from(&principal.stored).map_err(Error::Bson)?;
        self.bytes += stored.as_bytes().len();
        self.documents.push(stored);
        Ok(())
    }

    async fn insert(
        &mut self,
        admin: &DestinationDatabase,
        kind: PrincipalKind,
    ) -> Result<(), Error> {
        let Self { documents, bytes } = std::mem::take(self);
        if bytes == 0 {
            return Ok(());
        }
        // A repetition finds the documents of the attempt whose answer was lost.
        let insert =
            rawdoc! { "insert": kind.temporary(), "documents": documents, "ordered": false };
        run(admin, insert, Some(code::DUPLICATE_KEY)).await
    }
}

async fn drop_temporary(admin: &DestinationDatabase) -> Result<(), Error> {
    for kind in PrincipalKind::ALL {
        let drop = rawdoc! { "drop": kind.temporary() };
        run(admin, drop, Some(code::NAMESPACE_NOT_FOUND)).await?;
    }
    Ok(())
}

/// Runs a repeatable command with write concern majority. `done` is the error of a command that was done before.
async fn run(
    database: &DestinationDatabase,
    mut command: RawDocumentBuf,
    done: Option<i32>,
) -> Result<(), Error> {
    command.append(cstr!("writeConcern"), rawdoc! { "w": "majority" });
    match database.run(command).await {
        Err(error) if done.is_some_and(|done| error.has_code(done)) => Ok(()),
        other => other,
    }
}
