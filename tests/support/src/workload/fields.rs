//! The documents of the data set, but for their `_id`: a bit of every type and shape.

use bson::{Bson, DateTime, Document, Timestamp, doc};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::values::{blob, date, int, price, words};

pub(super) fn order(rng: &mut StdRng, number: u64) -> Document {
    let lines: Vec<Document> = (0..rng.random_range(1..12))
        .map(|line| {
            doc! { "line": line, "sku": format!("SKU-{:05}", rng.random_range(0..99_999)),
            "quantity": rng.random_range(1..9), "price": price(rng), "note": words(rng, 10) }
        })
        .collect();
    doc! {
        "number": int(number),
        "customer": rng.random_range(0..50_000),
        "placed": date(rng),
        "status": *["open", "paid", "shipped", "returned"].choose(rng).unwrap_or(&"open"),
        "total": rng.random_range(1..1500),
        "lines": lines,
        "ship": { "to": { "street": words(rng, 3), "city": words(rng, 1), "zip": rng.random_range(10_000..99_999) },
            "window": [date(rng), date(rng)] },
        "comment": words(rng, 80),
    }
}

pub(super) fn product(rng: &mut StdRng, number: u64) -> Document {
    doc! {
        "sku": format!("SKU-{number:06}"),
        "price": rng.random_range(1..10_000),
        "title": words(rng, 6),
        "description": words(rng, 90),
        "attributes": { "colour": words(rng, 1), "weight": rng.random::<f64>(), "sizes": ["S", "M", "L"] },
        "": "an empty field name",
        "stock": { "0": rng.random_range(0..50), "1": rng.random_range(0..50) },
    }
}

pub(super) fn cart(rng: &mut StdRng, number: u64) -> Document {
    let items: Vec<Bson> = (0..rng.random_range(0..20)).map(|_| price(rng)).collect();
    doc! { "touched": DateTime::now(), "session": int(number), "items": items, "blob": blob(rng, 200) }
}

/// Now and then the author is no name, which a plugin that masks names cannot handle.
pub(super) fn review(rng: &mut StdRng, number: u64) -> Document {
    let author = match rng.random_range(0..10) {
        0 => Bson::Int32(int(number)),
        _ => Bson::String(words(rng, 2)),
    };
    doc! { "author": author, "stars": rng.random_range(1..6), "text": words(rng, 30) }
}

pub(super) fn customer(rng: &mut StdRng, number: u64) -> Document {
    let mut document = doc! {
        "name": { "first": words(rng, 1), "last": words(rng, 1) },
        "city": words(rng, 1),
        "since": date(rng),
        "about": words(rng, 120),
        "limits": { "low": f64::NEG_INFINITY, "zero": -0.0_f64, "unknown": f64::NAN, "none": Bson::Null },
    };
    if !number.is_multiple_of(3) {
        document.insert("email", format!("customer{number}@example.org"));
    }
    document
}

pub(super) fn note(rng: &mut StdRng, _number: u64) -> Document {
    let tags: Vec<String> = (0..rng.random_range(0..6)).map(|_| words(rng, 1)).collect();
    doc! { "tags": tags, "matrix": [[1, 2, [3]], [], [doc! {}]], "text": words(rng, 160) }
}

pub(super) fn audit(rng: &mut StdRng, number: u64) -> Document {
    doc! { "at": date(rng), "who": int(number), "what": words(rng, 20) }
}

pub(super) fn reading(rng: &mut StdRng, number: u64) -> Document {
    doc! { "device": rng.random_range(0..5000), "at": date(rng), "value": rng.random::<f64>(),
    "ok": !number.is_multiple_of(7), "raw": blob(rng, 40) }
}

pub(super) fn device(rng: &mut StdRng, number: u64) -> Document {
    let place = [
        rng.random_range(-170.0..170.0),
        rng.random_range(-80.0..80.0),
    ];
    doc! { "serial": int(number), "place": { "type": "Point", "coordinates": place.to_vec() },
    "firmware": { "version": words(rng, 1), "image": blob(rng, 600) },
    "clock": Timestamp { time: 1_600_000_000, increment: 7 } }
}
