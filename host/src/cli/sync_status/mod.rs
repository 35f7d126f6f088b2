//! `tidegate status`: the sync of the host on this machine, for an operator at a terminal.
//!
//! Exit codes: 0 safe to cut over, or committed; 1 not yet; 2 no answer.

mod paint;
mod verdict;
mod view;

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::api_client::ApiClient;
use crate::config::StatusCommand;
use paint::Paint;
use verdict::CutoverVerdict;

const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Cursor to the top left, and everything after it erased: less flicker than an erased screen.
const REDRAW: &str = "\x1b[H\x1b[J";

/// Prints the status once, or again and again. Returns the exit code.
///
/// # Errors
///
/// Standard output is closed, or a file of the options cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "a display is drawn at its own pace, and waits for nothing"
)]
pub fn sync_status(command: StatusCommand) -> anyhow::Result<u8> {
    let client = ApiClient::new(command.host)?;
    let is_terminal = io::stdout().is_terminal();
    loop {
        let (text, code) = look(&client, command.json);
        if command.watch && is_terminal {
            write!(io::stdout(), "{REDRAW}")?;
        }
        match code {
            2 if !command.watch => writeln!(io::stderr(), "{text}")?,
            _ => writeln!(io::stdout(), "{text}")?,
        }
        if !command.watch {
            return Ok(code);
        }
        io::stdout().flush()?;
        thread::sleep(WATCH_EVERY);
    }
}

/// The text to show, and the exit code.
fn look(client: &ApiClient, as_json: bool) -> (String, u8) {
    let progress = match client.get("/api/v1/progress") {
        Ok(mut answer) if answer.status.is_success() => match answer.body.get_mut("progress") {
            Some(progress) => progress.take(),
            None => return failure("no tidegate listens there: the answer has no progress"),
        },
        Ok(answer) => {
            let text = answer.body.get("errorDescription").and_then(Value::as_str);
            return failure(text.unwrap_or("the progress is refused"));
        }
        Err(reason) => return failure(&reason),
    };
    let verdict = CutoverVerdict::of(&progress);
    let code = u8::from(!verdict.is_safe);
    if as_json {
        let verdict = json!({ "safe": verdict.is_safe, "reason": verdict.reason });
        let shown = json!({ "cutover": verdict, "progress": progress });
        return (format!("{shown:#}"), code);
    }
    (view::text(&progress, &verdict, Paint::of_process()), code)
}

fn failure(reason: &str) -> (String, u8) {
    (format!("tidegate: {reason}"), 2)
}
