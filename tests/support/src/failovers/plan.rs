//! The plan of a run, drawn by its seed: the shape of both clusters, the course of the sync, and its failures in time.

use std::{fmt, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::failure::{Failure, Timed, between};
use crate::{faults::Side, replica_set::Options};

/// The members of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Three members with data.
    Three,
    /// A primary, a secondary and an arbiter.
    Arbiter,
}

impl Shape {
    pub(super) fn options(self) -> Options {
        // A server prepares three journal files of 100 MB, of which a run fills none.
        let options = Options {
            cache_gb: 0.25,
            ..Options::with_fail_points().linked()
        };
        let options = options
            .argument("--wiredTigerEngineConfigString")
            .argument("log=(prealloc=false,file_max=16MB)");
        match self {
            Self::Three => options.of_three(),
            Self::Arbiter => options.with_arbiter(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Three => "three",
            Self::Arbiter => "PSA",
        }
    }
}

/// When the failures happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From the start on.
    Copy,
    /// While changes are applied.
    Changes,
    /// While the sync pauses and goes on.
    Pause,
    /// From the commit on.
    Commit,
    /// While a committed sync runs back.
    Reverse,
}

impl Course {
    const FORWARD: [Self; 4] = [Self::Copy, Self::Changes, Self::Pause, Self::Commit];

    fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Changes => "changes",
            Self::Pause => "pause",
            Self::Commit => "commit",
            Self::Reverse => "reverse",
        }
    }
}

/// What happens in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Draws the data and the writes, too.
    pub seed: u64,
    pub source: Shape,
    pub destination: Shape,
    pub course: Course,
    /// DDL beside the writes.
    pub ddl: bool,
    pub failures: Vec<Timed>,
}

impl Plan {
    pub fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let shapes = [Shape::Three, Shape::Three, Shape::Arbiter];
        let shape = |rng: &mut StdRng| shapes.choose(rng).copied().unwrap_or(Shape::Three);
        let (source, destination) = (shape(&mut rng), shape(&mut rng));
        let course = Course::FORWARD.choose(&mut rng);
        let course = course.copied().unwrap_or(Course::Changes);
        let ddl = rng.random_bool(0.6);
        let failures = 0..rng.random_range(2..5);
        let failures = failures.map(|_| timed(&mut rng)).collect();
        // Drawn last, so that the other seeds keep the plans that they had before there were reverses.
        let is_reverse = rng.random_bool(0.2);
        Self {
            seed,
            source,
            destination,
            course: if is_reverse { Course::Reverse } else { course },
            ddl,
            failures,
        }
    }

    /// A sync whose source is away for so many minutes, and another sync whose destination is.
    pub fn outages(minutes: u64) -> Vec<Self> {
        let plans = Side::BOTH.into_iter().zip(0..).map(|(side, seed)| Self {
            seed,
            source: Shape::Three,
            destination: Shape::Three,
            course: Course::Changes,
            ddl: true,
            failures: vec![Timed::new(
                side,
                Failure::Away(Duration::from_secs(60 * minutes)),
            )],
        });
        plans.collect()
    }

    /// For how long a cluster is away, at most.
    pub(super) fn away(&self) -> Duration {
        let away = self.failures.iter().map(|timed| timed.failure.away());
        away.max().unwrap_or_default()
    }

    /// The shapes of source and destination.
    pub fn shapes(&self) -> (Shape, Shape) {
        (self.source, self.destination)
    }
}

fn timed(rng: &mut StdRng) -> Timed {
    let side = Side::BOTH.choose(rng).copied();
    Timed {
        after: between(rng, 0, 2_500),
        side: side.unwrap_or(Side::Source),
        failure: Failure::draw(rng),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, destination) = (self.source.name(), self.destination.name());
        let course = self.course.name();
        let ddl = if self.ddl { " with DDL" } else { "" };
        write!(
            f,
            "seed {}: {source} to {destination}, {course}{ddl}",
            self.seed
        )?;
        self.failures
            .iter()
            .try_for_each(|failure| write!(f, "; {failure}"))
    }
}

impl Timed {
    /// A failure half a second after the beginning of the one before.
    pub fn new(side: Side, failure: Failure) -> Self {
        Self {
            after: Duration::from_millis(500),
            side,
            failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn a_seed_draws_its_plan_again_and_seeds_draw_everything() {
        assert_eq!(Plan::draw(7), Plan::draw(7));
        assert_ne!(Plan::draw(7).to_string(), Plan::draw(8).to_string());
        let plans: Vec<Plan> = (0..300).map(Plan::draw).collect();
        let shapes: BTreeSet<_> = plans.iter().map(Plan::shapes).collect();
        assert_eq!(shapes.len(), 4);
        let kinds: HashSet<_> = plans
            .iter()
            .flat_map(|plan| &plan.failures)
            .map(|timed| std::mem::discriminant(&timed.failure))
            .map(|kind| format!("{kind:?}"))
            .collect();
        assert_eq!(kinds.len(), 13);
        for course in Course::FORWARD.into_iter().chain([Course::Reverse]) {
            assert!(plans.iter().any(|plan| plan.course == course));
        }
    }
}
