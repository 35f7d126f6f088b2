//! The lockout of hosts of releases 0.1.0 and 0.1.1 from writing metadata. They know no lease, and
//! a host that was cut off during the migration still believes that it works on the sync.
//!
//! - `position` and `partitions`, which such a host writes once a second, are views: writes fail
//!   with CommandNotSupportedOnView (166), which it does not retry.
//! - Its other collections have a validator that requires `term`, which every later release writes:
//!   its writes fail with DocumentValidationFailure (121).
//!
//! Both are set after the migration and checked at every takeover, so a crash between the two
//! leaves no gap.

use bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use super::Error;
use crate::{
    metadata::RENAMED,
    model::namespace::METADATA_DATABASE,
    mongo::{self, Destination, DestinationDatabase, code, listing, retry},
};

/// Collections that hosts without a lease write under the same name in every version.
const WITH_TERM: [&str; 3] = ["session", "namespaces", "quarantine"];

/// How often the collections are listed before giving up. More than two listings mean that another
/// client changes them.
const ATTEMPTS: usize = 5;

/// Codes for a collection that has changed since it was listed, or for a command whose first answer
/// was lost.
const CHANGED: [i32; 3] = [
    code::NAMESPACE_EXISTS,
    code::NAMESPACE_NOT_FOUND,
    code::COLLECTION_UUID_MISMATCH,
];

/// Makes writes of hosts without a lease fail. Idempotent. The metadata must have version 3.
///
/// Cancel safe: the next takeover completes an unfinished lockout.
///
/// # Errors
/// The collections still change after several attempts.
pub async fn lock_out_legacy_hosts(destination: &Destination) -> Result<(), Error> {
    run_until_done(destination, lock_commands).await
}

/// Reverts [`lock_out_legacy_hosts`], before the step back to a version that uses those names.
pub(super) async fn readmit(destination: &Destination) -> Result<(), Error> {
    run_until_done(destination, unlock_commands).await
}

/// Lists the collections and runs the commands that `left` returns for them, until it returns none.
async fn run_until_done(
    destination: &Destination,
    left: fn(&[RawDocumentBuf]) -> Vec<RawDocumentBuf>,
) -> Result<(), Error> {
    let database = destination.database(METADATA_DATABASE);
    for _ in 0..ATTEMPTS {
        let listed = retry("list metadata", || listing::collections(database.reads())).await?;
        let commands = left(&listed);
        if commands.is_empty() {
            return Ok(());
        }
        for command in commands {
            run(&database, command).await?;
        }
    }
    Err(mongo::Error::Reply("the metadata's views").into())
}

async fn run(database: &DestinationDatabase, mut command: RawDocumentBuf) -> Result<(), Error> {
    command.append(
        bson::cstr!("writeConcern"),
        rawdoc! { "w": "majority", "j": true },
    );
    match database.run(command).await {
        Err(error) if CHANGED.iter().any(|code| error.has_code(*code)) => Ok(()),
        done => Ok(done?),
    }
}

fn validator() -> RawDocumentBuf {
    rawdoc! { "term": { "$exists": true } }
}

/// The commands that lock out hosts without a lease.
fn lock_commands(listed: &[RawDocumentBuf]) -> Vec<RawDocumentBuf> {
    let views = RENAMED
        .iter()
        .flat_map(|(name, on)| view_commands(find(listed, name), name, on));
    let validators = WITH_TERM
        .iter()
        .filter_map(|name| validator_command(find(listed, name), name));
    views.chain(validators).collect()
}

fn view_commands(listed: Option<&RawDocument>, name: &str, on: &str) -> Vec<RawDocumentBuf> {
    let pipeline = RawArrayBuf::new();
    let create = rawdoc! { "create": name, "viewOn": on, "pipeline": pipeline.clone() };
    let Some(listed) = listed else {
        return vec![create];
    };
    if is_view(listed) {
        let reads = option(listed, "viewOn").and_then(RawBsonRef::as_str);
        let staged = option(listed, "pipeline").and_then(RawBsonRef::as_array);
        let is_empty = staged.is_none_or(|stages| stages.is_empty());
        if reads == Some(on) && is_empty {
            return Vec::new();
        }
        return vec![rawdoc! { "collMod": name, "viewOn": on, "pipeline": pipeline }];
    }
    // A migrated collection is empty. Its documents come from a host that had lost the sync by
    // then.
    let mut drop = rawdoc! { "drop": name };
    if let Ok(Some(uuid)) = listed
        .get_document("info")
        .and_then(|info| info.get("uuid"))
    {
        // By UUID, so that a late repetition cannot drop another collection of the name.
        drop.append(bson::cstr!("collectionUUID"), uuid);
    }
    vec![drop, create]
}

fn validator_command(listed: Option<&RawDocument>, name: &str) -> Option<RawDocumentBuf> {
    let found = listed.and_then(|listed| option(listed, "validator")?.as_document());
    if found == Some(&*validator()) {
        return None;
    }
    let verb = if listed.is_some() {
        bson::cstr!("collMod")
    } else {
        bson::cstr!("create")
    };
    let mut command = RawDocumentBuf::new();
    command.append(verb, name);
    command.append(bson::cstr!("validator"), validator());
    command.append(bson::cstr!("validationLevel"), "strict");
    command.append(bson::cstr!("validationAction"), "error");
    Some(command)
}

/// The commands that revert [`lock_commands`].
fn unlock_commands(listed: &[RawDocumentBuf]) -> Vec<RawDocumentBuf> {
    // By name, since a view has no UUID. The step back writes a collection of that name only after
    // the reply.
    let views = RENAMED
        .iter()
        .filter(|(name, _)| find(listed, name).is_some_and(is_view))
        .map(|(name, _)| rawdoc! { "drop": *name });
    let validators = WITH_TERM
        .iter()
        .filter(|name| find(listed, name).is_some_and(|one| option(one, "validator").is_some()))
        .map(|name| rawdoc! { "collMod": *name, "validator": {} });
    views.chain(validators).collect()
}

fn find<'a>(listed: &'a [RawDocumentBuf], name: &str) -> Option<&'a RawDocument> {
    let mut listed = listed.iter().map(|one| &**one);
    listed.find(|one| one.get_str("name").is_ok_and(|found| found == name))
}

fn is_view(listed: &RawDocument) -> bool {
    listed.get_str("type").is_ok_and(|kind| kind == "view")
}

fn option<'a>(listed: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    listed.get_document("options").ok()?.get(name).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, on: &str, pipeline: RawArrayBuf) -> RawDocumentBuf {
        rawdoc! { "name": name, "type": "view", "options": { "viewOn": on, "pipeline": pipeline } }
    }

    fn collection(name: &str, options: RawDocumentBuf) -> RawDocumentBuf {
        rawdoc! { "name": name, "type": "collection", "options": options, "info": { "uuid": 7 } }
    }

    fn locked() -> Vec<RawDocumentBuf> {
        let views = RENAMED.map(|(name, on)| view(name, on, RawArrayBuf::new()));
        let options = || rawdoc! { "validator": validator() };
        let others = WITH_TERM.map(|name| collection(name, options()));
        views.into_iter().chain(others).collect()
    }

    fn texts(commands: &[RawDocumentBuf]) -> Vec<String> {
        let text = |command: &RawDocumentBuf| format!("{command:?}");
        commands.iter().map(text).collect()
    }

    #[test]
    fn what_is_closed_is_left_alone_and_so_is_what_is_open() {
        assert!(lock_commands(&locked()).is_empty());
        let open = WITH_TERM.map(|name| collection(name, rawdoc! {}));
        assert!(unlock_commands(&open).is_empty());
        assert!(unlock_commands(&[]).is_empty());
    }

    #[test]
    fn an_empty_database_gets_everything() {
        let commands = lock_commands(&[]);
        let created = commands
            .iter()
            .map(|one| one.get_str("create").expect("a name"));
        let created: Vec<_> = created.collect();
        assert_eq!(
            created,
            [
                "position",
                "partitions",
                "session",
                "namespaces",
                "quarantine"
            ]
        );
    }

    #[test]
    fn a_collection_gives_way_to_its_view_by_its_uuid() {
        let mut listed = locked();
        listed[0] = collection("position", rawdoc! {});
        let expected = [
            rawdoc! { "drop": "position", "collectionUUID": 7 },
            rawdoc! { "create": "position", "viewOn": "streamPosition", "pipeline": [] },
        ];
        assert_eq!(texts(&lock_commands(&listed)), texts(&expected));
    }

    #[test]
    fn a_view_or_a_validator_that_was_changed_is_set_right() {
        let mut listed = locked();
        let mut stages = RawArrayBuf::new();
        stages.push(rawdoc! { "$limit": 1 });
        listed[0] = view("position", "streamPosition", stages);
        listed[1] = view("partitions", "elsewhere", RawArrayBuf::new());
        listed[2] = collection("session", rawdoc! { "validator": {} });
        let changed = |command: &RawDocumentBuf| command.get_str("collMod").ok().map(str::to_owned);
        let changed: Vec<_> = lock_commands(&listed).iter().filter_map(changed).collect();
        assert_eq!(changed, ["position", "partitions", "session"]);
    }

    #[test]
    fn opening_takes_away_what_closing_made() {
        let commands = unlock_commands(&locked());
        assert_eq!(commands.len(), RENAMED.len() + WITH_TERM.len());
        assert_eq!(
            texts(&commands)[0],
            texts(&[rawdoc! { "drop": "position" }])[0]
        );
    }
}
