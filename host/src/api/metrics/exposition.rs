//! The text of metrics. In Prometheus's format a counter is described under its sample's name; in
//! OpenMetrics under the name without `_total`.

use std::fmt::Write;

/// One of the two formats that Prometheus reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
}

/// A metric and its values. The name of a counter has no `_total`.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

/// A value and its labels.
pub(super) type Sample = (Vec<(&'static str, String)>, f64);

impl Format {
    /// The format for the values of `Accept`.
    pub(super) fn of<'a>(mut accepted: impl Iterator<Item = &'a str>) -> Self {
        if accepted.any(|value| value.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Metric {
    pub(super) fn new(
        kind: Kind,
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = Sample>,
    ) -> Self {
        Self {
            name,
            help,
            kind,
            samples: samples.into_iter().collect(),
        }
    }

    fn write(&self, format: Format, text: &mut String) {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        let total = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        let described = match format {
            Format::Prometheus => format!("{}{total}", self.name),
            Format::OpenMetrics => self.name.to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {described} {}.", self.help);
        let _ = writeln!(text, "# TYPE {described} {kind}");
        for (labels, value) in &self.samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(text, "{}{total}{labels} {value}", self.name);
        }
    }
}

/// The text of metrics; of one without a value, nothing.
pub(super) fn text(format: Format, metrics: impl Iterator<Item = Metric>) -> String {
    let mut text = String::new();
    for metric in metrics.filter(|metric| !metric.samples.is_empty()) {
        metric.write(format, &mut text);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f61_both_formats_describe_what_they_show() {
        let metrics = || {
            [
                Metric::new(Kind::Counter, "a", "Help", [(vec![], 2.0)]),
                Metric::new(Kind::Gauge, "b", "Help", []),
                Metric::new(
                    Kind::Gauge,
                    "c_seconds",
                    "Help",
                    [(vec![("x", "\"\\\n".to_owned())], 0.5)],
                ),
            ]
            .into_iter()
        };
        assert_eq!(
            text(Format::Prometheus, metrics()),
            "# HELP a_total Help.\n# TYPE a_total counter\na_total 2\n\
             # HELP c_seconds Help.\n# TYPE c_seconds gauge\nc_seconds{x=\"\\\"\\\\\\n\"} 0.5\n"
        );
        assert_eq!(
            text(Format::OpenMetrics, metrics()),
            "# HELP a Help.\n# TYPE a counter\na_total 2\n\
             # HELP c_seconds Help.\n# TYPE c_seconds gauge\nc_seconds{x=\"\\\"\\\\\\n\"} 0.5\n# EOF\n"
        );
    }
}
