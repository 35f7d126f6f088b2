//! A connection of a client. Its requests are forwarded in order, each according to the rules.
//!
//! Requests and replies travel in two tasks, since a streaming `hello` has any number of
//! replies. The connection to the server outlives the client's while a request is held.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bson::Document;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
};
use tokio_util::sync::CancellationToken;

use super::{
    Command, Failure, Fault,
    hello::{self, Addresses},
    reply::{self, WriteConcernError},
    rules::{Call, Hold, Then, Verdict},
    state::Shared,
    wire::Message,
};

/// The time in which a driver takes note of a refusal.
const NOTICED: Duration = Duration::from_millis(20);

/// Treatment of the reply to a forwarded request.
enum Reply {
    /// The connection is closed instead.
    Cut,
    Amend(WriteConcernError, Box<Command>),
    /// Runs first.
    After(Call, Box<Command>),
    /// Told to who released the request; the client gets it, too, if it is there.
    Tell(oneshot::Sender<Document>),
}

/// Whether a connection continues.
type GoesOn = io::Result<bool>;

/// A connection, as both its tasks know it.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
    id: u64,
    /// `None` once it is closed.
    client: Arc<tokio::sync::Mutex<Option<OwnedWriteHalf>>>,
    replies: Arc<Mutex<HashMap<i32, Reply>>>,
    /// The client's side is closed, or will be.
    cut: CancellationToken,
    /// The server's side is closed.
    left: CancellationToken,
}

/// What arrives of a lost reply: its first half, or nothing.
fn part_of(reply: &[u8]) -> &[u8] {
    let arrives = match rand::random() {
        true => reply.len() / 2,
        false => 0,
    };
    reply.get(..arrives).unwrap_or_default()
}

/// Serves a client until either side closes.
pub(super) async fn serve(
    shared: Arc<Shared>,
    addresses: Arc<Addresses>,
    client: TcpStream,
    server: TcpStream,
) {
    // Without these, every message waits for an acknowledgement.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let connection = Connection {
        id: shared.next_id(),
        addresses,
        client: Arc::new(tokio::sync::Mutex::new(Some(to_client))),
        replies: Arc::default(),
        cut: shared.ended.child_token(),
        left: CancellationToken::new(),
        shared,
    };
    let replies = tokio::spawn(connection.clone().replies(from_server));
    // Errors concern a side that has gone.
    let _ = connection.requests(from_client, to_server).await;
    connection.close_client().await;
    replies.abort();
    connection.shared.disconnected(connection.id);
}

impl Connection {
    // ---- requests

    async fn requests(
        &self,
        mut from_client: OwnedReadHalf,
        mut to_server: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut name = String::new();
        loop {
            let message = tokio::select! {
                message = Message::read(&mut from_client) => message?,
                () = self.cut.cancelled() => return Ok(()),
                () = self.left.cancelled() => return Ok(()),
            };
            let Some(message) = message else {
                return Ok(());
            };
            if !self.forward(message, &mut name, &mut to_server).await? {
                return Ok(());
            }
        }
    }

    /// Forwards a request, or does with it as the rules say.
    async fn forward(
        &self,
        message: Message,
        name: &mut String,
        server: &mut OwnedWriteHalf,
    ) -> GoesOn {
        let Ok(Some(request)) = message.request() else {
            // Nothing that a driver sends; it passes as it is.
            server.write_all(message.bytes()).await?;
            return Ok(true);
        };
        if let Some(app_name) = hello::app_name(&request.body) {
            self.shared.connected(self.id, &app_name, &self.cut);
            *name = app_name;
        }
        if !self.shared.travel(name).await {
            return Ok(false);
        }
        if hello::is_of_connection(&request.body) {
            server.write_all(message.bytes()).await?;
            return Ok(true);
        }
        self.shared.works(self.id);
        let (command, verdict) = self.shared.decide(name, request);
        match verdict {
            Verdict::Pass => {
                server.write_all(message.bytes()).await?;
                Ok(true)
            }
            Verdict::Hold(hold) => self.hold(&message, hold, server).await,
            Verdict::Fault(fault) => self.fault(&message, command, fault, server).await,
        }
    }

    async fn fault(
        &self,
        message: &Message,
        command: Command,
        fault: Fault,
        server: &mut OwnedWriteHalf,
    ) -> GoesOn {
        match fault {
            Fault::CutBefore => return Ok(false),
            Fault::Answer(failure) => return self.refuse(message, &command, failure).await,
            Fault::AnswerAsServer(failure) => {
                let failure = failure.labelled_for(&command);
                return self.refuse(message, &command, failure).await;
            }
            Fault::WriteConcernError(error) if !error.is_done => {
                if command.name == "commitTransaction" {
                    self.roll_back(message, &command, server).await?;
                }
                let goes_on = self.answer(message, &error.pretend(&command)).await;
                self.renew_monitors(error.code, &command);
                return goes_on;
            }
            Fault::WriteConcernError(error) => {
                self.on_reply(message, Reply::Amend(error, Box::new(command)));
            }
            Fault::CutAfter => self.on_reply(message, Reply::Cut),
            Fault::Before(call) => {
                if call(command).await == Then::Cut {
                    return Ok(false);
                }
            }
            Fault::After(call) => self.on_reply(message, Reply::After(call, Box::new(command))),
        }
        server.write_all(message.bytes()).await?;
        Ok(true)
    }

    async fn refuse(&self, message: &Message, command: &Command, failure: Failure) -> GoesOn {
        let goes_on = self.answer(message, &failure.document()).await;
        self.renew_monitors(failure.code, command);
        goes_on
    }

    /// After an error that indicates another primary, a driver waits for news of the set. No news arrive, because
    /// nothing has happened: its monitors are cut off, so that it looks again.
    fn renew_monitors(&self, code: i32, command: &Command) {
        if !reply::tells_of_another_primary(code) {
            return;
        }
        let (shared, client) = (self.shared.clone(), command.client.clone());
        tokio::spawn(async move {
            tokio::time::sleep(NOTICED).await;
            shared.cut_monitors(&client);
        });
    }

    /// Keeps the request until it is released, even if the client goes.
    async fn hold(&self, message: &Message, hold: Hold, server: &mut OwnedWriteHalf) -> GoesOn {
        if hold.cut {
            self.close_client().await;
        }
        let mut released = hold.released;
        let reply = tokio::select! {
            reply = &mut released => reply,
            () = self.shared.ended.cancelled() => return Ok(false),
            () = self.cut.cancelled() => {
                self.close_client().await;
                released.await
            }
        };
        // Dropped instead of released: the request is lost.
        let Ok(reply) = reply else {
            return Ok(false);
        };
        let (tell, told) = oneshot::channel();
        self.on_reply(message, Reply::Tell(tell));
        server.write_all(message.bytes()).await?;
        // The server's side stays open until the answer is there.
        let answer = tokio::select! {
            biased;
            answer = told => answer.ok(),
            () = self.left.cancelled() => None,
        };
        if let Some(answer) = answer {
            // Who has released it may not wait for the answer.
            let _ = reply.send(answer);
        }
        Ok(self.client.lock().await.is_some())
    }

    /// Sends an abort in the place of a commit.
    async fn roll_back(
        &self,
        message: &Message,
        command: &Command,
        server: &mut OwnedWriteHalf,
    ) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        let abort = command.as_abort().map_err(io::Error::other)?;
        let abort = message.with_body(&abort).map_err(io::Error::other)?;
        self.on_reply(message, Reply::Tell(tell));
        // The client gets the answer of the proxy alone.
        let client = self.client.lock().await.take();
        server.write_all(abort.bytes()).await?;
        tokio::select! {
            _ = told => {}
            () = self.left.cancelled() => {}
        }
        *self.client.lock().await = client;
        Ok(())
    }

    // ---- replies

    async fn replies(self, mut from_server: OwnedReadHalf) {
        while let Ok(Some(reply)) = Message::read(&mut from_server).await {
            match self.reply(reply).await {
                Ok(true) => {}
                _ => break,
            }
        }
        self.left.cancel();
        self.close_client().await;
    }

    async fn reply(&self, reply: Message) -> GoesOn {
        let reply = self.addresses.rewrite(reply);
        let action = self.lock().remove(&reply.response_to());
        let reply = match action {
            None => reply,
            Some(Reply::Cut) => return Ok(false),
            Some(Reply::Amend(error, command)) => {
                self.renew_monitors(error.code, &command);
                error.amend(reply)
            }
            Some(Reply::After(call, command)) => {
                if call(*command).await == Then::Cut {
                    return Ok(false);
                }
                reply
            }
            Some(Reply::Tell(tell)) => {
                let document = reply.reply().map_err(io::Error::other)?;
                // Who has asked may have gone.
                let _ = tell.send(Document::try_from(document).map_err(io::Error::other)?);
                reply
            }
        };
        let lost = self.shared.loses_reply(self.id);
        if let Some(client) = self.client.lock().await.as_mut() {
            match lost {
                true => client.write_all(part_of(reply.bytes())).await?,
                false => client.write_all(reply.bytes()).await?,
            }
        }
        Ok(!lost)
    }

    fn on_reply(&self, request: &Message, reply: Reply) {
        self.lock().insert(request.id(), reply);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, Reply>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: &Message, document: &Document) -> GoesOn {
        let answer = request.answer(document).map_err(io::Error::other)?;
        match self.client.lock().await.as_mut() {
            Some(client) => client.write_all(answer.bytes()).await?,
            None => return Ok(false),
        }
        Ok(true)
    }

    async fn close_client(&self) {
        if let Some(mut client) = self.client.lock().await.take() {
            // It may have gone already.
            let _ = client.shutdown().await;
        }
    }
}
