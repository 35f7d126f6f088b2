//! BSON dates, in milliseconds since 1970 (UTC): calendar arithmetic and text.
//!
//! The calendar is the proleptic Gregorian calendar, like the server's, also before 1970.

/// The milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// The days of an era of 400 years, the period of the calendar.
const ERA_DAYS: i64 = 146_097;
/// The days from 1 March of year 0, the start of an era, to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

/// Year, month and day of a date.
pub fn calendar_day(date: i64) -> (i64, i64, i64) {
    // Years start in March, so that a leap day is the last day of its year.
    let days = date.div_euclid(DAY_MS) + DAYS_TO_1970;
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = (months_from_march + 2) % 12 + 1;
    let year = 400 * days.div_euclid(ERA_DAYS) + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The date at the start of a day.
pub fn start_of_day(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = year.div_euclid(400) * ERA_DAYS + day_of_era - DAYS_TO_1970;
    days.saturating_mul(DAY_MS)
}

/// The text that `$convert` makes of a date, as in `2018-03-27T16:58:51.538Z`. `None` outside the years 0 to
/// 9999.
pub fn to_text(date: i64) -> Option<String> {
    let (year, month, day) = calendar_day(date);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let ms = date.rem_euclid(DAY_MS);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, ms) = (ms / 1_000 % 60, ms % 1_000);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    ))
}

/// A parsed date, and whether it is exact: text may have microseconds, which a date has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedDate {
    /// Milliseconds since 1970 in UTC.
    pub date: i64,
    /// Whether the text has no digits below a millisecond, other than zeros.
    pub is_exact: bool,
}

/// Parses ISO 8601: `2018-03-27`, or a time after `T` or a blank, as in `2018-03-27T16:58`, `…:51` and
/// `…:51.538`, followed by `Z`, `+01`, `+0100` or `+01:00`. The default is UTC. `None` for other text, and for
/// days that the calendar does not have.
pub fn parse(text: &str) -> Option<ParsedDate> {
    let mut rest = Cursor(text.as_bytes());
    let year = rest.number(4)?;
    rest.expect(b"-")?;
    let month = rest.number(2)?;
    rest.expect(b"-")?;
    let day = rest.number(2)?;
    let date = start_of_day(year, month, day);
    let is_real = calendar_day(date) == (year, month, day);
    let (time, is_exact) = if rest.0.is_empty() {
        (0, true)
    } else {
        rest.expect(b"Tt ")?;
        rest.time()?
    };
    (is_real && rest.0.is_empty()).then_some(ParsedDate {
        date: date + time,
        is_exact,
    })
}

/// The rest of the text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// The time of day in milliseconds, in UTC.
    fn time(&mut self) -> Option<(i64, bool)> {
        let hour = self.number(2).filter(|hour| *hour < 24)?;
        self.expect(b":")?;
        let mut ms = (hour * 60 + self.sixtieth()?) * 60_000;
        let mut is_exact = true;
        if self.expect(b":").is_some() {
            ms += self.sixtieth()? * 1_000;
            if self.expect(b".").is_some() {
                let (fraction, exact) = self.fraction()?;
                ms += fraction;
                is_exact = exact;
            }
        }
        Some((ms - self.zone()?, is_exact))
    }

    /// A fraction of a second in milliseconds, and whether it is exact.
    fn fraction(&mut self) -> Option<(i64, bool)> {
        let digits = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (fraction, rest) = self.0.split_at_checked(digits).filter(|_| digits > 0)?;
        self.0 = rest;
        let digit = |at: usize| i64::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
        let ms = 100 * digit(0) + 10 * digit(1) + digit(2);
        Some((ms, fraction.iter().skip(3).all(|byte| *byte == b'0')))
    }

    /// The offset of the local time from UTC, in milliseconds.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.expect(b"Zz").is_some() {
            return Some(0);
        }
        // A blank may precede an offset.
        let _blank = self.expect(b" ");
        let ahead = self.expect(b"+-")? == b'+';
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        let minutes = if self.expect(b":").is_some() || !self.0.is_empty() {
            self.sixtieth()?
        } else {
            0
        };
        let offset = (hours * 60 + minutes) * 60_000;
        Some(if ahead { offset } else { -offset })
    }

    fn sixtieth(&mut self) -> Option<i64> {
        self.number(2).filter(|number| *number < 60)
    }

    /// A number with this many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + i64::from(byte - b'0'))
        })
    }

    /// Takes the next byte, if it is in `bytes`.
    fn expect(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    /// Every day of 2,000 years, by counting.
    #[test]
    fn days_are_where_the_calendar_has_them() {
        let mut date = -719_528 * DAY_MS;
        for year in 0..2_000_i64 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = 28 + i64::from(leap);
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, days) in (1..).zip(months) {
                for day in 1..=days {
                    assert_eq!(calendar_day(date + 12_345), (year, month, day));
                    assert_eq!(start_of_day(year, month, day), date);
                    date += DAY_MS;
                }
            }
        }
    }

    #[test]
    fn no_date_is_too_far_away() {
        for date in [i64::MIN, i64::MAX] {
            let (year, month, day) = calendar_day(date);
            assert!(start_of_day(year, month, day).abs_diff(date) < DAY_MS as u64);
            assert_eq!(to_text(date), None);
        }
    }

    #[test]
    fn text_and_dates_are_the_same() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "2024-02-29T12:34:56.789Z",
        ] {
            let parsed = parse(text).expect(text);
            assert_eq!(to_text(parsed.date).as_deref(), Some(text));
            assert!(parsed.is_exact);
        }
    }

    #[test]
    fn parts_can_be_left_out() {
        for (text, full) in [
            ("2018-03-03", "2018-03-03T00:00:00.000Z"),
            ("2018-03-03T10:20", "2018-03-03T10:20:00.000Z"),
            ("2018-03-03 10:20:30", "2018-03-03T10:20:30.000Z"),
            ("2018-03-03t10:20:30.1z", "2018-03-03T10:20:30.100Z"),
            ("2018-03-03T10:20:30+05:30", "2018-03-03T04:50:30.000Z"),
            ("2018-03-03T10:20:30-0530", "2018-03-03T15:50:30.000Z"),
            ("2018-03-03 10:20:30 +05", "2018-03-03T05:20:30.000Z"),
        ] {
            let parsed = parse(text).expect(text);
            assert_eq!(to_text(parsed.date).as_deref(), Some(full), "{text}");
            assert!(parsed.is_exact, "{text}");
        }
        let fine = parse("2018-03-03T10:20:30.1239Z").expect("a date");
        assert!(fine.date % 1_000 == 123 && !fine.is_exact);
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "2018",
            "2018-02-29",
            "2018-13-01",
            "2018-00-10",
            "2018-01-00",
            "2018-03-03T",
            "2018-03-03T24:00",
            "2018-03-03T10:60",
            "2018-03-03T10:20:60Z",
            "2018-03-03T10:20:30.Z",
            "2018-03-03T10:20:30+5",
            "2018-03-03T10:20:30Zx",
            "2018-03-03x10:20",
            "+018-03-03",
            "3 March 2018",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
