//! The example of `docs/plugins/field-rename.md` works as documented.

use bson::{Bson, Decimal128, doc};
use serde_json::Value as Json;
use tidegate_plugin_sdk::Plugin;

use super::{FieldRename, check};

const PAGE: &str = include_str!("../../../../docs/plugins/field-rename.md");

#[test]
fn the_example_works_as_documented() {
    let (_, example) = PAGE.split_once("```json").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let example: Json = serde_json::from_str(example).expect("JSON");
    assert_eq!(example["component"], FieldRename::DESCRIPTION.name);
    let rules = example["config"]["rules"].to_string();
    let price: Decimal128 = "1.10".parse().expect("a decimal");
    for (before, after) in [
        (
            doc! { "_id": 7, "address": { "zip": "20095", "city": "Hamburg" } },
            doc! { "_id": 7, "address": { "postcode": "20095", "city": "Hamburg" }, "legacy": { "id": 7 } },
        ),
        (
            doc! { "_id": 8, "phone": "040", "items": [{ "price": "1.10" }, { "price": "?" }] },
            doc! {
                "_id": 8, "items": [{ "price": price }, { "price": Bson::Null }],
                "contact": { "phone": "040" }, "legacy": { "id": 8 },
            },
        ),
    ] {
        check(&rules, &before, Some(after));
    }
}
