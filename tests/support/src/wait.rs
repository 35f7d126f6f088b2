//! Waiting for a condition with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pauses between looks at a condition: short at first, longer in a long wait, because a look costs CPU on the
/// observed side.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(50);

/// The result of a look at a condition.
pub enum Look<T> {
    /// It holds.
    Done(T),
    /// It does not yet. The text describes the state, for the message at the deadline.
    NotYet(String),
}

/// Looks until the condition holds. Fails at the deadline, with the last state. An error of `look` ends the wait at
/// once.
pub async fn wait_until<T, F>(what: &str, deadline: Duration, mut look: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Look<T>>,
{
    let begun = Instant::now();
    loop {
        match look().await? {
            Look::Done(value) => return Ok(value),
            Look::NotYet(seen) if begun.elapsed() >= deadline => {
                bail!(
                    "{what}: not within {} s; seen last: {seen}",
                    deadline.as_secs()
                )
            }
            Look::NotYet(_) => {
                tokio::time::sleep((begun.elapsed() / 50).clamp(SHORTEST, LONGEST)).await;
            }
        }
    }
}
