//! The address of the API, and its protection.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::options::Options;
use super::refusals::invalid;
use crate::model::{ErrorName, OperatorError};

/// Address and protection of the API. Its files are read by the API, again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectionOptions {
    /// Address on which the API listens. Invariant: a loopback address, unless both `tls` and `tokens_file` are given.
    pub bind: IpAddr,
    /// HTTPS in place of HTTP.
    pub tls: Option<TlsOptions>,
    /// File with the callers; `None` to ask callers on this machine for no credentials.
    pub tokens_file: Option<PathBuf>,
    /// Names that the header `Host` may hold besides addresses and loopback names, in lower case.
    pub allowed_hosts: Vec<String>,
}

/// Files of HTTPS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate chain of the API, its own certificate first, and the key.
    pub certificate_key_file: PathBuf,
    /// Authorities of client certificates; `None` to ask for none.
    pub client_ca_file: Option<PathBuf>,
}

impl ProtectionOptions {
    /// Takes the options of the protection.
    ///
    /// # Errors
    ///
    /// `UnprotectedAddress` for an address that other machines can reach, without TLS or without callers; `InvalidConfig`.
    pub(super) fn check(options: &mut Options) -> Result<Self, OperatorError> {
        let tls = match (
            options.tls_certificate_key_file.take(),
            options.tls_client_ca_file.take(),
        ) {
            (Some(certificate_key_file), client_ca_file) => Some(TlsOptions {
                certificate_key_file,
                client_ca_file,
            }),
            (None, Some(_)) => {
                return Err(invalid(
                    "tlsClientCaFile needs tlsCertificateKeyFile: client certificates are a part of TLS.",
                ));
            }
            (None, None) => None,
        };
        let checked = Self {
            bind: address(options.bind.take().as_deref())?,
            tls,
            tokens_file: options.tokens_file.take(),
            allowed_hosts: names(options.allowed_hosts.take().unwrap_or_default())?,
        };
        checked.refuse_unprotected()?;
        Ok(checked)
    }

    fn refuse_unprotected(&self) -> Result<(), OperatorError> {
        let has_client_ca = self
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_ca_file.is_some());
        if has_client_ca && self.tokens_file.is_none() {
            return Err(invalid(
                "tlsClientCaFile needs tokensFile, whose entries with 'subject' give client certificates their roles.",
            ));
        }
        let missing = match (&self.tls, &self.tokens_file) {
            _ if self.bind.is_loopback() => return Ok(()),
            (Some(_), Some(_)) => return Ok(()),
            (Some(_), None) => "tokensFile is missing",
            (None, Some(_)) => "tlsCertificateKeyFile is missing",
            (None, None) => "tlsCertificateKeyFile and tokensFile are missing",
        };
        Err(OperatorError::new(
            ErrorName::UnprotectedAddress,
            format!(
                "Other machines can reach the address {}, and {missing}. Give both options, or leave bind out and use a \
                 tunnel.",
                self.bind
            ),
        ))
    }

    /// Options, each with whether it differs in `read`. Only a restart changes them.
    pub(super) fn differing(&self, read: &Self) -> [(&'static str, bool); 5] {
        let certificate = |of: &Self| of.tls.as_ref().map(|tls| tls.certificate_key_file.clone());
        let client_ca = |of: &Self| of.tls.as_ref().and_then(|tls| tls.client_ca_file.clone());
        [
            ("bind", self.bind != read.bind),
            (
                "tlsCertificateKeyFile",
                certificate(self) != certificate(read),
            ),
            ("tlsClientCaFile", client_ca(self) != client_ca(read)),
            ("tokensFile", self.tokens_file != read.tokens_file),
            ("allowedHosts", self.allowed_hosts != read.allowed_hosts),
        ]
    }
}

fn address(text: Option<&str>) -> Result<IpAddr, OperatorError> {
    match text {
        None | Some("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
        Some(text) => text.parse().map_err(|_not_one| {
            invalid(format!(
                "bind is '{text}'. Give an address of this machine, such as 127.0.0.1, 0.0.0.0 or ::."
            ))
        }),
    }
}

fn names(given: Vec<String>) -> Result<Vec<String>, OperatorError> {
    let is_name = |name: &str| {
        let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !name.is_empty() && name.len() <= 253 && name.chars().all(of_name)
    };
    let given = given
        .into_iter()
        .map(|name| name.trim().to_ascii_lowercase());
    let names: Vec<String> = given.collect();
    match names.iter().find(|name| !is_name(name)) {
        Some(wrong) => Err(invalid(format!(
            "allowedHosts holds '{wrong}'. Give names without scheme and port, such as sync.example.net."
        ))),
        None => Ok(names),
    }
}
