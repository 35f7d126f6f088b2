//! A proxy that understands the wire protocol, between clients and one replica set: it names every command, and
//! injects faults at selected commands.
//!
//! Each member has a listener of its own, and replies to `hello` name those: clients that discover the set keep
//! going through the proxy. It speaks no TLS and no compression.
//!
//! ```no_run
//! # async fn scenario() -> anyhow::Result<()> {
//! use support::{Rig, proxy::commands, rig::Options};
//!
//! let rig = Rig::with(Options { proxied: true, ..Options::default() }).await?;
//! let proxy = &rig.proxies()?.destination;
//! let held = proxy.on(commands("update").of("app.users").first()).hold_and_cut();
//! held.seen().await?;
//! let answer = held.release().await?;
//! # Ok(())
//! # }
//! ```

mod command;
mod connection;
mod hello;
mod reply;
mod rules;
mod state;
mod wire;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

use self::{
    hello::Addresses,
    rules::Rule,
    state::{Line, Shared},
};
use crate::ReplicaSet;

pub use self::{
    command::{Command, Transaction},
    reply::{Failure, RETRYABLE_WRITE, TRANSIENT_TRANSACTION, WriteConcernError},
    rules::{AsyncCall, Fault, Faulted, Held, Pattern, Then, any, commands, labelled},
    wire::Sequence,
};

/// Stands in front of a replica set until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    uri: String,
}

impl Proxy {
    /// Listens for each member of a set without TLS.
    pub async fn before(set: &ReplicaSet) -> Result<Self> {
        let (mut addresses, mut listeners) = (Vec::new(), Vec::new());
        for member in set.addresses() {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.context("listen for a proxy")?;
            let address = listener.local_addr()?.to_string();
            addresses.push((member.clone(), address));
            listeners.push((member, listener));
        }
        let hosts: Vec<&str> = addresses.iter().map(|(_, proxy)| proxy.as_str()).collect();
        let uri = format!("mongodb://{}/?replicaSet={}", hosts.join(","), set.name());
        let shared = Arc::new(Shared::new());
        let addresses = Arc::new(Addresses::new(addresses));
        for (member, listener) in listeners {
            tokio::spawn(listen(shared.clone(), addresses.clone(), member, listener));
        }
        Ok(Self { shared, uri })
    }

    /// The connection string that leads through this proxy.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    // ---- the journal

    /// Every command so far, without its documents, in order.
    pub fn journal(&self) -> Vec<Command> {
        self.shared.journal()
    }

    /// Names the following phase. Commands of a label are counted in each phase.
    pub fn enter(&self, phase: &str) {
        self.shared.enter(phase);
    }

    /// Takes everything back to its beginning: journal, phase, rules and lines.
    pub fn begin_again(&self) {
        self.shared.remove_rules();
        self.shared.heal();
        self.shared.forget();
    }

    // ---- faults of commands

    /// Makes a fault happen to these commands.
    pub fn on(&self, pattern: Pattern) -> On<'_> {
        On {
            proxy: self,
            pattern,
        }
    }

    /// Commands that a rule has held stay held.
    pub fn remove(&self, faulted: &Faulted) {
        self.shared.remove(faulted.id);
    }

    pub fn remove_rules(&self) {
        self.shared.remove_rules();
    }

    // ---- faults of connections, by a part of the client's name; empty: all clients

    /// Closes the connections that are open.
    pub fn cut(&self, client: &str) {
        self.shared.cut(client);
    }

    /// Closes the open connections, and refuses new connections.
    pub fn refuse(&self, client: &str) {
        self.shared.set_line(client, Some(Line::Refused));
        self.shared.cut(client);
    }

    /// Keeps all data of the client back. The data arrives when the line is restored, even if the client has gone.
    pub fn stall(&self, client: &str) {
        self.shared.set_line(client, Some(Line::Stalled));
    }

    /// Makes every request of the client late.
    pub fn delay(&self, client: &str, by: Duration) {
        self.shared.set_line(client, Some(Line::Delayed(by)));
    }

    /// Loses so many of a thousand messages of the client, and the connections that carry them. Of a lost reply the
    /// client gets the first half, or nothing.
    pub fn lose(&self, client: &str, of_thousand: u32) {
        self.shared.set_line(client, Some(Line::Lossy(of_thousand)));
    }

    /// Ends the effect of `refuse`, `stall`, `delay` and `lose` for this client.
    pub fn mend(&self, client: &str) {
        self.shared.set_line(client, None);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.cancel();
    }
}

/// Commands that wait for the choice of a fault.
#[must_use = "a pattern without a fault does nothing"]
pub struct On<'a> {
    proxy: &'a Proxy,
    pattern: Pattern,
}

impl On<'_> {
    /// Any fault.
    pub fn fault(self, fault: Fault) -> Faulted {
        let shared = &self.proxy.shared;
        let id = shared.next_id();
        let (rule, seen) = Rule::fault(id, self.pattern, fault);
        shared.add(rule);
        Faulted { id, seen }
    }

    /// Forwards the commands, and reports the first of them.
    pub fn watch(self) -> Faulted {
        self.fault(Fault::before(async |_| Then::GoOn))
    }

    /// Closes the connection before the server has the command.
    pub fn cut_before(self) -> Faulted {
        self.fault(Fault::CutBefore)
    }

    /// Closes the connection when the server has done the command.
    pub fn cut_after(self) -> Faulted {
        self.fault(Fault::CutAfter)
    }

    /// Answers in the place of the server.
    pub fn answer(self, failure: Failure) -> Faulted {
        self.fault(Fault::Answer(failure))
    }

    /// The same, with the label that a server gives this refusal of the command.
    pub fn answer_as_server(self, failure: Failure) -> Faulted {
        self.fault(Fault::AnswerAsServer(failure))
    }

    pub fn write_concern_error(self, error: WriteConcernError) -> Faulted {
        self.fault(Fault::WriteConcernError(error))
    }

    /// Runs before the command is forwarded.
    pub fn before(self, call: impl AsyncCall) -> Faulted {
        self.fault(Fault::before(call))
    }

    /// Runs when the server has done the command, before the client hears of it.
    pub fn after(self, call: impl AsyncCall) -> Faulted {
        self.fault(Fault::after(call))
    }

    /// Keeps the first of them from the server. The client waits.
    pub fn hold(self) -> Held {
        self.held(false)
    }

    /// The same; the client sees a closed connection at once.
    pub fn hold_and_cut(self) -> Held {
        self.held(true)
    }

    fn held(self, cut: bool) -> Held {
        let shared = &self.proxy.shared;
        let (rule, held) = Rule::hold(shared.next_id(), self.pattern, cut);
        shared.add(rule);
        held
    }
}

async fn listen(
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
    member: String,
    listener: TcpListener,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.ended.cancelled() => return,
        };
        let Ok((client, _)) = accepted else {
            continue;
        };
        let (shared, addresses, member) = (shared.clone(), addresses.clone(), member.clone());
        tokio::spawn(async move {
            // A server that is down refuses: so does its proxy.
            if let Ok(server) = TcpStream::connect(member.as_str()).await {
                connection::serve(shared, addresses, client, server).await;
            }
        });
    }
}

/// A proxy before each cluster of a rig.
pub struct Proxies {
    pub source: Proxy,
    pub destination: Proxy,
}

impl Proxies {
    pub async fn before(source: &ReplicaSet, destination: &ReplicaSet) -> Result<Self> {
        Ok(Self {
            source: Proxy::before(source).await?,
            destination: Proxy::before(destination).await?,
        })
    }

    pub fn both(&self) -> [&Proxy; 2] {
        [&self.source, &self.destination]
    }

    /// Names the following phase, on both.
    pub fn enter(&self, phase: &str) {
        self.both().iter().for_each(|proxy| proxy.enter(phase));
    }
}
