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
    at: At,
}

/// One database of a cluster.
#[derive(Clone, Debug)]
pub struct Database {
    driver: mongodb::Database,
    at: At,
}

/// The cluster that a command is sent to.
#[derive(Clone, Debug)]
pub struct At {
    called: &'static str,
    silent_since: Arc<Mutex<Option<Moment>>>,
}

impl Client {
    pub(super) fn new(driver: mongodb::Client, called: &'static str) -> Self {
        Self {
            driver,
            at: At::new(called),
        }
    }

    /// The same cluster under the name that it has in a sync: "the source".
    pub fn called(&self, called: &'static str) -> Self {
        Self {
            driver: self.driver.clone(),
            at: At {
                called,
                silent_since: self.at.silent_since.clone(),
            },
        }
    }

    pub fn database(&self, name: &str) -> Database {
        Database {
            driver: self.driver.database(name),
            at: self.at.clone(),
        }
    }

    pub fn driver(&self) -> &mongodb::Client {
        &self.driver
    }

    /// The cluster, for [`super::Repeat`].
    pub fn at(&self) -> &At {
        &self.at
    }
}

impl Database {
    /// The cluster, for [`super::Repeat`].
    pub fn at(&self) -> &At {
        &self.at
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

impl At {
    pub(super) fn new(called: &'static str) -> Self {
        Self {
            called,
            silent_since: Arc::default(),
        }
    }

    pub(super) fn called(&self) -> &'static str {
        self.called
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
