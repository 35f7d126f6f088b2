//! Waiting for a condition with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A condition is looked at often at first, less often in a long wait: looking
/// costs the one that is looked at.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(50);

/// What a look at a condition found.
pub enum Look<T> {
    /// It holds.
    Done(T),
    /// It does not yet; the text says what was seen, for the message at the deadline.
    NotYet(String),
}

/// Looks until the condition holds; fails at the deadline with what was seen last.
/// An error of `look` ends the wait at once.
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
