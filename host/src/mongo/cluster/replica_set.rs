//! The replica set that a connection string names, against the one that its hosts belong to.

use std::time::Duration;

use bson::doc;
use mongodb::{Client, options::ClientOptions};

/// The time for one member to say to which replica set it belongs.
const PROBE: Duration = Duration::from_secs(2);

/// What is wrong with the option `replicaSet`, if a server that answers belongs to another set.
pub(super) async fn wrong_set(options: &ClientOptions) -> Option<String> {
    let wanted = options.repl_set_name.as_deref()?;
    for host in &options.hosts {
        let mut direct = options.clone();
        direct.hosts = vec![host.clone()];
        direct.direct_connection = Some(true);
        direct.repl_set_name = None;
        // The question needs no user.
        direct.credential = None;
        direct.server_selection_timeout = Some(PROBE);
        let Ok(client) = Client::with_options(direct) else {
            continue;
        };
        let admin = client.database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).into_future();
        let Ok(Ok(hello)) = tokio::time::timeout(PROBE, hello).await else {
            continue;
        };
        let found = hello.get_str("setName").ok();
        if found != Some(wanted) {
            let found = found.map_or_else(
                || "no member of a replica set".to_owned(),
                |found| format!("a member of the replica set '{found}'"),
            );
            return Some(format!(
                "its option replicaSet is '{wanted}', and {host} is {found}"
            ));
        }
        return None;
    }
    None
}
