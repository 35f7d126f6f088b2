//! The check of the transfer of users and roles: at the start, at intervals, before a commit and for its call.

use std::{sync::Arc, time::Duration};

use super::{
    active::ActiveSync,
    progress::{
        deadline::{ClusterLabel, while_answering},
        monitor::Monitor,
    },
    role::host::Host,
};
use crate::{
    model::{
        ErrorKind, OperatorError, State,
        options::UsersAndRoles,
        principals::{PrincipalsProgress, PrincipalsSurvey},
    },
    mongo::{Moment, preflight},
    observe::smaller,
    sync::survey_principals,
};

/// Milliseconds between two checks.
const CHECK_EVERY_MS: u64 = 30_000;

/// Interval between two looks whether a check is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Checks the transfer of the host's sync again and again, until the host leaves.
pub(super) async fn watch(host: Arc<Host>) {
    let every = Duration::from_millis(smaller("TIDEGATE_CHECK_USERS_MS", CHECK_EVERY_MS));
    // The last attempt of a check without a result, by the status that it was for.
    let mut tried = Moment::now();
    loop {
        tokio::select! {
            () = host.leaving.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let Some(active) = host.active() else {
            continue;
        };
        let Some(options) = active.record.get().options.users_and_roles else {
            continue;
        };
        let is_open = matches!(active.state().public(), State::Running | State::Paused);
        let is_due = match active.status.principals.checked() {
            Some(checked) => checked.elapsed() >= every,
            None => tried.elapsed() >= LOOK_EVERY * 2,
        };
        if is_open && is_due {
            let checked = check(&active, &host.context.monitor, options).await;
            tried = Moment::now();
            show(&active, checked);
        }
    }
}

/// Shows the result of a check. A cluster that does not answer leaves the previous result.
fn show(active: &ActiveSync, checked: Result<PrincipalsSurvey, OperatorError>) {
    let progress = match checked {
        Ok(survey) => PrincipalsProgress::Checked(survey.counts),
        Err(error) if error.kind() == ErrorKind::Operator => {
            PrincipalsProgress::Refused(error.to_string())
        }
        Err(error) => {
            tracing::info!(error = %error, "users and roles were not checked");
            return;
        }
    };
    active.status.principals.set(Some(progress));
}

/// Checks that the transfer of a sync is possible now, before a commit. Nothing is checked in a sync without one.
pub(super) async fn require(active: &ActiveSync, monitor: &Monitor) -> Result<(), OperatorError> {
    let Some(options) = active.record.get().options.users_and_roles else {
        return Ok(());
    };
    let checked = check(active, monitor, options).await;
    show(active, checked.clone());
    checked.map(drop).map_err(|error| OperatorError {
        message: format!(
            "Users and roles cannot be brought over. {} Nothing was changed, and the sync continues.",
            error.message
        ),
        ..error
    })
}

/// The transfer of a sync at present; `None` in a sync without one.
pub(super) async fn survey(
    active: &ActiveSync,
    monitor: &Monitor,
) -> Result<Option<PrincipalsSurvey>, OperatorError> {
    match active.record.get().options.users_and_roles {
        Some(options) => check(active, monitor, options).await.map(Some),
        None => Ok(None),
    }
}

async fn check(
    active: &ActiveSync,
    monitor: &Monitor,
    options: UsersAndRoles,
) -> Result<PrincipalsSurvey, OperatorError> {
    let (source, destination) = (&active.source, &active.destination);
    let clusters = ClusterLabel::both(source.name, destination.name);
    while_answering(monitor, clusters, "Nothing was read.", async {
        preflight::check_users_and_roles(source, destination).await?;
        let clients = (&source.client, &destination.client);
        Ok(survey_principals(clients, &active.record, options).await?)
    })
    .await
}
