//! Guests in WebAssembly text, which misbehave where a test asks for it.

use std::path::Path;

use tidegate_componentize::componentize;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The description and the behaviour of a guest.
pub(super) struct Guest<'a> {
    pub(super) world: &'a str,
    pub(super) abi: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) semantics: u8,
    pub(super) schema: &'a str,
    /// WIT imports of the world, the matching core imports, and the WIT of their packages.
    pub(super) imports: [&'a str; 3],
    /// The body of `route` for a database with a name of three letters.
    pub(super) route: &'a str,
    /// More functions of the core module.
    pub(super) more: String,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self {
            world: "route-plugin",
            abi: "1.0.0",
            name: "guest",
            version: "1.0.0",
            semantics: 1,
            schema: r#"{"type": "object"}"#,
            imports: ["", "", ""],
            route: "",
            more: String::new(),
        }
    }
}

/// The text, as the content of a data segment.
fn data(text: &str) -> String {
    text.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

fn word(number: usize) -> String {
    let number = u32::try_from(number).expect("a small number");
    number
        .to_le_bytes()
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect()
}

impl Guest<'_> {
    pub(super) fn build(&self) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/since-v1.0.0");
        let mut wit = String::new();
        for file in ["worlds", "describe", "route", "transform", "migrate"] {
            wit +=
                &std::fs::read_to_string(folder.join(format!("{file}.wit"))).expect("the contract");
        }
        let [wit_imports, _, packages] = self.imports;
        let wit = wit
            .replace("plugin@1.0.0;", &format!("plugin@{};", self.abi))
            .replace("-plugin {", &format!("-plugin {{ {wit_imports}"));
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("plugin.wit", &(wit + packages))
            .expect("WIT");
        let world = resolve
            .select_world(&[package], Some(self.world))
            .expect("the world");
        let mut module = wat::parse_str(self.core()).expect("a module");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("embed");
        componentize(&module).expect("a component")
    }

    /// Addresses below 4096 hold fixed data, addresses above hold the arguments of the host.
    fn core(&self) -> String {
        let Self { abi, schema, .. } = self;
        let description: String = [
            word(100),
            word(self.name.len()),
            word(200),
            word(self.version.len()),
            word(self.semantics.into()),
            word(0),
            word(1024),
            word(schema.len()),
        ]
        .concat();
        format!(
            r#"(module {imports}
            (memory (export "memory") 64)
            (global $top (mut i32) (i32.const 4096))
            (data (i32.const 16) "{description}")
            (data (i32.const 100) "{name}") (data (i32.const 200) "{version}") (data (i32.const 1024) "{schema}")
            (data (i32.const 700) "not today") (data (i32.const 720) "refuse")
            (global (export "tidegate_panic") i32 (i32.const 740)) (data (i32.const 740) "\0b\00\00\00src/x.rs:1:")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $top)
                (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8)))))
            (func (export "tidegate:plugin/describe@{abi}#describe") (result i32) (i32.const 16))
            (func (export "tidegate:plugin/describe@{abi}#configure") (param i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (if (i32.eq (local.get 1) (i32.const 15)) (then
                    (i32.store (i32.const 640) (i32.const 1)) (i32.store (i32.const 644) (i32.const 3))
                    (i32.store (i32.const 648) (i32.const 720)) (i32.store (i32.const 652) (i32.const 6))
                    (i32.store (i32.const 656) (i32.const 700)) (i32.store (i32.const 660) (i32.const 9))))
                (i32.const 640))
            (func $misbehave_deeper (param i32) (result i32) (i32.add (call $misbehave_deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
            {route} {more})"#,
            imports = self.imports[1],
            name = data(self.name),
            version = data(self.version),
            schema = data(schema),
            route = if self.world.starts_with("route") {
                self.routes()
            } else {
                String::new()
            },
            more = self.more,
        )
    }

    fn routes(&self) -> String {
        format!(
            r#"(func $misbehave (export "tidegate:plugin/route@{}#route") (param i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (if (i32.eq (local.get 1) (i32.const 3)) (then {}))
                (i32.const 512))"#,
            self.abi, self.route
        )
    }
}

/// The acts of the guest of [`transformer`]: the field `b` of a document `{_id, b}` selects the act. Other documents
/// are kept.
pub(super) mod act {
    pub(in super::super) const KEEP: u8 = 0;
    pub(in super::super) const DROP: u8 = 1;
    /// Replaced by itself with another `b`, which is [`REPLACED`].
    pub(in super::super) const REPLACE: u8 = 2;
    pub(in super::super) const UNREACHABLE: u8 = 3;
    pub(in super::super) const LOOP: u8 = 4;
    pub(in super::super) const HOG: u8 = 5;
    pub(in super::super) const RECURSE: u8 = 6;
    pub(in super::super) const DOCUMENT_ERROR: u8 = 7;
    pub(in super::super) const FATAL: u8 = 8;
    pub(in super::super) const REPLACED: u8 = 9;
    pub(in super::super) const ONE_VERDICT_MORE: u8 = 10;
    pub(in super::super) const UNKNOWN_VERDICT: u8 = 11;
    pub(in super::super) const NO_BSON: u8 = 12;
    pub(in super::super) const OTHER_ID: u8 = 13;
    pub(in super::super) const TOO_LARGE: u8 = 14;
    pub(in super::super) const NO_ID: u8 = 15;
    pub(in super::super) const NO_REPLACEMENT: u8 = 16;
    pub(in super::super) const BYTES_LEFT: u8 = 17;
    pub(in super::super) const OTHER_ID_TYPE: u8 = 18;
    pub(in super::super) const OUT_OF_BOUNDS: u8 = 19;
    pub(in super::super) const MUCH_OUTPUT: u8 = 20;
    /// A trap in company, kept when alone.
    pub(in super::super) const NOT_IN_COMPANY: u8 = 21;
}

/// A transform guest of this name, version and semantics that acts as [`act`] says.
pub(super) fn transformer<'a>(name: &'a str, version: &'a str, semantics: u8) -> Guest<'a> {
    Guest {
        world: "transform-plugin",
        name,
        version,
        semantics,
        schema: r#"{"type": "object", "additionalProperties": false, "properties": {
            "refuse": {"type": "boolean"},
            "rules": {"type": "array", "items": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}}}}}"#,
        more: transform(),
        ..Guest::default()
    }
}

fn transform() -> String {
    let replaced = |change: &str| {
        format!(
            "(memory.copy (local.get $r) (local.get $at) (local.get $size)) (i32.store8 (local.get $v) (i32.const 2))
             {change} (local.set $r (i32.add (local.get $r) (local.get $size)))"
        )
    };
    let verdict = |verdict: u8| format!("(i32.store8 (local.get $v) (i32.const {verdict}))");
    let error = |kind: u8, first: &str, second: &str, third: &str| {
        format!(
            "(i32.store (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const {kind}))
             (i32.store (i32.const 520) {first}) (i32.store (i32.const 524) {second}) (i32.store (i32.const 528) {third})
             (return (i32.const 512))"
        )
    };
    let (text, length) = ("(i32.const 700)", "(i32.const 9)");
    let arms = [
        (act::DROP, verdict(1)),
        (act::REPLACE, replaced("(i32.store8 offset=16 (local.get $r) (i32.const 9))")),
        (act::UNREACHABLE, "(unreachable)".to_owned()),
        (act::LOOP, "(loop $again (br $again))".to_owned()),
        (act::HOG, "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))".to_owned()),
        (act::RECURSE, "(drop (call $misbehave_deeper (i32.const 0)))".to_owned()),
        (act::DOCUMENT_ERROR, error(0, "(local.get $n)", text, length)),
        (act::FATAL, error(1, text, length, "(i32.const 0)")),
        (act::ONE_VERDICT_MORE, "(local.set $n (i32.add (local.get $n) (i32.const 1)))".to_owned()),
        (act::UNKNOWN_VERDICT, verdict(7)),
        (act::NO_BSON, replaced("(i32.store8 offset=13 (local.get $r) (i32.const 0x7e))")),
        (act::OTHER_ID, replaced("(i32.store8 offset=9 (local.get $r) (i32.const 0x7e))")),
        (act::TOO_LARGE, replaced("(i32.store (local.get $r) (i32.const 16777217))")),
        (
            act::NO_ID,
            "(i32.store (local.get $r) (i32.const 5)) (i32.store8 offset=4 (local.get $r) (i32.const 0))
             (i32.store8 (local.get $v) (i32.const 2))
             (local.set $r (i32.add (local.get $r) (i32.const 5)))".to_owned(),
        ),
        (act::NO_REPLACEMENT, verdict(2)),
        (act::BYTES_LEFT, replaced("") + &verdict(0)),
        (act::OTHER_ID_TYPE, replaced("(i32.store8 offset=4 (local.get $r) (i32.const 0x0b)) (i32.store (i32.add (local.get $r) (i32.const 9)) (i32.const 0))")),
        (act::OUT_OF_BOUNDS, "(drop (i32.load (i32.const -1)))".to_owned()),
        (act::MUCH_OUTPUT, "(local.set $r (i32.add (local.get $r) (i32.const 2000000)))".to_owned()),
        (act::NOT_IN_COMPANY, "(if (i32.ne (local.get $size) (local.get $len)) (then (unreachable)))".to_owned()),
    ];
    let arms: String = arms
        .iter()
        .map(|(b, arm)| format!("(if (i32.eq (local.get $b) (i32.const {b})) (then {arm}))\n"))
        .collect();
    format!(
        r#"(func $misbehave (export "tidegate:plugin/transform@1.0.0#transform")
            (param i32 i32 i32 i32) (param $docs i32) (param $len i32) (result i32)
            (local $at i32) (local $end i32) (local $n i32) (local $b i32) (local $v i32) (local $r i32) (local $size i32)
            (global.set $top (i32.const 4096))
            (local.set $at (local.get $docs)) (local.set $end (i32.add (local.get $docs) (local.get $len)))
            (local.set $v (i32.const 0x180000)) (local.set $r (i32.const 0x1c0000))
            (block $done (loop $next
                (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
                (local.set $size (i32.load (local.get $at)))
                (local.set $b (i32.load8_u offset=16 (local.get $at)))
                (i32.store8 (local.get $v) (i32.const 0))
                {arms}
                (local.set $v (i32.add (local.get $v) (i32.const 1)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (local.set $at (i32.add (local.get $at) (local.get $size)))
                (br $next)))
            (i32.store (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (i32.const 0x180000)) (i32.store (i32.const 520) (local.get $n))
            (i32.store (i32.const 524) (i32.const 0x1c0000)) (i32.store (i32.const 528) (i32.sub (local.get $r) (i32.const 0x1c0000)))
            (i32.const 512))"#
    )
}
