//! The example of `docs/plugins/field-mask.md` works as documented.

use bson::{DateTime, doc};
use serde_json::Value as Json;
use tidegate_plugin_sdk::{Plugin, Verdict};

use super::{FieldMask, configure, run};

const PAGE: &str = include_str!("../../../../docs/plugins/field-mask.md");

#[test]
fn the_example_works_as_documented() {
    let (_, example) = PAGE.split_once("```json").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let example: Json = serde_json::from_str(example).expect("JSON");
    assert_eq!(example["component"], FieldMask::DESCRIPTION.name);
    let plugin = configure(&example["config"].to_string()).expect("a configuration");
    let date = |text| DateTime::parse_rfc3339_str(text).expect(text);
    let before = doc! {
        "_id": 1, "email": "ann@example.com", "cards": [{ "number": "4111111111111234" }],
        "name": "Annabel", "born": date("1969-07-20T20:17:40Z"), "country": "DE", "notes": {},
    };
    let hash = "e24020bed95162c081c1db5d";
    assert!(PAGE.contains(hash), "the page shows the hash");
    let after = doc! {
        "_id": 1, "email": hash, "cards": [{ "number": "************1234" }],
        "name": "A*****", "born": date("1969-01-01T00:00:00Z"), "country": "XX",
    };
    let bytes = |document: bson::Document| document.to_vec().expect("BSON");
    assert_eq!(
        run(&plugin, &bytes(before)),
        Ok((Verdict::Replace, bytes(after)))
    );
}
