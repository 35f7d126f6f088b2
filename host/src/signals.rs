//! Signals: SIGTERM and SIGINT stop the host, SIGUSR1 rotates the log as mongosync's does, SIGHUP rotates it
//! and reads the configuration file again. Neither of the last two ever ends the process.

use anyhow::Context;
use tidegate::config::{self, Config, Request};
use tidegate::model::{ErrorName, OperatorError};
use tidegate::observe::Log;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals of this process. From its making on, none of them has the system's default effect.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    rotate: Signal,
    reread: Signal,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind, name: &str| signal(kind).with_context(|| format!("listen for {name}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            rotate: listen(SignalKind::user_defined1(), "SIGUSR1")?,
            reread: listen(SignalKind::hangup(), "SIGHUP")?,
        })
    }

    /// Serves the signals in the background; gives a token that SIGTERM or SIGINT cancels.
    pub(crate) fn serve(mut self, log: Log, mut config: Config) -> CancellationToken {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = self.terminate.recv() => stop_for("SIGTERM", &stopped),
                    _ = self.interrupt.recv() => stop_for("SIGINT", &stopped),
                    _ = self.rotate.recv() => rotate(&log),
                    _ = self.reread.recv() => {
                        rotate(&log);
                        reread(&log, &mut config);
                    }
                }
            }
        });
        stop
    }
}

fn stop_for(signal: &str, stop: &CancellationToken) {
    if !stop.is_cancelled() {
        tracing::info!(
            signal,
            "asked to stop: the position is persisted and the lease given back"
        );
        stop.cancel();
    }
}

fn rotate(log: &Log) {
    match log.rotate() {
        Ok(Some(renamed)) => tracing::info!(before = %renamed.display(), "log rotated"),
        Ok(None) => tracing::info!("log rotated; no file had to be renamed"),
        Err(error) => tracing::warn!(error = %error, "log not rotated"),
    }
}

/// Takes the values that may change while the host runs; names the others.
fn reread(log: &Log, config: &mut Config) {
    match read() {
        Ok(read) => {
            let waiting = config.differing_at_restart(&read);
            log.set_verbosity(read.verbosity);
            config.verbosity = read.verbosity;
            tracing::info!(verbosity = %read.verbosity, "configuration read again");
            if !waiting.is_empty() {
                tracing::warn!(
                    options = waiting.join(", "),
                    "changed options that take effect at the next start of the host"
                );
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "the configuration is refused; the host goes on with the one before");
        }
    }
}

fn read() -> Result<Config, OperatorError> {
    match config::load(std::env::args_os())? {
        Request::Run(config) => Ok(config),
        // The arguments of a process do not change, and they have asked for a host.
        _ => Err(OperatorError::new(
            ErrorName::InternalError,
            "The arguments do not ask for a host any more.",
        )),
    }
}
