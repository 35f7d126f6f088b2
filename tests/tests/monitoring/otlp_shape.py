"""Reads requests from standard input, a JSON array of path and body on each line, as the messages of OpenTelemetry's own protocol files.

protobuf's parser refuses unknown fields, wrong types and integers out of range. In OTLP the ids are hexadecimal digits and enums numbers,
which protobuf's JSON does not know.
"""

import json
import re
import sys

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MESSAGES = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
DIGITS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def check_encoding(value):
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in DIGITS:
            assert re.fullmatch(f"[0-9a-f]{{{DIGITS[key]}}}", inner) and set(inner) != {"0"}, (key, inner)
        if key in ("kind", "code", "aggregationTemporality"):
            assert isinstance(inner, int), (key, inner)
        if key.endswith("UnixNano") or key in ("intValue", "count"):
            assert isinstance(inner, str) and inner.isdigit(), (key, inner)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_encoding(inner)


def check_message(message):
    for resource in getattr(message, "resource_spans", ()):
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            assert span.name and 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
    for resource in getattr(message, "resource_metrics", ()):
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            assert metric.name and metric.unit and metric.WhichOneof("data"), metric
            for point in metric.histogram.data_points:
                assert len(point.bucket_counts) == len(point.explicit_bounds) + 1, metric
                assert sum(point.bucket_counts) == point.count, metric


seen = 0
for line in sys.stdin:
    path, body = json.loads(line)
    check_encoding(body)
    check_message(Parse(json.dumps(body), MESSAGES[path]()))
    seen += 1
print(f"{seen} requests are messages of OTLP")
