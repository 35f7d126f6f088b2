//! The last check of the transfer of users and roles, for `/progress`.

use parking_lot::Mutex;

use crate::{model::principals::PrincipalsProgress, mongo::Moment};

/// The last check, with its moment. Holds counts and no names.
#[derive(Debug, Default)]
pub struct PrincipalsStatus(Mutex<Option<(PrincipalsProgress, Moment)>>);

impl PrincipalsStatus {
    /// Shows the result of a check; `None` for none.
    pub fn set(&self, progress: Option<PrincipalsProgress>) {
        *self.0.lock() = progress.map(|progress| (progress, Moment::now()));
    }

    /// The result of the last check.
    pub fn get(&self) -> Option<PrincipalsProgress> {
        self.0.lock().as_ref().map(|(progress, _)| progress.clone())
    }

    /// The moment of the last check.
    pub fn checked(&self) -> Option<Moment> {
        self.0.lock().as_ref().map(|(_, moment)| *moment)
    }
}
