//! Protection of the API: credentials, roles and TLS. Their files are read again when they change.
//!
//! Without `tokensFile` the API listens on a loopback address alone, and each process on this machine has all roles.

mod access;
mod admission;
mod attempts;
mod callers;
mod peer;
mod stamp;
mod subject;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::config::{ProtectionOptions, read_callers};
use crate::model::OperatorError;
pub(super) use access::needed_role;
pub(super) use admission::admit;
use attempts::FailedAttempts;
use callers::CallerTable;
pub(super) use peer::{ClientCertificate, Peer};
use stamp::Stamp;
pub(super) use subject::subject;

/// Interval between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The protection of the API in effect.
pub struct Protection {
    options: ProtectionOptions,
    files: RwLock<Arc<ProtectionFiles>>,
    /// The files as of the last read, whether it succeeded or failed.
    stamp: Mutex<Stamp>,
    attempts: FailedAttempts,
}

/// The content of the files.
struct ProtectionFiles {
    /// `None` without `tokensFile`.
    callers: Option<CallerTable>,
    /// `None` for HTTP.
    tls: Option<tls::TlsFiles>,
}

impl Protection {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` or `FileNotPrivate`, with the file and without its secrets.
    pub fn load(options: ProtectionOptions) -> Result<Self, OperatorError> {
        let stamp = Stamp::of(&options);
        let files = read(&options)?;
        Ok(Self {
            files: RwLock::new(Arc::new(files)),
            stamp: Mutex::new(stamp),
            attempts: FailedAttempts::default(),
            options,
        })
    }

    /// Reads the files again. Files that are refused change nothing.
    pub fn reread(&self) {
        if self.options.tls.is_none() && self.options.tokens_file.is_none() {
            return;
        }
        let mut stamp = self.stamp.lock();
        *stamp = Stamp::of(&self.options);
        match read(&self.options) {
            Ok(files) => {
                let callers = files.callers.as_ref().map_or(0, CallerTable::len);
                *self.files.write() = Arc::new(files);
                tracing::info!(callers, "tokens and certificates of the API reread");
            }
            Err(error) => {
                tracing::error!(
                    error_code = error.name.as_str(),
                    "tokens and certificates of the API are not replaced, and the previous ones stay in effect: {}",
                    error.message
                );
            }
        }
    }

    /// Rereads the files when they change, until `stop` is cancelled.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let this = self.clone();
            // File systems can block.
            let look = tokio::task::spawn_blocking(move || {
                if Stamp::of(&this.options) != *this.stamp.lock() {
                    this.reread();
                }
            });
            // Fails only when the runtime ends.
            _ = look.await;
        }
    }

    /// The configuration of TLS, for the next connection; `None` for HTTP.
    pub(super) fn tls(&self) -> Option<(Arc<ServerConfig>, u64)> {
        let files = self.files();
        let tls = files.tls.as_ref()?;
        Some((tls.config.clone(), tls.client_authorities))
    }

    /// Whether this server has the name `host`, without a port.
    pub(super) fn is_own_name(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>();
        // A page cannot make a browser send an address that is not this server's: only names are rebound.
        let is_elsewhere = !self.options.bind.is_loopback();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback() || is_elsewhere)
            || (self.options.allowed_hosts.iter()).any(|name| name.eq_ignore_ascii_case(host))
    }

    fn files(&self) -> Arc<ProtectionFiles> {
        self.files.read().clone()
    }
}

fn read(options: &ProtectionOptions) -> Result<ProtectionFiles, OperatorError> {
    let callers = options
        .tokens_file
        .as_deref()
        .map(read_callers)
        .transpose()?;
    let tls = options.tls.as_ref().map(tls::read).transpose()?;
    Ok(ProtectionFiles {
        callers: callers.map(CallerTable::new),
        tls,
    })
}

#[cfg(test)]
mod tests;
