//! A transform that fails in the way that a document requests: the text of its field `fault` names the way. A
//! document without that field is kept.
//!
//! It speaks the contract without the SDK, which would not let it break the rules about verdicts.

#![expect(
    clippy::mem_forget,
    unsafe_code,
    reason = "how generated code hands memory to the host"
)]
#![expect(clippy::panic, reason = "one of the ways to fail")]

use tidegate_plugin_sdk::{bson, wit_bindgen};

wit_bindgen::generate!({
    path: "../../../wit/since-v1.0.0",
    world: "transform-plugin",
    runtime_path: "::tidegate_plugin_sdk::wit_bindgen::rt",
});

use exports::tidegate::plugin::{
    describe::{self, ConfigError, Description, Scope},
    transform::{self, DocumentError, Error, Namespace, Outcome},
};

/// Larger than any document may be.
const OVERSIZE: usize = 17 << 20;

struct Faulty;

impl describe::Guest for Faulty {
    fn describe() -> Description {
        Description {
            name: "faulty".to_owned(),
            version: "1.0.0".to_owned(),
            semantics: 1,
            scope: Scope::Document,
            config_schema: r#"{"type": "object", "additionalProperties": false}"#.to_owned(),
        }
    }

    fn configure(_config: String) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl transform::Guest for Faulty {
    fn transform(_namespace: Namespace, documents: Vec<u8>) -> Result<Outcome, Error> {
        let mut outcome = Outcome {
            verdicts: Vec::new(),
            replacements: Vec::new(),
        };
        let (mut rest, mut index) = (documents.as_slice(), 0);
        while let Some((document, tail)) = first(rest) {
            outcome.verdicts.push(0);
            let fault = bson::find(document, "fault").ok().flatten();
            if let Some(fault) = fault.and_then(|fault| fault.as_str()) {
                commit(fault, document, index, &mut outcome)?;
            }
            (rest, index) = (tail, index + 1);
        }
        Ok(outcome)
    }
}

fn first(batch: &[u8]) -> Option<(&[u8], &[u8])> {
    batch.split_at_checked(bson::length_of(batch).ok()?)
}

/// Fails in the way called `fault` at the document that was judged last.
fn commit(fault: &str, document: &[u8], index: u32, outcome: &mut Outcome) -> Result<(), Error> {
    match fault {
        "panic" => panic!("a document asked for it"),
        "loop" => loop {
            std::hint::black_box(());
        },
        "memory" => loop {
            std::hint::black_box(vec![1_u8; 1 << 20].leak());
        },
        "stack" => {
            recurse(0);
        }
        "miscount" => outcome.verdicts.push(0),
        "unknown-verdict" => set_verdict(outcome, 7),
        "no-replacement" => set_verdict(outcome, 2),
        "invalid-bson" => replace(outcome, &[9, 0, 0, 0, 0x10, b'x', 0, 0, 0]),
        "other-id" => replace(outcome, &other_id()),
        "oversize" => replace(outcome, &oversize(document)),
        "refuse" => {
            let reason = "the field `fault` asks for it".to_owned();
            return Err(Error::Document(DocumentError { index, reason }));
        }
        "fatal" => return Err(Error::Fatal("a document asked for it".to_owned())),
        _ => {}
    }
    Ok(())
}

/// Deeper than any stack.
fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == u64::MAX {
        return depth;
    }
    std::hint::black_box(recurse(depth + 1)) + 1
}

fn set_verdict(outcome: &mut Outcome, verdict: u8) {
    if let Some(last) = outcome.verdicts.last_mut() {
        *last = verdict;
    }
}

fn replace(outcome: &mut Outcome, replacement: &[u8]) {
    set_verdict(outcome, 2);
    outcome.replacements.extend_from_slice(replacement);
}

/// `{_id: "other"}`.
fn other_id() -> Vec<u8> {
    let mut document = vec![20, 0, 0, 0, bson::kind::STRING];
    document.extend_from_slice(b"_id\0\x06\0\0\0other\0\0");
    document
}

/// The document, and a binary field that makes it too large.
fn oversize(document: &[u8]) -> Vec<u8> {
    let mut writer = bson::Writer::continuing(document.to_vec());
    let mut value = i32::try_from(OVERSIZE)
        .unwrap_or_default()
        .to_le_bytes()
        .to_vec();
    value.resize(OVERSIZE + 5, 0);
    writer.value(bson::kind::BINARY, b"padding", &value);
    writer.finish()
}

export!(Faulty);
