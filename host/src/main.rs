//! `tidegate`: reads its configuration, opens the session and serves its API; or runs a command without a host:
//! `tidegate featureset`, `tidegate metadata`, `tidegate plan`, or `tidegate plugin`, `tidegate verify`, `tidegate health` and
//! `tidegate status`, which have exit codes of their own.
//!
//! Exit codes: 0 success or stopped on request, 1 a bug, 2 the command line or the machine, 3 the clusters or the sync.

mod signals;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use signals::Signals;
use tidegate::api::Protection;
use tidegate::cli::{CommandStatus, Verdict};
use tidegate::config::{
    self, CollectorOptions, Config, MetadataCommand, PlanCommand, Request, VerifyCommand,
};
use tidegate::model::options::ClusterName;
use tidegate::model::{ErrorName, OperatorError, StartOptions};
use tidegate::observe::{self, Log, OtlpExporter, field};
use tidegate::session::{SessionHandle, Settings};
use tidegate::{api, cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages, and the kernel then clears 2 MiB for each buffer of some KiB: half of the CPU
    // time of the host, and a third more memory. Fails on a kernel without huge pages, which does no harm.
    _ = rustix::thread::disable_transparent_huge_pages(true);
    let ended = match config::load(std::env::args_os()) {
        Ok(request) => carry_out(request),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            // Logging may not have started, and its files are not visible in a shell.
            _ = writeln!(io::stderr(), "tidegate: {error:#}");
            tracing::error!({ field::ERROR_CODE } = %name(&error), "ended: {error:#}");
            exit_code(name(&error))
        }
    }
}

fn carry_out(request: Request) -> anyhow::Result<ExitCode> {
    let status = match request {
        Request::Print(text) => print(&text)?,
        Request::FeatureSet(command) => print(&cli::featureset(&command)?)?,
        Request::Completions(shell) => print(&cli::completions(shell))?,
        Request::Manual(folder) => manual(&folder)?,
        Request::Run(config) => run(config)?,
        Request::Plugin(arguments) => return Ok(cli::plugin::run(arguments)),
        Request::Verify(command, start, config) => {
            return Ok(verify(&command, start.as_deref(), config));
        }
        Request::Metadata(command, config) => metadata(command, config)?,
        Request::Plan(command, config) => plan(command, config)?,
        Request::Health(command) => cli::health(command)?,
        Request::Status(command) => return Ok(ExitCode::from(cli::sync_status(command)?)),
    };
    Ok(match status {
        CommandStatus::Success => ExitCode::SUCCESS,
        CommandStatus::Failure => ExitCode::from(1),
    })
}

fn manual(folder: &Path) -> anyhow::Result<CommandStatus> {
    cli::manual(folder)?;
    Ok(CommandStatus::Success)
}

fn print(text: &str) -> anyhow::Result<CommandStatus> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(CommandStatus::Success)
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<CommandStatus> {
    let signals = Signals::listen()?;
    let otlp = exporter(&config)?;
    let log = Log::start(config.log_path.as_deref(), config.verbosity, otlp.clone())?;
    tracing::info!(version = observe::VERSION, "tidegate");
    config.log();
    if config
        .otlp
        .as_ref()
        .is_some_and(CollectorOptions::exposes_headers)
    {
        tracing::warn!(
            "the headers of otlpHeadersFile go to another machine without TLS: give otlpEndpoint an https:// URL"
        );
    }
    for variable in config::unknown_variables() {
        tracing::warn!("{variable}");
    }
    let protection = Arc::new(Protection::load(config.protection.clone())?);
    let listener = api::bind(config.protection.bind, config.port).await?;
    let address = listener.local_addr().context("read the bound address")?;
    let stop = signals.serve(log, config.clone(), protection.clone());
    tracing::info!(%address, "listening");
    let session = Arc::new(SessionHandle::new(settings(config)));
    let served = api::serve(listener, session.clone(), protection, stop.clone());
    let served = tokio::spawn(served);
    if let Some(otlp) = otlp.clone() {
        tokio::spawn(api::export_metrics(session.clone(), otlp, stop.clone()));
    }
    let opened = tokio::select! {
        opened = session.open() => opened.map(Some),
        () = stop.cancelled() => Ok(None),
    };
    let Some(session) = opened.inspect_err(|_| stop.cancel())? else {
        served.await.context("serve the API")?;
        return Ok(CommandStatus::Success);
    };
    // Another host may wait for the sync, so the lease is released while the last calls are answered.
    tokio::select! {
        () = session.handed_over().cancelled() => stop.cancel(),
        () = stop.cancelled() => session.leave().await,
    }
    let served = served.await.context("serve the API");
    session.shutdown().await;
    tracing::info!("stopped");
    if let Some(otlp) = otlp {
        tokio::task::spawn_blocking(move || otlp.finish()).await?;
    }
    served.map(|()| CommandStatus::Success)
}

fn exporter(config: &Config) -> anyhow::Result<Option<OtlpExporter>> {
    let Some(otlp) = &config.otlp else {
        return Ok(None);
    };
    let headers_file = otlp.headers_file.clone();
    let headers = move || {
        let headers = headers_file.as_deref().map(config::read_headers);
        let headers = headers.transpose()?.unwrap_or_default().into_iter();
        Ok(headers.map(|header| (header.name, header.value)).collect())
    };
    let exporter = OtlpExporter::start(&otlp.endpoint, &config.id, Box::new(headers));
    exporter.map(Some).context("start the export of telemetry")
}

#[tokio::main]
async fn metadata(command: MetadataCommand, config: Config) -> anyhow::Result<CommandStatus> {
    cli::metadata(command, settings(config)).await
}

#[tokio::main]
async fn plan(command: PlanCommand, config: Config) -> anyhow::Result<CommandStatus> {
    let options = api::start_options(&command.start);
    cli::plan(options, command.json, settings(config)).await
}

/// Exit codes: 0 equal, 1 the clusters differ, 2 not verified, for whichever reason.
fn verify(command: &VerifyCommand, start: Option<&[u8]>, config: Config) -> ExitCode {
    let start = match start {
        Some(body) => api::start_options(body),
        None => Ok(StartOptions::between(
            ClusterName::Cluster0,
            ClusterName::Cluster1,
        )),
    };
    let verified = start
        .map_err(Into::into)
        .and_then(|start| compare_clusters(command, settings(config), start));
    match verified {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            _ = writeln!(io::stderr(), "tidegate: {error:#}");
            ExitCode::from(Verdict::NotVerified.exit_code())
        }
    }
}

#[tokio::main]
async fn compare_clusters(
    command: &VerifyCommand,
    settings: Settings,
    start: StartOptions,
) -> anyhow::Result<Verdict> {
    cli::verify(command, &settings, start).await
}

fn settings(config: Config) -> Settings {
    Settings {
        id: config.id,
        cluster0: config.cluster0,
        cluster1: config.cluster1,
        load_level: config.load_level,
        feature_set: config.feature_set,
        secrets_dir: config.secrets_dir,
        registry: config.registry,
        refuse_wasi: config.refuse_wasi,
        plugin_logs: config.plugin_logs,
        lease: config.lease,
        hooks: config.hooks,
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
        | ErrorName::NotSupported
        | ErrorName::PortInUse
        | ErrorName::UnprotectedAddress
        | ErrorName::FileNotPrivate
        | ErrorName::LogPathNotWritable => ExitCode::from(2),
        _ => ExitCode::from(3),
    }
}
