//! Replies to `hello`, rewritten: clients that discover the set find the proxies.

use bson::{Bson, Document, RawDocument};

use super::{command::first_key, wire::Message};

/// Longer replies are no handshake.
const LONGEST: usize = 16 * 1024;

/// The members of a set, each with the address of its proxy.
#[derive(Clone, Debug)]
pub(super) struct Addresses(Vec<(String, String)>);

impl Addresses {
    pub(super) fn new(of_proxies: Vec<(String, String)>) -> Self {
        Self(of_proxies)
    }

    fn of_proxy(&self, member: &str) -> Option<&str> {
        let found = self.0.iter().find(|(real, _)| real == member);
        found.map(|(_, proxy)| proxy.as_str())
    }

    /// A reply as the client has to see it. Replies to other commands than `hello` are unchanged.
    pub(super) fn rewrite(&self, reply: Message) -> Message {
        if reply.bytes().len() > LONGEST {
            return reply;
        }
        let rewritten = reply.reply().ok().and_then(|document| {
            let is_hello = document.get("hosts").ok().flatten().is_some()
                && document.get("me").ok().flatten().is_some();
            let document = is_hello.then(|| Document::try_from(document))?.ok()?;
            reply.with_reply(&self.with_proxies(document)).ok()
        });
        rewritten.unwrap_or(reply)
    }

    fn with_proxies(&self, mut hello: Document) -> Document {
        for field in ["hosts", "passives", "arbiters"] {
            if let Ok(members) = hello.get_array_mut(field) {
                members.iter_mut().for_each(|member| self.replace(member));
            }
        }
        for field in ["primary", "me"] {
            if let Some(member) = hello.get_mut(field) {
                self.replace(member);
            }
        }
        hello
    }

    fn replace(&self, member: &mut Bson) {
        if let Some(proxy) = member.as_str().and_then(|member| self.of_proxy(member)) {
            *member = Bson::String(proxy.to_owned());
        }
    }
}

/// Whether a command belongs to the connection itself. Such commands are hidden from rules.
pub(super) fn is_of_connection(command: &RawDocument) -> bool {
    const NAMES: [&str; 4] = ["hello", "isMaster", "ismaster", "endSessions"];
    let name = first_key(command);
    NAMES.contains(&name.as_str()) || name.starts_with("sasl")
}

/// The name that a client gives itself in its handshake.
pub(super) fn app_name(hello: &RawDocument) -> Option<String> {
    let client = hello.get_document("client").ok()?;
    let application = client.get_document("application").ok()?;
    application.get_str("name").ok().map(str::to_owned)
}
