//! The result of a verification.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{config::VerifyCommand, observe::VERSION, sync::PairProgress};

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything in scope is equal.
    Equal,
    /// A difference has stayed for the time to settle.
    Differs,
    /// No difference is settled, and something is not proven to be equal.
    NotVerified,
}

impl Verdict {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Equal => 0,
            Self::Differs => 1,
            Self::NotVerified => 2,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Differs => "differs",
            Self::NotVerified => "notVerified",
        }
    }
}

/// The result with its figures.
pub(super) struct Summary<'a> {
    pub(super) verdict: Verdict,
    figures: &'a PairProgress,
    begun_at: Option<&'a str>,
    before_commit: bool,
    settle_seconds: f64,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        figures: &'a PairProgress,
        command: &VerifyCommand,
        begun_at: Option<&'a str>,
    ) -> Self {
        let is_proven =
            figures.unsettled == 0 && figures.quarantined == 0 && figures.namespaces > 0;
        let verdict = match figures.mismatches {
            0 if is_proven => Verdict::Equal,
            0 => Verdict::NotVerified,
            _ => Verdict::Differs,
        };
        Self {
            verdict,
            figures,
            begun_at,
            before_commit: command.before_commit,
            settle_seconds: command.settle.as_secs_f64(),
        }
    }

    /// Prints the text to standard error, or JSON to standard output.
    pub(super) fn print(&self, command: &VerifyCommand) -> io::Result<()> {
        match command.json {
            true => writeln!(io::stdout().lock(), "{}", self.to_json()),
            false => writeln!(io::stderr().lock(), "{}", self.text()),
        }
    }

    fn to_json(&self) -> Value {
        let figures = self.figures;
        json!({
            "verdict": self.verdict.as_str(),
            "namespaces": figures.namespaces,
            "collections": figures.collections,
            "documents": figures.documents,
            "bytes": figures.bytes,
            "mismatches": figures.mismatches,
            "unsettled": figures.unsettled,
            "quarantined": figures.quarantined,
            "cutShort": figures.is_cut_short,
            "beforeCommit": self.before_commit,
            "settleSeconds": self.settle_seconds,
            "begunAt": self.begun_at,
            "tidegate": VERSION,
        })
    }

    fn text(&self) -> String {
        let figures = self.figures;
        let verdict = match self.verdict {
            Verdict::Equal => "The clusters are equal",
            Verdict::Differs => "The clusters differ",
            Verdict::NotVerified => "The clusters are not verified",
        };
        let mut text = format!(
            "{verdict}. Compared: {} documents, {} collections. Mismatches: {}",
            figures.documents, figures.collections, figures.mismatches
        );
        if figures.unsettled > 0 {
            text += &format!(", {} unsettled since they kept changing", figures.unsettled);
        }
        if figures.quarantined > 0 {
            text += &format!(", {} that a plugin cannot handle", figures.quarantined);
        }
        if figures.is_cut_short {
            text += ". It ended at its bound of mismatches, and the rest was not compared";
        } else if figures.namespaces == 0 {
            text += ". Nothing is in scope: look at the filters of --start, and at the rights of the users";
        }
        if self.before_commit {
            text += ". What a sync restores at its commit was not compared";
        }
        text + "."
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdict(figures: &PairProgress) -> Verdict {
        let command = VerifyCommand {
            components: Vec::new(),
            out: None,
            state: None,
            settle: Duration::from_secs(30),
            patience: Duration::from_secs(300),
            max_mismatches: None,
            before_commit: false,
            show_documents: false,
            json: false,
        };
        Summary::new(figures, &command, None).verdict
    }

    #[test]
    fn only_what_is_proven_is_equal() {
        let equal = PairProgress {
            namespaces: 1,
            ..PairProgress::default()
        };
        assert_eq!(verdict(&equal), Verdict::Equal);
        assert_eq!(verdict(&PairProgress::default()), Verdict::NotVerified);
        let unsettled = PairProgress {
            unsettled: 1,
            ..equal.clone()
        };
        assert_eq!(verdict(&unsettled), Verdict::NotVerified);
        assert_eq!(
            verdict(&PairProgress {
                quarantined: 1,
                ..equal
            }),
            Verdict::NotVerified
        );
        assert_eq!(
            verdict(&PairProgress {
                mismatches: 1,
                ..unsettled
            }),
            Verdict::Differs
        );
    }
}
