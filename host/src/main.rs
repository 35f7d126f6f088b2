//! `tidegate`: reads its configuration, opens the session and serves its API; or says
//! something of feature sets or of metadata (`tidegate featureset`, `tidegate metadata`);
//! or runs the tools for authors of plugins (`tidegate plugin`), which have exit codes
//! of their own.
//!
//! Exit codes: 0 done or asked to stop, 1 a bug, 2 the command line or the host
//! it runs on, 3 the clusters or the sync itself.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tidegate::config::{self, Config, MetadataCommand, Request};
use tidegate::model::{ErrorName, OperatorError};
use tidegate::observe::{self, field};
use tidegate::operator::{self, Ended};
use tidegate::session::{Session, Settings};
use tidegate::{api, author};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for them, and the kernel clears two mebibytes for each buffer of some
    // kilobytes: half of our CPU, and a third more memory. A kernel without them refuses this.
    _ = rustix::thread::disable_transparent_huge_pages(true);
    let ended = match config::load(std::env::args_os()) {
        Ok(Request::Print(text)) => print(&text),
        Ok(Request::FeatureSet(command)) => operator::featureset(&command)
            .map_err(Into::into)
            .and_then(|text| print(&text)),
        Ok(Request::Run(config)) => run(config),
        Ok(Request::Plugin(arguments)) => return author::run(arguments),
        Ok(Request::Metadata(command, config)) => match look_at(command, config) {
            Ok(Ended::Well) => Ok(()),
            Ok(Ended::Badly) => return ExitCode::from(1),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may not be up, and its files are not where a shell looks.
            _ = writeln!(io::stderr(), "tidegate: {error:#}");
            tracing::error!({ field::ERROR_CODE } = %name(&error), "ended: {error:#}");
            exit_code(name(&error))
        }
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    observe::start_logging(config.log_path.as_deref(), config.verbosity)?;
    tracing::info!(version = observe::VERSION, "tidegate");
    config.log();
    let listener = api::bind(config.port).await?;
    let address = listener.local_addr().context("read the bound address")?;
    let stop = stop_on_signal()?;
    let session = tokio::select! {
        session = Session::open(settings(config)) => session?,
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!(%address, "listening");
    let served = async {
        let served = api::serve(listener, Arc::clone(&session), stop.clone()).await;
        stop.cancel();
        served.context("serve the API")
    };
    // Another host may wait for the sync: it is let go while last calls are being answered.
    let left = async {
        tokio::select! {
            () = session.handed_over().cancelled() => stop.cancel(),
            () = stop.cancelled() => session.leave().await,
        }
    };
    let (served, ()) = tokio::join!(served, left);
    session.shutdown().await;
    tracing::info!("stopped");
    served
}

#[tokio::main]
async fn look_at(command: MetadataCommand, config: Config) -> anyhow::Result<Ended> {
    operator::metadata(command, settings(config)).await
}

/// A token that SIGTERM or SIGINT cancels.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("asked to stop");
        stopped.cancel();
    });
    Ok(stop)
}

fn settings(config: Config) -> Settings {
    Settings {
        id: config.id,
        cluster0: config.cluster0,
        cluster1: config.cluster1,
        load_level: config.load_level,
        feature_set: config.feature_set,
        secrets_dir: config.secrets_dir,
        refuse_wasi: config.refuse_wasi,
        lease: config.lease,
    }
}

fn name(error: &anyhow::Error) -> ErrorName {
    error
        .downcast_ref::<OperatorError>()
        .map_or(ErrorName::InternalError, |error| error.name)
}

fn exit_code(name: ErrorName) -> ExitCode {
    match name {
        ErrorName::InternalError => ExitCode::from(1),
        ErrorName::InvalidConfig
        | ErrorName::InvalidUri
        | ErrorName::PortInUse
        | ErrorName::LogPathNotWritable => ExitCode::from(2),
        _ => ExitCode::from(3),
    }
}
