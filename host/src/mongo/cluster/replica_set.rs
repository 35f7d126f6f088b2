//! The replica set of a connection string, compared with the replica set of its hosts.

use std::time::Duration;

use bson::doc;
use mongodb::{Client, options::ClientOptions};

/// Time for a member's answer.
const PROBE: Duration = Duration::from_secs(2);

/// The fault of the option `replicaSet`, if the first host that answers belongs to another set.
pub(super) async fn wrong_set(options: &ClientOptions) -> Option<String> {
    let wanted = options.repl_set_name.as_deref()?;
    for host in &options.hosts {
        let mut direct = options.clone();
        direct.hosts = vec![host.clone()];
        direct.direct_connection = Some(true);
        direct.repl_set_name = None;
        // `hello` needs no user.
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
