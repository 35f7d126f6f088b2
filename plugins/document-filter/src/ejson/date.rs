//! Dates as RFC 3339 writes them, into milliseconds since 1970.

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// `2024-01-31T23:59:59Z`, with up to three digits of a fraction, or with an
/// offset as in `+01:00`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (time, offset_ms) = split_offset(time)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, fraction_ms) = split_fraction(time)?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = (hour * 60 + minute) * 60 + second;
    let local = days_before(year, month, day) * DAY_MS + seconds * 1000 + fraction_ms;
    valid.then_some(local - offset_ms)
}

/// The time without its offset, and the offset.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let (time, offset) = time.split_at_checked(time.find(['+', '-'])?)?;
    let (sign, offset) = match offset.strip_prefix('-') {
        Some(offset) => (-1, offset),
        None => (1, offset.strip_prefix('+')?),
    };
    let [hours, minutes] = numbers(offset, ':', [2, 2])?;
    let valid = hours < 24 && minutes < 60;
    valid.then_some((time, sign * (hours * 60 + minutes) * 60_000))
}

/// The time without its fraction, and the fraction in milliseconds.
fn split_fraction(time: &str) -> Option<(&str, i64)> {
    let Some((time, fraction)) = time.split_once('.') else {
        return Some((time, 0));
    };
    let scale = match fraction.len() {
        1 => 100,
        2 => 10,
        3 => 1,
        _ => return None,
    };
    Some((time, digits(fraction)? * scale))
}

/// Numbers of these many digits each, and `separator` between them.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = digits(parts.next().filter(|part| part.len() == width)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str) -> Option<i64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to a day of a year from 0 to 9999.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // The leap days of the years before this one; year 0 was one.
    let before = year - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    let from_year_one = before * 365 + leap_days + months + day - 1;
    from_year_one - 719_162
}
