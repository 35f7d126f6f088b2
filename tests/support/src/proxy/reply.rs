//! Answers that a proxy makes or changes.

use bson::{Document, doc};

use super::{Command, wire::Message};

/// A refusal that a proxy answers instead of the server, which never sees the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: i32,
    pub name: &'static str,
    pub label: Option<&'static str>,
}

/// A write concern error in the answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteConcernError {
    pub code: i32,
    pub name: &'static str,
    pub label: Option<&'static str>,
    /// False: the server does not see the command, as if its effect had been rolled back.
    pub is_done: bool,
}

pub const RETRYABLE_WRITE: &str = "RetryableWriteError";
pub const TRANSIENT_TRANSACTION: &str = "TransientTransactionError";

impl Failure {
    pub const SHUTDOWN_IN_PROGRESS: Self = Self::of(91, "ShutdownInProgress");
    pub const PRIMARY_STEPPED_DOWN: Self = Self::of(189, "PrimarySteppedDown");
    pub const INTERRUPTED_AT_SHUTDOWN: Self = Self::of(11600, "InterruptedAtShutdown");
    pub const NOT_WRITABLE_PRIMARY: Self = Self::of(10107, "NotWritablePrimary");
    pub const MAX_TIME_EXPIRED: Self = Self::of(50, "MaxTimeMSExpired");
    pub const WRITE_CONFLICT: Self = Self::of(112, "WriteConflict");

    pub const fn of(code: i32, name: &'static str) -> Self {
        let label = None;
        Self { code, name, label }
    }

    pub const fn with_label(self, label: &'static str) -> Self {
        let label = Some(label);
        Self { label, ..self }
    }

    /// With the label that a server gives this refusal of this command.
    pub fn labelled_for(self, command: &Command) -> Self {
        let is_transient = self.code != Self::MAX_TIME_EXPIRED.code;
        let transaction = &command.transaction;
        let label = match (transaction.is_open, command.name.as_str()) {
            _ if !is_transient => None,
            (true, "commitTransaction" | "abortTransaction") => Some(RETRYABLE_WRITE),
            (true, _) => Some(TRANSIENT_TRANSACTION),
            (false, _) if transaction.number.is_some() => Some(RETRYABLE_WRITE),
            (false, _) => None,
        };
        Self { label, ..self }
    }

    pub(super) fn document(&self) -> Document {
        let Self { code, name, label } = self;
        let message = format!("{name}, answered by the proxy of a test");
        let mut reply = doc! { "ok": 0.0, "errmsg": message, "code": code, "codeName": *name };
        if let Some(label) = label {
            reply.insert("errorLabels", vec![*label]);
        }
        reply
    }
}

impl WriteConcernError {
    pub const TIMED_OUT: Self = Self::of(64, "WriteConcernFailed");
    pub const SHUTDOWN: Self = Self::of(91, "ShutdownInProgress");

    pub const fn of(code: i32, name: &'static str) -> Self {
        Self {
            code,
            name,
            label: None,
            is_done: true,
        }
    }

    pub const fn with_label(self, label: &'static str) -> Self {
        let label = Some(label);
        Self { label, ..self }
    }

    pub const fn not_done(self) -> Self {
        let is_done = false;
        Self { is_done, ..self }
    }

    fn put_into(&self, mut reply: Document) -> Document {
        let message = format!("{}, put in by the proxy of a test", self.name);
        let error = doc! { "code": self.code, "codeName": self.name, "errmsg": message };
        reply.insert("writeConcernError", error);
        if let Some(label) = self.label {
            reply.insert("errorLabels", vec![label]);
        }
        reply
    }

    /// The server's answer with the error in it. A refusal stays unchanged.
    pub(super) fn amend(&self, reply: Message) -> Message {
        let amended = reply.reply().ok().and_then(|document| {
            let document = Document::try_from(document).ok()?;
            let is_ok = document.get("ok").is_some_and(is_one);
            is_ok.then(|| reply.with_reply(&self.put_into(document)).ok())?
        });
        amended.unwrap_or(reply)
    }

    /// An answer as if the command had been done.
    pub(super) fn pretend(&self, command: &Command) -> Document {
        let n = i32::try_from(command.statements()).unwrap_or(i32::MAX);
        let done = match command.name.as_str() {
            "insert" | "delete" => doc! { "n": n },
            "update" => doc! { "n": n, "nModified": n },
            "findAndModify" => {
                doc! { "lastErrorObject": { "n": 1, "updatedExisting": true }, "value": null }
            }
            _ => Document::new(),
        };
        let mut reply = self.put_into(done);
        reply.insert("ok", 1.0);
        reply
    }
}

/// Whether a driver reacts to the error by rediscovering the server.
pub(super) fn tells_of_another_primary(code: i32) -> bool {
    [91, 189, 10107, 11600, 11602, 13435, 13436].contains(&code)
}

fn is_one(ok: &bson::Bson) -> bool {
    ok.as_f64() == Some(1.0) || ok.as_i32() == Some(1) || ok.as_i64() == Some(1)
}
