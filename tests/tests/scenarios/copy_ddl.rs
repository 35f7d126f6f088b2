//! DDL of every kind, each on collections of its own, with writes before it and after it.

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::{Client, Database};
use serde_json::{Value, json};

use crate::steps::{insert, run};

/// Collections of this prefix are out of scope.
const HIDDEN: &str = "hidden";

/// Characters of a document besides its fields.
const FILLER: usize = 500;

/// A kind of DDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ddl {
    Create,
    Drop,
    DropDatabase,
    CreateAgain,
    CreateCappedAgain,
    ViewInPlace,
    Rename,
    RenameBack,
    RenameChain,
    RenameOnto,
    Exchange,
    LeaveScope,
    EnterScope,
    OtherDatabase,
    Modify,
    ModifyIndexes,
    CreateIndexes,
    DropIndexes,
    Resize,
    ConvertToCapped,
    CloneAsCapped,
    Out,
}

impl Ddl {
    pub(crate) const ALL: [Self; 22] = [
        Self::Create,
        Self::Drop,
        Self::DropDatabase,
        Self::CreateAgain,
        Self::CreateCappedAgain,
        Self::ViewInPlace,
        Self::Rename,
        Self::RenameBack,
        Self::RenameChain,
        Self::RenameOnto,
        Self::Exchange,
        Self::LeaveScope,
        Self::EnterScope,
        Self::OtherDatabase,
        Self::Modify,
        Self::ModifyIndexes,
        Self::CreateIndexes,
        Self::DropIndexes,
        Self::Resize,
        Self::ConvertToCapped,
        Self::CloneAsCapped,
        Self::Out,
    ];

    /// The collection that the DDL is about.
    pub(crate) fn collection(self, prefix: &str) -> String {
        format!("{prefix}_{self:?}").to_lowercase()
    }

    fn database(self, prefix: &str) -> String {
        match self {
            Self::DropDatabase => format!("gone_{prefix}"),
            _ => "app".to_owned(),
        }
    }

    /// `app.users`
    pub(crate) fn namespace(self, prefix: &str) -> String {
        format!("{}.{}", self.database(prefix), self.collection(prefix))
    }

    /// Writes the collections of this kind to the source before the sync begins.
    pub(crate) async fn prepare(self, client: &Client, prefix: &str, documents: i32) -> Result<()> {
        let database = client.database(&self.database(prefix));
        let name = self.collection(prefix);
        let others: &[&str] = match self {
            Self::RenameOnto | Self::Out => &["", "_target"],
            Self::Exchange => &["", "_other"],
            Self::DropDatabase => &["", "_second"],
            _ => &[""],
        };
        for other in others {
            load(self, &database, &format!("{name}{other}"), documents).await?;
        }
        if self == Self::EnterScope {
            load(self, &database, &format!("{HIDDEN}_{name}"), documents).await?;
        }
        Ok(())
    }

    /// Changes the collections of this kind, as a single burst of events.
    pub(crate) async fn act(self, client: &Client, prefix: &str) -> Result<()> {
        let source = Source {
            client: client.clone(),
            database: client.database(&self.database(prefix)),
        };
        let name = self.collection(prefix);
        let touched = match self {
            Self::Resize => insert(&source.database, &name, new_documents("before resize")).await,
            _ => source.touch(&name, 1).await,
        };
        touched.with_context(|| format!("writes to {name}"))?;
        let changed = self.change(&source, &name).await;
        changed.with_context(|| format!("{self:?} of {name}"))
    }

    async fn change(self, source: &Source, name: &str) -> Result<()> {
        match self {
            Self::Create => source.create(name).await,
            Self::Drop => source.drop(name).await,
            Self::DropDatabase => {
                source.database.drop().await?;
                source.insert(&format!("{name}_second")).await
            }
            Self::CreateAgain => source.create_again(name).await,
            Self::CreateCappedAgain => {
                source.drop(name).await?;
                let capped = doc! { "create": name, "capped": true, "size": 1 << 20, "max": 40 };
                source.run(capped).await?;
                source.insert(name).await
            }
            Self::ViewInPlace => {
                source.drop(name).await?;
                let view = doc! { "create": name, "viewOn": "any", "pipeline": [{ "$limit": 1 }] };
                source.run(view).await
            }
            Self::Rename
            | Self::RenameBack
            | Self::RenameChain
            | Self::RenameOnto
            | Self::Exchange
            | Self::LeaveScope
            | Self::EnterScope
            | Self::OtherDatabase => self.rename(source, name).await,
            Self::Modify => source.modify(name).await,
            Self::ModifyIndexes => source.modify_indexes(name).await,
            Self::CreateIndexes => source.create_indexes(name).await,
            Self::DropIndexes => source.drop_indexes(name).await,
            Self::Resize => {
                source
                    .run(doc! { "collMod": name, "cappedSize": 2 << 20, "cappedMax": 50 })
                    .await?;
                source.insert(name).await
            }
            Self::ConvertToCapped => {
                source
                    .run(doc! { "convertToCapped": name, "size": 1 << 20 })
                    .await?;
                source.insert(name).await
            }
            Self::CloneAsCapped => {
                let clone = format!("{name}_clone");
                source
                    .run(doc! { "cloneCollectionAsCapped": name, "toCollection": &clone, "size": 1 << 20 })
                    .await?;
                source.insert(&clone).await?;
                source.touch(name, 2).await
            }
            Self::Out => source.out(name).await,
        }
    }

    async fn rename(self, source: &Source, name: &str) -> Result<()> {
        let at = |suffix: &str| format!("app.{name}_{suffix}");
        let here = format!("app.{name}");
        match self {
            Self::Rename => {
                source.rename(&here, &at("to"), false).await?;
                source.touch(&format!("{name}_to"), 2).await?;
                source.insert(name).await
            }
            Self::RenameBack => {
                source.rename(&here, &at("away"), false).await?;
                source.touch(&format!("{name}_away"), 2).await?;
                source.rename(&at("away"), &here, false).await?;
                source.touch(name, 3).await
            }
            Self::RenameChain => {
                source.rename(&here, &at("b"), false).await?;
                source.touch(&format!("{name}_b"), 2).await?;
                source.insert(name).await?;
                source.rename(&at("b"), &at("c"), false).await?;
                source.rename(&here, &at("b"), false).await?;
                source.touch(&format!("{name}_c"), 3).await?;
                source.rename(&at("c"), &here, false).await?;
                source.rename(&at("b"), &here, true).await
            }
            Self::RenameOnto => {
                source.touch(&format!("{name}_target"), 1).await?;
                source.rename(&here, &at("target"), true).await?;
                source.touch(&format!("{name}_target"), 2).await
            }
            Self::Exchange => {
                source.rename(&here, &at("between"), false).await?;
                source.rename(&at("other"), &here, false).await?;
                source.touch(name, 1).await?;
                source.rename(&at("between"), &at("other"), false).await?;
                source.touch(&format!("{name}_other"), 2).await
            }
            Self::LeaveScope => {
                let hidden = format!("app.{HIDDEN}_{name}");
                source.rename(&here, &hidden, false).await?;
                source.touch(&format!("{HIDDEN}_{name}"), 2).await?;
                source.insert(name).await
            }
            Self::EnterScope => {
                source.touch(&format!("{HIDDEN}_{name}"), 1).await?;
                source
                    .rename(&format!("app.{HIDDEN}_{name}"), &at("shown"), false)
                    .await?;
                source.touch(&format!("{name}_shown"), 2).await
            }
            // The server makes it of a copy in a temporary collection.
            _ => {
                source
                    .rename(&here, &format!("other.{name}"), false)
                    .await?;
                let other = source.client.database("other");
                insert(&other, name, new_documents("in other")).await
            }
        }
    }
}

/// The start options of a sync without the hidden collections.
pub(crate) fn scope() -> Value {
    let hidden = json!({ "pattern": format!("^{HIDDEN}") });
    json!({ "excludeNamespaces": [{ "database": "app", "collectionsRegex": hidden }] })
}

pub(crate) fn in_scope(_database: &str, collection: &str) -> bool {
    !collection.starts_with(HIDDEN)
}

/// Documents whose updates are deltas.
pub(crate) fn documents(count: i32) -> Vec<Document> {
    let document = |n| {
        doc! {
            "_id": n, "n": n, "m": n, "at": bson::DateTime::from_millis(1_900_000_000_000),
            "list": [n, 2, 3], "filler": "x".repeat(FILLER),
        }
    };
    (0..count).map(document).collect()
}

fn new_documents(mark: &str) -> Vec<Document> {
    // Unique in the collection, whose other values are small.
    let offset = 100 * mark.len() as i32;
    let document = |n: i32| doc! { "_id": format!("{mark} {n}"), "n": offset + n, "m": offset + n, "mark": mark };
    (0..4).map(document).collect()
}

/// A collection with indexes. A collection that will be resized is capped.
async fn load(kind: Ddl, database: &Database, name: &str, count: i32) -> Result<()> {
    if kind == Ddl::Resize {
        run(
            database,
            doc! { "create": name, "capped": true, "size": 1 << 20 },
        )
        .await?;
    }
    insert(database, name, documents(count)).await?;
    let mut indexes = vec![
        doc! { "key": { "n": 1 }, "name": "n_1", "unique": true, "sparse": true },
        doc! { "key": { "m": 1 }, "name": "m_1" },
    ];
    if kind != Ddl::Resize {
        indexes.push(doc! { "key": { "at": 1 }, "name": "at_1", "expireAfterSeconds": 86_400 });
    }
    run(database, doc! { "createIndexes": name, "indexes": indexes })
        .await
        .map(drop)
}

/// The source in the hands of a kind of DDL.
struct Source {
    client: Client,
    database: Database,
}

impl Source {
    async fn run(&self, command: Document) -> Result<()> {
        run(&self.database, command).await.map(drop)
    }

    async fn drop(&self, name: &str) -> Result<()> {
        self.run(doc! { "drop": name }).await
    }

    async fn rename(&self, from: &str, to: &str, drop_target: bool) -> Result<()> {
        let rename = doc! { "renameCollection": from, "to": to, "dropTarget": drop_target };
        run(&self.client.database("admin"), rename).await.map(drop)
    }

    async fn insert(&self, name: &str) -> Result<()> {
        insert(&self.database, name, new_documents("after")).await
    }

    /// Inserts, updates, replaces and deletes documents, others in each turn. The first document is updated in
    /// every turn.
    async fn touch(&self, name: &str, turn: i32) -> Result<()> {
        let first = turn * 4;
        let new = format!("turn {turn}");
        let m = 10_000 + first;
        self.write(doc! { "insert": name, "documents": [{ "_id": &new, "m": m, "turn": turn }] })
            .await?;
        let set = doc! { "$set": { "turn": turn, "b": 1 }, "$push": { "list": turn } };
        let statement = |id: i32, update: &Document| doc! { "q": { "_id": id }, "u": update };
        let replacement = doc! { "n": first + 1, "m": m + 1, "replaced": turn };
        let updates = vec![
            statement(
                0,
                &doc! { "$inc": { "touched": 1 }, "$set": { "turn": turn } },
            ),
            statement(first, &set),
            statement(first + 1, &replacement),
            doc! { "q": { "_id": &new }, "u": &set },
        ];
        self.write(doc! { "update": name, "updates": updates })
            .await?;
        let deletes = vec![doc! { "q": { "_id": first + 2 }, "limit": 1 }];
        self.write(doc! { "delete": name, "deletes": deletes })
            .await
    }

    /// Every statement has to find its document.
    async fn write(&self, command: Document) -> Result<()> {
        let statements = ["documents", "updates", "deletes"].map(|field| {
            let statements = command.get_array(field);
            statements.map_or(0, Vec::len)
        });
        let statements: usize = statements.iter().sum();
        let shown = command.to_string();
        let reply = run(&self.database, command).await?;
        let written = reply.get_i32("n")? as usize;
        ensure!(written == statements, "{shown}: {reply}");
        Ok(())
    }

    /// New collections, with options of every kind.
    async fn create(&self, name: &str) -> Result<()> {
        let clustered = doc! { "key": { "_id": 1 }, "unique": true };
        let collation = doc! { "locale": "en", "strength": 2 };
        let index = doc! { "key": { "n": 1 }, "name": "n_1", "hidden": true };
        for (suffix, options) in [
            ("plain", doc! { "validator": { "n": { "$exists": true } } }),
            ("clustered", doc! { "clusteredIndex": clustered }),
            ("collated", doc! { "collation": collation }),
            ("capped", doc! { "capped": true, "size": 1 << 20 }),
            (
                "imaged",
                doc! { "changeStreamPreAndPostImages": { "enabled": true } },
            ),
        ] {
            let created = format!("{name}_{suffix}");
            let mut create = doc! { "create": &created };
            create.extend(options);
            self.run(create).await?;
            self.run(doc! { "createIndexes": &created, "indexes": [&index] })
                .await?;
            self.insert(&created).await?;
        }
        let view = doc! { "create": format!("{name}_view"), "viewOn": name, "pipeline": [] };
        self.run(view).await?;
        let images = doc! { "changeStreamPreAndPostImages": { "enabled": false } };
        let mut modify = doc! { "collMod": format!("{name}_imaged") };
        modify.extend(images);
        self.run(modify).await?;
        self.touch(name, 2).await
    }

    async fn create_again(&self, name: &str) -> Result<()> {
        for level in ["moderate", "strict"] {
            self.drop(name).await?;
            let validator = doc! { "mark": { "$ne": "bad" } };
            let create = doc! { "create": name, "validator": validator, "validationLevel": level };
            self.run(create).await?;
            let index = doc! { "key": { "mark": 1, "n": 1 }, "name": "n_1" };
            self.run(doc! { "createIndexes": name, "indexes": [index] })
                .await?;
            self.insert(name).await?;
            self.run(doc! { "insert": name, "documents": [{ "_id": 0, "level": level }] })
                .await?;
        }
        Ok(())
    }

    async fn modify(&self, name: &str) -> Result<()> {
        self.run(doc! {
            "collMod": name, "validator": { "filler": { "$exists": true } },
            "changeStreamPreAndPostImages": { "enabled": true },
        })
        .await?;
        // Documents without the field are there, and more of them come.
        self.run(doc! { "collMod": name, "validationAction": "warn" })
            .await?;
        self.touch(name, 2).await?;
        self.run(
            doc! { "collMod": name, "validator": { "n": { "$gte": 0 } }, "validationLevel": "off" },
        )
        .await?;
        self.touch(name, 3).await
    }

    async fn modify_indexes(&self, name: &str) -> Result<()> {
        let expires = doc! { "name": "at_1", "expireAfterSeconds": 90_000 };
        for index in [
            expires,
            doc! { "name": "n_1", "hidden": true },
            doc! { "name": "m_1", "prepareUnique": true },
        ] {
            self.run(doc! { "collMod": name, "index": index }).await?;
        }
        self.touch(name, 2).await?;
        let unique = doc! { "name": "m_1", "unique": true };
        self.run(doc! { "collMod": name, "index": unique }).await?;
        let shown = doc! { "name": "n_1", "hidden": false };
        self.run(doc! { "collMod": name, "index": shown }).await?;
        self.touch(name, 3).await
    }

    async fn create_indexes(&self, name: &str) -> Result<()> {
        let one = doc! { "key": { "list": 1 }, "name": "list_1" };
        let other = doc! { "key": { "filler": "text" }, "name": "words" };
        self.run(doc! { "createIndexes": name, "indexes": [one, other] })
            .await?;
        self.touch(name, 2).await?;
        self.run(doc! { "dropIndexes": name, "index": "words" })
            .await?;
        let wildcard = doc! { "key": { "$**": 1 }, "name": "words" };
        self.run(doc! { "createIndexes": name, "indexes": [wildcard] })
            .await?;
        self.touch(name, 3).await
    }

    async fn drop_indexes(&self, name: &str) -> Result<()> {
        self.run(doc! { "dropIndexes": name, "index": "n_1" })
            .await?;
        // The unique index is gone: its values may occur twice.
        self.run(doc! { "update": name, "updates": [{ "q": {}, "u": { "$set": { "n": 7 } }, "multi": true }] })
            .await?;
        let index = doc! { "key": { "n": -1 }, "name": "n_1" };
        self.run(doc! { "createIndexes": name, "indexes": [index] })
            .await?;
        self.run(doc! { "dropIndexes": name, "index": ["m_1", "at_1"] })
            .await?;
        self.touch(name, 2).await
    }

    /// `$out` onto another collection, and onto its own.
    async fn out(&self, name: &str) -> Result<()> {
        for (mark, to) in [(1, format!("{name}_target")), (2, name.to_owned())] {
            let pipeline = vec![doc! { "$set": { "out": mark } }, doc! { "$out": to }];
            self.run(doc! { "aggregate": name, "pipeline": pipeline, "cursor": {} })
                .await?;
        }
        self.touch(name, 2).await
    }
}
