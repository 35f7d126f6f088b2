//! The registration of this host with the sync that it works on, or waits for.

use std::{collections::HashMap, sync::Weak, time::Duration};

use tokio::time::timeout;

use crate::{
    metadata::Reader,
    mongo, observe,
    session::{
        context::HostContext,
        role::{host::Host, persisted_sync::FIRST_WITH_LEASE},
    },
};

/// Signs of life within the time of a lease.
const BEATS: u32 = 5;

/// The longest pause between two signs of life: hosts learn of each other by them.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Time that the end of the process waits for the removal of its registration, which expires by itself.
const LEAVE_WITHIN: Duration = Duration::from_millis(300);

/// Keeps this host registered until it leaves, and the list of hosts up to date.
pub(crate) async fn register(host: Weak<Host>) {
    while let Some(host) = host.upgrade() {
        let lease = host.context.settings.lease;
        let leaving = host.leaving.clone();
        let beat = timeout(lease, beat(&host));
        let beaten = tokio::select! {
            beaten = beat => beaten,
            () = leaving.cancelled() => return,
        };
        if let Ok(Err(error)) = beaten {
            tracing::debug!(error = %error, "this host is not registered");
        }
        drop(host);
        tokio::select! {
            () = tokio::time::sleep((lease / BEATS).min(LONGEST_PAUSE)) => {}
            () = leaving.cancelled() => return,
        }
    }
}

async fn beat(host: &Host) -> Result<(), mongo::Error> {
    let list = &host.context.hosts;
    let Some(reader) = metadata(host) else {
        list.clear();
        host.context.holders.set(Vec::new());
        return Ok(());
    };
    let claim = host.context.claim();
    // Metadata that an operator has dropped does not come back: a registration follows a session.
    if !reader.renew_host(&claim).await? && reader.header().await?.is_some() {
        reader.register_host(&claim).await?;
    }
    let hosts = reader.hosts().await?;
    let items = match hosts.len() > 1 {
        true => reader.item_counts().await?,
        false => HashMap::new(),
    };
    let own_release = hosts.iter().filter(|host| host.release == observe::VERSION);
    let others = own_release.filter(|host| host.id != claim.holder);
    host.context
        .holders
        .set(others.map(|host| host.id.clone()).collect());
    list.set(hosts, items);
    Ok(())
}

/// Removes the registration, so that no host waits for this one. Bounded in time.
pub(crate) async fn leave(context: &HostContext, reader: &Reader) {
    let removed = timeout(LEAVE_WITHIN, reader.remove_host(&context.holder)).await;
    if !matches!(removed, Ok(Ok(()))) {
        tracing::debug!("the registration of this host expires by itself");
    }
}

/// The metadata of the sync that this host works on, or waits for. `None` where hosts are not registered.
pub(crate) fn metadata(host: &Host) -> Option<Reader> {
    if let Some(active) = host.active() {
        let reader: &Reader = active.record.store();
        return Some(reader.clone());
    }
    let standby = host.standby()?;
    let has_lease = standby.sync.header.metadata_version >= FIRST_WITH_LEASE;
    has_lease.then(|| standby.sync.reader.clone())
}
