//! Connection strings: read by the driver, and refused with the name of the faulty option.
//!
//! The driver's messages may quote a part of the string, and in a malformed string any part may belong
//! to a password. Invariant: messages come from copies in which user, password and secret values are
//! replaced. The faulty option is the option without which the driver accepts the copy.

mod files;
mod identity;
mod options;

use mongodb::error::{Error, ErrorKind};
use mongodb::options::{AuthMechanism, ClientOptions, ConnectionString};

use crate::config::is_secret_option;
use crate::model::{ErrorName, OperatorError};

pub(super) use options::{MIN_POOL_SIZE, notices};

const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

/// Replaces a secret in copies.
const PLACEHOLDER: &str = "x";

/// Properties of an authentication mechanism that are no secrets. They decide which other options the
/// driver requires.
const PUBLIC_PROPERTIES: [&str; 3] = ["ENVIRONMENT", "CANONICALIZE_HOST_NAME", "SERVICE_NAME"];

/// Reads the connection string of the cluster `name`.
pub(super) async fn parse(name: &str, uri: &str) -> Result<ClientOptions, OperatorError> {
    let text = &*options::readable(uri);
    let mut read = match ClientOptions::parse(text).await {
        Ok(read) => read,
        Err(error) => return Err(refusal(name, text, &error).await),
    };
    let refused = |fault: &str| invalid(name, fault);
    unsupported(&read).map_or(Ok(()), |fault| Err(refused(fault)))?;
    identity::provide(&mut read).map_err(refused)?;
    options::set_zstd_level(uri, &mut read).map_err(|fault| refused(&fault))?;
    files::check(&read).map_err(|fault| refused(&fault))?;
    Ok(read)
}

/// An option that the driver reads, and with which it or a sync would fail later.
fn unsupported(options: &ClientOptions) -> Option<&'static str> {
    if options.load_balanced == Some(true) {
        return Some(
            "its option loadBalanced=true is refused: no replica set is behind a load balancer; name the members of \
             the set",
        );
    }
    let mechanism = options.credential.as_ref()?.mechanism.as_ref()?;
    (*mechanism == AuthMechanism::MongoDbCr).then_some(
        "its option authMechanism=MONGODB-CR is refused: the servers that tidegate supports do not have it; use \
         SCRAM-SHA-256",
    )
}

/// The refusal of options that the driver has read and cannot make a client of.
pub(super) fn unusable(name: &str, error: &Error) -> OperatorError {
    match &*error.kind {
        ErrorKind::InvalidTlsConfig { message, .. } => invalid(
            name,
            &format!("its TLS options are refused: {}", plain(message)),
        ),
        ErrorKind::InvalidArgument { message, .. } => invalid(name, &plain(message)),
        other => invalid(name, &other.to_string()),
    }
}

pub(super) fn invalid(name: &str, fault: &str) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidUri,
        format!(
            "The connection string of {name} is not valid: {fault}. Correct it; the form is \
             mongodb://USER:PASSWORD@HOST:PORT,HOST:PORT/?replicaSet=NAME."
        ),
    )
}

async fn refusal(name: &str, uri: &str, error: &Error) -> OperatorError {
    if let ErrorKind::DnsResolve { message, .. } = &*error.kind {
        return OperatorError::new(
            ErrorName::ConnectionFailed,
            format!(
                "The host names of {name} cannot be looked up: {message}. Check the host name of its \
                 mongodb+srv connection string and the DNS of this machine."
            ),
        );
    }
    invalid(name, &fault(uri).await)
}

/// A connection string in its parts.
#[derive(Clone)]
struct Parts<'a> {
    scheme: &'static str,
    /// User and password.
    user: Option<&'a str>,
    /// Hosts and database.
    place: &'a str,
    options: Vec<&'a str>,
}

async fn fault(uri: &str) -> String {
    let Some(parts) = Parts::of(uri) else {
        return "it begins with neither mongodb:// nor mongodb+srv://".to_owned();
    };
    if parts.options.iter().any(|option| option.contains('@')) {
        return "an '@' stands after the first '?'. Characters other than letters, digits and -._~ must be \
                percent-encoded in user name and password, and '@' in options, too"
            .to_owned();
    }
    if let Err(message) = parts.public(&[]).accepted().await {
        return plain(&message);
    }
    match parts.public_fault().await {
        Some(fault) => fault,
        None => parts.secret_fault().await,
    }
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = SCHEMES
            .into_iter()
            .find_map(|scheme| Some((scheme, uri.strip_prefix(scheme)?)))?;
        let (before, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, place) = match before.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, before),
        };
        let options = options.split('&').filter(|option| !option.is_empty());
        Some(Self {
            scheme,
            user,
            place,
            options: options.collect(),
        })
    }

    /// A copy without secrets, with some of the options.
    fn public(&self, options: &[&str]) -> Trial {
        let user = self.user.map(|user| match user.split_once(':') {
            Some(_) => format!("{PLACEHOLDER}:{PLACEHOLDER}"),
            None => PLACEHOLDER.to_owned(),
        });
        Trial {
            scheme: self.scheme,
            user,
            place: self.place.to_owned(),
            options: options.iter().map(|option| public(option)).collect(),
        }
    }

    /// The faulty option, if the fault is visible without secrets.
    async fn public_fault(&self) -> Option<String> {
        let message = self.public(&self.options).accepted().await.err()?;
        for index in 0..self.options.len() {
            let mut others = self.options.clone();
            let option = others.remove(index);
            if self.public(&others).accepted().await.is_ok() {
                return Some(of_option(option, &message));
            }
        }
        // Several options are faulty: the first of them.
        let mut before = Vec::new();
        for option in &self.options {
            before.push(*option);
            if let Err(message) = self.public(&before).accepted().await {
                return Some(of_option(option, &message));
            }
        }
        Some(plain(&message))
    }

    /// The faulty secret, by the name of its option.
    async fn secret_fault(&self) -> String {
        let mut copy = self.public(&self.options);
        copy.user = self.user.map(str::to_owned);
        if copy.accepted().await.is_err() {
            return "its user name or password is malformed (characters other than letters, digits and -._~ must \
                    be percent-encoded)"
                .to_owned();
        }
        for option in self.options.iter().filter(|option| is_secret(option)) {
            let mut copy = self.public(&self.options);
            let placed = copy.options.iter_mut().zip(&self.options);
            for (placeholder, _) in placed.filter(|(_, real)| *real == option) {
                (*option).clone_into(placeholder);
            }
            if copy.accepted().await.is_err() {
                return format!("the value of its option {} is malformed", name(option));
            }
        }
        "the driver refuses it for a reason that could show a secret".to_owned()
    }
}

/// A connection string to try.
struct Trial {
    scheme: &'static str,
    user: Option<String>,
    place: String,
    options: Vec<String>,
}

impl Trial {
    /// The driver's message, if it refuses the string. No host name is looked up.
    async fn accepted(&self) -> Result<(), String> {
        let message = |error: Error| match &*error.kind {
            ErrorKind::InvalidArgument { message, .. } => message.clone(),
            other => other.to_string(),
        };
        ConnectionString::parse(self.text(self.scheme, |_| true)).map_err(message)?;
        let of_seed_list = |option: &str| !name(option).to_lowercase().starts_with("srv");
        let [seed_list, _] = SCHEMES;
        ClientOptions::parse(self.text(seed_list, of_seed_list))
            .await
            .map_err(message)?;
        Ok(())
    }

    fn text(&self, scheme: &str, keep: impl Fn(&str) -> bool) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@"));
        let options: Vec<&str> = self
            .options
            .iter()
            .map(String::as_str)
            .filter(|option| keep(option))
            .collect();
        let slash = if self.place.contains('/') { "" } else { "/" };
        format!(
            "{scheme}{}{}{slash}?{}",
            user.unwrap_or_default(),
            self.place,
            options.join("&")
        )
    }
}

fn name(option: &str) -> &str {
    option.split('=').next().unwrap_or_default()
}

fn is_secret(option: &str) -> bool {
    is_secret_option(name(option))
}

/// The option, with a placeholder in place of a secret value.
fn public(option: &str) -> String {
    let name = name(option);
    if !is_secret_option(name) {
        return option.to_owned();
    }
    if !name.eq_ignore_ascii_case("authMechanismProperties") {
        return format!("{name}={PLACEHOLDER}");
    }
    let (_, properties) = option.split_once('=').unwrap_or_default();
    let kept = properties.split(',').filter_map(|property| {
        let (name, value) = property.split_once(':')?;
        let is_public = PUBLIC_PROPERTIES.contains(&name);
        let value = if is_public { value } else { PLACEHOLDER };
        Some(format!("{name}:{value}"))
    });
    let kept: Vec<String> = kept.collect();
    if kept.is_empty() {
        format!("{name}=X:{PLACEHOLDER}")
    } else {
        format!("{name}={}", kept.join(","))
    }
}

/// The fault of an option, in tidegate's words where the driver's would mislead.
fn of_option(option: &str, message: &str) -> String {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let why = match (name.to_lowercase().as_str(), value) {
        ("sockettimeoutms" | "timeoutms", _) => {
            "each command has a time limit of tidegate's own; leave the option out".to_owned()
        }
        ("maxpoolsize", "0") => {
            "a pool without a bound is not supported; leave the option out, or give 32 or more"
                .to_owned()
        }
        ("tlsallowinvalidhostnames", _) => {
            "a certificate is checked with its host names, or not at all; leave the option out, or give \
             tlsInsecure=true, which checks nothing"
                .to_owned()
        }
        ("tlscertificatefile" | "tlsprivatekeyfile", _) => {
            "put certificate and key into one file, and give it as tlsCertificateKeyFile".to_owned()
        }
        ("connect", _) => "directConnection has its place".to_owned(),
        ("authmechanism", "GSSAPI") if !cfg!(feature = "kerberos") => {
            not_built_in("Kerberos", "kerberos")
        }
        ("authmechanism", "MONGODB-AWS") if !cfg!(feature = "aws") => {
            not_built_in("AWS IAM", "aws")
        }
        _ => plain(message),
    };
    if is_secret(option) {
        format!("its option {name} is refused: {why}")
    } else {
        format!("its option {option} is refused: {why}")
    }
}

/// A mechanism of a cargo feature that this binary was built without.
fn not_built_in(mechanism: &str, feature: &str) -> String {
    format!(
        "{mechanism} is not built into this binary; build tidegate with --features {feature}, or use another mechanism"
    )
}

/// The driver's message without a final full stop.
fn plain(message: &str) -> String {
    message.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
