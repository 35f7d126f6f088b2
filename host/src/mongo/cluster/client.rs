//! A cluster's connections, with the name that errors give the cluster and the time since
//! which it has not answered.

use std::{ops::Deref, sync::Arc};

use parking_lot::Mutex;

use super::super::Moment;
use crate::model::options::ClusterName;

/// One of the two clusters, connected.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    pub client: Client,
}

/// Connections to one cluster. Clones share what is known of it.
#[derive(Clone, Debug)]
pub struct Client {
    driver: mongodb::Client,
    contact: Contact,
}

/// One database of a cluster.
#[derive(Clone, Debug)]
pub struct Database {
    driver: mongodb::Database,
    contact: Contact,
}

/// The cluster that a command is sent to.
#[derive(Clone, Debug)]
pub struct Contact {
    name: &'static str,
    silent_since: Arc<Mutex<Option<Moment>>>,
}

impl Client {
    pub(super) fn new(driver: mongodb::Client, name: &'static str) -> Self {
        Self {
            driver,
            contact: Contact::new(name),
        }
    }

    /// The same cluster under the name that it has in a sync: "the source".
    pub fn with_name(&self, name: &'static str) -> Self {
        Self {
            driver: self.driver.clone(),
            contact: Contact {
                name,
                silent_since: self.contact.silent_since.clone(),
            },
        }
    }

    pub fn database(&self, name: &str) -> Database {
        Database {
            driver: self.driver.database(name),
            contact: self.contact.clone(),
        }
    }

    pub fn driver(&self) -> &mongodb::Client {
        &self.driver
    }

    /// The cluster, for [`super::Repeat`].
    pub fn contact(&self) -> &Contact {
        &self.contact
    }
}

impl Database {
    /// The cluster, for [`super::Repeat`].
    pub fn contact(&self) -> &Contact {
        &self.contact
    }
}

impl Deref for Client {
    type Target = mongodb::Client;

    fn deref(&self) -> &Self::Target {
        &self.driver
    }
}

impl Deref for Database {
    type Target = mongodb::Database;

    fn deref(&self) -> &Self::Target {
        &self.driver
    }
}

impl Contact {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            silent_since: Arc::default(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The begin of the first command that failed since one was last answered; `None` while
    /// commands are answered.
    pub fn silent_since(&self) -> Option<Moment> {
        *self.silent_since.lock()
    }

    pub(super) fn answered(&self) {
        *self.silent_since.lock() = None;
    }

    /// A command that was sent at `begun` has failed for a transient reason.
    pub(super) fn failed(&self, begun: Moment) {
        self.silent_since.lock().get_or_insert(begun);
    }
}
