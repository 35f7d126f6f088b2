//! Tests of guests with WASI imports.

use crate::model::{ErrorName, Namespace, Route};

use super::super::WasiPolicy;
use super::super::runtime::Pool;
use super::super::secrets::RevealedConfig;
use super::guest::Guest;
use super::{registry, strict};

/// Traps unless both clocks are stopped, waits for a very long time, and keeps the namespace if random bytes have
/// their fixed values.
fn curious() -> Guest<'static> {
    Guest {
        name: "curious",
        imports: [
            "import wasi:clocks/wall-clock@0.2.0; import wasi:clocks/monotonic-clock@0.2.0; import wasi:random/random@0.2.0;",
            r#"(import "wasi:clocks/wall-clock@0.2.0" "now" (func $wall (param i32)))
               (import "wasi:clocks/monotonic-clock@0.2.0" "now" (func $now (result i64)))
               (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $wait (param i64) (result i32)))
               (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
               (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#,
            "package wasi:io@0.2.0 { interface poll { resource pollable { block: func(); } } }
             package wasi:random@0.2.0 { interface random { get-random-u64: func() -> u64; } }
             package wasi:clocks@0.2.0 {
                interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
                interface monotonic-clock {
                    use wasi:io/poll@0.2.0.{pollable};
                    now: func() -> u64;
                    subscribe-duration: func(when: u64) -> pollable;
                }
             }",
        ],
        route: "(call $block (call $wait (i64.const 0x7fffffffffffffff)))
            (call $wall (i32.const 800))
            (if (i64.ne (i64.load (i32.const 800)) (i64.const 0)) (then (unreachable)))
            (if (i64.ne (call $now) (i64.const 0)) (then (unreachable)))
            (i32.store (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (i64.eq (call $random) (i64.const 0x0001020304050607)))",
        ..Guest::default()
    }
}

#[test]
fn time_stands_still_waiting_ends_and_the_dice_are_loaded() {
    let installed = registry().add(&curious().build()).expect("a good guest");
    assert!(installed.wasi);
    let component = registry()
        .component(&installed.info.digest)
        .expect("just added");
    for _ in 0..2 {
        let pool = Pool::new(component.clone(), RevealedConfig::none()).expect("no configuration");
        let route =
            pool.call(|component, instance| component.route(instance, &Namespace::new("abc", "d")));
        assert_eq!(route.expect("an answer"), Route::Keep);
    }
}

#[test]
fn a_host_that_was_told_so_refuses_wasi() {
    let error = strict(WasiPolicy::Refuse)
        .add(&curious().build())
        .expect_err("a refusal");
    assert_eq!(error.name, ErrorName::PluginNotSupported);
    assert!(error.message.contains("--plugin-wasi"), "{error}");
}
