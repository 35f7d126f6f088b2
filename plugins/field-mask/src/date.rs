//! Truncation of dates to a unit of the UTC calendar.

use tidegate_plugin_sdk::date::{DAY_MS, calendar_day, start_of_day};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

impl Unit {
    /// The start of the unit that contains `date`, in milliseconds since 1970.
    pub(crate) fn truncate(self, date: i64) -> i64 {
        let floor = |unit: i64| date.div_euclid(unit).saturating_mul(unit);
        let (year, month, _day) = match self {
            Self::Minute => return floor(MINUTE_MS),
            Self::Hour => return floor(HOUR_MS),
            Self::Day => return floor(DAY_MS),
            Self::Month | Self::Year => calendar_day(date),
        };
        start_of_day(year, if self == Self::Year { 1 } else { month }, 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use time::{Month, OffsetDateTime, Time};

    use super::*;

    fn truncated(date: &str, unit: Unit) -> String {
        let date = bson::DateTime::parse_rfc3339_str(date).expect(date);
        bson::DateTime::from_millis(unit.truncate(date.timestamp_millis()))
            .try_to_rfc3339_string()
            .expect("a date of the calendar")
    }

    #[test]
    fn dates_are_cut_down_to_the_beginning_of_a_unit() {
        use Unit::{Day, Hour, Minute, Month, Year};
        for (date, unit, expected) in [
            ("2024-02-29T23:59:59.999Z", Minute, "2024-02-29T23:59:00Z"),
            ("2024-02-29T23:59:59.999Z", Hour, "2024-02-29T23:00:00Z"),
            ("2024-02-29T23:59:59.999Z", Day, "2024-02-29T00:00:00Z"),
            ("2024-02-29T23:59:59.999Z", Month, "2024-02-01T00:00:00Z"),
            ("2024-02-29T23:59:59.999Z", Year, "2024-01-01T00:00:00Z"),
            ("1900-03-01T00:00:00Z", Year, "1900-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.999Z", Minute, "1969-12-31T23:59:00Z"),
            ("1969-12-31T23:59:59.999Z", Day, "1969-12-31T00:00:00Z"),
            ("1969-12-31T23:59:59.999Z", Year, "1969-01-01T00:00:00Z"),
            ("1583-07-19T08:30:00Z", Month, "1583-07-01T00:00:00Z"),
        ] {
            assert_eq!(truncated(date, unit), expected, "{date} to {unit:?}");
        }
    }

    #[test]
    fn no_date_is_too_far_away() {
        use Unit::{Day, Hour, Minute, Month, Year};
        for unit in [Year, Month, Day, Hour, Minute] {
            for date in [i64::MIN, i64::MIN + 1, i64::MAX] {
                assert!(unit.truncate(date) <= date, "{date} to {unit:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 500,
            rng_seed: RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// For all years of the `time` crate, -9999 to 9999.
        #[test]
        fn a_unit_begins_where_the_calendar_says(date in -377_705_116_800_000..253_402_300_800_000_i64) {
            let read = OffsetDateTime::from_unix_timestamp_nanos(i128::from(date) * 1_000_000).expect("a date");
            let day = read.replace_time(Time::MIDNIGHT);
            let month = day.replace_day(1).expect("a day");
            let hour = Time::from_hms(read.hour(), 0, 0).expect("a time");
            let minute = Time::from_hms(read.hour(), read.minute(), 0).expect("a time");
            for (unit, expected) in [
                (Unit::Year, month.replace_month(Month::January).expect("a month")),
                (Unit::Month, month),
                (Unit::Day, day),
                (Unit::Hour, read.replace_time(hour)),
                (Unit::Minute, read.replace_time(minute)),
            ] {
                prop_assert_eq!(unit.truncate(date), expected.unix_timestamp() * 1_000, "{:?}", unit);
            }
        }
    }
}
