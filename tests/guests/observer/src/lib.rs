//! Logs and counts what a document asks for, and keeps the document. `{log: TEXT, times: N}` logs a text, in which `{key}` is
//! the key of the configuration; `{count: NAME, by: N}` counts. With `then: "panic"` the call traps after that, and
//! with `then: "garble"` it logs bytes that are not UTF-8.

#![expect(unsafe_code, reason = "a text that is not UTF-8")]
#![expect(clippy::panic, reason = "a trap behind a line")]

use serde::Deserialize;
use tidegate_plugin_sdk::bson::{find, kind};
use tidegate_plugin_sdk::observe::{self, Level};
use tidegate_plugin_sdk::{
    ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    key: String,
}

pub struct Observer {
    key: String,
}

impl Plugin for Observer {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "observer",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Document,
        config_schema: r#"{"type": "object", "properties": {"key": {"type": "string"}}}"#,
    };

    fn configure(config: Config) -> Result<Self, ConfigError> {
        observe::log(Level::Warn, "configured");
        observe::count("configured", 1);
        Ok(Self { key: config.key })
    }
}

impl Transform for Observer {
    fn transform(
        &self,
        _namespace: &Namespace,
        document: &[u8],
        _replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure> {
        if let Some(text) = text(document, "log")? {
            let text = text.replace("{key}", &self.key);
            for _ in 0..number(document, "times")?.unwrap_or(1) {
                observe::log(Level::Info, &text);
            }
        }
        if let Some(text) = text(document, "warn")? {
            observe::log(Level::Warn, text);
        }
        if let Some(name) = text(document, "count")? {
            let by = number(document, "by")?.unwrap_or(1);
            observe::count(&name.replace("{key}", &self.key), by.cast_unsigned());
        }
        match text(document, "then")? {
            Some("panic") => panic!("a document asked for it"),
            Some("garble") => {
                let garbled = std::hint::black_box(b"\xff\xfe");
                // SAFETY: none. The host has to survive what a guest that is not Rust may say.
                observe::log(Level::Warn, unsafe {
                    std::str::from_utf8_unchecked(garbled)
                });
            }
            _ => {}
        }
        Ok(Verdict::Keep)
    }
}

fn text<'a>(document: &'a [u8], name: &str) -> Result<Option<&'a str>, DocumentFailure> {
    Ok(find(document, name)?.and_then(|found| found.as_str()))
}

fn number(document: &[u8], name: &str) -> Result<Option<i64>, DocumentFailure> {
    let found = find(document, name)?.map(|found| found.as_value());
    let found = found.filter(|value| value.kind == kind::INT64);
    Ok(found.and_then(|value| Some(i64::from_le_bytes(value.bytes.try_into().ok()?))))
}

tidegate_plugin_sdk::export!(Observer: transform);
