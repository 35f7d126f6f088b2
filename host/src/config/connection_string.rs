//! Connection strings: kept whole for the driver, masked for everybody else.

use std::fmt;

const MASK: &str = "****";

/// The query options whose values are secrets, in lower case.
const SECRET_OPTIONS: [&str; 5] = [
    "authmechanismproperties",
    "proxypassword",
    "proxyusername",
    "sslclientcertificatekeypassword",
    "tlscertificatekeyfilepassword",
];

/// A connection string. `Debug` and `Display` show it without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(String);

impl ConnectionString {
    pub fn new(uri: impl Into<String>) -> Self {
        Self(uri.into())
    }

    /// The string itself: for the driver, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_uri(&self.0))
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text without the secrets of the connection strings that stand in it. Each
/// is taken to reach to the next blank or quote.
pub fn mask_text(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("mongodb") {
        let (before, found) = rest.split_at(start);
        let end = found.find(|c: char| c.is_whitespace() || "'\"".contains(c));
        let (uri, after) = found.split_at(end.unwrap_or(found.len()));
        masked.push_str(before);
        masked.push_str(&mask_uri(uri));
        rest = after;
    }
    masked + rest
}

/// One connection string without its user, its password, and the values of
/// secret options. Everything up to the last `@` counts as user and password:
/// one that holds an unescaped `@`, `/` or `?` must not leak either.
fn mask_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => (format!("{MASK}@"), rest),
        None => (String::new(), rest),
    };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let mark = if options.is_empty() { "" } else { "?" };
    let options: Vec<String> = options.split('&').map(mask_option).collect();
    format!("{scheme}://{user}{place}{mark}{}", options.join("&"))
}

/// True for an option of a connection string whose value is a secret.
pub fn is_secret_option(name: &str) -> bool {
    SECRET_OPTIONS.contains(&name.to_lowercase().as_str())
}

fn mask_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if is_secret_option(name) => {
            format!("{name}={MASK}")
        }
        _ => option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_secret_is_shown() {
        for (uri, shown) in [
            (
                "mongodb://a:27017,b:27017/?replicaSet=rs",
                "mongodb://a:27017,b:27017/?replicaSet=rs",
            ),
            ("mongodb://user:s3cret@a/db", "mongodb://****@a/db"),
            ("mongodb+srv://user:s3@c/r?et@a", "mongodb+srv://****@a"),
            (
                "mongodb://a/?tls=true&tlsCertificateKeyFilePassword=s3cret",
                "mongodb://a/?tls=true&tlsCertificateKeyFilePassword=****",
            ),
            (
                "mongodb://a/?AUTHMECHANISMPROPERTIES=AWS_SESSION_TOKEN:s3cret&w=1",
                "mongodb://a/?AUTHMECHANISMPROPERTIES=****&w=1",
            ),
            (
                "mongodb://a/?sslClientCertificateKeyPassword=s3cret",
                "mongodb://a/?sslClientCertificateKeyPassword=****",
            ),
        ] {
            let uri = ConnectionString::new(uri);
            assert_eq!(uri.to_string(), shown);
            assert_eq!(format!("{uri:?}"), shown);
        }
    }

    #[test]
    fn a_text_is_masked_around_its_connection_strings() {
        assert_eq!(
            mask_text("unexpected 'mongodb://u:p@h/' and \"mongodb+srv://x:y@z\" found"),
            "unexpected 'mongodb://****@h/' and \"mongodb+srv://****@z\" found"
        );
        assert_eq!(mask_text("no mongodb here"), "no mongodb here");
    }
}
