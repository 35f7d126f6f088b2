//! The status as lines of text.

use std::fmt::Write as _;

use indicatif::{BinaryBytes, HumanCount};
use serde_json::Value;

use super::paint::Paint;
use super::verdict::CutoverVerdict;

/// Characters of a bar.
const WIDTH: u64 = 30;

/// The lines for the answer of `GET /progress`.
pub(super) fn text(progress: &Value, verdict: &CutoverVerdict, paint: Paint) -> String {
    let mut lines = vec![heading(progress), cutover(verdict, paint)];
    if !is_null(progress, "collectionCopy") {
        lines.extend(work(progress));
    }
    lines.extend(warnings(progress, paint));
    lines.join("\n")
}

fn heading(progress: &Value) -> String {
    let mut line = format!("State          {}", word(progress, "/state"));
    for (pointer, before) in [("/info", ", "), ("/lease/instance", ", host ")] {
        if let Some(text) = progress.pointer(pointer).and_then(Value::as_str) {
            _ = write!(line, "{before}{text}");
        }
    }
    if progress.pointer("/lease/ours") == Some(&Value::Bool(false)) {
        line += " (this host is a standby)";
    }
    line
}

fn cutover(verdict: &CutoverVerdict, paint: Paint) -> String {
    let word = if verdict.is_safe {
        paint.good("yes")
    } else {
        paint.bad("no")
    };
    format!("Safe to cut over: {word}, {}", verdict.reason)
}

fn work(progress: &Value) -> Vec<String> {
    let number = |pointer| number(progress, pointer);
    let copied = number("/collectionCopy/estimatedCopiedBytes");
    let to_copy = number("/collectionCopy/estimatedTotalBytes");
    let built = number("/indexBuilding/indexesBuilt");
    let to_build = number("/indexBuilding/totalIndexesToBuild");
    let mut lines = vec![
        format!(
            "Copy           {}  {} of {}",
            bar(copied, to_copy),
            BinaryBytes(copied),
            BinaryBytes(to_copy)
        ),
        format!(
            "Indexes        {}  {built} of {to_build}",
            bar(built, to_build)
        ),
        verification(progress),
        lag(progress),
    ];
    if let Some(reason) = progress.pointer("/throttle/reason").and_then(Value::as_str) {
        lines.push(format!("Slowed down    {reason}"));
    }
    lines
}

fn verification(progress: &Value) -> String {
    if is_null(progress, "verification") {
        return "Verification   off".to_owned();
    }
    let number = |pointer| number(progress, pointer);
    let verified = number("/verification/source/hashedDocumentCount");
    let all = number("/verification/source/estimatedDocumentCount");
    format!(
        "Verification   {}  {} documents, {} mismatches, {}",
        bar(verified, all),
        HumanCount(verified),
        number("/verification/mismatches"),
        word(progress, "/verification/source/phase")
    )
}

fn lag(progress: &Value) -> String {
    let seconds = progress.get("lagTimeSeconds").and_then(Value::as_u64);
    let mut line = match seconds {
        Some(lag) => format!("Lag            {lag} s"),
        None => "Lag            unknown".to_owned(),
    };
    let catch_up = progress.get("estimatedSecondsToCEACatchup");
    if let Some(seconds) = catch_up.and_then(Value::as_u64) {
        _ = write!(line, ", caught up in {seconds} s");
    }
    let oplog = progress.get("estimatedOplogTimeRemaining");
    if let Some(time) = oplog.and_then(Value::as_str) {
        _ = write!(line, "; the source's oplog lasts {time}");
    }
    line
}

fn warnings(progress: &Value, paint: Paint) -> Vec<String> {
    let warnings = progress.get("warnings").and_then(Value::as_array);
    let sentences = warnings.into_iter().flatten().filter_map(Value::as_str);
    sentences
        .map(|sentence| format!("{} {sentence}", paint.notable("Warning:")))
        .collect()
}

/// A bar with its percentage. Nothing to do is done.
fn bar(done: u64, all: u64) -> String {
    let part = |of: u64| match all {
        0 => of,
        _ => (u128::from(done.min(all)) * u128::from(of) / u128::from(all))
            .try_into()
            .unwrap_or(of),
    };
    let filled = part(WIDTH);
    let of_width =
        |character: &str, times: u64| character.repeat(usize::try_from(times).unwrap_or_default());
    format!(
        "[{}{}] {:>3} %",
        of_width("#", filled),
        of_width("-", WIDTH - filled),
        part(100)
    )
}

fn is_null(progress: &Value, field: &str) -> bool {
    progress.get(field).is_none_or(Value::is_null)
}

fn number(progress: &Value, pointer: &str) -> u64 {
    let number = progress.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_default()
}

fn word<'a>(progress: &'a Value, pointer: &str) -> &'a str {
    let word = progress.pointer(pointer).and_then(Value::as_str);
    word.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(progress: &Value) -> String {
        text(progress, &CutoverVerdict::of(progress), Paint::none())
    }

    #[test]
    fn a_running_sync_has_bars_lag_and_warnings() {
        let progress = json!({
            "state": "RUNNING", "canCommit": false, "canCommitReason": "Lag is 31 seconds.",
            "info": "change event application", "lagTimeSeconds": 31,
            "collectionCopy": { "estimatedCopiedBytes": 1024, "estimatedTotalBytes": 2048 },
            "indexBuilding": { "indexesBuilt": 0, "totalIndexesToBuild": 0 },
            "verification": { "mismatches": 2, "source": { "phase": "initial hashing",
                "hashedDocumentCount": 1, "estimatedDocumentCount": 3 } },
            "estimatedSecondsToCEACatchup": 5, "estimatedOplogTimeRemaining": "12 hours",
            "throttle": { "reason": "the destination: its secondary h:1 is 6.5 s behind" },
            "warnings": ["Documents are missing."],
            "lease": { "ours": false, "instance": "b" },
        });
        let half = format!("[{}{}]  50 %", "#".repeat(15), "-".repeat(15));
        let third = format!("[{}{}]  33 %", "#".repeat(10), "-".repeat(20));
        let full = format!("[{}] 100 %", "#".repeat(30));
        let expected = format!(
            "State          RUNNING, change event application, host b (this host is a standby)\n\
             Safe to cut over: no, Lag is 31 seconds.\n\
             Copy           {half}  1.00 KiB of 2.00 KiB\n\
             Indexes        {full}  0 of 0\n\
             Verification   {third}  1 documents, 2 mismatches, initial hashing\n\
             Lag            31 s, caught up in 5 s; the source's oplog lasts 12 hours\n\
             Slowed down    the destination: its secondary h:1 is 6.5 s behind\n\
             Warning: Documents are missing."
        );
        assert_eq!(shown(&progress), expected);
    }

    #[test]
    fn an_idle_host_has_no_bars() {
        let progress = json!({ "state": "IDLE", "canCommit": false, "collectionCopy": null });
        assert_eq!(
            shown(&progress),
            "State          IDLE\nSafe to cut over: no, no sync has been started"
        );
    }

    #[test]
    fn colours_are_escapes() {
        assert_eq!(Paint::none().bad("no"), "no");
    }
}
