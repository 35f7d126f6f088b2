//! `tidegate:plugin@1.0.0`: the generated bindings, and conversions to the types of the host. No behaviour.

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store};

use crate::model::{ErrorName, Namespace, Route};

use super::super::installed_component::Scope;
use super::super::migration::{Direction, MigrationStep};
use super::super::sandbox::Guest;
use super::stamp::Stamp;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/since-v1.0.0",
        inline: "package tidegate:host;
            world every {
                export tidegate:plugin/describe@1.0.0;
                export tidegate:plugin/route@1.0.0;
                export tidegate:plugin/transform@1.0.0;
                export tidegate:plugin/migrate@1.0.0;
            }",
        world: "tidegate:host/every",
    });
}

use bindings::exports::tidegate::plugin::{describe, route};

pub(in super::super) use bindings::exports::tidegate::plugin::{migrate, transform};
pub(in super::super) use describe::{ConfigError, Description};

/// The indices of a component's exports. `None` for an interface that it does not export.
pub(in super::super) struct Indices {
    describe: describe::GuestIndices,
    route: Option<route::GuestIndices>,
    transform: Option<transform::GuestIndices>,
    migrate: Option<migrate::GuestIndices>,
}

/// The exports of one instance.
pub(in super::super) struct Exports {
    pub(in super::super) describe: describe::Guest,
    pub(in super::super) route: Option<route::Guest>,
    pub(in super::super) transform: Option<transform::Guest>,
    pub(in super::super) migrate: Option<migrate::Guest>,
}

impl Indices {
    /// Looks up the interfaces of the stamp.
    pub(in super::super) fn new(stamp: &Stamp, blueprint: &InstancePre<Guest>) -> Result<Self> {
        let has = |interface| stamp.interfaces.contains(interface);
        Ok(Self {
            describe: describe::GuestIndices::new(blueprint)?,
            route: has("route")
                .then(|| route::GuestIndices::new(blueprint))
                .transpose()?,
            transform: has("transform")
                .then(|| transform::GuestIndices::new(blueprint))
                .transpose()?,
            migrate: has("migrate")
                .then(|| migrate::GuestIndices::new(blueprint))
                .transpose()?,
        })
    }

    /// Checks the types of the exports against the contract, and returns the exports.
    pub(in super::super) fn load(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
    ) -> Result<Exports> {
        let route = self.route.as_ref();
        let transform = self.transform.as_ref();
        let migrate = self.migrate.as_ref();
        Ok(Exports {
            describe: self.describe.load(&mut *store, instance)?,
            route: route
                .map(|route| route.load(&mut *store, instance))
                .transpose()?,
            transform: transform
                .map(|transform| transform.load(&mut *store, instance))
                .transpose()?,
            migrate: migrate
                .map(|migrate| migrate.load(&mut *store, instance))
                .transpose()?,
        })
    }
}

impl ConfigError {
    /// The error name of a fault in the configuration.
    pub(in super::super) fn name(&self) -> ErrorName {
        match self.fault {
            describe::ConfigFault::UnknownField => ErrorName::UnknownField,
            describe::ConfigFault::MissingField => ErrorName::MissingField,
            describe::ConfigFault::InvalidValue => ErrorName::InvalidField,
            describe::ConfigFault::InvalidRegex => ErrorName::InvalidRegex,
            describe::ConfigFault::NotSupported => ErrorName::NotSupported,
        }
    }
}

impl From<describe::Scope> for Scope {
    fn from(scope: describe::Scope) -> Self {
        match scope {
            describe::Scope::Document => Self::Document,
            describe::Scope::Delta => Self::Delta,
        }
    }
}

impl From<&Namespace> for route::Namespace {
    fn from(namespace: &Namespace) -> Self {
        Self {
            database: namespace.database.clone(),
            collection: namespace.collection.clone(),
        }
    }
}

impl From<&Namespace> for transform::Namespace {
    fn from(namespace: &Namespace) -> Self {
        Self {
            database: namespace.database.clone(),
            collection: namespace.collection.clone(),
        }
    }
}

impl From<route::Decision> for Route {
    fn from(decision: route::Decision) -> Self {
        match decision {
            route::Decision::Skip => Self::Skip,
            route::Decision::Keep => Self::Keep,
            route::Decision::Rename(to) => Self::Rename(Namespace::new(to.database, to.collection)),
        }
    }
}

impl From<Direction> for migrate::Direction {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Forward => Self::Forward,
            Direction::Back => Self::Back,
        }
    }
}

impl From<migrate::Step> for MigrationStep {
    fn from(step: migrate::Step) -> Self {
        Self {
            from: step.from,
            reversible: step.reversible,
            collections: step.collections,
        }
    }
}
