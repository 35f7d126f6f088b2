//! Stamps every document: its last field names the build that has processed it.
//!
//! Version, semantics, stamp and manner stand in a single run of bytes, so that a test makes another build by
//! overwriting them. A plugin with two semantics and any number of versions is then a single program.

#![expect(
    clippy::mem_forget,
    unsafe_code,
    reason = "how generated code hands memory to the host"
)]
#![expect(clippy::panic, reason = "one of its manners")]

use tidegate_plugin_sdk::{bson, wit_bindgen};

wit_bindgen::generate!({
    path: "../../../wit/since-v1.0.0",
    world: "route-and-transform-plugin",
    runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
});

use exports::tidegate::plugin::{
    describe::{self, ConfigError, Description, Scope},
    route::{self, Decision},
    transform::{self, DocumentError, Error, Namespace, Outcome},
};

/// A mark to find the build by, followed by ten characters of version, one of semantics, twelve of stamp and
/// four of manner.
static BUILD: [u8; 40] = *b"#STAMP-BUILD#7.0.0     1first       keep";

const VERSION: std::ops::Range<usize> = 13..23;
const SEMANTICS: std::ops::Range<usize> = 23..24;
const STAMP: std::ops::Range<usize> = 24..36;
const MANNER: std::ops::Range<usize> = 36..40;

/// The bytes at run time: the compiler must not know them.
fn build(part: std::ops::Range<usize>) -> &'static str {
    let build: &'static [u8] = std::hint::black_box(&BUILD);
    let part = build.get(part).unwrap_or_default();
    std::str::from_utf8(part).unwrap_or_default().trim_end()
}

struct Stamp;

impl describe::Guest for Stamp {
    fn describe() -> Description {
        Description {
            name: "stamp".to_owned(),
            version: build(VERSION).to_owned(),
            semantics: build(SEMANTICS).parse().unwrap_or_default(),
            scope: Scope::Document,
            config_schema: r#"{"type": "object", "additionalProperties": false}"#.to_owned(),
        }
    }

    fn configure(_config: String) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl route::Guest for Stamp {
    fn route(namespace: route::Namespace) -> Result<Decision, String> {
        Ok(if build(MANNER) == "move" {
            Decision::Rename(route::Namespace {
                database: "moved".to_owned(),
                collection: namespace.collection,
            })
        } else {
            Decision::Keep
        })
    }
}

impl transform::Guest for Stamp {
    fn transform(_namespace: Namespace, documents: Vec<u8>) -> Result<Outcome, Error> {
        if build(MANNER) == "trap" {
            panic!("this build traps");
        }
        let mut outcome = Outcome {
            verdicts: Vec::new(),
            replacements: Vec::new(),
        };
        let (mut rest, mut index) = (documents.as_slice(), 0);
        while let Some((document, tail)) = first(rest) {
            if build(MANNER) == "deny" && matches!(bson::find(document, "denied"), Ok(Some(_))) {
                let reason = "this build denies it".to_owned();
                return Err(Error::Document(DocumentError { index, reason }));
            }
            index += 1;
            outcome.verdicts.push(2);
            let mut stamped = bson::Writer::continuing(document.to_vec());
            stamped.string(b"stamp", build(STAMP));
            outcome.replacements.extend(stamped.finish());
            rest = tail;
        }
        Ok(outcome)
    }
}

fn first(batch: &[u8]) -> Option<(&[u8], &[u8])> {
    batch.split_at_checked(bson::length_of(batch).ok()?)
}

export!(Stamp);
