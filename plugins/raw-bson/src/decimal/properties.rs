//! Decimals against the `bson` crate, and against exact arithmetic where the crate has no equivalent.

use bson::Decimal128;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const TEN_TO_33: u128 = 10_u128.pow(33);

fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 500,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A finite number, with exponents near the points where the form of the text changes.
fn finite() -> impl Strategy<Value = Decimal> {
    let coefficient = prop_oneof![0..1_000_u128, 0..=MAX_COEFFICIENT];
    (any::<bool>(), coefficient, -45..=6_i32).prop_map(|(negative, coefficient, exponent)| Finite {
        negative,
        coefficient,
        exponent,
    })
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn decimals_are_read_and_written_as_the_driver_does(bits in any::<u128>(), exponent in 6_000_u128..6_400) {
        // Random bits, a zero, and a number near 1, whose text has no exponent.
        for bits in [bits, exponent << 113, (exponent << 113) | (bits >> 64)] {
            let driver = Decimal128::from_bytes(bits.to_le_bytes()).to_string();
            let ours = Decimal::from_le_bytes(bits.to_le_bytes());
            prop_assert_eq!(ours.to_string(), driver.clone());
            let parsed = Decimal::parse(&driver).map(|parsed| parsed.value.to_le_bytes());
            let driver = driver.parse::<Decimal128>().map(|decimal| decimal.bytes());
            prop_assert_eq!(parsed, driver.ok());
        }
    }

    /// The driver refuses such text. The digits after the 34th are given by their distance to a tie.
    #[test]
    fn past_34_digits_the_nearest_is_taken_and_of_two_the_even(
        kept in prop_oneof![TEN_TO_33..10 * TEN_TO_33, Just(10 * TEN_TO_33 - 1)],
        dropped in 1..=4_u32,
        from_tie in prop_oneof![-1..=1_i128, -5_000..5_000_i128],
        exponent in -100..100_i32,
    ) {
        let power = 10_u128.pow(dropped);
        let rest = (i128::try_from(power / 2).unwrap() + from_tie).clamp(0, i128::try_from(power).unwrap() - 1);
        let rest = u128::try_from(rest).unwrap();
        let up = rest * 2 > power || rest * 2 == power && kept % 2 == 1;
        let rounded = kept + u128::from(up);
        let mut expected = (rounded, exponent + i32::try_from(dropped).unwrap());
        if rounded > MAX_COEFFICIENT {
            expected = (rounded / 10, expected.1 + 1);
        }
        let text = format!("-{}E{exponent}", kept * power + rest);
        let found = Decimal::parse(&text).unwrap();
        let (coefficient, exponent) = expected;
        prop_assert_eq!(found.value, Finite { negative: true, coefficient, exponent }, "{}", text);
        prop_assert_eq!(found.is_exact, rest == 0);
    }

    #[test]
    fn the_whole_part_stands_before_the_point(decimal in finite()) {
        let Finite { negative, coefficient, exponent } = decimal else { unreachable!() };
        let digits = format!("{coefficient}{}", "0".repeat(usize::try_from(exponent).unwrap_or(0)));
        let fraction = usize::try_from(-exponent).unwrap_or(0);
        let (whole, rest) = digits.split_at(digits.len().saturating_sub(fraction));
        let whole: Option<i128> = if whole.is_empty() { Some(0) } else { whole.parse().ok() };
        let expected = whole.map(|whole| Conversion {
            value: if negative { -whole } else { whole },
            is_exact: rest.bytes().all(|digit| digit == b'0'),
        });
        prop_assert_eq!(decimal.whole(), expected);
    }

    #[test]
    fn the_nearest_double_is_that_of_the_text(decimal in finite(), far in -400..400_i32) {
        let Finite { negative, coefficient, exponent } = decimal else { unreachable!() };
        let decimal = Finite { negative, coefficient, exponent: exponent + far };
        let nearest: f64 = Decimal128::from_bytes(decimal.to_le_bytes()).to_string().parse().unwrap();
        let in_range = nearest.is_finite() && (nearest != 0.0 || coefficient == 0);
        let found = decimal.to_f64().map(|converted| converted.value.to_bits());
        prop_assert_eq!(found, in_range.then(|| nearest.to_bits()));
    }

    #[test]
    fn doubles_and_integers_come_back(double in any::<f64>(), integer in any::<i64>()) {
        let back = Decimal::from_f64(double).to_f64().unwrap();
        prop_assert!(back.is_exact);
        prop_assert!(back.value.to_bits() == double.to_bits() || back.value.is_nan() && double.is_nan());
        let decimal = Decimal::from_i64(integer);
        prop_assert_eq!(decimal.to_string(), integer.to_string());
        prop_assert_eq!(decimal.whole().unwrap().value, i128::from(integer));
    }
}
