//! `tidegate:plugin@1.0.0`: the generated bindings, and the types of the host in
//! place of theirs. No behaviour.

use crate::model::{ErrorName, Namespace, Route};

mod bindings {
    wasmtime::component::bindgen!({ path: "../wit/since-v1.0.0", world: "route-plugin" });
}

use bindings::exports::tidegate::plugin::{describe, route};

pub(in super::super) use bindings::{RoutePlugin, RoutePluginPre};
pub(in super::super) use describe::{ConfigError, Description};

impl ConfigError {
    /// The stable name for what the component calls a fault.
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

impl From<&Namespace> for route::Namespace {
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
