//! Spans of tracing, as spans of OTLP.
//!
//! Attributes are the fields of spans alone, which hold neither documents nor secrets. Events are left to the log.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

use super::sender::Telemetry;
use super::{BATCHES, OtlpExporter, telemetry_time, unix_nanos};

/// OTLP's kinds of spans.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// OTLP's status of a failed span.
const ERROR: u8 = 2;

/// A layer of tracing that gives ended spans to the exporter.
pub(in crate::observe) struct SpanLayer {
    exporter: OtlpExporter,
}

/// An open span.
struct OpenSpan {
    begun: SystemTime,
    trace_id: String,
    span_id: String,
    parent: Option<String>,
    /// The span that a batch belongs to, as trace and span.
    link: Option<(String, String)>,
    fields: Fields,
}

/// The fields of a span, as attributes.
#[derive(Default)]
struct Fields {
    attributes: Vec<Value>,
    failed: bool,
}

impl SpanLayer {
    pub(in crate::observe) fn new(exporter: OtlpExporter) -> Self {
        Self { exporter }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let open = extensions.get::<OpenSpan>()?;
            Some((open.trace_id.clone(), open.span_id.clone()))
        });
        // A sync lasts for days: with its batches its trace would be too large for any tool. So a batch is a trace of its own.
        let (parent, link) = match attributes.metadata().target() == BATCHES {
            true => (None, parent),
            false => (parent, None),
        };
        let (trace_id, parent) = match parent {
            Some((trace_id, parent)) => (trace_id, Some(parent)),
            None => (Uuid::new_v4().simple().to_string(), None),
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (span_id, _) = Uuid::new_v4().as_u64_pair();
        span.extensions_mut().insert(OpenSpan {
            begun: telemetry_time(),
            trace_id,
            span_id: format!("{span_id:016x}"),
            parent,
            link,
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<OpenSpan>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<OpenSpan>() else {
            return;
        };
        let ended = open.ended(span.name());
        self.exporter.put(Telemetry::Span(ended));
    }
}

impl OpenSpan {
    fn ended(self, name: &str) -> Value {
        let mut span = json!({
            "traceId": self.trace_id,
            "spanId": self.span_id,
            "name": name,
            "kind": if name == "call" { SERVER } else { INTERNAL },
            "startTimeUnixNano": unix_nanos(self.begun),
            "endTimeUnixNano": unix_nanos(telemetry_time()),
            "attributes": self.fields.attributes,
        });
        if let Some(object) = span.as_object_mut() {
            if let Some(parent) = self.parent {
                object.insert("parentSpanId".to_owned(), parent.into());
            }
            if let Some((trace_id, span_id)) = self.link {
                let link = json!({ "traceId": trace_id, "spanId": span_id });
                object.insert("links".to_owned(), json!([link]));
            }
            if self.fields.failed {
                object.insert("status".to_owned(), json!({ "code": ERROR }));
            }
        }
        span
    }
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.failed |= field.name() == super::super::field::ERROR_CODE;
        let attribute = json!({ "key": field.name(), "value": value });
        self.attributes.push(attribute);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!({ "stringValue": value }));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!({ "intValue": value.to_string() }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!({ "intValue": value.to_string() }));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!({ "boolValue": value }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, json!({ "stringValue": format!("{value:?}") }));
    }
}
