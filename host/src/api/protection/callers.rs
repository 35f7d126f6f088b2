//! Callers by their credentials.

use crate::config::{CallerEntry, Credential, TokenHash};
use crate::model::Caller;

/// The callers of `tokensFile`.
pub(super) struct CallerTable(Vec<CallerEntry>);

impl CallerTable {
    pub(super) fn new(entries: Vec<CallerEntry>) -> Self {
        Self(entries)
    }

    /// Number of callers.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The caller with this token. Compares with all tokens, in constant time for each.
    pub(super) fn with_token(&self, token: &[u8]) -> Option<&Caller> {
        let given = TokenHash::of(token);
        let mut found = None;
        for entry in &self.0 {
            if let Credential::Token(hash) = &entry.credential
                && hash.matches(&given)
            {
                found = Some(&entry.caller);
            }
        }
        found
    }

    /// The caller whose certificate has this subject.
    pub(super) fn with_subject(&self, subject: &str) -> Option<&Caller> {
        let is_it = |entry: &&CallerEntry| matches!(&entry.credential, Credential::Subject(own) if own == subject);
        self.0.iter().find(is_it).map(|entry| &entry.caller)
    }
}
