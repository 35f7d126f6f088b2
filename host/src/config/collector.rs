//! The OpenTelemetry collector: its endpoint, and the file of its headers (`otlpHeadersFile`).

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::options::Options;
use super::private_file::read_private;
use super::refusals::invalid;
use crate::model::OperatorError;

/// Headers that belong to the connection or to the encoding.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
];

/// The collector that receives traces and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorOptions {
    /// Base URL. Holds no credentials.
    pub endpoint: String,
    /// File with headers of each request.
    pub headers_file: Option<PathBuf>,
}

/// A header of each request. `Debug` masks its value.
#[derive(Clone, PartialEq, Eq)]
pub struct CollectorHeader {
    /// In lower case.
    pub name: String,
    /// Can be a secret.
    pub value: String,
}

impl fmt::Debug for CollectorHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ****", self.name)
    }
}

impl CollectorOptions {
    pub(super) fn check(options: &mut Options) -> Result<Option<Self>, OperatorError> {
        let headers_file = options.otlp_headers_file.take();
        let Some(endpoint) = options.otlp_endpoint.take() else {
            return match headers_file {
                None => Ok(None),
                Some(_) => Err(invalid(
                    "otlpHeadersFile needs otlpEndpoint, the collector that receives the headers.",
                )),
            };
        };
        if let Some(file) = &headers_file {
            read_headers(file)?;
        }
        Ok(Some(Self {
            endpoint: endpoint_url(endpoint)?,
            headers_file,
        }))
    }

    /// Whether headers cross a network without TLS.
    pub fn exposes_headers(&self) -> bool {
        let Some(rest) = self.endpoint.strip_prefix("http://") else {
            return false;
        };
        let place = rest.split('/').next().unwrap_or_default();
        let host = match place.strip_prefix('[') {
            Some(address) => address.split(']').next().unwrap_or_default(),
            None => place.split(':').next().unwrap_or_default(),
        };
        let is_loopback = |address: IpAddr| address.is_loopback();
        let is_local = host == "localhost" || host.parse().is_ok_and(is_loopback);
        self.headers_file.is_some() && !is_local
    }
}

/// The endpoint is logged, so it may hold no credentials.
fn endpoint_url(url: String) -> Result<String, OperatorError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', '?', '#']) => Ok(url),
        _ => Err(invalid(
            "otlpEndpoint has to be a URL such as http://localhost:4318, without user, password and query. Credentials belong \
             in a header of otlpHeadersFile.",
        )),
    }
}

/// The headers of a file: a `name: value` on each line; empty lines and lines that begin with `#` are passed over.
///
/// # Errors
///
/// `FileNotPrivate` if others than the owner can read the file; `InvalidConfig` with file and line, without values.
pub fn read_headers(path: &Path) -> Result<Vec<CollectorHeader>, OperatorError> {
    let place = format!("The otlpHeadersFile {}", path.display());
    let text = read_private(&place, path)?;
    let lines = text.lines().zip(1_u32..);
    let lines = lines.map(|(line, number)| (line.trim(), number));
    let mut headers: Vec<CollectorHeader> = Vec::new();
    for (line, number) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#')) {
        let refused = |why: &str| invalid(format!("{place} is refused: line {number}: {why}."));
        let header = header(line).map_err(refused)?;
        if headers.iter().any(|before| before.name == header.name) {
            return Err(refused("the header is given twice"));
        }
        headers.push(header);
    }
    Ok(headers)
}

fn header(line: &str) -> Result<CollectorHeader, &'static str> {
    let (name, value) = line.split_once(':').ok_or("it is no 'name: value'")?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    // Characters of a token (RFC 9110, 5.6.2).
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(of_name) {
        return Err("the name holds a character that no name of a header has");
    }
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err("tidegate sets this header itself");
    }
    let of_value = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
    if value.is_empty() || !value.bytes().all(of_value) {
        return Err("the value is empty, or holds a character that is no visible ASCII");
    }
    Ok(CollectorHeader {
        name,
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::ErrorName;

    fn read(text: &str, mode: u32) -> Result<Vec<CollectorHeader>, OperatorError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("headers");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        read_headers(&path)
    }

    #[test]
    fn headers_are_read_and_their_values_masked() {
        let text = "# collector\n\nAuthorization: Bearer s3cret:x\r\nx-tenant:a b\n";
        let headers = read(text, 0o600).expect("headers");
        let pairs: Vec<_> = (headers.iter())
            .map(|header| (header.name.as_str(), header.value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [("authorization", "Bearer s3cret:x"), ("x-tenant", "a b")]
        );
        assert!(!format!("{headers:?}").contains("s3cret"));
        assert!(read("", 0o600).is_ok_and(|headers| headers.is_empty()));
    }

    #[test]
    fn a_refusal_names_the_line_and_no_value() {
        for (text, reason) in [
            ("s3cret", "line 1: it is no"),
            ("\nna me: s3cret", "line 2: the name"),
            ("a: s3cret\nA: s3cret", "line 2: the header is given twice"),
            ("content-type: s3cret", "line 1: tidegate sets"),
            ("a:", "line 1: the value"),
            ("a: s3cret\u{e9}", "line 1: the value"),
            ("a: s3cret\u{7}", "line 1: the value"),
        ] {
            let refused = read(text, 0o600).expect_err(text).to_string();
            assert!(
                refused.contains(reason) && !refused.contains("s3cret"),
                "{text}: {refused}"
            );
        }
        let refused = read("a: s3cret", 0o644).expect_err("others can read it");
        assert_eq!(refused.name, ErrorName::FileNotPrivate);
    }

    #[test]
    fn headers_without_tls_stay_on_this_machine() {
        for (endpoint, exposes) in [
            ("http://localhost:4318", false),
            ("http://127.0.0.1:4318", false),
            ("http://[::1]:4318/otlp", false),
            ("http://localhost.example.net", true),
            ("https://collector", false),
            ("http://collector:4318", true),
        ] {
            let options = CollectorOptions {
                endpoint: endpoint.to_owned(),
                headers_file: Some(PathBuf::from("headers")),
            };
            assert_eq!(options.exposes_headers(), exposes, "{endpoint}");
        }
    }
}
