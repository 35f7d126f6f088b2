//! The text of a scrape, in Prometheus's format (version 0.0.4) or in OpenMetrics 1.0. A counter is described under the
//! name of its samples in Prometheus's format, and under the name without `_total` in OpenMetrics.

use std::fmt::Write;

use super::family::{Family, MetricType, Sample, Unit};

/// Text format of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

/// The numbers of a moment. Families stand in the order of their first samples.
///
/// Invariant: each family stands once, whatever the order of calls.
#[derive(Default)]
pub(super) struct Exposition {
    pub(super) families: Vec<FamilyRecord>,
}

/// A family and its samples.
pub(super) struct FamilyRecord {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    pub(super) help: &'static str,
    /// The word for the type in a `# TYPE` line.
    pub(super) type_name: &'static str,
    /// Suffix of the samples' names that is part of the family's name in Prometheus's format only.
    total: &'static str,
    pub(super) points: Vec<Point>,
}

/// The samples of one set of labels.
pub(super) struct Point {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) samples: Vec<Sample>,
}

impl Format {
    /// The format for the values of `Accept`.
    pub(super) fn of<'a>(mut accepted: impl Iterator<Item = &'a str>) -> Self {
        if accepted.any(|value| value.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Exposition {
    /// Adds the samples of `value` to `family`, with the values of the family's labels.
    pub(super) fn add<T: MetricType, const L: usize>(
        &mut self,
        family: &Family<T, L>,
        labels: [&str; L],
        value: impl Into<T::Value>,
    ) {
        let labels = family.labels.into_iter().zip(labels.map(str::to_owned));
        let point = Point {
            labels: labels.collect(),
            samples: T::samples(value.into()),
        };
        let recorded = self.families.iter_mut().find(|it| it.name == family.name);
        match recorded {
            Some(recorded) => recorded.points.push(point),
            None => self.families.push(FamilyRecord {
                name: family.name,
                unit: family.unit,
                help: family.help,
                type_name: T::NAME,
                total: T::TOTAL,
                points: vec![point],
            }),
        }
    }

    /// Adds the sample of a family without labels. An unknown value is left out, and the family with it.
    pub(super) fn add_if_known<T: MetricType>(
        &mut self,
        family: &Family<T, 0>,
        value: Option<impl Into<T::Value>>,
    ) {
        if let Some(value) = value {
            self.add(family, [], value);
        }
    }

    /// The text of all families.
    pub(super) fn text(&self, format: Format) -> String {
        let mut text = String::new();
        for family in &self.families {
            text.push_str(&description(format, family));
            for point in &family.points {
                for sample in &point.samples {
                    write_sample(&mut text, family.name, &point.labels, sample);
                }
            }
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

fn description(format: Format, family: &FamilyRecord) -> String {
    let name = family.name;
    let (total, unit) = match format {
        Format::Prometheus => (family.total, None),
        Format::OpenMetrics => ("", family.unit.word()),
    };
    let mut text = format!(
        "# HELP {name}{total} {}.\n# TYPE {name}{total} {}\n",
        family.help, family.type_name
    );
    if let Some(unit) = unit {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# UNIT {name} {unit}");
    }
    text
}

fn write_sample(
    text: &mut String,
    family: &str,
    labels: &[(&'static str, String)],
    sample: &Sample,
) {
    let labels: Vec<String> = labels
        .iter()
        .chain(&sample.label)
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    let labels = match labels.as_slice() {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{family}{}{labels} {}", sample.suffix, sample.value);
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::metrics::family::{Counter, Gauge, Histogram};
    use crate::model::latency::LatencyHistogram;

    const A: Family<Counter, 0> = Family::new("a", Unit::One, "Help", []);
    const B: Family<Gauge, 0> = Family::new("b", Unit::One, "Help", []);
    const C: Family<Gauge, 1> = Family::new("c_seconds", Unit::Seconds, "Help", ["x"]);
    const D: Family<Histogram, 1> = Family::new("d_seconds", Unit::Seconds, "Help", ["x"]);

    #[test]
    fn f61_both_formats_describe_what_they_show() {
        let text = |format| {
            let mut exposition = Exposition::default();
            exposition.add(&A, [], 2_u64);
            exposition.add_if_known(&B, None::<u64>);
            exposition.add(&C, ["\"\\\n"], 0.5);
            exposition.text(format)
        };
        assert_eq!(
            text(Format::Prometheus),
            "# HELP a_total Help.\n# TYPE a_total counter\na_total 2\n\
             # HELP c_seconds Help.\n# TYPE c_seconds gauge\nc_seconds{x=\"\\\"\\\\\\n\"} 0.5\n"
        );
        assert_eq!(
            text(Format::OpenMetrics),
            "# HELP a Help.\n# TYPE a counter\na_total 2\n\
             # HELP c_seconds Help.\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\n\
             c_seconds{x=\"\\\"\\\\\\n\"} 0.5\n# EOF\n"
        );
    }

    #[test]
    fn a_family_is_described_once_and_its_samples_stand_together() {
        let mut exposition = Exposition::default();
        exposition.add(&C, ["1"], 0.5);
        exposition.add(&A, [], 2_u64);
        exposition.add(&C, ["2"], true);
        assert_eq!(
            exposition.text(Format::Prometheus),
            "# HELP c_seconds Help.\n# TYPE c_seconds gauge\nc_seconds{x=\"1\"} 0.5\nc_seconds{x=\"2\"} 1\n\
             # HELP a_total Help.\n# TYPE a_total counter\na_total 2\n"
        );
    }

    #[test]
    fn buckets_of_a_histogram_are_cumulative_and_end_with_the_count() {
        let mut histogram = LatencyHistogram {
            sum: Duration::from_millis(12_300),
            ..LatencyHistogram::default()
        };
        for (bucket, count) in histogram.counts.iter_mut().enumerate() {
            *count = u64::from(matches!(bucket, 0 | 12 | 16));
        }
        let mut exposition = Exposition::default();
        exposition.add(&D, ["y"], histogram);
        let text = exposition.text(Format::Prometheus);
        assert!(text.starts_with("# HELP d_seconds Help.\n# TYPE d_seconds histogram\n"));
        for line in [
            r#"d_seconds_bucket{x="y",le="0.0001"} 1"#,
            r#"d_seconds_bucket{x="y",le="0.5"} 1"#,
            r#"d_seconds_bucket{x="y",le="1.0"} 2"#,
            r#"d_seconds_bucket{x="y",le="10.0"} 2"#,
            r#"d_seconds_bucket{x="y",le="+Inf"} 3"#,
            r#"d_seconds_sum{x="y"} 12.3"#,
            r#"d_seconds_count{x="y"} 3"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
