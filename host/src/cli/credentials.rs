//! Credentials and trust of the commands that call the API.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The value of `Authorization` with the token in `file`.
///
/// # Errors
///
/// The file cannot be read.
pub(super) fn bearer(file: &Path) -> Result<String> {
    let token = fs::read_to_string(file);
    let token = token.with_context(|| format!("read the token in {}", file.display()))?;
    Ok(format!("Bearer {}", token.trim()))
}

/// Trust in the authorities of `ca_file` alone; in the public authorities without it.
///
/// # Errors
///
/// The file cannot be read, or holds something else than certificates.
pub(super) fn trust(ca_file: Option<&Path>) -> Result<TlsConfig> {
    let Some(file) = ca_file else {
        return Ok(TlsConfig::default());
    };
    let pem = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let mut authorities: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.with_context(|| format!("read the certificates in {}", file.display()))?;
        if let PemItem::Certificate(authority) = item {
            authorities.push(authority);
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(authorities))
        .build())
}
