//! Policy for commands that fail: a repeatable command is repeated until a deadline, any other
//! command is sent once.
//!
//! [`Retry`] takes a closure that makes an attempt. [`send_once`] takes a single future, and its result
//! tells whether the command was done. So a command that must not be repeated does not fit into
//! [`Retry`], and the result of [`send_once`] cannot pass for a success.
//!
//! Cancellation safety: both can be dropped at any moment and wait for no answer of a cluster.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::timeout;

use super::{
    super::{Error, Moment},
    client::Contact,
};
use crate::{model::ErrorKind, observe::shortened};

/// Time for which a cluster may fail without a success before the sync pauses (mongosync: 10 minutes).
const OUTAGE: Duration = Duration::from_secs(600);

/// `OUTAGE`, or the shorter time that a test sets.
pub fn outage() -> Duration {
    shortened("TIDEGATE_OUTAGE_SECONDS", OUTAGE)
}

/// First and longest pause between two attempts. Jitter at most doubles a pause.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_millis(2_500);

/// Time for the first attempt of a command that a server answers at once. It doubles after each attempt
/// without an answer: a slow server gets its time, a lost packet costs little.
const QUICK: Duration = Duration::from_secs(15);
/// Time for the first attempt of a command that reads much.
const SLOW: Duration = Duration::from_secs(120);

/// Part of an attempt without a bound that counts as failure: the driver looks for a primary for
/// 30 s, and a command that failed after a longer time had been running.
const COUNTED: Duration = Duration::from_secs(35);

/// Shortest time between two log lines about a run of failures.
const QUIET: Duration = Duration::from_secs(5);

/// Attempts of a command that may be sent any number of times: a read, or an idempotent write.
#[derive(Clone, Debug)]
pub struct Retry {
    contact: Contact,
    what: &'static str,
    /// Time for the first attempt; `None` for no limit.
    bound: Option<Duration>,
    deadline: Duration,
}

impl Retry {
    /// For a command that a server answers at once. `what` names it in log lines and errors.
    pub fn quick(contact: &Contact, what: &'static str) -> Self {
        Self {
            contact: contact.clone(),
            what,
            bound: Some(QUICK),
            deadline: outage(),
        }
    }

    /// For a command that may take minutes.
    pub fn slow(contact: &Contact, what: &'static str) -> Self {
        Self {
            bound: Some(SLOW),
            ..Self::quick(contact, what)
        }
    }

    /// [`Self::slow`], on the destination.
    pub(in crate::mongo) fn destination(what: &'static str) -> Self {
        Self::slow(&Contact::new("the destination"), what)
    }

    /// For a command whose attempts have limits of their own.
    pub fn open(contact: &Contact, what: &'static str) -> Self {
        Self {
            bound: None,
            ..Self::quick(contact, what)
        }
    }

    /// Gives up after `deadline` instead of an outage, for a caller that an operator waits for.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes attempts until one succeeds or fails with a permanent error.
    ///
    /// # Errors
    /// [`Error::Outage`] at the deadline; the permanent error of an attempt.
    pub async fn run<T, F>(self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut failures = FailureRun::new(&self.contact, self.what, self.deadline);
        let mut bound = self.bound;
        loop {
            let begun = Moment::now();
            let limit = bound.map(|bound| bound.min(failures.remaining()));
            match bounded(limit, attempt()).await {
                Err(error) if error.kind() == ErrorKind::Transient => {
                    if matches!(error, Error::NoAnswer(_)) {
                        bound = bound.map(|bound| bound * 2);
                    }
                    tokio::time::sleep(failures.failed(begun, limit, error)?).await;
                }
                other => {
                    self.contact.answered();
                    return other;
                }
            }
        }
    }
}

/// [`Retry::slow`] on the destination.
pub async fn retry<T, F>(what: &'static str, attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    Retry::destination(what).run(attempt).await
}

/// Result of a command that was sent once.
#[must_use]
#[derive(Debug)]
pub enum Delivery<T> {
    /// The server's answer: the command was done.
    Done(T),
    /// The command or its answer was lost: it may have been done, or be done later.
    Unknown(Error),
}

/// Sends a command that must not be sent twice.
///
/// # Errors
/// A permanent error of the command: it was not done.
pub async fn send_once<T>(
    contact: &Contact,
    bound: Duration,
    command: impl Future<Output = Result<T, Error>>,
) -> Result<Delivery<T>, Error> {
    let begun = Moment::now();
    match bounded(Some(bound), command).await {
        Err(error) if error.kind() == ErrorKind::Transient => {
            contact.failed(begun);
            Ok(Delivery::Unknown(error))
        }
        other => {
            contact.answered();
            other.map(Delivery::Done)
        }
    }
}

/// Runs an attempt for at most `bound`.
pub(in crate::mongo) async fn bounded<T>(
    bound: Option<Duration>,
    attempt: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match bound {
        None => attempt.await,
        Some(bound) => timeout(bound, attempt)
            .await
            .unwrap_or(Err(Error::NoAnswer(bound))),
    }
}

/// Consecutive failures of one kind of command: paces its attempts and ends them at a deadline.
#[derive(Debug)]
pub struct FailureRun {
    contact: Contact,
    what: &'static str,
    deadline: Duration,
    /// Time taken by attempts and pauses.
    tried: Duration,
    pauses: ExponentialBackoff,
    logged: Option<Moment>,
}

impl FailureRun {
    /// Gives up after `deadline` without a success.
    pub fn new(contact: &Contact, what: &'static str, deadline: Duration) -> Self {
        Self {
            contact: contact.clone(),
            what,
            deadline,
            tried: Duration::ZERO,
            pauses: pauses(),
            logged: None,
        }
    }

    /// The time until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.tried)
    }

    /// Notes that the cluster has answered another command than the failing one.
    pub fn answered(&self) {
        self.contact.answered();
    }

    /// Notes a success: the count begins again.
    pub fn succeeded(&mut self) {
        self.contact.answered();
        if !self.tried.is_zero() {
            (self.tried, self.pauses) = (Duration::ZERO, pauses());
        }
    }

    /// Notes the transient failure of an attempt that began at `begun` and had `limit`. Returns the
    /// pause before the next attempt.
    ///
    /// # Errors
    /// [`Error::Outage`] at the deadline.
    pub fn failed(
        &mut self,
        begun: Moment,
        limit: Option<Duration>,
        error: Error,
    ) -> Result<Duration, Error> {
        self.contact.failed(begun);
        self.failed_after(begun.elapsed(), limit, error)
    }

    fn failed_after(
        &mut self,
        taken: Duration,
        limit: Option<Duration>,
        error: Error,
    ) -> Result<Duration, Error> {
        // At most the limit of an attempt: a machine that was suspended made no attempts meanwhile.
        self.tried += taken.min(limit.unwrap_or(COUNTED));
        if self.remaining().is_zero() {
            return Err(Error::Outage {
                cluster: self.contact.name(),
                what: self.what,
                tried: self.tried,
                last: Box::new(error),
            });
        }
        let pause = self
            .pauses
            .next()
            .unwrap_or(LAST_PAUSE)
            .min(self.remaining());
        self.tried += pause;
        self.log(&error, pause);
        Ok(pause)
    }

    fn log(&mut self, error: &Error, pause: Duration) {
        if self.logged.is_some_and(|logged| logged.elapsed() < QUIET) {
            return;
        }
        self.logged = Some(Moment::now());
        tracing::info!(
            cluster = self.contact.name(),
            what = self.what,
            error = %error,
            pause_ms = pause.as_millis(),
            failing_ms = self.tried.as_millis(),
            "trying again"
        );
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LAST_PAUSE)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures() -> FailureRun {
        FailureRun::new(&Contact::new("the source"), "list databases", OUTAGE)
    }

    /// Fails until the deadline. Returns the number of attempts and the last error.
    fn fail(failures: &mut FailureRun, taken: Duration, limit: Option<Duration>) -> (u32, Error) {
        for attempt in 1.. {
            if let Err(error) = failures.failed_after(taken, limit, Error::Stale) {
                return (attempt, error);
            }
        }
        unreachable!("the deadline comes")
    }

    #[test]
    fn the_deadline_counts_what_attempts_take() {
        let (attempts, error) = fail(&mut failures(), Duration::from_secs(30), None);
        assert!((17..=20).contains(&attempts), "{attempts}");
        let Error::Outage { cluster, tried, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*cluster, "the source");
        assert!(*tried >= OUTAGE && *tried < OUTAGE + Duration::from_secs(36));
        let shown = error.to_string();
        assert!(
            shown.starts_with("list databases on the source failed for 10 minutes: "),
            "{shown}"
        );
    }

    #[test]
    fn attempts_that_fail_at_once_pause_up_to_five_seconds() {
        let (attempts, _) = fail(&mut failures(), Duration::ZERO, None);
        assert!((100..200).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_suspended_machine_is_no_outage() {
        let mut failures = failures();
        let limit = Some(Duration::from_secs(15));
        let failed = failures.failed_after(Duration::from_secs(3_600), limit, Error::Stale);
        assert!(failed.is_ok());
        assert!(failures.remaining() > OUTAGE / 2);
    }

    #[test]
    fn a_success_begins_the_count_again() {
        let mut failures = failures();
        for _ in 0..1_000 {
            let failed = failures.failed_after(Duration::from_secs(15), None, Error::Stale);
            assert!(failed.expect("within the deadline") < FIRST_PAUSE * 3);
            failures.succeeded();
        }
    }

    #[tokio::test]
    async fn an_attempt_without_an_answer_gets_twice_the_time() {
        let at = Contact::new("the source");
        let repeat = Retry {
            bound: Some(Duration::from_millis(20)),
            ..Retry::quick(&at, "ping")
        };
        let mut begun = Vec::new();
        let answered = repeat.run(|| {
            begun.push(Moment::now());
            let answers = begun.len() == 4;
            async move {
                if answers {
                    return Ok(());
                }
                std::future::pending().await
            }
        });
        assert!(answered.await.is_ok());
        for (pair, bound) in begun.windows(2).zip([20, 40, 80]) {
            assert!(pair[1].since(pair[0]) >= Duration::from_millis(bound));
        }
        assert!(at.silent_since().is_none());
    }

    #[tokio::test]
    async fn once_says_what_is_not_known() {
        let at = Contact::new("the destination");
        let lost = send_once(&at, QUICK, async { Err::<(), _>(Error::Stale) }).await;
        assert!(matches!(lost, Ok(Delivery::Unknown(Error::Stale))));
        assert!(at.silent_since().is_some());
        let refused = send_once(&at, QUICK, async { Err::<(), _>(Error::Fenced) }).await;
        assert!(matches!(refused, Err(Error::Fenced)));
        assert!(matches!(
            send_once(&at, QUICK, async { Ok(1) }).await,
            Ok(Delivery::Done(1))
        ));
    }
}
