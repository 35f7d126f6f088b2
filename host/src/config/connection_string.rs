//! Connection strings: whole for the driver, masked everywhere else.

use std::fmt;

const MASK: &str = "****";

/// Options whose values are shown, in lower case. The value of any other option is masked: it can be a secret, and so can
/// that of a misspelled name. The only such list: [`is_secret_option`] is used wherever an option could be shown.
const SHOWN_OPTIONS: [&str; 52] = [
    "adaptiveretries",
    "appname",
    "authmechanism",
    "authsource",
    "compressors",
    "connect",
    "connecttimeoutms",
    "directconnection",
    "enableoverloadretargeting",
    "heartbeatfrequencyms",
    "heartbeatintervalms",
    "j",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxadaptiveretries",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "proxyhost",
    "proxyport",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "sslcertificateauthorityfile",
    "sslclientcertificatekeyfile",
    "sslinsecure",
    "timeoutms",
    "tls",
    "tlsallowinvalidcertificates",
    "tlsallowinvalidhostnames",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "uuidrepresentation",
    "w",
    "waitqueuetimeoutms",
    "wtimeout",
    "wtimeoutms",
    "zlibcompressionlevel",
    "zstdcompressionlevel",
];

/// A connection string. `Debug` and `Display` mask its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(String);

impl ConnectionString {
    /// A connection string, unchecked.
    pub fn new(uri: impl Into<String>) -> Self {
        Self(uri.into())
    }

    /// The unmasked string, only for the driver.
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

/// Masks the secrets of all connection strings in a text. A connection string ends at a blank or a quote.
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

/// A connection string without user, password and values that could be secret. All characters up to the last
/// `@` count as user and password, so that a password with an unescaped `@`, `/` or `?` does not leak.
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

/// True for an option whose value could be a secret.
pub fn is_secret_option(name: &str) -> bool {
    !SHOWN_OPTIONS.contains(&name.to_lowercase().as_str())
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
            (
                "mongodb://a/?proxyHost=p&proxyUsername=s3cret&proxyPassword=s3cret",
                "mongodb://a/?proxyHost=p&proxyUsername=****&proxyPassword=****",
            ),
            (
                "mongodb://a/?tlsCertificateKeyFilePasword=s3cret&tlsCAFile=/ca.pem",
                "mongodb://a/?tlsCertificateKeyFilePasword=****&tlsCAFile=/ca.pem",
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
