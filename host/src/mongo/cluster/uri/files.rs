//! The files of a connection string. Some of the driver's messages do not name the file.

use std::fs;
use std::path::Path;

use mongodb::options::{ClientOptions, Tls};

/// Refuses an unreadable file and an unusable key, by the name of the option.
pub(super) fn check(options: &ClientOptions) -> Result<(), String> {
    let Some(Tls::Enabled(tls)) = &options.tls else {
        return Ok(());
    };
    if let Some(path) = &tls.ca_file_path {
        let text = read("tlsCAFile", path)?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(of("tlsCAFile", path, "holds no certificate in PEM form"));
        }
    }
    let Some(path) = &tls.cert_key_file_path else {
        return Ok(());
    };
    let text = read("tlsCertificateKeyFile", path)?;
    let has_password = tls.tls_certificate_key_file_password.is_some();
    key_fault(&text, has_password).map_or(Ok(()), |fault| {
        Err(of("tlsCertificateKeyFile", path, fault))
    })
}

fn key_fault(text: &str, has_password: bool) -> Option<&'static str> {
    let holds = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    if !holds("CERTIFICATE") {
        return Some("holds no certificate in PEM form");
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Some(
            "holds an encrypted key in the old form of OpenSSL, which tidegate does not read: convert it with \
             openssl pkcs8 -topk8",
        );
    }
    let is_encrypted = holds("ENCRYPTED PRIVATE KEY");
    let is_plain = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
        .into_iter()
        .any(holds);
    match (is_encrypted, is_plain, has_password) {
        (true, _, true) | (_, true, false) => None,
        (true, false, false) => {
            Some("holds an encrypted key: give its password as tlsCertificateKeyFilePassword")
        }
        (false, true, true) => {
            Some("holds a key that is not encrypted: leave tlsCertificateKeyFilePassword out")
        }
        (false, false, _) => Some("holds no private key in PEM form"),
    }
}

fn read(option: &str, path: &Path) -> Result<String, String> {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| of(option, path, &format!("cannot be read: {error}")))
}

fn of(option: &str, path: &Path, what: &str) -> String {
    format!("the file of its option {option}={} {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f39_a_key_is_told_by_what_it_needs() {
        let file = |labels: &[&str]| -> String {
            labels
                .iter()
                .map(|label| format!("-----BEGIN {label}-----\n-----END {label}-----\n"))
                .collect()
        };
        let encrypted = file(&["CERTIFICATE", "ENCRYPTED PRIVATE KEY"]);
        let plain = file(&["PRIVATE KEY", "CERTIFICATE"]);
        for (text, has_password, says) in [
            (&encrypted, true, None),
            (&encrypted, false, Some("tlsCertificateKeyFilePassword")),
            (&plain, false, None),
            (&plain, true, Some("not encrypted")),
            (&file(&["CERTIFICATE"]), false, Some("no private key")),
            (&file(&["PRIVATE KEY"]), false, Some("no certificate")),
            (
                &(plain.clone() + "Proc-Type: 4,ENCRYPTED"),
                false,
                Some("openssl pkcs8"),
            ),
        ] {
            let fault = key_fault(text, has_password);
            assert_eq!(fault.is_some(), says.is_some(), "{text}");
            assert!(fault.unwrap_or_default().contains(says.unwrap_or_default()));
        }
    }
}
