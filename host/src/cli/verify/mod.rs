//! `tidegate verify`: proves that two clusters, which any tool has synced, are equal. Writes to neither.
//!
//! Mismatches go to standard output or a file, one JSON object a line; progress and summary go to standard error.

mod list;
mod progress;
mod state_file;
mod summary;

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::interval};

use crate::{
    config::VerifyCommand,
    distribution::fetch_components,
    model::{ErrorName, OperatorError, StartOptions, options::ClusterName},
    mongo::{Cluster, connect, preflight},
    observe::{VERSION, failpoint},
    plugin::{Chain, Pins, Registry, Router, Slot, WasiPolicy},
    session::Settings,
    sync::{self, ClusterPair, Ledger, PairOptions, PairProgress, PairState, Workers},
};
use list::MismatchList;
use progress::ProgressDisplay;
use state_file::{Fingerprint, StateFile};
use summary::Summary;
pub use summary::Verdict;

/// The time between two looks at the results.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Looks between two writes of the state.
const LOOKS_A_WRITE: u32 = 5;

/// Compares the two clusters of `settings`, as a sync with the options `start` would have left them.
///
/// Cancellation: a dropped comparison leaves a list and a state that a later run goes on from.
///
/// # Errors
///
/// Those of connecting and reading, and of the components; `ClustersMismatch` and `OptionsMismatch` for a state of
/// another comparison; `InvalidConfig` for files that cannot be written.
pub async fn verify(
    command: &VerifyCommand,
    settings: &Settings,
    start: StartOptions,
) -> anyhow::Result<Verdict> {
    let (source, destination) = clusters(settings, &start).await?;
    let identities = preflight::check_readable(&source, &destination).await?;
    let registry = Arc::new(registry(command, settings)?);
    let wanted = start.named_components();
    fetch_components(&registry, &settings.registry, &wanted).await?;
    let pins = registry.pins(&start)?;
    let fingerprint = Fingerprint::new(identities, &components(&start, &pins), &start, command)?;
    let router = Arc::new(Router::new(&registry, &start, &pins)?);
    let chain = Arc::new(Chain::new(&registry, &start, &pins)?);
    let options = PairOptions {
        settle: command.settle,
        patience: command.patience,
        max_mismatches: command.max_mismatches,
        before_commit: command.before_commit,
        show_documents: command.show_documents,
        workers: Workers::of_load_level(settings.load_level).count(),
    };
    let (list, state, progress) = files(command, fingerprint)?;
    let pair = ClusterPair::new((&source, &destination), (router, chain), start, options);
    let ledger = Arc::new(Ledger::new(progress, options.max_mismatches));
    let mut run = Run {
        command,
        ledger,
        list,
        state,
    };
    let figures = run.compare(Arc::new(pair), &[source, destination]).await?;
    run.end(&figures)
}

/// The list, and the state with its progress. Checked before either is written.
fn files(
    command: &VerifyCommand,
    fingerprint: Fingerprint,
) -> Result<(MismatchList, Option<StateFile>, PairState), OperatorError> {
    if command.state.is_some() && command.state == command.out {
        return Err(invalid("--state and --out name one file. Give two."));
    }
    let mut list = MismatchList::open(command.out.as_deref(), command.state.is_some())?;
    let Some(path) = &command.state else {
        return Ok((list, None, PairState::default()));
    };
    let (mut state, progress) = StateFile::open(path, fingerprint)?;
    list.go_on(progress.is_some().then(|| state.list_bytes()))?;
    let progress = progress.unwrap_or_default();
    state.save(progress.clone(), list.bytes())?;
    Ok((list, Some(state), progress))
}

/// A comparison, with its outputs.
struct Run<'a> {
    command: &'a VerifyCommand,
    ledger: Arc<Ledger>,
    list: MismatchList,
    state: Option<StateFile>,
}

impl Run<'_> {
    /// Compares, and writes list and state meanwhile. Returns the figures at the end.
    async fn compare(
        &mut self,
        pair: Arc<ClusterPair>,
        clusters: &[Cluster],
    ) -> anyhow::Result<PairProgress> {
        let mut display = ProgressDisplay::of_process(clusters);
        let mut work = Task(tokio::spawn(sync::verify(pair, self.ledger.clone())));
        let mut looks = interval(LOOK_EVERY);
        let mut number = 0_u32;
        let ended = loop {
            tokio::select! {
                ended = &mut work.0 => break ended,
                _ = looks.tick() => {
                    number = number.wrapping_add(1);
                    self.write(number.is_multiple_of(LOOKS_A_WRITE))?;
                    display.show(&self.ledger.progress());
                }
            }
        };
        display.end();
        self.write(true)?;
        // No state has these lines: a later run cuts them off.
        self.list.append(&self.ledger.remainder())?;
        self.list.flush()?;
        let ended = ended.map_err(sync::Error::from).and_then(|ended| ended);
        ended.map_err(OperatorError::from)?;
        Ok(self.ledger.progress())
    }

    /// Writes new lines, and the state that has them.
    fn write(&mut self, with_state: bool) -> anyhow::Result<()> {
        let checkpoint = self.ledger.checkpoint();
        self.list.append(&checkpoint.findings)?;
        match &mut self.state {
            Some(state) if with_state || !checkpoint.findings.is_empty() => {
                self.list.flush()?;
                failpoint("verify_list_written");
                state.save(checkpoint.state, self.list.bytes())?;
                failpoint("verify_state_written");
            }
            _ => self.list.flush()?,
        }
        Ok(())
    }

    /// Prints the summary. A run with a result has no further use for its state.
    fn end(self, figures: &PairProgress) -> anyhow::Result<Verdict> {
        let begun_at = self.state.as_ref().map(StateFile::begun_at);
        let summary = Summary::new(figures, self.command, begun_at);
        summary.print(self.command)?;
        let verdict = summary.verdict;
        if let Some(state) = self.state.filter(|_| verdict != Verdict::NotVerified) {
            state.remove()?;
        }
        Ok(verdict)
    }
}

/// A task that ends with its owner.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Source and destination.
async fn clusters(
    settings: &Settings,
    start: &StartOptions,
) -> Result<(Cluster, Cluster), OperatorError> {
    let app_name = format!("tidegate {VERSION} verify");
    let uri = |name| match name {
        ClusterName::Cluster0 => &settings.cluster0,
        ClusterName::Cluster1 => &settings.cluster1,
    };
    let connected = async |name| connect(name, uri(name).reveal(), &app_name).await;
    Ok((
        connected(start.source).await?,
        connected(start.destination).await?,
    ))
}

/// The components of the release and of `--component`.
fn registry(command: &VerifyCommand, settings: &Settings) -> Result<Registry, OperatorError> {
    let wasi = match settings.refuse_wasi {
        true => WasiPolicy::Refuse,
        false => WasiPolicy::GrantNothing,
    };
    let registry = Registry::load(settings.feature_set.as_deref(), wasi)?
        .with_secrets(settings.secrets_dir.clone());
    for file in &command.components {
        let bytes = std::fs::read(file).map_err(|error| {
            invalid(format!(
                "The component {} cannot be read: {error}.",
                file.display()
            ))
        })?;
        registry.add(&bytes)?;
    }
    Ok(registry)
}

fn invalid(message: impl Into<String>) -> OperatorError {
    OperatorError::new(ErrorName::InvalidConfig, message)
}

/// The digests of the components in use, by their slots.
fn components(start: &StartOptions, pins: &Pins) -> Vec<String> {
    let slots = Slot::all(start).into_iter();
    let digest = |slot: Slot| format!("{slot} {}", pins.digest(slot).unwrap_or_default());
    slots.map(|(slot, _)| digest(slot)).collect()
}
