//! The metrics as OTLP (<https://opentelemetry.io/docs/specs/otlp/>, JSON encoding), sent from time to time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::exposition::{Exposition, FamilyRecord, Point};
use super::family::Sample;
use super::snapshot;
use crate::api::Control;
use crate::model::latency::LATENCY_BOUNDS_SECONDS;
use crate::observe::{OtlpExporter, shortened, telemetry_time, unix_nanos};

/// Interval between two exports.
const EXPORT_EVERY: Duration = Duration::from_secs(15);

/// OTLP's word for counts since the start of the process.
const CUMULATIVE: u8 = 2;

/// Sends the metrics of the host to a collector until `stop` is cancelled, and once more then.
pub async fn export_metrics<C: Control>(
    control: Arc<C>,
    exporter: OtlpExporter,
    stop: CancellationToken,
) {
    let begun = telemetry_time();
    let mut ticks = interval(shortened("TIDEGATE_OTLP_SECONDS", EXPORT_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = tokio::select! {
            _ = ticks.tick() => false,
            () = stop.cancelled() => true,
        };
        let exposition = snapshot(&*control).await;
        exporter.metrics(metrics(&exposition, begun, telemetry_time()));
        if is_last {
            return;
        }
    }
}

/// Each family as a metric. Summaries are left out: each has a histogram beside it.
fn metrics(exposition: &Exposition, begun: SystemTime, now: SystemTime) -> Vec<Value> {
    let times = Times {
        begun: unix_nanos(begun),
        now: unix_nanos(now),
    };
    let families = exposition.families.iter();
    families
        .filter_map(|family| metric(family, &times))
        .collect()
}

/// OTLP's JSON has 64-bit integers as strings.
struct Times {
    begun: String,
    now: String,
}

fn metric(family: &FamilyRecord, times: &Times) -> Option<Value> {
    let points: Vec<Value> = family
        .points
        .iter()
        .map(|point| data_point(point, family.type_name, times))
        .collect();
    let (kind, data) = match family.type_name {
        "gauge" => ("gauge", json!({ "dataPoints": points })),
        "counter" => (
            "sum",
            json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE, "isMonotonic": true }),
        ),
        "histogram" => (
            "histogram",
            json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE }),
        ),
        _ => return None,
    };
    // Units of UCUM.
    let unit = match family.unit.word() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "1",
    };
    Some(json!({ "name": family.name, "description": family.help, "unit": unit, kind: data }))
}

fn data_point(point: &Point, type_name: &str, times: &Times) -> Value {
    let attributes: Vec<Value> = point
        .labels
        .iter()
        .map(|(name, value)| json!({ "key": name, "value": { "stringValue": value } }))
        .collect();
    let mut data = json!({
        "attributes": attributes,
        "startTimeUnixNano": times.begun,
        "timeUnixNano": times.now,
    });
    let values = match type_name {
        "histogram" => distribution(&point.samples),
        _ => json!({ "asDouble": point.samples.first().map(|sample| sample.value) }),
    };
    if let (Some(data), Value::Object(values)) = (data.as_object_mut(), values) {
        data.extend(values);
    }
    data
}

/// The buckets of a histogram, which are cumulative in Prometheus's format and are not here.
fn distribution(samples: &[Sample]) -> Value {
    let value_of = |suffix| {
        let found = samples.iter().find(|sample| sample.suffix == suffix);
        found.map_or(0.0, |sample| sample.value)
    };
    let mut before = 0.0;
    let buckets = samples.iter().filter(|sample| sample.suffix == "_bucket");
    let counts: Vec<String> = buckets
        .map(|bucket| (bucket.value - std::mem::replace(&mut before, bucket.value)).to_string())
        .collect();
    json!({
        "count": value_of("_count").to_string(),
        "sum": value_of("_sum"),
        "bucketCounts": counts,
        "explicitBounds": LATENCY_BOUNDS_SECONDS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::metrics::family::{Counter, Family, Gauge, Histogram, Unit};
    use crate::model::latency::LatencyHistogram;

    const A: Family<Counter, 0> = Family::new("a_bytes", Unit::Bytes, "Help", []);
    const B: Family<Gauge, 1> = Family::new("b", Unit::One, "Help", ["x"]);
    const C: Family<Histogram, 0> = Family::new("c_seconds", Unit::Seconds, "Help", []);

    #[test]
    fn each_type_has_its_form() {
        let mut exposition = Exposition::default();
        exposition.add(&A, [], 2_u64);
        exposition.add(&B, ["y"], 0.5);
        let mut histogram = LatencyHistogram {
            sum: Duration::from_millis(1_500),
            ..LatencyHistogram::default()
        };
        for (bucket, count) in histogram.counts.iter_mut().enumerate() {
            *count = u64::from(matches!(bucket, 0 | 12 | 16));
        }
        exposition.add(&C, [], histogram);
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let metrics = metrics(&exposition, begun, begun + Duration::from_secs(1));
        let times = |mut point: Value| {
            point["startTimeUnixNano"] = json!("1000000000");
            point["timeUnixNano"] = json!("2000000000");
            point
        };
        let counts: Vec<&str> = (0..17)
            .map(|bucket| {
                if matches!(bucket, 0 | 12 | 16) {
                    "1"
                } else {
                    "0"
                }
            })
            .collect();
        let distribution = json!({ "attributes": [], "count": "3", "sum": 1.5, "bucketCounts": counts,
            "explicitBounds": LATENCY_BOUNDS_SECONDS });
        let labelled = json!({ "attributes": [{ "key": "x", "value": { "stringValue": "y" } }], "asDouble": 0.5 });
        let expected = [
            json!({ "name": "a_bytes", "description": "Help", "unit": "By", "sum": { "isMonotonic": true,
                "aggregationTemporality": 2, "dataPoints": [times(json!({ "attributes": [], "asDouble": 2.0 }))] } }),
            json!({ "name": "b", "description": "Help", "unit": "1", "gauge": { "dataPoints": [times(labelled)] } }),
            json!({ "name": "c_seconds", "description": "Help", "unit": "s", "histogram": {
                "aggregationTemporality": 2, "dataPoints": [times(distribution)] } }),
        ];
        assert_eq!(metrics, expected);
    }
}
