//! The list of the hosts of a sync.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;

use crate::{
    metadata::HostDocument,
    model::hosts::{HostProgress, HostRole},
    mongo::Moment,
};

/// The registered hosts, as of the last look.
#[derive(Default)]
pub(crate) struct HostList(Mutex<KnownHosts>);

#[derive(Default)]
struct KnownHosts {
    hosts: Vec<HostDocument>,
    /// Open items by process.
    items: HashMap<String, u64>,
    read_at: Option<Moment>,
    /// A host has passed a call on: it is registered, whatever the last look has shown.
    called_at: Option<Moment>,
}

impl HostList {
    /// Replaces the list.
    pub(crate) fn set(&self, hosts: Vec<HostDocument>, items: HashMap<String, u64>) {
        let mut known = self.0.lock();
        (known.hosts, known.items) = (hosts, items);
        known.read_at = Some(Moment::now());
    }

    /// Replaces the hosts, and not their items.
    pub(crate) fn see(&self, hosts: Vec<HostDocument>) {
        self.0.lock().hosts = hosts;
    }

    /// Forgets the hosts: this host has no sync.
    pub(crate) fn clear(&self) {
        *self.0.lock() = KnownHosts::default();
    }

    /// Notes that another host has passed a call on.
    pub(crate) fn note_call(&self) {
        self.0.lock().called_at = Some(Moment::now());
    }

    /// Whether there are other hosts than this one. A registration lasts for `lease`.
    pub(crate) fn is_several(&self, lease: Duration) -> bool {
        let known = self.0.lock();
        let called = known.called_at.is_some_and(|at| at.elapsed() < lease);
        called || known.hosts.len() > 1
    }

    /// Whether the process carries out calls that others pass on.
    pub(crate) fn takes_calls(&self, holder: &str) -> bool {
        let known = self.0.lock();
        let mut hosts = known.hosts.iter();
        hosts.any(|host| host.id == holder && host.takes_calls)
    }

    /// The hosts, for `/progress`. `leader`: id of the process that holds the lease.
    pub(crate) fn progress(&self, leader: Option<&str>) -> Vec<HostProgress> {
        let known = self.0.lock();
        let since = known.read_at.map(Moment::elapsed).unwrap_or_default();
        let is_leader = |host: &&HostDocument| leader == Some(&*host.id);
        let release = known.hosts.iter().find(is_leader).map(|host| &host.release);
        let hosts = known.hosts.iter().map(|host| {
            let age = u64::try_from(host.age_ms).unwrap_or_default();
            let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            HostProgress {
                id: host.id.clone(),
                instance: host.instance.clone(),
                release: host.release.clone(),
                role: match release {
                    _ if is_leader(&host) => HostRole::Leader,
                    Some(release) if *release == host.release => HostRole::Worker,
                    _ => HostRole::Standby,
                },
                items: known.items.get(&host.id).copied().unwrap_or_default(),
                heartbeat_age_ms: age.saturating_add(since),
            }
        });
        hosts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    fn host(id: &str) -> HostDocument {
        HostDocument {
            id: id.to_owned(),
            instance: format!("instance {id}"),
            release: "0.7.0".to_owned(),
            takes_calls: id == "a",
            seen_at: bson::DateTime::MIN,
            expires_at: bson::DateTime::MIN,
            age_ms: 700,
        }
    }

    #[test]
    fn the_holder_of_the_lease_leads_and_hosts_of_its_release_work() {
        let list = HostList::default();
        let earlier = HostDocument {
            release: "0.6.0".to_owned(),
            ..host("c")
        };
        let items = HashMap::from([("b".to_owned(), 2)]);
        list.set(vec![host("a"), host("b"), earlier], items);
        let shown = list.progress(Some("a"));
        let roles: Vec<_> = shown.iter().map(|host| (host.role, host.items)).collect();
        assert_eq!(
            roles,
            [
                (HostRole::Leader, 0),
                (HostRole::Worker, 2),
                (HostRole::Standby, 0)
            ]
        );
        assert!(shown.iter().all(|host| host.heartbeat_age_ms >= 700));
        assert!(list.takes_calls("a") && !list.takes_calls("b") && !list.takes_calls("d"));
    }

    #[test]
    fn a_host_that_passes_a_call_on_counts_before_the_next_look() {
        let list = HostList::default();
        list.set(vec![host("a")], HashMap::new());
        assert!(!list.is_several(LEASE));
        list.note_call();
        assert!(list.is_several(LEASE) && !list.is_several(Duration::ZERO));
        list.clear();
        assert!(!list.is_several(LEASE));
    }
}
