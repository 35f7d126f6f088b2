//! Pairs of sources, equal or different in code.

use super::code::{Code, first_difference};
use super::tokens;

fn code(text: &str) -> Code {
    let mut code = Code::default();
    code.add(tokens::read(text, "name").expect(text).items);
    code
}

fn difference(before: &str, now: &str) -> Option<String> {
    first_difference(&code(before), &code(now))
}

#[test]
fn layout_and_names_do_not_count() {
    for (before, now) in [
        (
            "/// Old.\nfn f() { g(); } // more",
            "/// New.\n#[must_use]\npub(crate) fn f() { g(); }",
        ),
        ("use a::b;\nmod c;\nfn f() {}", "mod d;\npub fn f() {}"),
        (
            "fn f() {}\n#[cfg(test)]\nmod tests { fn g() {} }",
            "fn f() {}\n#[cfg(test)]\nmod tests;",
        ),
        ("fn f() {}\nfn g() { f() }", "fn g() { f() }\nfn f() {}"),
        (
            "fn f(a: u8) { g(a, 1) }",
            "fn f(\n    a: u8,\n) {\n    g(\n        a,\n        1,\n    )\n}",
        ),
        (
            "fn f() { match a { 1 => g(), _ => h() } }",
            "fn f() { match a { 1 => { g() } _ => { h() } } }",
        ),
        (
            "const N: &str = env!(\"CARGO_PKG_NAME\");",
            "const N: &str = \"name\";",
        ),
        (
            "struct A { b: u8 }\nfn f(a: A) -> u8 { a.b }",
            "struct B { c: u8 }\nfn f(x: B) -> u8 { x.c }",
        ),
        (
            "enum E { A, B }\nfn f() -> E { E::A }",
            "enum F { C, B }\nfn f() -> F { F::C }",
        ),
        (
            "fn f() { let rest = 1; g(rest) }\nfn h() { let rest = 2; rest }",
            "fn f() { let tail = 1; g(tail) }\nfn h() { let rest = 2; rest }",
        ),
    ] {
        assert_eq!(difference(before, now), None, "{before} → {now}");
    }
}

#[test]
fn changes_of_the_program_count() {
    for (before, now) in [
        ("fn f() { g(1) }", "fn f() { g(2) }"),
        ("fn f() -> &str { \"a\" }", "fn f() -> &str { \"b\" }"),
        ("fn f() {}", "fn f() {}\nfn g() {}"),
        ("fn f() {}\nfn g() {}", "fn f() {}"),
        (
            "fn f(a: u8) -> u8 { a.min(1) }",
            "fn f(a: u8) -> u8 { a.max(1) }",
        ),
        ("fn f() { std::mem::swap() }", "fn f() { std::mem::take() }"),
        ("fn f() { swap(a) }", "fn f() { take(a) }"),
        ("fn f(a: String) {}", "fn f(a: OsString) {}"),
        (
            "fn f(a: u8, b: u8) -> u8 { a - b }",
            "fn f(a: u8, b: u8) -> u8 { b - a }",
        ),
        (
            "fn a() {}\nfn b() {}\nfn f() { a() }",
            "fn a() {}\nfn b() {}\nfn f() { b() }",
        ),
        (
            "fn f() { if a { b(); c(); } }",
            "fn f() { if a { b(); } c(); }",
        ),
        ("#[derive(Clone)]\nstruct A;", "struct A;"),
        (
            "#[derive(Deserialize)]\nstruct A { b: u8 }",
            "#[derive(Deserialize)]\nstruct A { c: u8 }",
        ),
        ("#[inline]\nfn f() {}", "fn f() {}"),
    ] {
        assert_ne!(difference(before, now), None, "{before} → {now}");
    }
}

/// The sources of this checkout can be read.
#[test]
fn components_of_this_checkout_are_read() -> anyhow::Result<()> {
    let components = super::source::components(&support::mongod::workspace())?;
    let names: Vec<_> = components
        .iter()
        .map(|component| &*component.name)
        .collect();
    assert!(
        names.contains(&"field-mask") && names.contains(&"namespace-filter"),
        "{names:?}"
    );
    for component in &components {
        assert_eq!(first_difference(&component.code, &component.code), None);
    }
    Ok(())
}
