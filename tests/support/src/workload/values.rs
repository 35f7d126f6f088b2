//! Single values of the data set: ids of every type, and fillings.

use bson::{
    Binary, Bson, DateTime, Decimal128, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// Every type an `_id` may have, the odd values first.
pub(super) fn mixed_id(number: u64) -> Bson {
    let small = int(number);
    match number {
        0 => Bson::Null,
        1 => Bson::MinKey,
        2 => Bson::MaxKey,
        3 => Bson::Double(f64::NAN),
        4 => Bson::Boolean(true),
        5 => Bson::Double(f64::NEG_INFINITY),
        _ => match number % 10 {
            0 => Bson::Int32(small),
            1 => Bson::Int64(i64::from(small) << 32),
            2 => Bson::Double(f64::from(small) + 0.5),
            3 => Bson::String(small.to_string()),
            4 => Bson::ObjectId(object_id(number)),
            5 => Bson::DateTime(DateTime::from_millis(i64::from(small) * 1000)),
            6 => Bson::Document(doc! { "region": small % 5, "customer": small }),
            7 => Bson::Decimal128(decimal(number)),
            8 => Bson::Timestamp(Timestamp {
                time: 1_500_000_000,
                increment: small.unsigned_abs(),
            }),
            _ => Bson::Binary(Binary {
                subtype: BinarySubtype::Uuid,
                bytes: u128::from(number).to_be_bytes().to_vec(),
            }),
        },
    }
}

/// The decimal `number` and three quarters.
pub(super) fn decimal(number: u64) -> Decimal128 {
    format!("{number}.75")
        .parse()
        .unwrap_or_else(|_| Decimal128::from_bytes([0; 16]))
}

pub(super) fn object_id(number: u64) -> ObjectId {
    let mut bytes = [0x65; 12];
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

pub(super) fn int(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn price(rng: &mut StdRng) -> Bson {
    match rng.random_range(0..4) {
        0 => Bson::Int32(rng.random_range(1..1000)),
        1 => Bson::Decimal128(decimal(rng.random_range(1..1000))),
        _ => Bson::Double(f64::from(rng.random_range(100..100_000)) / 100.0),
    }
}

pub(super) fn date(rng: &mut StdRng) -> Bson {
    Bson::DateTime(DateTime::from_millis(
        rng.random_range(1_500_000_000_000..1_700_000_000_000),
    ))
}

pub(super) fn blob(rng: &mut StdRng, length: usize) -> Bson {
    let mut bytes = vec![0; length];
    rng.fill(bytes.as_mut_slice());
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

pub(super) fn words(rng: &mut StdRng, count: usize) -> String {
    const WORDS: [&str; 24] = [
        "tide", "gate", "water", "harbour", "ebb", "flow", "moon", "lock", "quay", "river",
        "delta", "salt", "basin", "Straße", "été", "潮", "anchor", "buoy", "shoal", "reef",
        "strait", "sound", "mole", "weir",
    ];
    let mut text = String::with_capacity(count * 7);
    for position in 0..count {
        if position > 0 {
            text.push(' ');
        }
        text.push_str(WORDS.choose(rng).unwrap_or(&""));
    }
    text
}
