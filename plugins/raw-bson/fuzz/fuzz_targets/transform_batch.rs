//! The SDK never panics on a batch, and its outcome follows the contract: a verdict for each document or none
//! at all, and one replacement for each verdict that replaces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_plugin_sdk::bindings::transform::exports::tidegate::plugin::transform as wit;
use tidegate_plugin_sdk::bson::{DocumentWriter, elements, kind, sequence};
use tidegate_plugin_sdk::{
    ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
    transform_batch,
};

/// Drops documents without `a`, rewrites documents whose `a` is a number, keeps the rest.
struct Mixed;

impl Plugin for Mixed {
    type Config = ();

    const DESCRIPTION: Description = Description {
        name: "mixed",
        version: "1.0.0",
        semantics: 1,
        scope: Scope::Document,
        config_schema: "{}",
    };

    fn configure((): ()) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Transform for Mixed {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        let mut walk = elements(document)?;
        let fields = walk.rest();
        let mut writer = DocumentWriter::append_to(replacement);
        let Some(field) = walk.find_name(b"a")? else {
            return Ok(Verdict::Drop);
        };
        if field.kind != kind::INT32 {
            return Ok(Verdict::Keep);
        }
        writer.copy_until(fields, &field);
        writer.string(field.name, "number");
        writer.raw(walk.rest());
        writer.finish();
        Ok(Verdict::Replace)
    }
}

fuzz_target!(|data: &[u8]| {
    let namespace = wit::Namespace {
        database: "d".to_owned(),
        collection: "c".to_owned(),
    };
    let documents = sequence(data).count();
    let Ok(outcome) = transform_batch(&Mixed, namespace, data) else {
        return;
    };
    assert!(outcome.verdicts.is_empty() || outcome.verdicts.len() == documents);
    assert!(outcome.verdicts.is_empty() || outcome.verdicts.iter().any(|verdict| *verdict != 0));
    let replaced = outcome.verdicts.iter().filter(|verdict| **verdict == 2);
    let written: Vec<_> = sequence(&outcome.replacements).collect();
    assert_eq!(written.len(), replaced.count());
    assert!(written.iter().all(Result::is_ok));
});
