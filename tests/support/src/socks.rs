//! A SOCKS5 proxy (RFC 1928, with the passwords of RFC 1929) that can be as slow as a network.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Options of a proxy.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// User and password that clients must give.
    pub user: Option<(String, String)>,
    /// Of all connections together, in each direction.
    pub bytes_a_second: Option<u64>,
    /// From one end to the other.
    pub latency: Duration,
}

/// A proxy on a free port of the loopback interface, until it is dropped.
pub struct SocksProxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    /// When the data so far has left, from the client and from the server.
    busy_until: [Mutex<Instant>; 2],
    bytes: AtomicU64,
    connections: AtomicU64,
    refuses: AtomicBool,
    cut: Mutex<CancellationToken>,
    ended: CancellationToken,
}

impl SocksProxy {
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("listen for a SOCKS5 proxy")?;
        let port = listener.local_addr()?.port();
        let now = Instant::now();
        let shared = Arc::new(Shared {
            options,
            busy_until: [Mutex::new(now), Mutex::new(now)],
            bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            cut: Mutex::new(CancellationToken::new()),
            ended: CancellationToken::new(),
        });
        tokio::spawn(listen(shared.clone(), listener));
        Ok(Self { port, shared })
    }

    /// The options of a connection string that leads through the proxy.
    pub fn uri_options(&self) -> String {
        let place = format!("proxyHost=127.0.0.1&proxyPort={}", self.port);
        match &self.shared.options.user {
            Some((user, password)) => {
                format!("{place}&proxyUsername={user}&proxyPassword={password}")
            }
            None => place,
        }
    }

    /// Bytes that were sent in both directions.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Connections to servers so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Closes all connections, and answers new clients that no host can be reached, until `mend`.
    pub async fn refuse(&self) {
        self.shared.refuses.store(true, Ordering::Relaxed);
        let mut cut = self.shared.cut.lock().await;
        cut.cancel();
        *cut = CancellationToken::new();
    }

    pub fn mend(&self) {
        self.shared.refuses.store(false, Ordering::Relaxed);
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.shared.ended.cancel();
    }
}

async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.ended.cancelled() => return,
        };
        let Ok((client, _)) = accepted else {
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let cut = shared.cut.lock().await.clone();
            tokio::select! {
                // A client that is gone, or that the proxy refuses, ends its connection alone.
                _ = serve(&shared, client) => (),
                () = cut.cancelled() => (),
                () = shared.ended.cancelled() => (),
            }
        });
    }
}

async fn serve(shared: &Shared, mut client: TcpStream) -> Result<()> {
    client.set_nodelay(true)?;
    greet(shared, &mut client).await?;
    let address = target(&mut client).await?;
    let server = match shared.refuses.load(Ordering::Relaxed) {
        true => None,
        false => TcpStream::connect(&address).await.ok(),
    };
    let Some(server) = server else {
        // Host unreachable.
        client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        bail!("no connection to {address}");
    };
    server.set_nodelay(true)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    shared.connections.fetch_add(1, Ordering::Relaxed);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let [up, down] = &shared.busy_until;
    tokio::try_join!(
        pass(shared, up, from_client, to_server),
        pass(shared, down, from_server, to_client),
    )?;
    Ok(())
}

/// Agrees on a method: none, or a password.
async fn greet(shared: &Shared, client: &mut TcpStream) -> Result<()> {
    const NONE: u8 = 0;
    const PASSWORD: u8 = 2;
    ensure!(client.read_u8().await? == 5, "not SOCKS5");
    let methods = text(client).await?;
    let wanted = match shared.options.user {
        Some(_) => PASSWORD,
        None => NONE,
    };
    if !methods.contains(&wanted) {
        client.write_all(&[5, 0xff]).await?;
        bail!("no common method");
    }
    client.write_all(&[5, wanted]).await?;
    let Some((user, password)) = &shared.options.user else {
        return Ok(());
    };
    ensure!(client.read_u8().await? == 1, "not RFC 1929");
    let given = (text(client).await?, text(client).await?);
    let is_right = given.0 == user.as_bytes() && given.1 == password.as_bytes();
    client.write_all(&[1, u8::from(!is_right)]).await?;
    ensure!(is_right, "wrong password");
    Ok(())
}

/// Bytes after their number.
async fn text(client: &mut TcpStream) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The host and port that the client asks for.
async fn target(client: &mut TcpStream) -> Result<String> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let [5, 1, _, kind] = head else {
        bail!("not a request for a connection");
    };
    let host = match kind {
        1 => std::net::Ipv4Addr::from_bits(client.read_u32().await?).to_string(),
        3 => String::from_utf8(text(client).await?)?,
        other => bail!("an address of type {other}"),
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}

/// Passes data on, not faster than the network and later by its latency.
async fn pass(
    shared: &Shared,
    busy_until: &Mutex<Instant>,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<()> {
    let (send, mut sent) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut buffer).await?;
            let data = buffer.get(..read).unwrap_or_default().to_vec();
            if data.is_empty() {
                drop(send);
                return anyhow::Ok(());
            }
            shared.bytes.fetch_add(read as u64, Ordering::Relaxed);
            let left = shared.left(busy_until, read).await;
            tokio::time::sleep_until(left).await;
            if send
                .send((left + shared.options.latency, data))
                .await
                .is_err()
            {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((arrives, data)) = sent.recv().await {
            tokio::time::sleep_until(arrives).await;
            to.write_all(&data).await?;
        }
        to.shutdown().await?;
        anyhow::Ok(())
    };
    tokio::try_join!(read, write)?;
    Ok(())
}

impl Shared {
    /// When so much data has left.
    async fn left(&self, busy_until: &Mutex<Instant>, bytes: usize) -> Instant {
        let now = Instant::now();
        let Some(bytes_a_second) = self.options.bytes_a_second else {
            return now;
        };
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_a_second as f64);
        let mut busy_until = busy_until.lock().await;
        *busy_until = (*busy_until).max(now) + takes;
        *busy_until
    }
}
