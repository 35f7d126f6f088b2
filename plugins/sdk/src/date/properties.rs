//! Dates against the `time` crate, for all years of its range.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::*;

/// From the start of year -9999 to the end of year 9999.
const DATES: std::ops::Range<i64> = -377_705_116_800_000..253_402_300_800_000;

fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn read(date: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(date) * 1_000_000)
        .expect("a year of the range")
}

/// A date and time in the form of text; the day need not exist.
#[derive(Clone, Debug)]
struct Fields {
    date: (i32, u8, u8),
    time: (u8, u8, u8),
    /// Microseconds.
    fraction: u32,
    offset: (i8, i8),
}

fn fields() -> impl Strategy<Value = Fields> {
    let date = (0..=9999_i32, 1..=12_u8, 1..=31_u8);
    let time = (0..24_u8, 0..60_u8, 0..60_u8);
    let fraction = prop_oneof![0..1_000_000_u32, (0..1_000_u32).prop_map(|ms| ms * 1_000)];
    let offset = (0..24_i8, 0..60_i8, any::<bool>()).prop_map(|(hours, minutes, ahead)| {
        if ahead {
            (hours, minutes)
        } else {
            (-hours, -minutes)
        }
    });
    (date, time, fraction, offset).prop_map(|(date, time, fraction, offset)| Fields {
        date,
        time,
        fraction,
        offset,
    })
}

impl Fields {
    /// In milliseconds since 1970, rounded down.
    fn date(&self) -> Option<i64> {
        let (year, month, day) = self.date;
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        let (hour, minute, second) = self.time;
        let time = Time::from_hms_micro(hour, minute, second, self.fraction).ok()?;
        let offset = UtcOffset::from_hms(self.offset.0, self.offset.1, 0).ok()?;
        let nanoseconds = date
            .with_time(time)
            .assume_offset(offset)
            .unix_timestamp_nanos();
        i64::try_from(nanoseconds.div_euclid(1_000_000)).ok()
    }

    fn text(&self, separator: char, colon: &str) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date, self.time);
        let (hours, minutes) = self.offset;
        let sign = if hours < 0 || minutes < 0 { '-' } else { '+' };
        format!(
            "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}.{:06}{sign}{:02}{colon}{:02}",
            self.fraction,
            hours.abs(),
            minutes.abs(),
        )
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn days_and_text_are_those_of_the_calendar(date in DATES) {
        let theirs = read(date);
        let (year, month, day) = (theirs.year(), u8::from(theirs.month()), theirs.day());
        prop_assert_eq!(calendar_day(date), (year.into(), month.into(), day.into()));
        let midnight = theirs.replace_time(Time::MIDNIGHT).unix_timestamp();
        prop_assert_eq!(start_of_day(year.into(), month.into(), day.into()), midnight * 1_000);
        let (hour, minute, second, ms) = theirs.time().as_hms_milli();
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
        prop_assert_eq!(to_text(date), (0..=9999).contains(&year).then_some(text));
    }

    #[test]
    fn text_is_read_where_the_calendar_has_the_day(
        fields in fields(),
        separator in prop::sample::select(&['T', 't', ' '][..]),
        colon in prop::sample::select(&["", ":"][..]),
    ) {
        let text = fields.text(separator, colon);
        let expected = fields.date().map(|date| ParsedDate {
            date,
            is_exact: fields.fraction.is_multiple_of(1_000),
        });
        prop_assert_eq!(parse(&text), expected, "{}", text);
    }
}
