//! Connections to a cluster, with the cluster's name in errors and the start of its silence.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::{super::Moment, features::ServerFeatures};
use crate::model::options::ClusterName;

/// One of the two clusters, with a connection.
#[derive(Clone)]
pub struct Cluster {
    /// The name in the API and in messages to operators: `cluster0` or `cluster1`.
    pub name: ClusterName,
    /// The connections, shared by all clones.
    pub client: Client,
}

/// Connections to one cluster. Clones share the start of its silence, and what is known of its features.
#[derive(Clone, Debug)]
pub struct Client {
    driver: mongodb::Client,
    contact: Contact,
    features: Arc<OnceCell<ServerFeatures>>,
}

/// A database, with the cluster that its commands are sent to.
#[derive(Clone, Debug)]
pub struct Database {
    driver: mongodb::Database,
    client: Client,
}

/// The cluster that a command is sent to, as errors and `/progress` show it. Clones share its state.
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
            features: Arc::new(OnceCell::new_with(Some(ServerFeatures::ALL))),
        }
    }

    /// The same connections, under the cluster's name in a sync: "the source".
    pub fn with_name(&self, name: &'static str) -> Self {
        Self {
            driver: self.driver.clone(),
            contact: Contact {
                name,
                silent_since: self.contact.silent_since.clone(),
            },
            features: self.features.clone(),
        }
    }

    /// The same connections, for a cluster that may be older than 6.0: it is asked for its features where these count
    /// first.
    pub fn with_unknown_features(&self) -> Self {
        Self {
            features: Arc::default(),
            ..self.clone()
        }
    }

    /// The features, once they are known.
    pub(in crate::mongo) fn known_features(&self) -> &OnceCell<ServerFeatures> {
        &self.features
    }

    /// A database of the cluster.
    pub fn database(&self, name: &str) -> Database {
        Database {
            driver: self.driver.database(name),
            client: self.clone(),
        }
    }

    /// Closes all connections. Waits for answers of the cluster, so the caller has to bound the time.
    pub async fn shutdown(&self) {
        self.driver.clone().shutdown().await;
    }

    pub(in crate::mongo) fn driver(&self) -> &mongodb::Client {
        &self.driver
    }

    /// The cluster, for [`super::Retry`].
    pub fn contact(&self) -> &Contact {
        &self.contact
    }
}

impl Database {
    /// Name of the database.
    pub fn name(&self) -> &str {
        self.driver.name()
    }

    /// The cluster, for [`super::Retry`].
    pub fn contact(&self) -> &Contact {
        &self.client.contact
    }

    /// The cluster.
    pub(in crate::mongo) fn client(&self) -> &Client {
        &self.client
    }

    pub(in crate::mongo) fn driver(&self) -> &mongodb::Database {
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

    /// Start of the first failed command since the last answer; `None` while commands are answered.
    pub fn silent_since(&self) -> Option<Moment> {
        *self.silent_since.lock()
    }

    pub(super) fn answered(&self) {
        *self.silent_since.lock() = None;
    }

    /// Notes the transient failure of a command that was sent at `begun`.
    pub(super) fn failed(&self, begun: Moment) {
        self.silent_since.lock().get_or_insert(begun);
    }
}
