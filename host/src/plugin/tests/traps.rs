//! Tests of traps, and of the new instance for the next call.

use std::path::Path;

use wasmparser::{Parser, Payload};

use crate::model::{ErrorName, Namespace, OperatorError, Route};

use super::super::error::Error;
use super::super::runtime::Pool;
use super::super::sandbox::TrapKind;
use super::super::secrets::RevealedConfig;
use super::guest::Guest;
use super::{added, registry};

fn pool(route: &str) -> Pool {
    let digest = added(&Guest {
        route,
        ..Guest::default()
    });
    let component = registry().component(&digest).expect("just added");
    Pool::new(component, RevealedConfig::none()).expect("no configuration")
}

fn route(pool: &Pool, database: &str) -> Result<Route, Error> {
    let namespace = Namespace::new(database, "c");
    pool.call(|component, instance| component.route(instance, &namespace))
}

#[test]
fn a_trap_is_named_and_the_next_call_gets_a_fresh_instance() {
    for (body, kind, words) in [
        ("(loop $again (br $again))", TrapKind::Deadline, "deadline exceeded"),
        ("(unreachable)", TrapKind::Panic, "panic (src/x.rs:1:)"),
        (
            "(drop (call $misbehave_deeper (i32.const 0)))",
            TrapKind::Stack,
            "stack overflow",
        ),
        (
            "(drop (i32.load (i32.const -1)))",
            TrapKind::Other,
            "invalid operation (wasm trap: out of bounds memory access)",
        ),
        (
            "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))",
            TrapKind::Memory,
            "memory limit exceeded",
        ),
        (
            // An error whose text exceeds the output limit.
            "(drop (memory.grow (i32.const 64))) (i32.store (i32.const 800) (i32.const 1))
             (i32.store (i32.const 804) (i32.const 4096)) (i32.store (i32.const 808) (i32.const 4000000))
             (return (i32.const 800))",
            TrapKind::Output,
            "output limit exceeded",
        ),
    ] {
        let pool = pool(body);
        for _ in 0..3 {
            // The guest misbehaves where the database's name has three letters.
            let error = route(&pool, "bad").expect_err(body);
            let Error::Trapped { call, trap } = &error else {
                panic!("{body}: {error}")
            };
            assert_eq!((call.export, trap.kind), ("route", kind), "{body}: {}", trap.backtrace);
            let in_guest = kind == TrapKind::Output || trap.backtrace.contains("misbehave");
            assert!(in_guest, "{body}: {}", trap.backtrace);
            let shown = OperatorError::from(error);
            assert_eq!(shown.name, ErrorName::PluginTrapped);
            for word in ["the component guest (sha256:", "`route`", words] {
                assert!(shown.message.contains(word), "{word}: {shown}");
            }
            assert_eq!(route(&pool, "good").expect(body), Route::Skip);
        }
    }
}

#[test]
fn the_shipped_components_have_the_names_that_a_backtrace_is_made_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components");
    for component in registry().feature_set().components() {
        let file = folder.join(format!("{}.wasm", component.name));
        let bytes = std::fs::read(file).expect("what was just embedded");
        let named = Parser::new(0).parse_all(&bytes).any(|payload| {
            matches!(payload.expect("a component"), Payload::CustomSection(section) if section.name() == "name")
        });
        assert!(named, "{}", component.name);
    }
}
