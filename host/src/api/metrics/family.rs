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
    /// The value of one set of labels.
    type Value;

    /// The samples of a value, in the order in which they are written.
    fn samples(value: Self::Value) -> Vec<Sample>;
}

/// A line of a family.
pub(super) struct Sample {
    /// Suffix of the family's name.
    pub(super) suffix: &'static str,
    /// Additional label: `quantile` or `le`.
    pub(super) label: Option<(&'static str, String)>,
    pub(super) value: f64,
}

/// Type of a value that can decrease.
pub(super) struct Gauge;

/// Type of a value that only increases.
pub(super) struct Counter;

/// Type of quantiles that the process computes.
pub(super) struct Summary;

/// Type of a distribution over the buckets of [`LatencyHistogram`], for families in seconds.
pub(super) struct Histogram;

/// The number of a sample. Prometheus has 64-bit floats only.
#[derive(Clone, Copy)]
pub(super) struct Number(f64);

impl<T: MetricType, const L: usize> Family<T, L> {
    /// A family. Its constraints are assertions, which fail the compilation of a constant: a name of Prometheus's
    /// characters that ends with the unit and not with `_total`, and a help that needs no escapes and has no full stop.
    pub(super) const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        labels: [&'static str; L],
    ) -> Self {
        assert!(is_name(name.as_bytes()), "letters, digits and '_' only");
        assert!(unit.is_of(name), "the name has to end with its unit");
        assert!(!ends_with(name, "_total"), "the suffix of samples");
        assert!(is_help(help.as_bytes()), "a sentence, no full stop");
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
    /// The word for the unit in names and in `# UNIT` lines.
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
    /// Microseconds, as seconds.
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
