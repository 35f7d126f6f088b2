//! A whole verification of a sync without writes, compared with raw reads of both sides.

use anyhow::{Context, Result};

use super::{
    super::{
        figures::Case,
        floor::{self, ReadWay, Reads},
        sync::{Stopped, Sync},
    },
    Stage,
    whole::{Begun, Cost, Took, servers_cpu_s},
};

/// The fastest ways to read both sides.
#[derive(Clone, Copy)]
struct Ways {
    fastest: ReadWay,
    /// Of those in the order of `_id`, as a comparison needs it.
    in_order: ReadWay,
}

/// A verification, and the floors of the same run.
struct Run {
    floor_s: f64,
    floor_servers_s: (f64, f64),
    in_order_s: f64,
    took: Took,
    cost: Cost,
    /// Of the source, and of the destination.
    servers_cpu_s: (f64, f64),
}

impl Run {
    fn ratio(&self) -> f64 {
        self.took.wall_s / self.floor_s
    }
}

fn since(before: (f64, f64), now: (f64, f64)) -> (f64, f64) {
    (now.0 - before.0, now.1 - before.1)
}

impl Stage<'_> {
    pub(super) async fn idle(&self, case: &mut Case, mut sync: Sync<'_>, runs: u32) -> Result<()> {
        let ways = self.ways(&sync).await?;
        let (mut done, mut stopped) = (Vec::new(), Ok(()));
        for run in 1..=runs {
            match self.measure(&mut sync, ways).await? {
                Ok(measured) => {
                    eprintln!("  run {run}: ratio {:.2}", measured.ratio());
                    done.push(measured);
                }
                Err(why) => {
                    stopped = Err(why);
                    break;
                }
            }
        }
        done.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        self.show(case, done.get(done.len() / 2));
        match stopped {
            Ok(()) => sync.finish(case).await,
            Err(stopped) => sync.give_up(case, stopped),
        }
    }

    async fn measure(&self, sync: &mut Sync<'_>, ways: Ways) -> Result<Result<Run, Stopped>> {
        let in_order_s = self.floor(sync, ways.in_order).await?;
        let before = servers_cpu_s(self.source, sync);
        let floor_s = self.floor(sync, ways.fastest).await?;
        let floor_servers_s = since(before, servers_cpu_s(self.source, sync));
        let begun = Begun::begin(sync).await?;
        let before = servers_cpu_s(self.source, sync);
        let ended = sync.until(|_| begun.is_over()).await?;
        let after = servers_cpu_s(self.source, sync);
        let cost = begun.cost(sync)?;
        let took = begun.took().await?;
        if let Err(stopped) = ended {
            return Ok(Err(stopped));
        }
        Ok(Ok(Run {
            floor_s,
            floor_servers_s,
            in_order_s,
            took: took.context("no outcome")?,
            cost,
            servers_cpu_s: since(before, after),
        }))
    }

    fn show(&self, case: &mut Case, run: Option<&Run>) {
        let gb = self.bytes as f64 / 1e9;
        let found = |figure: &dyn Fn(&Run) -> f64| run.map(figure);
        let boundary_s = |run: &Run| run.took.boundary_s;
        let reading_s = |run: &Run| run.took.wall_s - run.took.boundary_s;
        let more_mb = |run: &Run| run.cost.memory_mb.1 - run.cost.memory_mb.0;
        let servers_s = |(source, destination): (f64, f64)| source + destination;
        let in_order = |run: &Run| run.took.wall_s / run.in_order_s;
        case.found("data of one side", "GB", Some(gb));
        case.found("wall of the floor", "s", found(&|run| run.floor_s));
        case.found(
            "CPU of its servers",
            "s",
            found(&|run| servers_s(run.floor_servers_s)),
        );
        case.found(
            "floor in the order of _id",
            "s",
            found(&|run| run.in_order_s),
        );
        case.found("wall", "s", found(&|run| run.took.wall_s));
        case.found("until the first read", "s", found(&boundary_s));
        case.found("from then on", "s", found(&reading_s));
        case.found("ratio", "", found(&Run::ratio));
        case.at_most("ratio to the floor by _id", "", found(&in_order), 1.3);
        case.at_most("CPU", "s/GB", found(&|run| run.cost.cpu_s / gb), 2.0);
        case.found(
            "CPU of the servers",
            "s",
            found(&|run| servers_s(run.servers_cpu_s)),
        );
        case.found("memory before", "MB", found(&|run| run.cost.memory_mb.0));
        case.at_most("peak memory beyond it", "MB", found(&more_mb), 64.0);
    }

    /// The fastest ways to read on this machine. In the order of `_id`, first the number of readers is chosen, then the
    /// size of a batch.
    async fn ways(&self, sync: &Sync<'_>) -> Result<Ways> {
        let ranges = |readers, batch_mib| ReadWay {
            reads: Reads::Ranges,
            batch_mib,
            readers,
        };
        let natural = [1, 4, 16].map(|batch_mib| ReadWay {
            reads: Reads::Natural,
            ..ranges(1, batch_mib)
        });
        let (natural, natural_s) = self.fastest(sync, &natural).await?;
        let readers = [1, 2, 4].map(|readers| ranges(readers, 4));
        let (best, _) = self.fastest(sync, &readers).await?;
        let batches = [1, 4, 16].map(|batch_mib| ranges(best.readers, batch_mib));
        let (in_order, in_order_s) = self.fastest(sync, &batches).await?;
        Ok(Ways {
            fastest: match natural_s < in_order_s {
                true => natural,
                false => in_order,
            },
            in_order,
        })
    }

    async fn fastest(&self, sync: &Sync<'_>, ways: &[ReadWay]) -> Result<(ReadWay, f64)> {
        let mut best = None;
        for &way in ways {
            let took = self.floor(sync, way).await?;
            eprintln!("  floor: {took:.2} s ({way})");
            if best.is_none_or(|(_, best)| took < best) {
                best = Some((way, took));
            }
        }
        best.context("no way to read")
    }

    async fn floor(&self, sync: &Sync<'_>, way: ReadWay) -> Result<f64> {
        let clusters = [self.source.client(), sync.destination.client()];
        let took = floor::read(clusters, &self.documents, way).await?;
        Ok(took.as_secs_f64())
    }
}
