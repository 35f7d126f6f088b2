//! Format of a line: tracing's JSON, with the host and the process that wrote it.

use std::fmt;

use serde_json::json;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes an event as a JSON object.
pub(super) struct Line {
    json: Format<Json, SystemTime>,
    /// The fields of the process, at the end of each object.
    process: String,
}

impl Line {
    pub(super) fn of_this_process() -> Self {
        Self::of(&host_name(), std::process::id())
    }

    fn of(host: &str, pid: u32) -> Self {
        Self {
            json: tracing_subscriber::fmt::format()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(true),
            process: format!(r#""host":{},"pid":{pid}"#, json!(host)),
        }
    }

    /// The object with the fields of the process.
    fn complete(&self, object: &str) -> Option<String> {
        let fields = object.trim_end().strip_suffix('}')?;
        Some(format!("{fields},{}}}", self.process))
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut object = String::new();
        self.json
            .format_event(context, Writer::new(&mut object), event)?;
        match self.complete(&object) {
            Some(line) => writeln!(writer, "{line}"),
            None => writer.write_str(&object),
        }
    }
}

/// The machine's name; empty if the kernel does not tell it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f55_a_line_says_which_process_has_written_it() {
        let line = Line::of("db-\"1\"", 7)
            .complete("{\"message\":\"x\"}\n")
            .expect("an object");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            line,
            json!({ "message": "x", "host": "db-\"1\"", "pid": 7 })
        );
    }
}
