//! The plan of a resync: recorded namespaces, the source's catalog and the destination's
//! collections, paired by UUID.

use std::collections::{HashMap, HashSet};

use bson::RawDocumentBuf;

use crate::{
    metadata::{CopyState, NamespaceDocument, NamespaceKind},
    model::Namespace,
    mongo::write::CollectionRef,
    sync::catalog::{CatalogEntry, options::is_capped},
};

/// A collection or view on the destination.
#[derive(Clone, Debug)]
pub(super) struct ListedCollection {
    /// The name that it has now.
    pub(super) name: Namespace,
    /// In hex; `None` for a view.
    pub(super) uuid: Option<String>,
    /// The options that are data.
    pub(super) options: RawDocumentBuf,
}

/// A collection of the destination that is kept and compared.
#[derive(Clone, Debug)]
pub(super) struct KeptCollection {
    /// Its namespace, as it is persisted with the new position.
    pub(super) namespace: NamespaceDocument,
    /// The collection as it is now.
    pub(super) listed: ListedCollection,
}

/// A collection of the destination that is dropped.
#[derive(Clone, Debug)]
pub(super) struct CollectionDrop {
    /// The collection, or a view, which has no UUID.
    pub(super) collection: CollectionRef,
    /// The namespace that it was recorded with.
    pub(super) recorded: Option<NamespaceDocument>,
}

/// What is done with the destination's catalog, and its record afterwards.
#[derive(Default)]
pub(super) struct CatalogPlan {
    pub(super) drops: Vec<CollectionDrop>,
    pub(super) kept: Vec<KeptCollection>,
    /// Views, and collections that are copied from the beginning.
    pub(super) others: Vec<NamespaceDocument>,
    /// Recorded namespaces that the source no longer has in scope.
    pub(super) gone: Vec<NamespaceDocument>,
    /// Recorded collections that are copied again from the beginning.
    pub(super) replaced: Vec<NamespaceDocument>,
}

impl ListedCollection {
    fn reference(&self) -> CollectionRef {
        let uuid = self.uuid.as_ref();
        CollectionRef {
            namespace: self.name.clone(),
            uuid: uuid.and_then(|hex| NamespaceDocument::uuid_of_id(hex)),
        }
    }
}

impl KeptCollection {
    /// The collection under its present name.
    pub(super) fn reference(&self) -> CollectionRef {
        self.listed.reference()
    }

    /// Whether it has another name than it should have.
    pub(super) fn is_renamed(&self) -> bool {
        self.listed.name != self.namespace.destination
    }
}

impl CatalogPlan {
    /// The plan that brings the collections in `listed` to `entries`. `recorded` are the namespaces
    /// at the lost position; the destination may have part of a later catalog, from a resync that was
    /// killed.
    pub(super) fn new(
        recorded: Vec<NamespaceDocument>,
        entries: &[CatalogEntry],
        listed: &[ListedCollection],
    ) -> Self {
        let mut wanted: HashMap<String, NamespaceDocument> = entries
            .iter()
            .map(CatalogEntry::document)
            .map(|namespace| (namespace.id.clone(), namespace))
            .collect();
        let owned: HashSet<String> = recorded
            .iter()
            .filter_map(|record| record.destination_uuid.clone())
            .collect();
        let mut plan = Self::default();
        for record in recorded {
            let found = collection_of(&record, listed, &owned);
            plan.pair(wanted.remove(&record.id), record, found);
        }
        // Not recorded yet.
        let mut new: Vec<_> = wanted.into_values().collect();
        new.sort_by(|a, b| a.source.cmp(&b.source));
        plan.others.extend(new);
        for view in &mut plan.others {
            if view.kind == NamespaceKind::View {
                // Views are made at commit.
                view.copy_state = CopyState::Ready;
            }
        }
        plan.free_names(listed);
        plan
    }

    fn pair(
        &mut self,
        wanted: Option<NamespaceDocument>,
        record: NamespaceDocument,
        found: Option<&ListedCollection>,
    ) {
        let Some(mut namespace) = wanted else {
            self.drops
                .extend(found.map(|found| CollectionDrop::new(found, &record)));
            self.gone.push(record);
            return;
        };
        if record.kind == NamespaceKind::View {
            self.others.push(namespace);
            return;
        }
        match found {
            Some(found) if is_kept(&record, &namespace, found) => {
                namespace.destination_uuid.clone_from(&found.uuid);
                // An unfinished copy keeps its partitions; those that are unseen are copied.
                let is_unfinished = record.copy_state == CopyState::Copying;
                namespace.compare = !is_unfinished || record.compare;
                if is_unfinished {
                    namespace.copy_state = CopyState::Copying;
                }
                (namespace.documents, namespace.bytes) = (record.documents, record.bytes);
                self.kept.push(KeptCollection {
                    namespace,
                    listed: found.clone(),
                });
            }
            found => {
                self.drops
                    .extend(found.map(|found| CollectionDrop::new(found, &record)));
                self.others.push(namespace);
                self.replaced.push(record);
            }
        }
    }

    /// Drops views and unknown collections that have a name which a kept collection is to get.
    fn free_names(&mut self, listed: &[ListedCollection]) {
        let dropped = self.drops.iter().map(|drop| drop.collection.uuid);
        let dropped: HashSet<_> = dropped.flatten().collect();
        let kept: HashSet<_> = self.kept.iter().map(|kept| &kept.listed.name).collect();
        let renamed = self.kept.iter().filter(|kept| kept.is_renamed());
        let wanted: HashSet<_> = renamed.map(|kept| &kept.namespace.destination).collect();
        let in_the_way = listed.iter().filter(|other| {
            let uuid = other.reference().uuid;
            wanted.contains(&other.name)
                && !kept.contains(&other.name)
                && !uuid.is_some_and(|uuid| dropped.contains(&uuid))
        });
        let in_the_way: Vec<_> = in_the_way
            .map(|other| CollectionDrop {
                collection: other.reference(),
                recorded: None,
            })
            .collect();
        self.drops.extend(in_the_way);
    }

    /// Kept collections that have the name which another is to get. They get a temporary name first.
    pub(super) fn in_the_way(&self) -> Vec<&KeptCollection> {
        let renamed = || self.kept.iter().filter(|kept| kept.is_renamed());
        let wanted: HashSet<_> = renamed().map(|kept| &kept.namespace.destination).collect();
        renamed()
            .filter(|kept| wanted.contains(&kept.listed.name))
            .collect()
    }
}

impl CollectionDrop {
    fn new(listed: &ListedCollection, recorded: &NamespaceDocument) -> Self {
        Self {
            collection: listed.reference(),
            recorded: Some(recorded.clone()),
        }
    }
}

/// The destination's collection of a recorded namespace. A collection that was just created is not
/// recorded by its UUID yet, and has its name.
fn collection_of<'l>(
    record: &NamespaceDocument,
    listed: &'l [ListedCollection],
    owned: &HashSet<String>,
) -> Option<&'l ListedCollection> {
    if record.kind == NamespaceKind::View {
        return None;
    }
    let mut listed = listed.iter();
    match &record.destination_uuid {
        Some(uuid) => listed.find(|listed| listed.uuid.as_ref() == Some(uuid)),
        None if record.copy_state == CopyState::Pending => None,
        None => listed.find(|listed| {
            let uuid = listed.uuid.as_ref();
            listed.name == record.destination && uuid.is_some_and(|uuid| !owned.contains(uuid))
        }),
    }
}

/// Whether a collection is compared. The others are copied from the beginning: documents of capped
/// collections have an order, and a rename into another database makes another collection.
fn is_kept(
    record: &NamespaceDocument,
    wanted: &NamespaceDocument,
    found: &ListedCollection,
) -> bool {
    let has_documents = record.copy_state > CopyState::Pending || record.compare;
    has_documents
        && !is_capped(&wanted.options)
        && !is_capped(&found.options)
        && found.name.database == wanted.destination.database
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    const UUIDS: [&str; 4] = ["a", "b", "c", "d"];

    fn hex(id: &str) -> String {
        id.repeat(32)
    }

    fn name(name: &str) -> Namespace {
        let (database, collection) = name.split_once('.').unwrap();
        Namespace::new(database, collection)
    }

    fn entry(id: &str, source: &str, options: RawDocumentBuf) -> CatalogEntry {
        CatalogEntry {
            kind: NamespaceKind::Collection,
            source: name(source),
            destination: name(source),
            uuid: NamespaceDocument::uuid_of_id(&hex(id)),
            options,
            indexes: Vec::new(),
        }
    }

    /// Its UUID on the destination is that on the source in upper order: `a` is `e`.
    fn record(id: &str, source: &str) -> NamespaceDocument {
        let mut record = entry(id, source, rawdoc! {}).document();
        record.copy_state = CopyState::Ready;
        record.destination_uuid = Some(on_destination(id));
        record
    }

    fn on_destination(id: &str) -> String {
        let at = UUIDS.iter().position(|known| *known == id).unwrap();
        hex(["e", "f", "1", "2"][at])
    }

    fn listed(id: &str, at: &str) -> ListedCollection {
        ListedCollection {
            name: name(at),
            uuid: Some(on_destination(id)),
            options: rawdoc! {},
        }
    }

    fn names<'n>(namespaces: impl IntoIterator<Item = &'n NamespaceDocument>) -> Vec<String> {
        let names = namespaces.into_iter();
        names.map(|it| it.source.to_string()).collect()
    }

    #[test]
    fn names_in_a_cycle_wait_aside_and_others_do_not() {
        let records = vec![record("a", "x.a"), record("b", "x.b"), record("c", "x.c")];
        let entries = [
            entry("a", "x.b", rawdoc! {}),
            entry("b", "x.a", rawdoc! {}),
            entry("c", "x.d", rawdoc! {}),
        ];
        let on = [listed("a", "x.a"), listed("b", "x.b"), listed("c", "x.c")];
        let plan = CatalogPlan::new(records, &entries, &on);
        let aside = plan.in_the_way().into_iter();
        let aside: Vec<_> = aside.map(|kept| kept.listed.name.to_string()).collect();
        assert_eq!(aside, ["x.a", "x.b"]);
        assert_eq!(plan.kept.iter().filter(|kept| kept.is_renamed()).count(), 3);
        assert!(plan.drops.is_empty() && plan.gone.is_empty() && plan.others.is_empty());
        assert!(plan.kept.iter().all(|kept| kept.namespace.compare));
    }

    #[test]
    fn a_killed_resync_is_continued_from_the_names_that_it_left() {
        let records = vec![record("a", "x.a"), record("b", "x.b")];
        let entries = [entry("a", "x.b", rawdoc! {}), entry("b", "x.a", rawdoc! {})];
        let on = [listed("a", "x.b"), listed("b", "x.tidegate.settling")];
        let plan = CatalogPlan::new(records, &entries, &on);
        assert!(plan.in_the_way().is_empty());
        let renamed = plan.kept.iter().filter(|kept| kept.is_renamed());
        assert_eq!(names(renamed.map(|kept| &kept.namespace)), ["x.a"]);
    }

    #[test]
    fn what_cannot_be_compared_is_dropped_and_copied_from_the_beginning() {
        let records = vec![record("a", "x.a"), record("b", "x.b"), record("c", "x.c")];
        let capped = rawdoc! { "capped": true, "size": 4096 };
        let entries = [
            entry("a", "x.a", capped),
            entry("b", "y.b", rawdoc! {}),
            entry("d", "x.new", rawdoc! {}),
        ];
        let on = [listed("a", "x.a"), listed("b", "x.b"), listed("c", "x.c")];
        let plan = CatalogPlan::new(records, &entries, &on);
        assert_eq!(plan.drops.len(), 3);
        assert_eq!(names(&plan.gone), ["x.c"]);
        assert_eq!(names(&plan.others), ["x.a", "y.b", "x.new"]);
        assert_eq!(names(&plan.replaced), ["x.a", "x.b"]);
        let pending = |it: &NamespaceDocument| it.copy_state == CopyState::Pending && !it.compare;
        assert!(plan.others.iter().all(pending));
    }

    #[test]
    fn a_name_is_freed_of_a_collection_that_no_record_has() {
        let records = vec![record("a", "x.a")];
        let on = [listed("a", "x.a"), listed("b", "x.b")];
        let entries = [entry("a", "x.b", rawdoc! {})];
        let plan = CatalogPlan::new(records, &entries, &on);
        let dropped = plan
            .drops
            .iter()
            .map(|drop| drop.collection.namespace.clone());
        assert_eq!(dropped.collect::<Vec<_>>(), [name("x.b")]);
        let unrenamed = CatalogPlan::new(
            vec![record("a", "x.a")],
            &[entry("a", "x.a", rawdoc! {})],
            &on,
        );
        assert!(unrenamed.drops.is_empty(), "it is not in the way");
    }

    #[test]
    fn a_collection_that_was_just_created_is_known_by_its_name() {
        let mut created = record("a", "x.a");
        created.destination_uuid = None;
        let on = [listed("b", "x.a")];
        let entries = [entry("a", "x.a", rawdoc! {})];
        let plan = CatalogPlan::new(vec![created.clone()], &entries, &on);
        assert_eq!(plan.kept[0].namespace.destination_uuid, on[0].uuid);
        let plan = CatalogPlan::new(vec![created, record("b", "x.b")], &entries, &on);
        assert!(plan.kept.is_empty() && plan.gone.len() == 1);
    }
}
