//! The options of `tidegate verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The time to settle, and the patience for keys that keep changing as a multiple of it.
const SETTLE: Duration = Duration::from_secs(30);
const PATIENCE: u32 = 10;

/// Options of `tidegate verify`, unchecked.
#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// File of a component that the body names and this release does not ship; can be repeated.
    #[arg(long, value_name = "FILE")]
    component: Vec<PathBuf>,

    /// File for the mismatches, one JSON object a line; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// File that a later run goes on from. Needs --out. A run that ends with 0 or 1 removes it.
    #[arg(long, value_name = "FILE", requires = "out")]
    state: Option<PathBuf>,

    /// Time for which a difference has to stay as it is, on both clusters, to be a mismatch; longer than the lag of the
    /// tool that applies changes. 0 for clusters that nothing writes to [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = time)]
    settle: Option<Duration>,

    /// Time after which a key that keeps changing is listed as unsettled [default: 10 times --settle].
    #[arg(long, value_name = "TIME", value_parser = time)]
    patience: Option<Duration>,

    /// Mismatches after which the run ends; 0 for no bound [default: 100000].
    #[arg(
        long = "max-mismatches",
        alias = "maxMismatches",
        value_name = "NUMBER",
        default_value_t = 100_000,
        hide_default_value = true
    )]
    max_mismatches: u64,

    /// A sync is running: what it restores at its commit is no mismatch (views, unique, TTL and hidden indexes, sizes
    /// of capped collections and the documents beyond them).
    #[arg(long = "before-commit", alias = "beforeCommit")]
    before_commit: bool,

    /// List the documents that differ, not only their _ids and paths.
    #[arg(long = "show-documents", alias = "showDocuments")]
    show_documents: bool,

    /// Print the summary as JSON on standard output; as the last line where mismatches are printed there.
    #[arg(long)]
    json: bool,
}

/// `tidegate verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCommand {
    /// Files of components.
    pub components: Vec<PathBuf>,
    /// File for the mismatches.
    pub out: Option<PathBuf>,
    /// File of the progress.
    pub state: Option<PathBuf>,
    /// The time for which a difference has to stay.
    pub settle: Duration,
    /// The time after which a key that keeps changing is given up.
    pub patience: Duration,
    /// Mismatches after which the run ends.
    pub max_mismatches: Option<u64>,
    /// Whether a sync is running.
    pub before_commit: bool,
    /// List documents.
    pub show_documents: bool,
    /// Print the summary as JSON.
    pub json: bool,
}

impl From<VerifyArguments> for VerifyCommand {
    fn from(arguments: VerifyArguments) -> Self {
        let settle = arguments.settle.unwrap_or(SETTLE);
        Self {
            components: arguments.component,
            out: arguments.out,
            state: arguments.state,
            settle,
            patience: arguments.patience.unwrap_or(settle * PATIENCE),
            max_mismatches: (arguments.max_mismatches > 0).then_some(arguments.max_mismatches),
            before_commit: arguments.before_commit,
            show_documents: arguments.show_documents,
            json: arguments.json,
        }
    }
}

/// A time such as `30s`; without a unit it is in seconds. At most a year.
pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    const FAULT: &str = "give a time such as 500ms, 30s, 5m or 2h";
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_not_one| FAULT)?;
    let milliseconds = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(FAULT),
    };
    let time = number.checked_mul(milliseconds).map(Duration::from_millis);
    time.filter(|time| *time <= Duration::from_secs(365 * 86_400))
        .ok_or(FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("0", 0.0),
            ("30s", 30.0),
            ("500ms", 0.5),
            ("5m", 300.0),
            ("2h", 7_200.0),
        ] {
            assert_eq!(
                time(text).map(|time| time.as_secs_f64()),
                Ok(seconds),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "3d",
            "99999999999999999999",
            "9999999h",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
