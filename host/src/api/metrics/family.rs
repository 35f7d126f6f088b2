//! Metric families and their types, as Prometheus defines them
//! (<https://prometheus.io/docs/concepts/metric_types/>).

use std::marker::PhantomData;

use crate::model::latency::{LATENCY_BOUNDS_SECONDS, LatencyHistogram};

/// A metric family: name, unit, help, type `T` and the names of its `L` labels.
///
/// Families are constants, so that `new` checks them when tidegate is compiled.
pub(super) struct Family<T, const L: usize> {
    /// Without the suffix `_total` of a counter's samples.
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// A sentence without its full stop.
    pub(super) help: &'static str,
    pub(super) labels: [&'static str; L],
    metric_type: PhantomData<T>,
}

/// Unit of a family's values; the last word of its name.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// A number without a unit.
    One,
    Seconds,
    Bytes,
}

/// A metric type: how one value, of one set of labels, becomes samples.
pub(super) trait MetricType {
    /// The word for the type in a `# TYPE` line.
    const NAME: &'static str;
    /// Suffix of the samples' names that is part of the family's name in Prometheus's format only.
    const TOTAL: &'static str = "";
    type Value;

    fn samples(value: Self::Value) -> Vec<Sample>;
}

/// One line of a family.
pub(super) struct Sample {
    /// Suffix of the family's name.
    pub(super) suffix: &'static str,
    /// A label beside those of the family: `quantile` or `le`.
    pub(super) label: Option<(&'static str, String)>,
    pub(super) value: f64,
}

/// A value that goes up and down.
pub(super) struct Gauge;

/// A value that only goes up.
pub(super) struct Counter;

/// Quantiles that the process computes.
pub(super) struct Summary;

/// A distribution over the buckets of [`LatencyHistogram`], for families in seconds.
pub(super) struct Histogram;

/// The number in a sample. Prometheus has 64-bit floats only.
#[derive(Clone, Copy)]
pub(super) struct Number(f64);

impl<T: MetricType, const L: usize> Family<T, L> {
    /// Panics, which fails the compilation of a constant, where the name is not one of Prometheus's, does not end
    /// with the unit, or ends with a suffix of samples, and where the help is missing or would need escapes.
    pub(super) const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; L],
    ) -> Self {
        assert!(is_name(name.as_bytes()), "letters, digits and '_'");
        assert!(unit.is_of(name), "the name ends with its unit");
        assert!(!ends_with(name, "_total"), "samples of counters get it");
        assert!(is_help(help.as_bytes()), "a sentence without full stop");
        Self {
            name,
            unit,
            help,
            labels,
            metric_type: PhantomData,
        }
    }
}

impl Unit {
    /// The unit's word in a name and in a `# UNIT` line.
    pub(super) const fn word(self) -> Option<&'static str> {
        match self {
            Self::One => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
        }
    }

    const fn is_of(self, name: &str) -> bool {
        match self {
            Self::One => !Self::Seconds.is_of(name) && !Self::Bytes.is_of(name),
            Self::Seconds => ends_with(name, "_seconds"),
            Self::Bytes => ends_with(name, "_bytes"),
        }
    }
}

const fn ends_with(text: &str, end: &str) -> bool {
    let (mut text, mut end) = (text.as_bytes(), end.as_bytes());
    while let [rest_of_end @ .., wanted] = end {
        match text {
            [rest @ .., last] if *last == *wanted => (text, end) = (rest, rest_of_end),
            _ => return false,
        }
    }
    true
}

const fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, more @ ..] = rest {
        if !matches!(first, b'a'..=b'z' | b'0'..=b'9' | b'_') {
            return false;
        }
        rest = more;
    }
    matches!(name, [b'a'..=b'z', ..])
}

const fn is_help(help: &[u8]) -> bool {
    let mut rest = help;
    while let [first, more @ ..] = rest {
        if matches!(first, b'\\' | b'\n') {
            return false;
        }
        rest = more;
    }
    !matches!(help, [] | [.., b'.'])
}

impl MetricType for Gauge {
    const NAME: &'static str = "gauge";
    type Value = Number;

    fn samples(Number(value): Number) -> Vec<Sample> {
        vec![Sample {
            suffix: "",
            label: None,
            value,
        }]
    }
}

impl MetricType for Counter {
    const NAME: &'static str = "counter";
    const TOTAL: &'static str = "_total";
    type Value = Number;

    fn samples(Number(value): Number) -> Vec<Sample> {
        vec![Sample {
            suffix: Self::TOTAL,
            label: None,
            value,
        }]
    }
}

impl MetricType for Summary {
    const NAME: &'static str = "summary";
    /// Each quantile, as it is written, and its value.
    type Value = Vec<(&'static str, Number)>;

    fn samples(quantiles: Self::Value) -> Vec<Sample> {
        quantiles
            .into_iter()
            .map(|(quantile, Number(value))| Sample {
                suffix: "",
                label: Some(("quantile", quantile.to_owned())),
                value,
            })
            .collect()
    }
}

impl MetricType for Histogram {
    const NAME: &'static str = "histogram";
    type Value = LatencyHistogram;

    fn samples(LatencyHistogram { counts, sum }: LatencyHistogram) -> Vec<Sample> {
        // Debug writes whole numbers as "1.0", the canonical form of OpenMetrics.
        let bounds = LATENCY_BOUNDS_SECONDS.map(|bound| format!("{bound:?}"));
        let bounds = bounds.into_iter().chain(["+Inf".to_owned()]);
        let mut count = 0;
        let buckets = counts.into_iter().zip(bounds).map(|(more, bound)| {
            count += more;
            Sample {
                suffix: "_bucket",
                label: Some(("le", bound)),
                value: Number::from(count).0,
            }
        });
        let mut samples: Vec<Sample> = buckets.collect();
        for (suffix, value) in [
            ("_sum", sum.as_secs_f64()),
            // Invariant: equal to the last bucket.
            ("_count", Number::from(count).0),
        ] {
            samples.push(Sample {
                suffix,
                label: None,
                value,
            });
        }
        samples
    }
}

impl Number {
    /// Seconds, of microseconds.
    pub(super) fn seconds_of_us(us: u64) -> Self {
        Self(Self::from(us).0 / 1e6)
    }
}

impl From<u64> for Number {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

/// 1 for true, 0 for false.
impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self(u8::from(value).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a family of this description compiles as a constant.
    fn is_accepted(name: &'static str, unit: Unit, help: &'static str) -> bool {
        std::panic::catch_unwind(|| Family::<Gauge, 0>::new(name, unit, help, [])).is_ok()
    }

    #[test]
    fn a_family_has_a_name_with_its_unit_and_a_help() {
        for (name, unit, help, accepted) in [
            ("lag_seconds", Unit::Seconds, "Lag", true),
            ("warnings", Unit::One, "Warnings", true),
            ("lag", Unit::Seconds, "Lag", false),
            ("lag_seconds", Unit::One, "Lag", false),
            ("lag_seconds", Unit::Bytes, "Lag", false),
            ("seconds", Unit::Seconds, "Lag", false),
            ("events_total", Unit::One, "Events", false),
            ("", Unit::One, "Nothing", false),
            ("1_lag", Unit::One, "Lag", false),
            ("lag-time", Unit::One, "Lag", false),
            ("warnings", Unit::One, "", false),
            ("warnings", Unit::One, "Warnings.", false),
            ("warnings", Unit::One, "Warnings\nof all", false),
        ] {
            assert_eq!(is_accepted(name, unit, help), accepted, "{name}: {help}");
        }
    }
}
