//! Edge cases in MongoDB's order; the values of a row are equal. Checked against the sort order of mongod
//! 6.0.5.

use bson::Decimal128;

use crate::Writer;
use crate::kind::*;

/// A value that owns its bytes.
pub(super) type Owned = (u8, Vec<u8>);

pub(super) fn table() -> Vec<Vec<Owned>> {
    let mut rows = vec![
        vec![(MIN_KEY, vec![])],
        vec![(UNDEFINED, vec![])],
        vec![(NULL, vec![])],
    ];
    rows.extend(numbers());
    rows.extend(strings());
    rows.extend(documents());
    rows.extend(arrays());
    rows.extend(fixed_types());
    rows.extend(code_and_the_like());
    rows.push(vec![(MAX_KEY, vec![])]);
    rows
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn numbers() -> Vec<Vec<Owned>> {
    vec![
        vec![double(f64::NAN), double(-f64::NAN), decimal("NaN")],
        vec![double(f64::NEG_INFINITY), decimal("-Infinity")],
        vec![decimal("-9.999999999999999999999999999999999E+6144")],
        vec![double(f64::MIN)],
        vec![
            int64(i64::MIN),
            double(-9_223_372_036_854_775_808.0),
            decimal("-9223372036854775808"),
        ],
        vec![decimal("-9223372036854775807.5")],
        vec![int64(i64::MIN + 1)],
        vec![double(-1.5), decimal("-1.5"), decimal("-1.500")],
        vec![int32(-1)],
        vec![decimal("-0.1000000000000000055511151231257828")],
        vec![double(-0.1)],
        vec![decimal("-0.1000000000000000055511151231257827")],
        vec![double(-5e-324)],
        vec![decimal("-1E-6176")],
        vec![
            double(0.0),
            double(-0.0),
            int32(0),
            int64(0),
            decimal("0"),
            decimal("-0"),
            decimal("0E+6111"),
            // A coefficient of more than 34 digits counts as zero.
            (
                DECIMAL128,
                (0b11 << 125 | u128::MAX >> 20).to_le_bytes().to_vec(),
            ),
        ],
        vec![decimal("1E-6176")],
        vec![decimal("4.940656458412465441765687928682213E-324")],
        vec![double(5e-324)],
        vec![decimal("4.940656458412465441765687928682214E-324")],
        vec![decimal("0.1")],
        vec![decimal("0.1000000000000000055511151231257827")],
        vec![double(0.1)],
        vec![decimal("0.1000000000000000055511151231257828")],
        vec![
            int32(1),
            int64(1),
            double(1.0),
            decimal("1"),
            decimal("1.000000000000000000000000000000000"),
        ],
        vec![decimal("1.000000000000000222044604925031308")],
        vec![double(1.0 + f64::EPSILON)],
        vec![decimal("1.000000000000000222044604925031309")],
        vec![decimal("9.999999999999999999999999999999999")],
        vec![int32(10), decimal("1E+1")],
        vec![
            int64(9_007_199_254_740_992),
            double(9_007_199_254_740_992.0),
        ],
        vec![int64(9_007_199_254_740_993)],
        vec![double(9_007_199_254_740_994.0)],
        vec![int64(i64::MAX), decimal("9223372036854775807")],
        vec![decimal("9223372036854775807.5")],
        vec![
            double(9_223_372_036_854_775_808.0),
            decimal("9223372036854775808"),
        ],
        vec![decimal("1E+300")],
        vec![double(1e300)],
        vec![decimal("1.797693134862315708145274237317043E+308")],
        vec![double(f64::MAX)],
        vec![decimal("1.797693134862315708145274237317044E+308")],
        vec![decimal("1E+309")],
        vec![decimal("9.999999999999999999999999999999999E+6144")],
        vec![double(f64::INFINITY), decimal("Infinity")],
    ]
}

fn strings() -> Vec<Vec<Owned>> {
    let string = |text: &[u8]| vec![(STRING, text_of(text)), (SYMBOL, text_of(text))];
    vec![
        string(b""),
        string(b"\0"),
        string(b"B"),
        string(b"a"),
        string(b"a\0b"),
        string(b"aa"),
        string(b"b"),
        string("é".as_bytes()),
        string(b"\xff not UTF-8"),
    ]
}

fn documents() -> Vec<Vec<Owned>> {
    vec![
        vec![document(DOCUMENT, &[])],
        vec![document(DOCUMENT, &[("z", (UNDEFINED, vec![]))])],
        vec![document(DOCUMENT, &[("a", (NULL, vec![]))])],
        vec![
            document(DOCUMENT, &[("a", int32(1))]),
            document(DOCUMENT, &[("a", double(1.0))]),
        ],
        vec![document(DOCUMENT, &[("a", int32(1)), ("a", int32(0))])],
        vec![document(DOCUMENT, &[("a", decimal("1.5"))])],
        vec![document(DOCUMENT, &[("aa", int32(0))])],
        vec![document(DOCUMENT, &[("b", int32(0))])],
        vec![document(DOCUMENT, &[("a", (STRING, text_of(b"x")))])],
        vec![document(DOCUMENT, &[("a", document(DOCUMENT, &[]))])],
    ]
}

fn arrays() -> Vec<Vec<Owned>> {
    vec![
        vec![document(ARRAY, &[])],
        vec![
            document(ARRAY, &[("0", int32(1))]),
            document(ARRAY, &[("not a position", int64(1))]),
        ],
        vec![document(ARRAY, &[("0", int32(1)), ("1", int32(1))])],
        vec![document(ARRAY, &[("0", int32(2))])],
        vec![document(ARRAY, &[("0", (STRING, text_of(b"")))])],
        vec![document(ARRAY, &[("0", document(ARRAY, &[]))])],
    ]
}

fn fixed_types() -> Vec<Vec<Owned>> {
    let binary = |subtype: u8, bytes: &[u8]| {
        let mut value = i32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
        value.push(subtype);
        value.extend_from_slice(bytes);
        vec![(BINARY, value)]
    };
    let id = |byte: u8| vec![(OBJECT_ID, vec![byte; 12])];
    let date = |millis: i64| vec![(DATE, millis.to_le_bytes().to_vec())];
    let timestamp = |bits: u64| vec![(TIMESTAMP, bits.to_le_bytes().to_vec())];
    vec![
        binary(0, &[]),
        binary(5, &[]),
        binary(0, &[0]),
        binary(0, &[255]),
        binary(128, &[0]),
        binary(0, &[0, 0]),
        id(0),
        id(127),
        id(255),
        vec![(BOOLEAN, vec![0])],
        vec![(BOOLEAN, vec![1])],
        date(i64::MIN),
        date(-1),
        date(0),
        date(i64::MAX),
        timestamp(0),
        timestamp(1),
        timestamp(0x7FFF_FFFF_0000_0000),
        timestamp(0xFFFF_FFFF_0000_0001),
    ]
}

fn code_and_the_like() -> Vec<Vec<Owned>> {
    let regex = |value: &[u8]| vec![(REGEX, value.to_vec())];
    let pointer = |namespace: &[u8], id: u8| {
        let mut value = text_of(namespace);
        value.extend_from_slice(&[id; 12]);
        vec![(DB_POINTER, value)]
    };
    let code = |text: &[u8]| vec![(JAVASCRIPT, text_of(text))];
    let scoped = |text: &[u8], scope: Owned| {
        let mut value = text_of(text);
        value.extend_from_slice(&scope.1);
        let length = i32::try_from(value.len() + 4).unwrap();
        value.splice(0..0, length.to_le_bytes());
        vec![(SCOPED_JAVASCRIPT, value)]
    };
    vec![
        regex(b"a\0\0"),
        regex(b"a\0i\0"),
        regex(b"aa\0\0"),
        regex(b"b\0\0"),
        pointer(b"z", 255),
        pointer(b"aa", 0),
        pointer(b"aa", 1),
        code(b""),
        code(b"f"),
        code(b"f\0g"),
        scoped(b"f", document(DOCUMENT, &[])),
        scoped(b"f", document(DOCUMENT, &[("x", int32(0))])),
        scoped(b"f", document(DOCUMENT, &[("y", int32(-1))])),
        scoped(b"g", document(DOCUMENT, &[])),
    ]
}

fn double(number: f64) -> Owned {
    (DOUBLE, number.to_le_bytes().to_vec())
}

fn int32(number: i32) -> Owned {
    (INT32, number.to_le_bytes().to_vec())
}

fn int64(number: i64) -> Owned {
    (INT64, number.to_le_bytes().to_vec())
}

fn decimal(text: &str) -> Owned {
    let number: Decimal128 = text.parse().unwrap();
    (DECIMAL128, number.bytes().to_vec())
}

fn text_of(text: &[u8]) -> Vec<u8> {
    let mut value = i32::try_from(text.len() + 1)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    value.extend_from_slice(text);
    value.push(0);
    value
}

fn document(kind: u8, fields: &[(&str, Owned)]) -> Owned {
    let mut writer = Writer::new();
    for (name, (kind, value)) in fields {
        writer.value(*kind, name.as_bytes(), value);
    }
    (kind, writer.finish())
}
