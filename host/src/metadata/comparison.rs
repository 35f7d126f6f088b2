//! Comparisons: copied partitions become unseen again, and their documents are compared with the source.

use bson::{RawArrayBuf, RawDocumentBuf, doc, rawdoc};

use super::{
    collections::{PARKED_KEYS, PARTITIONS, QUARANTINE},
    store::{Store, remove},
};
use crate::{
    model::namespace::METADATA_DATABASE,
    mongo::{Change, Error},
};

impl Store {
    /// The changes that make the partitions of all namespaces unseen, each to be compared if it may have documents
    /// on the destination. Parked keys and quarantine entries are removed: their documents are read again.
    pub fn comparison_of_all(&self) -> Result<Vec<Change>, Error> {
        let mut changes = vec![
            self.unseen()?,
            remove(PARKED_KEYS, doc! {}),
            remove(QUARANTINE, doc! {}),
        ];
        changes.append(&mut self.verification_removal());
        Ok(changes)
    }

    /// Makes partitions unseen, in two statements. Partitions that are unseen already stay as they are.
    fn unseen(&self) -> Result<Change, Error> {
        let seen = doc! { "$or": [{ "done": true }, { "begun": true }, { "lastId": { "$exists": true } }] };
        let in_work = doc! { "begun": true, "done": false };
        let filter = RawDocumentBuf::try_from(&seen)?;
        let set = rawdoc! {
            "done": false, "compare": true, "documents": 0_i64, "bytes": 0_i64, "term": self.key().term,
        };
        let unset = rawdoc! { "begun": "", "begunAt": "", "doneAt": "", "lastId": "" };
        let mut statements = RawArrayBuf::new();
        // Inserts of partitions in work may still arrive.
        let in_work = RawDocumentBuf::try_from(&in_work)?;
        let suspect = rawdoc! { "suspect": true };
        statements.push(rawdoc! { "q": in_work, "u": { "$set": suspect }, "multi": true });
        statements
            .push(rawdoc! { "q": filter, "u": { "$set": set, "$unset": unset }, "multi": true });
        Ok(Change::Command {
            database: METADATA_DATABASE.to_owned(),
            body: rawdoc! { "update": PARTITIONS, "updates": statements },
        })
    }
}
