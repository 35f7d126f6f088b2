//! Links between the members of a set. The set's configuration has the address of a forwarder for each member, so that
//! a member can be parted from its peers while clients still reach it.
//!
//! A forwarder learns from the kernel which process has made a connection (`/proc`): connections between two members are
//! parted, those of clients and of a member to itself are not.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OnceCell, watch},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

/// How a network keeps a member from its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Connections are closed, and new connections are refused.
    Refused,
    /// Nothing arrives. Data that was sent arrives when the partition ends.
    Silent,
}

/// The process of a member, 0 while it has none.
pub(super) type ProcessId = Arc<AtomicU32>;

/// The place of a parted member.
type Parted = Option<(usize, Partition)>;

/// The forwarders of a set.
pub(super) struct Links {
    parted: watch::Sender<Parted>,
    ended: CancellationToken,
}

impl Links {
    /// Starts a forwarder for each member, given its port and its process. Returns their addresses.
    pub(super) async fn before(members: &[(u16, ProcessId)]) -> Result<(Self, Vec<String>)> {
        let links = Self {
            parted: watch::Sender::new(None),
            ended: CancellationToken::new(),
        };
        let processes: Arc<[ProcessId]> = members.iter().map(|(_, id)| id.clone()).collect();
        let mut addresses = Vec::new();
        for (place, (port, _)) in members.iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.context("listen for a link")?;
            let address = listener.local_addr()?;
            addresses.push(address.to_string());
            let forwarder = Forwarder {
                place,
                port: *port,
                own_port: address.port(),
                processes: processes.clone(),
                parted: links.parted.subscribe(),
            };
            let ended = links.ended.clone();
            tokio::spawn(async move {
                ended.run_until_cancelled(forwarder.listen(listener)).await;
            });
        }
        Ok((links, addresses))
    }

    /// Parts a member from all others; `None` ends the partition.
    pub(super) fn part(&self, parted: Parted) {
        self.parted.send_replace(parted);
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// Accepts the connections to one member.
#[derive(Clone)]
struct Forwarder {
    place: usize,
    port: u16,
    own_port: u16,
    processes: Arc<[ProcessId]>,
    parted: watch::Receiver<Parted>,
}

impl Forwarder {
    async fn listen(self, listener: TcpListener) {
        loop {
            if let Ok((client, from)) = listener.accept().await {
                let forwarder = self.clone();
                tokio::spawn(async move {
                    // Errors concern a side that has gone.
                    let _ = forwarder.serve(client, from.port()).await;
                });
            }
        }
    }

    async fn serve(self, client: TcpStream, from: u16) -> io::Result<()> {
        let mut link = Link {
            parted: self.parted.clone(),
            ends: Arc::new(Ends {
                from,
                to: self.own_port,
                receiver: self.place,
                processes: self.processes.clone(),
                sender: OnceCell::new(),
            }),
        };
        if !link.opens().await {
            return Ok(());
        }
        // A server that is down refuses: so does its link.
        let server = TcpStream::connect(("127.0.0.1", self.port)).await?;
        // Without these, every message waits for an acknowledgement.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) =
            (client.into_split(), server.into_split());
        tokio::select! {
            ended = pump(from_client, to_server, link.clone()) => ended,
            ended = pump(from_server, to_client, link) => ended,
        }
    }
}

/// Both ends of a connection.
struct Ends {
    /// Their ports.
    from: u16,
    to: u16,
    /// The place of the member that is connected to.
    receiver: usize,
    processes: Arc<[ProcessId]>,
    /// The place of the member that has made the connection; `None` of a client. Looked up when a member is parted.
    sender: OnceCell<Option<usize>>,
}

impl Ends {
    async fn sender(&self) -> Option<usize> {
        let look = async || {
            let (from, to, processes) = (self.from, self.to, self.processes.clone());
            let found = spawn_blocking(move || owner(from, to, &processes)).await;
            found.ok().flatten()
        };
        *self.sender.get_or_init(look).await
    }
}

/// A connection, and the partition.
#[derive(Clone)]
struct Link {
    ends: Arc<Ends>,
    parted: watch::Receiver<Parted>,
}

impl Link {
    /// The present partition, if it parts the ends of this connection.
    async fn partition(&mut self) -> Option<Partition> {
        let (place, partition) = (*self.parted.borrow_and_update())?;
        let (sender, receiver) = (self.ends.sender().await?, self.ends.receiver);
        let is_parted = sender != receiver && (place == sender || place == receiver);
        is_parted.then_some(partition)
    }

    /// Returns when data may travel. False: the connection is to be closed.
    async fn opens(&mut self) -> bool {
        loop {
            match self.partition().await {
                None => return true,
                Some(Partition::Refused) => return false,
                Some(Partition::Silent) => {
                    if self.parted.changed().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Returns when the connection is to be closed.
    async fn closes(&mut self) {
        while self.partition().await != Some(Partition::Refused) {
            // The set has ended.
            if self.parted.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: Link) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut closing = link.clone();
        let read = tokio::select! {
            read = from.read(&mut buffer) => read?,
            () = closing.closes() => return Ok(()),
        };
        let Some(data) = buffer.get(..read).filter(|data| !data.is_empty()) else {
            return Ok(());
        };
        if !link.opens().await {
            return Ok(());
        }
        to.write_all(data).await?;
    }
}

/// The place of the process that has connected from this port of the loopback interface.
fn owner(from: u16, to: u16, processes: &[ProcessId]) -> Option<usize> {
    let socket = format!("socket:[{}]", inode(from, to)?);
    processes.iter().position(|process| {
        let id = process.load(Ordering::Relaxed);
        let Ok(files) = std::fs::read_dir(format!("/proc/{id}/fd")) else {
            return false;
        };
        files
            .flatten()
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str())
    })
}

/// The inode of the socket at the connecting end of a connection.
fn inode(from: u16, to: u16) -> Option<u64> {
    /// The column of `/proc/net/tcp` with the inode.
    const INODE: usize = 9;
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let loopback = |port: u16| format!("0100007F:{port:04X}");
    let (from, to) = (loopback(from), loopback(to));
    table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = columns.get(1) == Some(&from.as_str()) && columns.get(2) == Some(&to.as_str());
        is_it.then(|| columns.get(INODE)?.parse().ok())?
    })
}
