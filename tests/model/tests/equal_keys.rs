//! Two keys that are one `_id` on the server.

mod common;

use common::{found, holds};
use protocol_model::{
    equal_keys::{EqualKeys, Fault},
    source::Event::{Delete, Insert, Update},
};

/// A document that changes its key forth and back.
fn model(strict: bool) -> EqualKeys {
    EqualKeys {
        log: vec![
            Update(0),
            Delete(0),
            Insert(1),
            Update(1),
            Delete(1),
            Insert(0),
            Update(0),
        ],
        strict,
        fault: None,
    }
}

#[test]
fn strings_under_a_collation() {
    holds(&model(true));
}

#[test]
fn a_decimal_and_a_double() {
    holds(&model(false));
}

#[test]
fn one_pass() {
    found(&EqualKeys {
        fault: Some(Fault::OnePass),
        ..model(true)
    });
}

#[test]
fn puts_before_deletes() {
    found(&EqualKeys {
        fault: Some(Fault::PutsFirst),
        ..model(true)
    });
}

#[test]
fn unique_key_first() {
    found(&EqualKeys {
        fault: Some(Fault::UniqueFirst),
        ..model(false)
    });
}

#[test]
fn look_ups_are_remembered() {
    found(&EqualKeys {
        fault: Some(Fault::Remembered),
        ..model(false)
    });
}
