//! Whether applications can be moved to the destination now.

use serde_json::Value;

/// The verdict on a cutover.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CutoverVerdict {
    /// A commit would be accepted, or the sync is committed.
    pub(super) is_safe: bool,
    /// A sentence part with the ages of the values that the verdict rests on.
    pub(super) reason: String,
}

impl CutoverVerdict {
    /// The verdict on the answer of `GET /progress`.
    pub(super) fn of(progress: &Value) -> Self {
        let flag = |name| progress.get(name).and_then(Value::as_bool) == Some(true);
        let text = |name| progress.get(name).and_then(Value::as_str);
        if flag("canWrite") {
            return Self::new(true, "committed: applications may write to the destination");
        }
        if flag("canCommit") {
            return Self::new(true, ages(progress));
        }
        let reason = text("canCommitReason").map(str::to_owned);
        let reason = reason.unwrap_or_else(|| match text("state") {
            Some("IDLE") | None => "no sync has been started".to_owned(),
            Some(state) => format!("the state is {state}"),
        });
        Self::new(false, reason)
    }

    fn new(is_safe: bool, reason: impl Into<String>) -> Self {
        Self {
            is_safe,
            reason: reason.into(),
        }
    }
}

/// The distance of the destination, and of the last proof that it is equal.
fn ages(progress: &Value) -> String {
    let lag = progress.get("lagTimeSeconds").and_then(Value::as_u64);
    let lag = lag.map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag {lag} s"));
    let verification = progress.get("verification").filter(|it| !it.is_null());
    let Some(verification) = verification else {
        return format!("{lag}; nothing is verified: compare both clusters yourself");
    };
    let age = verification
        .pointer("/source/lagTimeSeconds")
        .and_then(Value::as_u64);
    match age {
        Some(age) => format!("{lag}, verified {age} s ago"),
        None => format!("{lag}, the first verification is under way"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_verdict_has_its_age_or_its_reason() {
        for (progress, is_safe, reason) in [
            (
                json!({ "state": "RUNNING", "canCommit": true, "lagTimeSeconds": 1,
                        "verification": { "source": { "lagTimeSeconds": 3 } } }),
                true,
                "lag 1 s, verified 3 s ago",
            ),
            (
                json!({ "state": "RUNNING", "canCommit": true, "lagTimeSeconds": 1, "verification": null }),
                true,
                "lag 1 s; nothing is verified: compare both clusters yourself",
            ),
            (
                json!({ "state": "RUNNING", "canCommit": false, "canCommitReason": "Lag is 31 seconds." }),
                false,
                "Lag is 31 seconds.",
            ),
            (
                json!({ "state": "COMMITTING", "canCommit": false, "canWrite": false }),
                false,
                "the state is COMMITTING",
            ),
            (
                json!({ "state": "COMMITTED", "canCommit": false, "canWrite": true }),
                true,
                "committed: applications may write to the destination",
            ),
            (
                json!({ "state": "IDLE", "canCommit": false }),
                false,
                "no sync has been started",
            ),
        ] {
            assert_eq!(
                CutoverVerdict::of(&progress),
                CutoverVerdict::new(is_safe, reason)
            );
        }
    }
}
