//! A whole verification of a sync without writes, compared with raw reads of both sides.

use anyhow::{Context, Result};

use super::{
    super::{
        figures::Case,
        floor::{self, ReadWay, Reads},
        sync::{Stopped, Sync},
    },
    Stage,
    whole::{Begun, Took, servers_cpu_s},
};

/// A verification, and the floor of the same run.
struct Run {
    floor_s: f64,
    took: Took,
    /// Of the source, and of the destination.
    servers_cpu_s: (f64, f64),
}

impl Run {
    fn ratio(&self) -> f64 {
        self.took.wall_s / self.floor_s
    }
}

impl Stage<'_> {
    pub(super) async fn idle(&self, case: &mut Case, mut sync: Sync<'_>, runs: u32) -> Result<()> {
        let way = self.fastest(&sync).await?;
        let (mut done, mut stopped) = (Vec::new(), Ok(()));
        for run in 1..=runs {
            match self.measure(&mut sync, way).await? {
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

    async fn measure(&self, sync: &mut Sync<'_>, way: ReadWay) -> Result<Result<Run, Stopped>> {
        let floor_s = self.floor(sync, way).await?;
        let begun = Begun::begin(sync).await?;
        let before = servers_cpu_s(self.source, sync);
        let ended = sync.until(|_| begun.is_over()).await?;
        let after = servers_cpu_s(self.source, sync);
        let took = begun.took(sync).await?;
        if let Err(stopped) = ended {
            return Ok(Err(stopped));
        }
        Ok(Ok(Run {
            floor_s,
            took: took.context("no outcome")?,
            servers_cpu_s: (after.0 - before.0, after.1 - before.1),
        }))
    }

    fn show(&self, case: &mut Case, run: Option<&Run>) {
        let gb = self.bytes as f64 / 1e9;
        let found = |figure: &dyn Fn(&Run) -> f64| run.map(figure);
        let boundary_s = |run: &Run| run.took.boundary_s;
        let reading_s = |run: &Run| run.took.wall_s - run.took.boundary_s;
        let more_mb = |run: &Run| run.took.memory_mb.1 - run.took.memory_mb.0;
        let source_s = |run: &Run| run.servers_cpu_s.0;
        let destination_s = |run: &Run| run.servers_cpu_s.1;
        case.found("data of one side", "GB", Some(gb));
        case.found("wall of the floor", "s", found(&|run| run.floor_s));
        case.found("wall", "s", found(&|run| run.took.wall_s));
        case.found("until the first read", "s", found(&boundary_s));
        case.found("from then on", "s", found(&reading_s));
        case.at_most("ratio", "", found(&Run::ratio), 1.3);
        case.at_most("CPU", "s/GB", found(&|run| run.took.cpu_s / gb), 2.0);
        case.found("CPU of the source", "s", found(&source_s));
        case.found("CPU of the destination", "s", found(&destination_s));
        case.found("memory before", "MB", found(&|run| run.took.memory_mb.0));
        case.at_most("peak memory beyond it", "MB", found(&more_mb), 64.0);
    }

    /// The fastest of several ways to read on this machine: first the way of reading is chosen, then the number of
    /// readers, then the size of a batch.
    async fn fastest(&self, sync: &Sync<'_>) -> Result<ReadWay> {
        let usual = ReadWay {
            reads: Reads::Ranges,
            batch_mib: 4,
            readers: 1,
        };
        let choices: [fn(ReadWay) -> [ReadWay; 2]; 3] = [
            |way| [Reads::Ranges, Reads::Natural].map(|reads| ReadWay { reads, ..way }),
            |way| [2, 4].map(|readers| ReadWay { readers, ..way }),
            |way| [1, 16].map(|batch_mib| ReadWay { batch_mib, ..way }),
        ];
        let mut best = (usual, f64::INFINITY);
        for alternatives in choices {
            for way in alternatives(best.0) {
                let took = self.floor(sync, way).await?;
                eprintln!("  floor: {took:.2} s ({way})");
                if took < best.1 {
                    best = (way, took);
                }
            }
        }
        Ok(best.0)
    }

    async fn floor(&self, sync: &Sync<'_>, way: ReadWay) -> Result<f64> {
        let clusters = [self.source.client(), sync.destination.client()];
        let took = floor::read(clusters, &self.documents, way).await?;
        Ok(took.as_secs_f64())
    }
}
