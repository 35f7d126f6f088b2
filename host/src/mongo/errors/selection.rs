//! The reason why no primary was found, read from the driver's dump of its topology.

/// The driver's words before the message of a proxy.
const PROXY: &str = "connecting to a proxy host: ";

/// The message of a proxy, without the user that it may hold.
pub(super) fn proxy_words(message: &str) -> String {
    if message.starts_with("Auth") {
        return "the SOCKS5 proxy refuses proxyUsername and proxyPassword, or asks for them"
            .to_owned();
    }
    format!("the SOCKS5 proxy: {}", message.trim_end_matches('.'))
}

/// The driver's message in words: each server, and the reason why it is not the primary.
pub(super) fn words(message: &str) -> String {
    let servers: Vec<String> = message
        .split("{ Address: ")
        .skip(1)
        .filter_map(server)
        .collect();
    if servers.is_empty() {
        return "no server was found in time".to_owned();
    }
    format!("no primary was found in time ({})", servers.join("; "))
}

/// `a:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {} }, …`
fn server(text: &str) -> Option<String> {
    let (address, rest) = text.split_once(", Type: ")?;
    if let Some((_, error)) = rest.split_once("Error: ") {
        let error = error.strip_prefix("Kind: ").unwrap_or(error);
        let error = error.split(", labels: ").next().unwrap_or(error);
        let error = error.trim_end_matches([' ', '}', ']']);
        let error = match error.split_once(PROXY) {
            Some((_, message)) => proxy_words(message),
            None => error.to_owned(),
        };
        return Some(format!("{address}: {error}"));
    }
    let kind = rest.split([',', ' ']).next().unwrap_or_default();
    let role = match kind {
        "RsSecondary" => "a secondary",
        "RsArbiter" => "an arbiter",
        "RsOther" | "RsGhost" => "a member that is not in service",
        "Standalone" => "not a member of a replica set",
        "Mongos" => "a mongos",
        _ => "no answer",
    };
    Some(format!("{address}: {role}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f62_a_topology_is_said_in_words() {
        let message = "Server selection timeout: No available servers. Topology: { Type: ReplicaSetNoPrimary, Set \
                       Name: rs, Servers: [{ Address: a:1, Type: Unknown, Error: Kind: I/O error: Connection refused \
                       (os error 111), labels: {\"X\"}, source: None }, { Address: b:2, Type: RsSecondary, Average \
                       RTT: 1ms }] }";
        assert_eq!(
            words(message),
            "no primary was found in time (a:1: I/O error: Connection refused (os error 111); b:2: a secondary)"
        );
        assert_eq!(
            words(
                "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [] }"
            ),
            "no server was found in time"
        );
    }
}
