//! The data of the page.

use serde::Deserialize;

use crate::api::Control;
use crate::model::history::History;
use crate::model::mismatch::ListedMismatch;
use crate::model::plugins::QuarantinedDocument;
use crate::model::{Progress, Readiness};
use crate::plugin::InstalledPlugin;

/// Mismatches and documents in quarantine that the page shows. The API lists all.
pub(super) const SHOWN: u32 = 50;

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
    pub(super) query: PageQuery,
}

impl View {
    /// The data at present. A list that cannot be read is empty: the page shows what it can, and the counts stand in the
    /// progress.
    pub(super) async fn read<C: Control>(control: &C, query: PageQuery) -> Self {
        let progress = control.progress().await;
        let readiness = control.readiness();
        let works_here = matches!(readiness.role, "active" | "idle");
        let found = progress.verification.as_ref();
        let mismatches = match found {
            Some(found) if works_here && found.mismatches + found.repaired > 0 => {
                let listed = control.mismatches(String::new(), SHOWN).await;
                listed.unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let quarantined = match progress.quarantined {
            0 => Vec::new(),
            _ => {
                let listed = control.quarantined(String::new(), SHOWN).await;
                listed.unwrap_or_default()
            }
        };
        let installed = match works_here {
            true => control.plugins().await.unwrap_or_default(),
            false => Vec::new(),
        };
        Self {
            history: control.history(),
            progress,
            readiness,
            mismatches,
            quarantined,
            installed,
            query,
        }
    }
}
