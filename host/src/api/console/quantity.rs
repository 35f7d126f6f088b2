//! Numbers, sizes, durations, times and digests as people read them.

/// With a comma between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In bytes, kB, MB, GB or TB of 1,000 each.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn size(bytes: u64) -> String {
    scaled(bytes as f64)
}

/// A rate in bytes a second.
pub(super) fn size_rate(bytes: f64) -> String {
    format!("{}/s", scaled(bytes))
}

/// A rate of events, a second.
pub(super) fn rate(events: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, and not negative"
    )]
    let whole = events.round() as u64;
    format!("{}/s", count(whole))
}

fn scaled(mut number: f64) -> String {
    for unit in ["B", "kB", "MB", "GB"] {
        if number < 1_000.0 {
            let digits = usize::from(unit != "B" && number < 100.0);
            return format!("{number:.digits$} {unit}");
        }
        number /= 1_000.0;
    }
    format!("{number:.1} TB")
}

/// In the two largest units.
pub(super) fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let shown = parts.iter().skip_while(|(number, _)| *number == 0);
    let shown: Vec<_> = shown
        .take(2)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    match shown.is_empty() {
        true => "0 s".to_owned(),
        false => shown.join(" "),
    }
}

/// Seconds since the Unix epoch as RFC 3339, in UTC.
pub(super) fn time(seconds: u32) -> String {
    let time = bson::DateTime::from_millis(i64::from(seconds) * 1_000);
    // Every 32-bit number of seconds is a time that RFC 3339 can write.
    time.try_to_rfc3339_string().unwrap_or_default()
}

/// The same, as people read it: `2026-11-28 08:55:12`.
pub(super) fn readable(rfc3339: &str) -> String {
    let text = rfc3339.replace('T', " ");
    text.trim_end_matches('Z').chars().take(19).collect()
}

/// The first characters of a digest.
pub(super) fn short(digest: &str) -> String {
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0, 999, 1_000, 12_345, 123_456_789, 5_000_000_000_000].map(size),
            ["0 B", "999 B", "1.0 kB", "12.3 kB", "123 MB", "5.0 TB"]
        );
        assert_eq!(
            [0, 59, 60, 3_600, 3_661, 90_061].map(duration),
            ["0 s", "59 s", "1 min", "1 h", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!(time(1_790_000_000), "2026-09-21T14:13:20Z");
        assert_eq!(readable(&time(1_790_000_000)), "2026-09-21 14:13:20");
    }
}
