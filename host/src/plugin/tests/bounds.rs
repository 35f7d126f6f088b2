//! Tests of the bounds on code, and of equal answers on every machine.

use std::time::{Duration, Instant};

use crate::model::{ErrorName, Namespace, Route};

use super::super::{runtime::Pool, secrets::RevealedConfig};
use super::guest::Guest;
use super::{added, registry};

fn refused(more: String, words: &str) {
    let guest = Guest {
        more,
        ..Guest::default()
    };
    refused_component(&guest.build(), words);
}

fn refused_component(component: &[u8], words: &str) {
    let began = Instant::now();
    let error = registry().add(component).expect_err(words);
    assert_eq!(error.name, ErrorName::PluginNotSupported, "{error}");
    assert!(error.message.contains(words), "{words}: {error}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{words}: {took:?}");
}

/// Finding 35: this component took 49 seconds and 2 GB to compile.
#[test]
fn f35_a_huge_function_is_refused_before_it_is_compiled() {
    let body = "i32.const 777777 i32.add\n".repeat(340_000);
    let function = format!("(func (param i32) (result i32) local.get 0 {body})");
    refused(function, "a function's body has 1");
}

#[test]
fn f35_what_is_small_and_slow_to_compile_is_refused() {
    let locals = "i32 ".repeat(17_000);
    let blocks = "(block (br_if 0 (local.get 1)))".repeat(1_000);
    refused(
        format!("(func (param i32) (local {locals}) {blocks})"),
        "locals times branches",
    );
    let large = format!(
        "(func (result i32) i32.const 0 {})",
        "i32.const 777777 i32.add\n".repeat(120_000)
    );
    refused(large.repeat(3), "functions of more than 64 KiB");
    let branches = "(br_if 0 (i32.const 0))".repeat(40_000);
    refused(format!("(func (block {branches}))"), "blocks and branches");
    let loops = format!("{}{}", "(loop ".repeat(65), ")".repeat(65));
    refused(format!("(func {loops})"), "loops in one another");
    let parameters = "i64 ".repeat(65);
    refused(format!("(func (param {parameters}))"), "65 parameters");
    let results = "i64 ".repeat(17);
    refused(format!("(type (func (result {results})))"), "17 results");
}

/// Finding 35: each memory had the limit of all memories.
#[test]
fn f35_six_memories_have_the_limit_of_one() {
    // Five memories of 4 MiB with the guest's own. The limit of these tests is 16 MiB.
    let four = Guest {
        more: "(memory 64)".repeat(4),
        ..Guest::default()
    };
    refused_component(&large(&four), "memories begin with more");
    let grown = Guest {
        route: "(if (i32.eq (memory.grow $b (i32.const 150)) (i32.const -1)) (then (unreachable)))
                (if (i32.eq (memory.grow $c (i32.const 150)) (i32.const -1)) (then (unreachable)))",
        more: "(memory $b 0) (memory $c 0)".to_owned(),
        ..Guest::default()
    };
    let added = registry().add(&large(&grown)).expect("a good guest");
    let error = route_of(&added.info.digest).expect_err("too much memory");
    assert!(error.contains("memory limit exceeded"), "{error}");
}

/// The guest, padded to the size of a component with a runtime: small components have a single memory.
fn large(guest: &Guest<'_>) -> Vec<u8> {
    const PADDING: usize = 1 << 20;
    let mut component = guest.build();
    // A custom section called `x`: its length is 0x100002 in LEB128.
    component.extend([0, 0x82, 0x80, 0xc0, 0x00, 1, b'x']);
    component.resize(component.len() + PADDING, 0);
    component
}

/// Processors produce NaNs with different bits.
#[test]
fn a_nan_has_the_same_bits_everywhere() {
    let guest = Guest {
        route: "(i32.store (i32.const 516) (i64.eq (i64.const 0x7ff8000000000000)
            (i64.reinterpret_f64 (f64.div (f64.load (i32.const 3072)) (f64.load (i32.const 3080))))))",
        ..Guest::default()
    };
    assert_eq!(route(&guest).expect("an answer"), Route::Keep);
}

/// An index of 16 selects lane 0 on some processors, and zero on others.
#[test]
fn relaxed_vectors_do_the_same_everywhere() {
    let guest = Guest {
        route: "(i32.store (i32.const 516) (i32.eqz (i8x16.extract_lane_u 0 (i8x16.relaxed_swizzle
            (i8x16.splat (i32.const 7)) (i8x16.splat (i32.const 16))))))",
        ..Guest::default()
    };
    assert_eq!(route(&guest).expect("an answer"), Route::Keep);
}

/// The guest's answer for a database with a name of three letters.
fn route(guest: &Guest<'_>) -> Result<Route, String> {
    route_of(&added(guest))
}

fn route_of(digest: &str) -> Result<Route, String> {
    let component = registry().component(digest).expect("just added");
    let pool = Pool::new(component, RevealedConfig::none()).expect("no configuration");
    pool.call(|component, instance| component.route(instance, &Namespace::new("abc", "d")))
        .map_err(|error| error.to_string())
}
