//! Signals: SIGTERM and SIGINT stop the host, SIGUSR1 rotates the log as in mongosync, SIGHUP rotates the log and
//! rereads the configuration file and the files of the API's protection. SIGUSR1 and SIGHUP never end the process.

use std::sync::Arc;

use anyhow::Context;
use tidegate::api::Protection;
use tidegate::config::{self, Config, Request};
use tidegate::model::{ErrorName, OperatorError};
use tidegate::observe::Log;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals of this process. While the value exists, none of them has the default action of the system.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    rotate: Signal,
    reread: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// The system refuses a signal handler.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind, name: &str| signal(kind).with_context(|| format!("listen for {name}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            rotate: listen(SignalKind::user_defined1(), "SIGUSR1")?,
            reread: listen(SignalKind::hangup(), "SIGHUP")?,
        })
    }

    /// Handles the signals in a background task. SIGTERM and SIGINT cancel the returned token.
    pub(crate) fn serve(
        mut self,
        log: Log,
        mut config: Config,
        protection: Arc<Protection>,
    ) -> CancellationToken {
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
                        protection.reread();
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
            "stopping: the position is persisted and the lease released"
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

/// Applies the options that can change while the host runs, and logs the names of the others.
fn reread(log: &Log, config: &mut Config) {
    match read() {
        Ok(read) => {
            let waiting = config.differing_at_restart(&read);
            log.set_verbosity(read.verbosity);
            config.verbosity = read.verbosity;
            tracing::info!(verbosity = %read.verbosity, "configuration reread");
            if !waiting.is_empty() {
                tracing::warn!(
                    options = waiting.join(", "),
                    "changed options that take effect at the next start of the host"
                );
            }
        }
        Err(error) => {
            tracing::warn!(error = %error, "the configuration is refused; the previous configuration stays in effect");
        }
    }
}

fn read() -> Result<Config, OperatorError> {
    match config::load(std::env::args_os())? {
        Request::Run(config) => Ok(config),
        // The arguments of a process do not change, and they started a host.
        _ => Err(OperatorError::new(
            ErrorName::InternalError,
            "The arguments no longer start a host.",
        )),
    }
}
