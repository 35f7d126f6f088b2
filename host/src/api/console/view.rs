//! The data of the page.

use serde::Deserialize;
use tokio::time::timeout;

use std::time::Duration;

use axum::http::Method;

use crate::api::control::{CallFuture, Control};
use crate::api::protection::needed_role;
use crate::model::audit::AuditRecord;
use crate::model::history::History;
use crate::model::mismatch::ListedMismatch;
use crate::model::plugins::QuarantinedDocument;
use crate::model::{Caller, Progress, Readiness};
use crate::plugin::InstalledPlugin;

/// Mismatches and documents in quarantine that the page shows. The API lists all.
pub(super) const SHOWN: u32 = 50;

/// Records of calls in the timeline.
const RECORDS: u32 = 100;

/// Longest wait for a list: a silent cluster must not hold up the page that tells of it.
const LIST_WITHIN: Duration = Duration::from_millis(700);

/// Query of the page: the shown part of the collections, and the call that has succeeded.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PageQuery {
    /// A part of the names of the shown collections.
    pub(super) filter: Option<String>,
    pub(super) sort: Option<SortKey>,
    /// Page of the collections, from 1.
    pub(super) page: Option<String>,
    /// The call that was carried out.
    pub(super) done: Option<String>,
}

/// The column by which collections are sorted.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) enum SortKey {
    #[default]
    Name,
    Documents,
    Bytes,
    Rate,
    State,
}

/// The data of one page.
pub(super) struct View {
    pub(super) progress: Progress,
    pub(super) history: History,
    pub(super) readiness: Readiness,
    pub(super) mismatches: Vec<ListedMismatch>,
    pub(super) quarantined: Vec<QuarantinedDocument>,
    pub(super) installed: Vec<InstalledPlugin>,
    /// Newest first.
    pub(super) audit: Vec<AuditRecord>,
    /// The person who reads the page.
    pub(super) caller: Caller,
    pub(super) query: PageQuery,
}

/// A list of the session; empty if it is not wanted, cannot be read, or does not come in time. Its call is not made
/// if it is not wanted.
async fn list<T>(is_wanted: bool, call: impl CallFuture<Vec<T>>) -> Vec<T> {
    if !is_wanted {
        return Vec::new();
    }
    let listed = timeout(LIST_WITHIN, call).await;
    listed.ok().and_then(Result::ok).unwrap_or_default()
}

impl View {
    /// The data at present. A list that cannot be read is empty: the page shows what it can, and the counts stand in the
    /// progress.
    pub(super) async fn read<C: Control>(control: &C, caller: Caller, query: PageQuery) -> Self {
        let progress = control.progress().await;
        let readiness = control.readiness();
        let works_here = matches!(readiness.role, "active" | "idle");
        let found = progress.verification.as_ref();
        let differs = found.is_some_and(|found| found.mismatches + found.repaired > 0);
        let (mismatches, quarantined, installed, audit) = tokio::join!(
            list(
                works_here && differs,
                control.mismatches(String::new(), SHOWN)
            ),
            list(
                progress.quarantined > 0,
                control.quarantined(String::new(), SHOWN)
            ),
            list(works_here, control.plugins()),
            list(true, control.audit(None, RECORDS)),
        );
        Self {
            history: control.history(),
            progress,
            readiness,
            mismatches,
            quarantined,
            installed,
            audit,
            caller,
            query,
        }
    }

    /// Whether the role of the reader permits a call of the console's forms.
    pub(super) fn may(&self, call: &str) -> bool {
        let needed = needed_role(&Method::POST, &format!("/console/{call}"));
        needed.is_none_or(|needed| self.caller.role >= needed)
    }
}
