//! Equality of `_id`s on the server.
//!
//! `5`, `5.0` and `NumberLong(5)` are the same `_id`, also in an embedded document, although their bytes differ.
//! A document can be deleted under the first form and inserted again under the second. Invariant: events of a
//! document stay in order, so events are grouped by [`DocumentKey`].

use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::raw::{decimal::Decimal, elements, kind};

/// An `_id`, in the form that the server compares under the simple collation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKey<'a> {
    /// A whole number of any type.
    Whole(i64),
    /// The bits of any other double. All NaNs have the same bits.
    Fraction(u64),
    /// Type and bytes of a value with a unique form.
    Bytes(u8, &'a [u8]),
    /// An embedded document with numbers in a canonical form, and its hash for order.
    Document(Vec<u8>, u64),
}

/// Type of symbols, which equal strings on the server.
const SYMBOL: u8 = 0x0E;

/// Type of decimals. A decimal with a fraction can equal a double. Keys of both have the same hash for order and
/// go to the same applier, but are not equal, so their events must be applied in order.
const DECIMAL: u8 = 0x13;

impl<'a> DocumentKey<'a> {
    /// The key of an `_id` with this BSON type and these value bytes.
    pub fn new(id_kind: u8, id: &'a [u8]) -> Self {
        match id_kind {
            kind::DOCUMENT | kind::ARRAY => Self::document(id_kind, id),
            SYMBOL => Self::Bytes(kind::STRING, id),
            _ => number(id_kind, id).unwrap_or(Self::Bytes(id_kind, id)),
        }
    }

    fn document(id_kind: u8, id: &[u8]) -> Self {
        let exact = canonical(id_kind, id, Decimals::Exact);
        let order = match exact.first() {
            Some(&DECIMAL) => hash(&canonical(id_kind, id, Decimals::AsDoubles)),
            _ => hash(&exact),
        };
        Self::Document(exact, order)
    }

    /// A hash that is the same for all keys that can be equal on the server.
    pub fn hash_for_order(&self) -> u64 {
        match self {
            Self::Bytes(DECIMAL, id) => hash(&as_double(id)),
            Self::Document(_, order) => *order,
            other => hash(other),
        }
    }

    /// Approximate place of the document in the index of `_id`: close keys mostly have close places. Only for
    /// the order of independent writes.
    pub fn place(&self) -> u128 {
        match self {
            Self::Whole(n) => u128::from(n.cast_unsigned() ^ (1 << 63)) << 64,
            #[expect(clippy::cast_possible_truncation, reason = "a place is inexact")]
            Self::Fraction(bits) => Self::Whole(f64::from_bits(*bits) as i64).place(),
            // After the length, and the subtype of a binary.
            Self::Bytes(kind::STRING, id) => leading(id.get(4..)),
            Self::Bytes(kind::BINARY, id) => leading(id.get(5..)),
            Self::Bytes(_, id) => leading(Some(id)),
            Self::Document(canonical, _) => leading(Some(canonical)),
        }
    }

    /// True if an unequal key can be the same `_id` on the server.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Bytes(id_kind, _) => *id_kind == DECIMAL,
            Self::Document(canonical, _) => canonical.first() == Some(&DECIMAL),
            Self::Whole(_) | Self::Fraction(_) => false,
        }
    }

    /// True for types with ambiguous keys (see [`Self::is_ambiguous`]).
    pub fn can_be_ambiguous(id_kind: u8) -> bool {
        matches!(id_kind, DECIMAL | kind::DOCUMENT)
    }

    /// Bytes that are the same for equal keys, also after a restart.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (tag, bytes): (u8, &[u8]) = match self {
            Self::Whole(n) => (0x12, &n.to_le_bytes()),
            Self::Fraction(bits) => (0x01, &bits.to_le_bytes()),
            Self::Bytes(id_kind, id) => (*id_kind, id),
            Self::Document(canonical, _) => (kind::DOCUMENT, canonical),
        };
        [&[tag], bytes].concat()
    }

    /// The key without the borrowed bytes.
    pub fn into_owned(self) -> OwnedDocumentKey {
        match self {
            Self::Whole(n) => OwnedDocumentKey::Whole(n),
            Self::Fraction(bits) => OwnedDocumentKey::Fraction(bits),
            Self::Bytes(id_kind, id) => OwnedDocumentKey::Bytes(id_kind, id.into()),
            Self::Document(canonical, _) => OwnedDocumentKey::Document(canonical.into()),
        }
    }
}

/// A key that lives longer than its event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedDocumentKey {
    /// Like [`DocumentKey::Whole`].
    Whole(i64),
    /// Like [`DocumentKey::Fraction`].
    Fraction(u64),
    /// Like [`DocumentKey::Bytes`].
    Bytes(u8, Box<[u8]>),
    /// Like [`DocumentKey::Document`], without the hash for order.
    Document(Box<[u8]>),
}

impl OwnedDocumentKey {
    /// Bytes of the key on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Whole(_) | Self::Fraction(_) => 0,
            Self::Bytes(_, bytes) | Self::Document(bytes) => bytes.len(),
        }
    }
}

/// The first 16 bytes as a number.
fn leading(bytes: Option<&[u8]>) -> u128 {
    let bytes = bytes.unwrap_or_default();
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    u128::from_be_bytes(first)
}

fn number(id_kind: u8, id: &[u8]) -> Option<DocumentKey<'static>> {
    let double = match id_kind {
        0x10 => {
            return Some(DocumentKey::Whole(i64::from(i32::from_le_bytes(
                id.try_into().ok()?,
            ))));
        }
        0x12 => return Some(DocumentKey::Whole(i64::from_le_bytes(id.try_into().ok()?))),
        0x01 => f64::from_le_bytes(id.try_into().ok()?),
        DECIMAL => return whole_decimal(id).map(DocumentKey::Whole),
        _ => return None,
    };
    Some(double_key(double))
}

fn double_key(double: f64) -> DocumentKey<'static> {
    if double.is_nan() {
        return DocumentKey::Fraction(f64::NAN.to_bits());
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    #[expect(clippy::cast_precision_loss, reason = "the bounds are powers of two")]
    if double.fract() == 0.0 && double >= i64::MIN as f64 && double < -(i64::MIN as f64) {
        return DocumentKey::Whole(double as i64);
    }
    DocumentKey::Fraction(double.to_bits())
}

/// The double nearest to a decimal. A decimal and a double that are equal have the same nearest double.
fn as_double(id: &[u8]) -> DocumentKey<'static> {
    let double = || Decimal::from_le_bytes(id.try_into().ok()?).to_f64();
    double_key(double().map_or(0.0, |double| double.value))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The value of a decimal that is a whole number of at most 64 bits.
fn whole_decimal(id: &[u8]) -> Option<i64> {
    let whole = Decimal::from_le_bytes(id.try_into().ok()?).whole()?;
    i64::try_from(whole.value).ok().filter(|_| whole.is_exact)
}

/// Form of decimals with a fraction in a canonical document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decimals {
    Exact,
    AsDoubles,
}

/// Type, name and value of all elements, with numbers in a canonical form. The first byte tells whether they
/// include a decimal with a fraction.
fn canonical(id_kind: u8, document: &[u8], decimals: Decimals) -> Vec<u8> {
    let mut bytes = vec![0, id_kind];
    let mut ambiguous = false;
    for element in elements(document).into_iter().flatten().flatten() {
        bytes.extend_from_slice(element.name);
        bytes.push(0);
        let key = match element.kind {
            kind::DOCUMENT | kind::ARRAY => {
                DocumentKey::Document(canonical(element.kind, element.value, decimals), 0)
            }
            _ => DocumentKey::new(element.kind, element.value),
        };
        let key = match (key, decimals) {
            (DocumentKey::Bytes(DECIMAL, value), Decimals::AsDoubles) => as_double(value),
            (key, _) => key,
        };
        ambiguous |= key.is_ambiguous();
        let (form, value): (u8, &[u8]) = match &key {
            DocumentKey::Whole(n) => (1, &n.to_le_bytes()),
            DocumentKey::Fraction(bits) => (2, &bits.to_le_bytes()),
            DocumentKey::Bytes(id_kind, value) => (*id_kind | 0x20, value),
            DocumentKey::Document(canonical, _) => (3, canonical),
        };
        bytes.push(form);
        bytes.extend_from_slice(&value.len().to_le_bytes());
        bytes.extend_from_slice(value);
    }
    if let (true, Some(first)) = (ambiguous, bytes.first_mut()) {
        *first = DECIMAL;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::*;
    use crate::model::raw::find;

    fn with_key<T>(id: impl Into<Bson>, read: impl FnOnce(DocumentKey<'_>) -> T) -> T {
        let document = doc! { "_id": id.into() }.to_vec().unwrap();
        let element = find(&document, "_id").unwrap().unwrap();
        read(DocumentKey::new(element.kind, element.value))
    }

    fn key(id: impl Into<Bson>) -> OwnedDocumentKey {
        with_key(id, |key| key.into_owned())
    }

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(text.parse().unwrap())
    }

    #[test]
    fn equal_numbers_of_different_types_are_one_key() {
        for five in [
            Bson::Int64(5),
            Bson::Double(5.0),
            decimal("5"),
            decimal("5.00"),
            decimal("0.5E1"),
        ] {
            assert_eq!(key(5), key(five));
        }
        assert_eq!(
            key(doc! { "a": 1, "b": { "c": 2 } }),
            key(doc! { "a": 1.0, "b": { "c": 2_i64 } })
        );
        assert_eq!(key(-0.0), key(0));
    }

    #[test]
    fn a_symbol_is_the_same_key_as_its_text() {
        assert_eq!(key(Bson::Symbol("s".to_owned())), key("s"));
        assert_eq!(
            key(doc! { "a": Bson::Symbol("s".to_owned()) }),
            key(doc! { "a": "s" })
        );
    }

    #[test]
    fn different_ids_are_different_keys() {
        let ids: Vec<Bson> = vec![
            5.into(),
            "5".into(),
            5.5.into(),
            (1_i64 << 53).into(),
            ((1_i64 << 53) + 1).into(),
            f64::NAN.into(),
            f64::INFINITY.into(),
            doc! { "a": 1 }.into(),
            doc! { "b": 1 }.into(),
            doc! { "a": "1" }.into(),
            true.into(),
            Bson::Null,
            decimal("5.5"),
            decimal("1E+40"),
            Bson::DateTime(bson::DateTime::from_millis(5)),
        ];
        for (at, a) in ids.iter().enumerate() {
            for b in &ids[at + 1..] {
                assert_ne!(key(a.clone()), key(b.clone()), "{a} and {b}");
            }
        }
    }

    #[test]
    fn a_fraction_as_decimal_goes_with_the_double_and_says_so() {
        let double = with_key(0.5, |key| key.hash_for_order());
        let (hash, ambiguous) = with_key(decimal("0.50"), |key| {
            (key.hash_for_order(), key.is_ambiguous())
        });
        assert_eq!((double, true), (hash, ambiguous));
        for nested in [
            |n: Bson| doc! { "a": n },
            |n: Bson| doc! { "a": { "b": [n] } },
        ] {
            let order = |n: Bson| with_key(nested(n), |key| key.hash_for_order());
            assert_eq!(order(0.5.into()), order(decimal("0.500")));
            assert_eq!(order(f64::NAN.into()), order(decimal("NaN")));
            assert_ne!(order(0.5.into()), order(decimal("0.25")));
        }
        assert!(with_key(doc! { "a": decimal("0.5") }, |key| key.is_ambiguous()));
        assert!(!with_key(doc! { "a": decimal("5") }, |key| key.is_ambiguous()));
    }
}
