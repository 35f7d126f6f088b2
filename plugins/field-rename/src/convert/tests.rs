//! Conversions against the server's own answers, and the differences from them.

use tidegate_plugin_sdk::bson::{Value, kind};
use tidegate_plugin_sdk::decimal::Decimal;

use super::value::{Refusal, write};
use super::{LossPolicy, Target};

const MONGOD: &str = include_str!("mongod.tsv");

const TARGETS: [Target; 8] = [
    Target::String,
    Target::Int,
    Target::Long,
    Target::Double,
    Target::Decimal,
    Target::Bool,
    Target::Date,
    Target::ObjectId,
];

/// Texts that the server accepts as dates, and that are not in the supported part of ISO 8601.
const OTHER_DATES: [&str; 6] = [
    "20180303",
    "20180303T102030Z",
    "2018-03",
    "3 March 2018",
    "+2018-03-03T00:00:00Z",
    "-0001-01-01T00:00:00Z",
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    kind: u8,
    bytes: Vec<u8>,
}

impl Owned {
    /// Parses `02:0500…`.
    fn parse(cell: &str) -> Self {
        let (kind, bytes) = cell.split_once(':').expect(cell);
        let byte = |digits: &str| u8::from_str_radix(digits, 16).expect(cell);
        let bytes = (0..bytes.len()).step_by(2);
        let digits = cell.split_once(':').expect(cell).1;
        Self {
            kind: byte(kind),
            bytes: bytes.map(|at| byte(&digits[at..at + 2])).collect(),
        }
    }

    fn value(&self) -> Value<'_> {
        Value {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }

    fn string(text: &str) -> Self {
        let length = i32::try_from(text.len() + 1).expect("short");
        Self {
            kind: kind::STRING,
            bytes: [&length.to_le_bytes(), text.as_bytes(), &[0]].concat(),
        }
    }

    fn double(double: f64) -> Self {
        Self {
            kind: kind::DOUBLE,
            bytes: double.to_le_bytes().to_vec(),
        }
    }

    fn long(long: i64) -> Self {
        Self {
            kind: kind::INT64,
            bytes: long.to_le_bytes().to_vec(),
        }
    }

    fn is_nan(&self) -> bool {
        match self.kind {
            kind::DOUBLE => self.value().as_f64().is_some_and(f64::is_nan),
            kind::DECIMAL128 => self.decimal() == Decimal::NotANumber,
            _ => false,
        }
    }

    fn decimal(&self) -> Decimal {
        Decimal::from_le_bytes(self.bytes[..].try_into().expect("16 bytes"))
    }

    fn convert(&self, to: Target, lossy: LossPolicy) -> Result<Self, Refusal> {
        let mut bytes = Vec::new();
        write(self.value(), to, lossy, &mut bytes)?;
        Ok(Self {
            kind: to.kind(),
            bytes,
        })
    }
}

/// Whether an answer other than the server's means the same, or is more exact.
fn is_better(before: &Owned, ours: Option<&Owned>, servers: Option<&Owned>) -> bool {
    match (ours, servers, before.value().as_f64()) {
        (None, Some(_), _) => before
            .value()
            .as_str()
            .is_some_and(|text| OTHER_DATES.contains(&text)),
        (Some(ours), Some(_), Some(double)) => match ours.kind {
            kind::STRING => {
                let text = ours.value().as_str().expect("text");
                text.parse() == Ok(double)
            }
            kind::DECIMAL128 => ours
                .decimal()
                .to_f64()
                .is_some_and(|back| back.value == double),
            _ => false,
        },
        (Some(ours), Some(servers), None) => ours.is_nan() && servers.is_nan(),
        // By the manual the whole part must be in range; the server requires it of the whole number.
        (Some(ours), None, Some(double)) => ours.kind == kind::INT32 && double.fract() != 0.0,
        _ => false,
    }
}

#[test]
fn conversions_are_those_of_the_server() {
    let mut checked = 0;
    for line in MONGOD.lines().skip(3) {
        let mut cells = line.split('\t');
        let shown = cells.next().expect("what it is");
        let before = Owned::parse(cells.next().expect("a value"));
        if before.kind == kind::NULL {
            continue;
        }
        for (to, cell) in TARGETS.into_iter().zip(cells) {
            let servers = (cell != "-").then(|| Owned::parse(cell));
            let ours = before.convert(to, LossPolicy::Allow).ok();
            assert!(
                ours == servers || is_better(&before, ours.as_ref(), servers.as_ref()),
                "{shown} to {to:?}: {ours:?}, and the server {servers:?}"
            );
            match before.convert(to, LossPolicy::Fail) {
                Ok(exact) => assert_eq!(Some(exact), ours, "{shown} to {to:?}"),
                Err(refusal) => assert!(ours.is_none() || refusal == Refusal::Lossy, "{shown}"),
            }
            checked += 1;
        }
    }
    assert_eq!(checked, TARGETS.len() * (MONGOD.lines().count() - 4));
}

#[test]
fn digits_are_not_lost_without_a_word() {
    use Target::{Date, Decimal, Double, Int, Long};
    let decimal = |text: &str| Owned {
        kind: kind::DECIMAL128,
        bytes: tidegate_plugin_sdk::decimal::Decimal::parse(text)
            .expect(text)
            .value
            .to_le_bytes()
            .to_vec(),
    };
    for (before, to) in [
        (Owned::double(2.5), Int),
        (Owned::double(-0.1), Long),
        (Owned::double(2.5), Date),
        (decimal("5.5"), Int),
        (decimal("1E-400"), Long),
        (decimal("0.1234567890123456789"), Double),
        (Owned::long((1 << 53) + 1), Double),
        (Owned::string("9007199254740993"), Double),
        (
            Owned::string("1.2345678901234567890123456789012345"),
            Decimal,
        ),
        (Owned::string("2018-03-03T10:20:30.1234Z"), Date),
    ] {
        assert_eq!(
            before.convert(to, LossPolicy::Fail),
            Err(Refusal::Lossy),
            "{before:?}"
        );
        assert!(before.convert(to, LossPolicy::Allow).is_ok(), "{before:?}");
    }
    for (before, to) in [
        (Owned::double(-3.0), Int),
        (decimal("5.000"), Int),
        (decimal("0.1"), Double),
        (Owned::long(1 << 60), Double),
        (Owned::string("0.1"), Double),
        (Owned::double(0.1 + 0.2), Decimal),
    ] {
        assert!(before.convert(to, LossPolicy::Fail).is_ok(), "{before:?}");
    }
}

#[test]
fn the_text_of_a_double_says_it_all() {
    for (double, text) in [
        (1_234_567.0, "1234567"),
        (0.1 + 0.2, "0.30000000000000004"),
        (9_007_199_254_740_993.0, "9007199254740992"),
        (1e15, "1000000000000000"),
        (1e16, "1e+16"),
        (1.25e100, "1.25e+100"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (5e-324, "5e-324"),
        (-0.0, "-0"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(
            Owned::double(double).convert(Target::String, LossPolicy::Fail),
            Ok(Owned::string(text))
        );
    }
}

/// Finding 50: the differences in the table of the page, each with the answer of mongod 6.0.5.
#[test]
fn f50_the_differences_that_the_page_names() {
    let decimal = |text: &str| Owned {
        kind: kind::DECIMAL128,
        bytes: Decimal::parse(text)
            .expect(text)
            .value
            .to_le_bytes()
            .to_vec(),
    };
    let date = |ms: i64| Owned {
        kind: kind::DATE,
        bytes: ms.to_le_bytes().to_vec(),
    };
    let object_id = |first: u8| Owned {
        kind: kind::OBJECT_ID,
        bytes: [first, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(),
    };
    let digits = "1.2345678901234567890123456789012355";
    let subnormal = f64::from_bits(1);
    let signalling = f64::from_bits(0xfff0_0000_0000_0001);
    for (value, to, strict, allowed) in [
        // mongod: …235.
        (
            Owned::string(digits),
            Target::Decimal,
            None,
            Some(decimal("1.234567890123456789012345678901236")),
        ),
        // mongod: -876.
        (
            Owned::string("1969-12-31T23:59:59.1239Z"),
            Target::Date,
            None,
            Some(date(-877)),
        ),
        // mongod: out of range.
        (
            Owned::string("5e-324"),
            Target::Double,
            Some(Owned::double(subnormal)),
            Some(Owned::double(subnormal)),
        ),
        // mongod: -NaN with the bits.
        (
            Owned::double(signalling),
            Target::Decimal,
            Some(decimal("NaN")),
            Some(decimal("NaN")),
        ),
        // mongod: 1901-12-13.
        (
            object_id(0x80),
            Target::Date,
            Some(date(2_147_483_648_000)),
            Some(date(2_147_483_648_000)),
        ),
    ] {
        for (lossy, expected) in [(LossPolicy::Fail, strict), (LossPolicy::Allow, allowed)] {
            let mut bytes = Vec::new();
            let written = write(value.value(), to, lossy, &mut bytes).ok();
            let found = written.map(|()| Owned {
                kind: to.kind(),
                bytes,
            });
            assert_eq!(found, expected, "{value:?} to {to:?}, {lossy:?}");
        }
    }
}
