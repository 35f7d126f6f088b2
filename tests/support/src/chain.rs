//! Plugins as native code: the expected result of a chain for a source.

use anyhow::{Result, anyhow};
use serde_json::Value;
use tidegate_plugin_sdk::{
    DocumentFailure, Namespace, Outcome, Plugin, Transform, parse, transform_one,
};

use crate::compare::{Expectation, Expected};

type InScope = Box<dyn Fn(&str, &str) -> bool + Send + Sync>;
type Transformation =
    Box<dyn Fn(&Namespace, &[u8]) -> Result<Outcome, DocumentFailure> + Send + Sync>;

struct Stage {
    sees: InScope,
    transform: Transformation,
    /// Documents that the plugin cannot handle are in quarantine, not on the destination.
    quarantines: bool,
}

/// An expectation: everything in scope, as a chain of plugins leaves it.
pub struct Chain {
    in_scope: InScope,
    stages: Vec<Stage>,
    /// Source and destination names, where they differ.
    renames: Vec<[(String, String); 2]>,
}

impl Chain {
    pub fn of(in_scope: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            in_scope: Box::new(in_scope),
            stages: Vec::new(),
            renames: Vec::new(),
        }
    }

    /// Adds a plugin that sees every document.
    pub fn then<P: Transform + Send + Sync + 'static>(self, config: &Value) -> Result<Self> {
        self.then_in::<P>(config, |_, _| true)
    }

    /// Adds a plugin that sees the documents of some namespaces of the source.
    pub fn then_in<P: Transform + Send + Sync + 'static>(
        self,
        config: &Value,
        sees: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        self.add::<P>(config, Box::new(sees), false)
    }

    /// Like `then_in`, for a plugin that quarantines documents that it cannot handle.
    pub fn then_or_absent_in<P: Transform + Send + Sync + 'static>(
        self,
        config: &Value,
        sees: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        self.add::<P>(config, Box::new(sees), true)
    }

    fn add<P: Transform + Send + Sync + 'static>(
        mut self,
        config: &Value,
        sees: InScope,
        quarantines: bool,
    ) -> Result<Self> {
        let plugin = configure::<P>(config)?;
        self.stages.push(Stage {
            sees,
            transform: Box::new(move |namespace, document| {
                transform_one(&plugin, namespace, document)
            }),
            quarantines,
        });
        Ok(self)
    }

    /// Expects a collection under another name.
    pub fn renamed(mut self, from: (&str, &str), to: (&str, &str)) -> Self {
        let owned = |(database, collection): (&str, &str)| (database.into(), collection.into());
        self.renames.push([owned(from), owned(to)]);
        self
    }
}

fn configure<P: Plugin>(config: &Value) -> Result<P> {
    let refused = |error| anyhow!("the configuration is refused: {error}");
    P::configure(parse(&config.to_string()).map_err(refused)?).map_err(refused)
}

impl Expectation for Chain {
    fn name(&self, database: &str, collection: &str) -> Option<(String, String)> {
        if !(self.in_scope)(database, collection) {
            return None;
        }
        let source = (database.to_owned(), collection.to_owned());
        let renamed = self.renames.iter().find(|[from, _]| *from == source);
        Some(renamed.map_or(source, |[_, to]| to.clone()))
    }

    fn document(&self, database: &str, collection: &str, document: &[u8]) -> Result<Expected> {
        let namespace = Namespace {
            database: database.to_owned(),
            collection: collection.to_owned(),
        };
        let mut expected = Expected::Same;
        for stage in &self.stages {
            if !(stage.sees)(database, collection) {
                continue;
            }
            let input = match &expected {
                Expected::Changed(changed) => changed,
                _ => document,
            };
            let outcome = match (stage.transform)(&namespace, input) {
                Err(DocumentFailure::Document(_)) if stage.quarantines => Outcome::Drop,
                outcome => outcome.map_err(|failure| anyhow!("{namespace:?}: {failure:?}"))?,
            };
            match outcome {
                Outcome::Keep => {}
                Outcome::Drop => return Ok(Expected::Absent),
                Outcome::Replace(changed) => expected = Expected::Changed(changed),
            }
        }
        Ok(expected)
    }
}
