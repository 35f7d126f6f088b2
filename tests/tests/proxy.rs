//! The proxy of the harness, between the driver and a real server: each fault has its documented effect and no
//! other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use mongodb::{
    Client, ClientSession, Collection,
    error::{Error, ErrorKind},
    options::{ClientOptions, ReadConcern, WriteConcern},
};
use support::{
    Document, ReplicaSet, TestDir, doc,
    proxy::{
        Failure, Pattern, Proxy, RETRYABLE_WRITE, TRANSIENT_TRANSACTION, Then, WriteConcernError,
        any, commands, labelled,
    },
    replica_set::{Options, Partition},
    wait::Look,
    wait_until,
};

/// How the client of these tests calls itself.
const CLIENT: &str = "tidegate 0.0.0 of-a-test";
/// Within this time a set has elected a primary.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server, a proxy before it, and a client that goes through the proxy.
struct Stage {
    set: ReplicaSet,
    proxy: Proxy,
    client: Client,
    directory: TestDir,
}

impl Stage {
    async fn start() -> Result<Self> {
        Self::of(Options::default()).await
    }

    async fn of(options: Options) -> Result<Self> {
        let directory = TestDir::new()?;
        let path = directory.path().join("set");
        let set = ReplicaSet::start("set", path, options).await?;
        let proxy = Proxy::before(&set).await?;
        let client = client(&proxy, CLIENT, false).await?;
        Ok(Self {
            set,
            proxy,
            client,
            directory,
        })
    }

    /// `app.c`, through the proxy.
    fn collection(&self) -> Collection<Document> {
        self.client.database("app").collection("c")
    }

    /// Documents of `app.c`, by the server itself.
    async fn count(&self) -> Result<u64> {
        let collection = self.set.db("app").collection::<Document>("c");
        Ok(collection.count_documents(doc! {}).await?)
    }

    async fn insert(&self, id: i32) -> Result<(), Error> {
        self.collection()
            .insert_one(doc! { "_id": id })
            .await
            .map(drop)
    }

    fn pass(self) {
        drop((self.client, self.proxy, self.set));
        self.directory.remove();
    }
}

/// A client that repeats nothing by itself, unless it is told to.
async fn client(proxy: &Proxy, name: &str, repeats: bool) -> Result<Client> {
    let mut options = ClientOptions::parse(proxy.uri()).await?;
    options.app_name = Some(name.to_owned());
    options.retry_writes = Some(repeats);
    options.retry_reads = Some(repeats);
    options.server_selection_timeout = Some(Duration::from_secs(10));
    options.write_concern = Some(WriteConcern::majority());
    Ok(Client::with_options(options)?)
}

fn inserts() -> Pattern {
    commands("insert").of("app.c")
}

fn is_io(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Io(_))
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(reply) => Some(reply.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteConcernError(error)) => {
            Some(error.code)
        }
        _ => None,
    }
}

#[tokio::test]
async fn a_client_stays_with_the_proxy_and_its_commands_are_recorded() -> Result<()> {
    let stage = Stage::start().await?;
    let hello = stage
        .client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .await?;
    let proxy = stage.proxy.uri();
    for field in ["me", "primary"] {
        let address = hello.get_str(field)?;
        ensure!(
            proxy.contains(&format!("//{address}/")),
            "{field} is {address}: {proxy}"
        );
    }
    ensure!(hello.get_array("hosts")?.len() == 1, "{hello}");
    stage.proxy.enter("first");
    stage.insert(1).await?;
    stage.proxy.enter("second");
    stage.insert(2).await?;
    stage.insert(3).await?;
    let found: Vec<Document> = stage
        .collection()
        .find(doc! {})
        .await?
        .try_collect()
        .await?;
    ensure!(found.len() == 3);
    let shown = stage.proxy.journal();
    let shown: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let expected = [
        "command 1, first: insert app.c #1",
        "command 2, second: insert app.c #1",
        "command 3, second: insert app.c #2",
        "command 4, second: find app.c #1",
    ];
    ensure!(shown == expected, "{shown:#?}");
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn commits_are_named_after_their_transactions() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(0).await?;
    let mut session = transaction(&stage.client).await?;
    let collection = stage.collection();
    collection
        .insert_one(doc! { "_id": 1 })
        .session(&mut session)
        .await?;
    session.commit_transaction().await?;
    let journal = stage.proxy.journal();
    let (first, insert, commit) = (&journal[0], &journal[1], &journal[2]);
    ensure!(
        commit.label == "commitTransaction after insert app.c",
        "{commit}"
    );
    ensure!(insert.transaction == commit.transaction && insert.transaction.is_open);
    ensure!(!first.transaction.is_open && !insert.transaction.lsid.is_empty());
    ensure!(insert.holder() == Some("of-a-test"));
    stage.pass();
    Ok(())
}

async fn transaction(client: &Client) -> Result<ClientSession> {
    let mut session = client.start_session().await?;
    session
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .await?;
    Ok(session)
}

#[tokio::test]
async fn a_cut_is_before_the_server_or_after_it() -> Result<()> {
    let stage = Stage::start().await?;
    let before = stage.proxy.on(inserts().first()).cut_before();
    let error = stage.insert(1).await.err().context("it was cut")?;
    ensure!(is_io(&error) && stage.count().await? == 0, "{error}");
    ensure!(before.seen().await?.number == 1);
    let after = stage.proxy.on(inserts().first()).cut_after();
    let error = stage.insert(2).await.err().context("it was cut")?;
    ensure!(is_io(&error) && stage.count().await? == 1, "{error}");
    ensure!(after.commands().len() == 1);
    stage.insert(3).await?;
    ensure!(stage.count().await? == 2);
    // A client that repeats finds the answer that it has not got.
    let repeats = client(&stage.proxy, "repeats", true).await?;
    let collection = repeats.database("app").collection::<Document>("c");
    stage.proxy.on(inserts().by("repeats").first()).cut_after();
    collection.insert_one(doc! { "_id": 4 }).await?;
    ensure!(stage.count().await? == 3);
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn a_held_command_comes_late() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(0).await?;
    let held = stage.proxy.on(inserts().first()).hold();
    let waiting = tokio::spawn({
        let collection = stage.collection();
        async move { collection.insert_one(doc! { "_id": 1 }).await }
    });
    held.seen().await?;
    stage.insert(2).await?;
    ensure!(stage.count().await? == 2 && !waiting.is_finished());
    ensure!(held.release().await?.get_i32("n")? == 1);
    waiting.await??;
    ensure!(stage.count().await? == 3);

    // The client knows at once that its connection is closed; the command comes all the same.
    let held = stage.proxy.on(inserts().first()).hold_and_cut();
    let error = stage.insert(3).await.err().context("it was cut")?;
    ensure!(is_io(&error), "{error}");
    stage.insert(4).await?;
    ensure!(stage.count().await? == 4);
    held.release().await?;
    ensure!(stage.count().await? == 5);
    stage.pass();
    Ok(())
}

/// The server's side outlives a client that has gone; dropped, a held command is lost.
#[tokio::test]
async fn a_held_command_outlives_its_client() -> Result<()> {
    let stage = Stage::start().await?;
    for (id, arrives) in [(1, true), (2, false)] {
        let gone = client(&stage.proxy, "gone", false).await?;
        let held = stage.proxy.on(inserts().by("gone").first()).hold();
        let collection = gone.database("app").collection::<Document>("c");
        let waiting = tokio::spawn(async move { collection.insert_one(doc! { "_id": id }).await });
        held.seen().await?;
        waiting.abort();
        gone.shutdown().immediate(true).await;
        let before = stage.count().await?;
        match arrives {
            true => drop(held.release().await?),
            false => drop(held),
        }
        stage.insert(id + 10).await?;
        ensure!(
            stage.count().await? == before + 1 + u64::from(arrives),
            "document {id}"
        );
        stage.proxy.remove_rules();
    }
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn the_proxy_refuses_in_the_place_of_the_server() -> Result<()> {
    let stage = Stage::start().await?;
    let stepped_down = Failure::PRIMARY_STEPPED_DOWN.with_label(RETRYABLE_WRITE);
    stage.proxy.on(inserts().first()).answer(stepped_down);
    let error = stage.insert(1).await.err().context("it was refused")?;
    ensure!(
        code(&error) == Some(189) && error.contains_label(RETRYABLE_WRITE),
        "{error}"
    );
    ensure!(stage.count().await? == 0);
    stage.insert(2).await?;

    let labels = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = labels.clone();
    stage.proxy.on(any()).before(move |command| {
        let label = Failure::SHUTDOWN_IN_PROGRESS.labelled_for(&command).label;
        seen.lock().expect("a lock").push(label);
        async { Then::GoOn }
    });
    let mut session = transaction(&stage.client).await?;
    stage
        .collection()
        .insert_one(doc! { "_id": 3 })
        .session(&mut session)
        .await?;
    session.commit_transaction().await?;
    stage
        .client
        .database("app")
        .run_command(doc! { "collMod": "c" })
        .await?;
    let repeats = client(&stage.proxy, "repeats", true).await?;
    let collection = repeats.database("app").collection::<Document>("c");
    collection.insert_one(doc! { "_id": 4 }).await?;
    let labels = labels.lock().expect("a lock").clone();
    let (transient, retryable) = (Some(TRANSIENT_TRANSACTION), Some(RETRYABLE_WRITE));
    ensure!(
        labels == [transient, retryable, None, retryable],
        "{labels:?}"
    );
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn a_write_concern_error_is_put_in_or_pretended() -> Result<()> {
    let stage = Stage::start().await?;
    let error = WriteConcernError::TIMED_OUT;
    stage.proxy.on(inserts().first()).write_concern_error(error);
    let seen = stage.insert(1).await.err().context("not durable")?;
    ensure!(
        code(&seen) == Some(64) && !seen.contains_label(RETRYABLE_WRITE),
        "{seen}"
    );
    ensure!(stage.count().await? == 1);

    let error = WriteConcernError::SHUTDOWN
        .with_label(RETRYABLE_WRITE)
        .not_done();
    stage.proxy.on(inserts().first()).write_concern_error(error);
    let seen = stage.insert(2).await.err().context("not durable")?;
    ensure!(
        code(&seen) == Some(91) && seen.contains_label(RETRYABLE_WRITE),
        "{seen}"
    );
    ensure!(stage.count().await? == 1);

    // A commit that is not executed equals a rollback.
    let mut session = transaction(&stage.client).await?;
    let collection = stage.collection();
    collection
        .insert_one(doc! { "_id": 3 })
        .session(&mut session)
        .await?;
    let commits = commands("commitTransaction").first();
    stage
        .proxy
        .on(commits)
        .write_concern_error(WriteConcernError::TIMED_OUT.not_done());
    let seen = session
        .commit_transaction()
        .await
        .err()
        .context("not durable")?;
    ensure!(code(&seen) == Some(64), "{seen}");
    ensure!(stage.count().await? == 1);
    stage.insert(3).await?;
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn callbacks_run_before_and_after_the_server() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(0).await?;
    let direct = stage.set.db("app").collection::<Document>("c");
    for (id, seen_there) in [(1, false), (2, true)] {
        let was_there = Arc::new(AtomicBool::new(!seen_there));
        let (by_server, told) = (direct.clone(), was_there.clone());
        let look = move |_| {
            let (direct, told) = (by_server.clone(), told.clone());
            async move {
                let found = direct.find_one(doc! { "_id": id }).await;
                told.store(found.is_ok_and(|found| found.is_some()), Relaxed);
                Then::Cut
            }
        };
        match seen_there {
            true => stage.proxy.on(inserts().first()).after(look),
            false => stage.proxy.on(inserts().first()).before(look),
        };
        let error = stage.insert(id).await.err().context("it was cut")?;
        ensure!(
            is_io(&error) && was_there.load(Relaxed) == seen_there,
            "{error}"
        );
        ensure!(direct.find_one(doc! { "_id": id }).await?.is_some() == seen_there);
    }
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn rules_are_for_their_phase_client_label_and_place() -> Result<()> {
    let stage = Stage::start().await?;
    let other = client(&stage.proxy, "other", false).await?;
    let others = other.database("app").collection::<Document>("c");
    let pattern = labelled("insert app.c")
        .by(CLIENT)
        .in_phase("second")
        .nth(2);
    let rule = stage.proxy.on(pattern).cut_before();
    for phase in ["first", "second"] {
        stage.proxy.enter(phase);
        stage.insert(if phase == "first" { 1 } else { 11 }).await?;
        others.insert_one(doc! { "from": "other" }).await?;
        let second = stage.insert(if phase == "first" { 2 } else { 12 }).await;
        ensure!(
            second.is_err() == (phase == "second"),
            "{phase}: {second:?}"
        );
        stage.insert(if phase == "first" { 3 } else { 13 }).await?;
    }
    let cut = rule.seen().await?;
    ensure!((cut.nth, cut.number) == (2, 7), "{cut}");
    stage.pass();
    Ok(())
}

#[tokio::test]
async fn lines_are_cut_refused_stalled_and_slow() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(0).await?;
    stage.proxy.cut(CLIENT);
    // A connection of the pool was closed; the next command may use it and fail.
    let _ = stage.insert(1).await;
    stage.insert(2).await?;

    stage.proxy.delay(CLIENT, Duration::from_millis(300));
    let begun = Instant::now();
    stage.insert(3).await?;
    ensure!(
        begun.elapsed() >= Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    stage.proxy.mend(CLIENT);

    stage.proxy.stall(CLIENT);
    let before = stage.count().await?;
    let waiting = tokio::spawn({
        let collection = stage.collection();
        async move { collection.insert_one(doc! { "_id": 4 }).await }
    });
    let other = client(&stage.proxy, "other", false).await?;
    let others = other.database("app").collection::<Document>("c");
    others.insert_one(doc! { "_id": 5 }).await?;
    ensure!(!waiting.is_finished() && stage.count().await? == before + 1);
    stage.proxy.mend(CLIENT);
    waiting.await??;
    ensure!(stage.count().await? == before + 2);

    stage.proxy.refuse(CLIENT);
    let (refused, served) = tokio::join!(stage.insert(6), others.insert_one(doc! { "_id": 7 }));
    ensure!(
        refused.is_err() && served.is_ok(),
        "{refused:?}, {served:?}"
    );
    stage.proxy.mend(CLIENT);
    stage.insert(8).await?;
    stage.pass();
    Ok(())
}

/// A lost message closes its connection: of a request the server has nothing, of a reply the client has half or nothing.
#[tokio::test]
async fn a_lossy_line_loses_requests_and_replies() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(-1).await?;
    stage.proxy.lose(CLIENT, 200);
    let mut accepted = 0;
    for id in 0..60 {
        accepted += u64::from(stage.insert(id).await.is_ok());
    }
    stage.proxy.mend(CLIENT);
    stage.insert(100).await?;
    let on_the_server = stage.count().await? - 2;
    ensure!(
        accepted < on_the_server && on_the_server < 60,
        "{accepted} of 60 were accepted, {on_the_server} are on the server"
    );
    stage.pass();
    Ok(())
}

/// Clients reach a parted primary, and its peers elect another.
#[tokio::test]
async fn a_parted_primary_is_replaced_and_loses_its_writes() -> Result<()> {
    for partition in [Partition::Refused, Partition::Silent] {
        let options = Options::with_fail_points().with_arbiter().linked();
        let stage = Stage::of(options).await?;
        stage.insert(1).await?;
        let place = stage.set.primary().await?;
        let parted = stage.set.member_client(place).await?;
        stage.set.part(place, partition)?;
        let hasty = WriteConcern::nodes(1);
        let collection = parted.database("app").collection::<Document>("c");
        let lost = collection
            .insert_one(doc! { "_id": 2 })
            .write_concern(hasty);
        lost.await.context("the parted primary takes writes")?;
        wait_until("another primary", DEADLINE, async || {
            Ok(match stage.set.primary().await? {
                next if next == place => Look::NotYet("the parted primary".to_owned()),
                _ => Look::Done(()),
            })
        })
        .await?;
        stage.set.join();
        stage.set.in_step().await?;
        ensure!(stage.count().await? == 1, "a write was not rolled back");
        ensure!(stage.set.rolled_back() > 0, "no file was written");
        stage.pass();
    }
    Ok(())
}

/// A streaming `hello` reports a step-down, and the client finds the primary again.
#[tokio::test]
async fn a_client_follows_a_step_down_through_the_proxy() -> Result<()> {
    let stage = Stage::start().await?;
    stage.insert(1).await?;
    stage.set.step_down().await?;
    stage.insert(2).await?;
    ensure!(stage.count().await? == 2);
    stage.pass();
    Ok(())
}

/// A set of three members, each with its own listener.
#[tokio::test]
async fn a_client_follows_an_election_and_a_roll_back_through_the_proxy() -> Result<()> {
    let stage = Stage::of(Options::with_fail_points().of_three()).await?;
    let hello = doc! { "hello": 1 };
    let hello = stage.client.database("admin").run_command(hello).await?;
    for member in hello.get_array("hosts")? {
        let member = member.as_str().context("an address")?;
        ensure!(
            stage.proxy.uri().contains(member),
            "{member} is not the proxy's"
        );
    }
    stage.insert(1).await?;
    stage.set.step_down().await?;
    wait_until("an insert after an election", DEADLINE, async || {
        let inserted = stage.insert(2).await;
        Ok(inserted.map_or_else(|error| Look::NotYet(error.to_string()), Look::Done))
    })
    .await?;

    let isolated = stage.set.isolate_primary().await?;
    let lost = stage.insert(3);
    let replaced = async {
        ensure!(isolated.wait_for_write().await?, "nothing was written");
        isolated.replace().await
    };
    let (lost, replaced) = tokio::join!(lost, replaced);
    replaced?;
    ensure!(lost.is_err(), "a write that no member has is durable");
    ensure!(stage.count().await? == 2);
    stage.pass();
    Ok(())
}
