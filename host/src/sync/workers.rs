//! The number of parallel tasks, which can change while they run.

use tokio::sync::watch;

/// The number of parallel tasks, from mongosync's `loadLevel`. Clones share it.
#[derive(Clone, Debug)]
pub struct Workers(watch::Sender<Occupancy>);

#[derive(Clone, Copy, Debug)]
struct Occupancy {
    /// Tasks that may work at once.
    limit: usize,
    /// Tasks that have a turn.
    busy: usize,
}

/// The right of a task to work. Dropping it lets another task work.
#[derive(Debug)]
pub(crate) struct Turn(Workers);

impl Workers {
    /// The largest number of any load level.
    pub(crate) const MOST: usize = 8;

    /// The number for a `load_level` of 1 to 4; 3 is the default. Four writers saturate two cores
    /// of a destination (docs/performance.md).
    pub fn of_load_level(load_level: u8) -> Self {
        Self(watch::Sender::new(Occupancy {
            limit: limit(load_level),
            busy: 0,
        }))
    }

    /// Changes the number. A task in excess of it works until its next job.
    pub fn set_load_level(&self, load_level: u8) {
        self.0
            .send_modify(|occupancy| occupancy.limit = limit(load_level));
    }

    /// The number of tasks, 1 to 8.
    pub fn count(&self) -> usize {
        self.0.borrow().limit
    }

    /// A turn, after waiting for it.
    ///
    /// Cancel safe: a dropped call takes no turn.
    pub(crate) async fn turn(&self) -> Turn {
        let mut occupancy = self.0.subscribe();
        loop {
            let is_taken = self.0.send_if_modified(|occupancy| {
                let is_free = occupancy.busy < occupancy.limit;
                occupancy.busy += usize::from(is_free);
                is_free
            });
            if is_taken {
                return Turn(self.clone());
            }
            // The channel is never closed: `self` has its sender.
            let _ = occupancy.changed().await;
        }
    }
}

impl Turn {
    /// Whether more tasks work than may.
    pub(crate) fn is_excess(&self) -> bool {
        let occupancy = self.0.0.borrow();
        occupancy.busy > occupancy.limit
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.send_modify(|occupancy| occupancy.busy -= 1);
    }
}

fn limit(load_level: u8) -> usize {
    match load_level {
        0 | 1 => 1,
        2 => 2,
        3 => 4,
        _ => Workers::MOST,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn turns_follow_the_load_level() {
        let workers = Workers::of_load_level(2);
        let mut turns: Vec<Turn> = (0..2)
            .filter_map(|_| workers.turn().now_or_never())
            .collect();
        assert_eq!(turns.len(), 2);
        assert!(workers.turn().now_or_never().is_none());
        workers.set_load_level(3);
        turns.extend((0..3).filter_map(|_| workers.turn().now_or_never()));
        assert_eq!((turns.len(), workers.count()), (4, 4));
        workers.set_load_level(1);
        assert!(turns.iter().all(Turn::is_excess));
        turns.truncate(1);
        assert!(!turns.iter().any(Turn::is_excess));
        assert!(workers.turn().now_or_never().is_none());
        turns.clear();
        assert!(workers.turn().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_waiting_task_gets_the_turn_that_another_gives_back() {
        let workers = Workers::of_load_level(1);
        let turn = workers.turn().await;
        let waiting = tokio::spawn({
            let workers = workers.clone();
            async move { drop(workers.turn().await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(turn);
        waiting.await.expect("a turn");
    }
}
