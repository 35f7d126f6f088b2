//! Events on the source in the scripted sync: every kind of write and of DDL.

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::{
    Client, Database,
    error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR},
};

use super::set::{document, id};
use crate::proxy::Command;

/// Collections whose documents change.
const CHANGING: [&str; 6] = [
    "plain",
    "collated",
    "clustered",
    "filtered",
    "stamped",
    "indexed",
];

/// The source, as the script writes to it.
#[derive(Clone)]
pub(super) struct Writes {
    client: Client,
}

impl Writes {
    pub(super) fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
        }
    }

    fn app(&self) -> Database {
        self.client.database("app")
    }

    /// Runs a command. A command that conflicts with newer writes is refused, which does not matter: the
    /// destination has to follow the commands that succeed.
    async fn run(&self, database: &str, command: Document) -> Result<()> {
        let what = command.to_string().chars().take(120).collect::<String>();
        match self.client.database(database).run_command(command).await {
            Err(error) if !matches!(*error.kind, ErrorKind::Command(_)) => {
                Err(error).with_context(|| format!("run {what}"))
            }
            _ => Ok(()),
        }
    }

    async fn all(&self, commands: Vec<Document>) -> Result<()> {
        for command in commands {
            self.run("app", command).await?;
        }
        Ok(())
    }

    /// While the collections are copied.
    pub(super) async fn in_copy(&self) -> Result<()> {
        for name in CHANGING {
            self.all(vec![
                update(name, 1, doc! { "$set": { "text": "in copy" } }),
                insert(name, 1000),
                delete(name, 3),
            ])
            .await?;
        }
        self.all(vec![insert("capped", 1000)]).await?;
        self.ddl_in_copy().await
    }

    /// DDL of every kind, on collections that are unseen, in work or done, each between events of its collection.
    async fn ddl_in_copy(&self) -> Result<()> {
        self.all(vec![insert("moving", 500)]).await?;
        self.rename("moving", "moved", false).await?;
        self.all(vec![
            update("moved", 1, doc! { "$set": { "text": "moved" } }),
            delete("moved", 3),
            insert("doomed", 500),
            doc! { "drop": "doomed" },
            insert("doomed", 1),
            insert("over", 500),
            insert("under", 501),
        ])
        .await?;
        self.rename("over", "under", true).await?;
        let by_sub = doc! { "key": { "sub.a": 1 }, "name": "sub" };
        let expires = doc! { "name": "at_1", "expireAfterSeconds": 90000 };
        let validator = doc! { "n": { "$exists": true } };
        self.all(vec![
            insert("under", 502),
            doc! { "collMod": "changed", "validator": validator, "validationLevel": "moderate" },
            update("changed", 1, doc! { "$push": { "list": 1 } }),
            doc! { "createIndexes": "changed", "indexes": [by_sub] },
            doc! { "dropIndexes": "changed", "index": "text_1" },
            doc! { "collMod": "changed", "index": expires },
            insert("changed", 500),
            insert("capped_later", 500),
            doc! { "convertToCapped": "capped_later", "size": 1 << 20 },
            insert("capped_later", 501),
            doc! { "create": "capped_early", "capped": true, "size": 1 << 20 },
            insert("capped_early", 1),
            insert("made_early", 1),
            insert("leaving_early", 500),
        ])
        .await?;
        self.rename("hidden_3", "shown_early", false).await?;
        self.rename("leaving_early", "hidden_4", false).await?;
        self.all(vec![insert("shown_early", 500), delete("shown_early", 2)])
            .await?;
        self.run("early", insert("x", 500)).await?;
        self.run("early", doc! { "dropDatabase": 1 }).await?;
        self.run("early", insert("y", 1)).await
    }

    /// Every kind of event; `round` keeps ids of several calls apart.
    pub(super) async fn events(&self, round: i32) -> Result<()> {
        let base = 2000 + round * 100;
        // Once in every collection is enough.
        let names: &[&str] = if round == 0 {
            &CHANGING
        } else {
            &["plain", "stamped"]
        };
        for name in names {
            self.all(vec![
                insert(name, base),
                insert(name, base + 1),
                update(name, 4, doc! { "$set": { "text": round, "sub.b": round } }),
                update(
                    name,
                    5,
                    doc! { "$push": { "list": round }, "$unset": { "text": 1 } },
                ),
                replace(name, 6, 600 + round),
                update(name, base, doc! { "$inc": { "sub.a": 1 } }),
                delete(name, 10 + round),
                update(
                    name,
                    7,
                    doc! { "$set": { "status": if round % 2 == 0 { "out" } else { "in" } } },
                ),
                // Deleted, and there again.
                delete(name, 8),
                insert(name, 8),
                delete(name, base + 1),
            ])
            .await?;
        }
        self.all(vec![insert("capped", base)]).await?;
        self.transaction(round).await
    }

    /// A transaction over several collections; newer writes may get in its way.
    async fn transaction(&self, round: i32) -> Result<()> {
        const ATTEMPTS: usize = 20;
        let mut attempt = 1;
        loop {
            match self.try_transaction(round).await {
                Err(error)
                    if error.contains_label(TRANSIENT_TRANSACTION_ERROR) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                }
                done => return done.context("a transaction on the source"),
            }
        }
    }

    async fn try_transaction(&self, round: i32) -> Result<(), Error> {
        let base = 2050 + round * 100;
        let mut session = self.client.start_session().await?;
        session.start_transaction().await?;
        for name in ["plain", "collated", "stamped"] {
            for command in [
                insert(name, base),
                update(
                    name,
                    9,
                    doc! { "$set": { "text": "in transaction", "sub.c": round } },
                ),
                update(name, base, doc! { "$set": { "sub.c": 1 } }),
            ] {
                self.app()
                    .run_command(command)
                    .session(&mut session)
                    .await?;
            }
        }
        session.commit_transaction().await
    }

    /// Every kind of DDL, each between events of its collection.
    pub(super) async fn ddl(&self) -> Result<()> {
        self.creations().await?;
        self.renames().await?;
        self.changes().await?;
        self.drops().await
    }

    async fn creations(&self) -> Result<()> {
        let validator = doc! { "text": { "$type": ["string", "int"] } };
        let clustered = doc! { "key": { "_id": 1 }, "unique": true };
        self.all(vec![
            doc! { "create": "made", "validator": validator, "validationAction": "warn" },
            insert("made", 1),
            doc! { "create": "made_capped", "capped": true, "size": 65536, "max": 50 },
            insert("made_capped", 1),
            doc! { "create": "made_clustered", "clusteredIndex": clustered },
            insert("made_clustered", 1),
            insert("implied", 1),
            doc! { "create": "made_view", "viewOn": "made", "pipeline": [] },
        ])
        .await
    }

    async fn renames(&self) -> Result<()> {
        self.all(vec![insert("old", 500), insert("old", 501)])
            .await?;
        self.rename("old", "renamed", false).await?;
        self.all(vec![
            insert("renamed", 502),
            update("renamed", 1, doc! { "$set": { "text": "renamed" } }),
        ])
        .await?;
        // Onto a collection that has just been written to.
        self.all(vec![insert("target", 500), insert("implied", 2)])
            .await?;
        self.rename("implied", "target", true).await?;
        self.all(vec![insert("target", 501)]).await?;
        // Into scope, and out of it.
        self.rename("hidden_1", "shown", false).await?;
        self.all(vec![insert("shown", 500), delete("shown", 2)])
            .await?;
        self.all(vec![insert("leaving", 500)]).await?;
        self.rename("leaving", "hidden_2", false).await?;
        // There and back, with events between.
        self.rename("renamed", "away", false).await?;
        self.all(vec![insert("away", 503)]).await?;
        self.rename("away", "renamed", false).await?;
        self.all(vec![delete("renamed", 503), insert("away", 1)])
            .await
    }

    async fn rename(&self, from: &str, to: &str, drop_target: bool) -> Result<()> {
        let rename = doc! {
            "renameCollection": format!("app.{from}"), "to": format!("app.{to}"),
            "dropTarget": drop_target,
        };
        self.run("admin", rename).await
    }

    async fn changes(&self) -> Result<()> {
        let by_sub = doc! { "key": { "sub.a": 1 }, "name": "sub" };
        let by_text = doc! { "key": { "text": "text" }, "name": "words" };
        let unique = doc! { "key": { "n": 1 }, "name": "n_1", "unique": true, "sparse": true };
        let expires = doc! { "name": "at_1", "expireAfterSeconds": 90000 };
        let validator = doc! { "n": { "$exists": true } };
        self.all(vec![
            doc! { "createIndexes": "plain", "indexes": [by_sub, by_text] },
            update("plain", 11, doc! { "$set": { "text": "two words" } }),
            doc! { "createIndexes": "clustered", "indexes": [unique] },
            doc! { "dropIndexes": "plain", "index": "sub" },
            doc! { "collMod": "indexed", "index": expires },
            doc! { "collMod": "indexed", "index": { "name": "text_1", "hidden": false } },
            doc! { "dropIndexes": "indexed", "index": "n_1" },
            doc! { "collMod": "plain", "validator": validator, "validationLevel": "moderate" },
            doc! { "collMod": "clustered", "changeStreamPreAndPostImages": { "enabled": true } },
            doc! { "collMod": "made_view", "viewOn": "plain", "pipeline": [{ "$limit": 3 }] },
            update("plain", 12, doc! { "$set": { "text": "after changes" } }),
        ])
        .await
    }

    async fn drops(&self) -> Result<()> {
        self.all(vec![
            insert("dropped", 500),
            doc! { "drop": "dropped" },
            insert("dropped", 1),
            doc! { "drop": "made_capped" },
            doc! { "create": "made_capped", "capped": true, "size": 131_072 },
            insert("made_capped", 2),
            doc! { "drop": "made_view" },
        ])
        .await?;
        self.run("gone", insert("x", 500)).await?;
        self.run("gone", doc! { "dropDatabase": 1 }).await?;
        self.run("gone", insert("y", 1)).await
    }

    // ---- writes after a fault

    /// Changes or deletes the documents that a late command may write, so that its effect would be visible.
    pub(super) async fn newer(&self, late: &Command) -> Result<()> {
        let touch = doc! { "$inc": { "touched": 1 }, "$set": { "text": "newer" } };
        let all = doc! { "q": {}, "u": touch, "multi": true };
        for name in self.app().list_collection_names().await? {
            if name.starts_with("system.") || name.contains("view") || name.contains("capped") {
                continue;
            }
            let first: Vec<i32> = (0..3).chain([1000]).collect();
            let deletes: Vec<Document> = first
                .into_iter()
                .map(|n| doc! { "q": { "_id": id(&name, n) }, "limit": 1 })
                .collect();
            let commands = vec![
                doc! { "update": &name, "updates": [&all] },
                doc! { "delete": &name, "deletes": deletes },
            ];
            self.all(commands).await?;
        }
        self.undo(late).await
    }

    /// Does the reverse of DDL, so that the command would do harm if it came again.
    async fn undo(&self, late: &Command) -> Result<()> {
        let body = late.document().unwrap_or_default();
        let text = |field: &str| body.get_str(field).unwrap_or_default().to_owned();
        let (database, collection) = (late.database.as_str(), late.collection.as_str());
        let insert = doc! { "insert": collection, "documents": [{ "newer": true }] };
        match late.name.as_str() {
            "renameCollection" => {
                let back = doc! { "renameCollection": text("to"), "to": text("renameCollection") };
                self.run("admin", back).await
            }
            "drop" | "dropDatabase" if database != "admin" => match collection {
                "" => {
                    self.run(database, doc! { "insert": "newer", "documents": [{}] })
                        .await
                }
                _ => self.run(database, insert).await,
            },
            "create" if body.get_str("viewOn").is_err() => {
                self.run(database, doc! { "drop": collection }).await?;
                self.run(database, insert).await
            }
            "createIndexes" => {
                let names = body.get_array("indexes").into_iter().flatten();
                let names = names.filter_map(|index| index.as_document()?.get_str("name").ok());
                for name in names {
                    let drop = doc! { "dropIndexes": collection, "index": name };
                    self.run(database, drop).await?;
                }
                Ok(())
            }
            "collMod" => {
                let modify =
                    doc! { "collMod": collection, "validator": {}, "validationLevel": "off" };
                self.run(database, modify).await
            }
            _ => Ok(()),
        }
    }
}

fn insert(collection: &str, n: i32) -> Document {
    doc! { "insert": collection, "documents": [document(id(collection, n), n)] }
}

fn update(collection: &str, n: i32, update: Document) -> Document {
    let statement = doc! { "q": { "_id": id(collection, n) }, "u": update };
    doc! { "update": collection, "updates": [statement] }
}

fn replace(collection: &str, n: i32, value: i32) -> Document {
    let mut document = document(id(collection, n), value);
    document.insert("replaced", true);
    update(collection, n, document)
}

fn delete(collection: &str, n: i32) -> Document {
    let statement = doc! { "q": { "_id": id(collection, n) }, "limit": 1 };
    doc! { "delete": collection, "deletes": [statement] }
}
