//! Decimals as text, and as doubles and integers.

use super::*;

fn parsed(text: &str) -> Decimal {
    Decimal::parse(text).expect(text).value
}

#[test]
fn text_is_kept_as_the_specification_writes_it() {
    for (text, written) in [
        ("0", "0"),
        ("-0.00", "-0.00"),
        ("1.10", "1.10"),
        ("-5.9", "-5.9"),
        ("1E+3", "1E+3"),
        ("1e3", "1E+3"),
        ("12e-3", "0.012"),
        ("1e-6", "0.000001"),
        ("1e-7", "1E-7"),
        ("123e-9", "1.23E-7"),
        ("0e7000", "0E+6111"),
        ("0e-7000", "0E-6176"),
        ("10e-6177", "1E-6176"),
        ("1e6144", "1.000000000000000000000000000000000E+6144"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+007", "7"),
        ("-inf", "-Infinity"),
        ("nan", "NaN"),
    ] {
        let decimal = Decimal::parse(text).expect(text);
        assert_eq!(decimal.value.to_string(), written, "{text}");
        assert!(decimal.is_exact, "{text}");
        assert_eq!(
            Decimal::from_le_bytes(decimal.value.to_le_bytes()),
            decimal.value
        );
    }
}

#[test]
fn past_34_digits_it_is_rounded_half_to_even() {
    let nines = "9".repeat(34);
    for (text, written) in [
        (
            "1.2345678901234567890123456789012345",
            "1.234567890123456789012345678901234",
        ),
        (
            "1.2345678901234567890123456789012355",
            "1.234567890123456789012345678901236",
        ),
        (
            "1.23456789012345678901234567890123450001",
            "1.234567890123456789012345678901235",
        ),
        (
            &format!("{nines}5"),
            "1.000000000000000000000000000000000E+35",
        ),
        (&format!("0.{nines}4"), &format!("0.{nines}")),
    ] {
        let decimal = Decimal::parse(text).expect(text);
        assert_eq!(decimal.value.to_string(), written, "{text}");
        assert!(!decimal.is_exact, "{text}");
    }
}

#[test]
fn other_text_is_refused() {
    for text in [
        "",
        "-",
        "+",
        ".",
        "e5",
        "1e",
        "1e+",
        "0x1F",
        " 5",
        "5 ",
        "1_000",
        "1.2.3",
        "--1",
        "infinite",
        "1e6145",
        "1e-6177",
        "1e99999999999",
    ] {
        assert_eq!(Decimal::parse(text), None, "{text}");
    }
}

#[test]
fn doubles_come_and_go_whole() {
    for (double, written) in [
        (2.5, "2.50000000000000"),
        (-0.0, "-0"),
        (0.1, "0.100000000000000"),
        (1e21, "1.00000000000000E+21"),
        (0.1 + 0.2, "0.30000000000000004"),
        (f64::MAX, "1.7976931348623157E+308"),
        (5e-324, "4.94065645841247E-324"),
        (f64::NEG_INFINITY, "-Infinity"),
        (f64::NAN, "NaN"),
    ] {
        let decimal = Decimal::from_f64(double);
        assert_eq!(decimal.to_string(), written);
        let back = decimal.to_f64().expect(written);
        assert_eq!(
            back.value.total_cmp(&double),
            std::cmp::Ordering::Equal,
            "{written}"
        );
        assert!(back.is_exact, "{written}");
    }
    for lost in [
        "1.2345678901234567890",
        "9007199254740993",
        "0.1000000000000000055",
    ] {
        assert!(!parsed(lost).to_f64().expect(lost).is_exact, "{lost}");
    }
    assert_eq!(parsed("1e400").to_f64(), None);
    assert_eq!(parsed("1e-400").to_f64(), None);
}

#[test]
fn the_whole_part_says_whether_it_is_all() {
    for (text, value, is_exact) in [
        ("5.000", 5, true),
        ("-5.9", -5, false),
        ("1E+3", 1_000, true),
        ("1E-400", 0, false),
        ("0E+400", 0, true),
        ("9223372036854775808", 9_223_372_036_854_775_808, true),
    ] {
        let whole = parsed(text).whole().expect(text);
        assert_eq!((whole.value, whole.is_exact), (value, is_exact), "{text}");
    }
    for text in ["1E+400", "NaN", "Infinity", "1E+38"] {
        assert!(
            parsed(text)
                .whole()
                .is_none_or(|whole| whole.value > i128::from(i64::MAX)),
            "{text}"
        );
    }
}
