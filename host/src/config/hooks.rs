//! The hooks file: the programs and web servers that receive occurrences of a sync.
//!
//! Secrets stand in files of their own, and never in arguments. Paths are relative to the folder of the hooks file.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::refusals::{in_range, invalid};
use super::yaml::read_yaml;
use crate::model::hook::HookEvent;
use crate::model::{OperatorError, input};

const DEFAULT_TIMEOUT_SECONDS: u16 = 10;
const TIMEOUT_SECONDS: (u16, u16) = (1, 300);
const MAX_NAME: usize = 64;

/// A hook. `Debug` masks secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookOptions {
    /// Name of the hook, unique in the file. The metadata refers to it: another host sends what this host has not.
    pub name: String,
    /// Occurrences that the hook receives.
    pub events: Vec<HookEvent>,
    /// The receiver.
    pub receiver: HookReceiver,
    /// Time limit of an answer.
    pub timeout: Duration,
}

/// The receiver of a hook's occurrences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookReceiver {
    /// A web server.
    Webhook(WebhookOptions),
    /// A program with its arguments, started without a shell.
    Program {
        /// The executable file.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// A web server that receives occurrences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookOptions {
    /// The URL of the requests.
    pub url: HookUrl,
    /// File with the key of the signature; `None` for requests without a signature.
    pub secret_file: Option<PathBuf>,
    /// File with the certificates (PEM) of the authorities that the server's certificate may be of; `None` for the
    /// public authorities.
    pub ca_file: Option<PathBuf>,
}

/// The URL of a webhook. Its path can be a secret: `Debug` and `Display` show scheme and host alone.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(String);

impl HookUrl {
    /// The unmasked URL, only for the request.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        write!(f, "{scheme}://{host}/****")
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A hook, as the file has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
struct HookField {
    name: String,
    events: Vec<HookEvent>,
    url: Option<String>,
    url_file: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    program: Option<Vec<String>>,
    timeout_seconds: Option<i64>,
}

/// The hooks of a file; none without a file.
pub(super) fn read(path: Option<&Path>) -> Result<Vec<HookOptions>, OperatorError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let place = format!("The hooks file {}", path.display());
    let value = read_yaml(&place, path)?;
    let fields: Vec<HookField> = if value.is_null() {
        Vec::new()
    } else {
        input::read(value).map_err(|error| invalid(format!("{place} is refused: {error}.")))?
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut names = HashSet::new();
    let mut hooks = Vec::new();
    for field in fields {
        let name = field.name.clone();
        let refused = |why: String| invalid(format!("{place} is refused: hook '{name}': {why}."));
        if !names.insert(name.clone()) {
            return Err(refused("the name is given twice".to_owned()));
        }
        hooks.push(field.check(folder).map_err(refused)?);
    }
    Ok(hooks)
}

impl HookField {
    fn check(self, folder: &Path) -> Result<HookOptions, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.chars().all(is_plain) {
            return Err(format!(
                "a name has 1 to {MAX_NAME} letters, digits and characters of -_."
            ));
        }
        if self.events.is_empty() {
            return Err("'events' is empty; name at least one".to_owned());
        }
        let (least, most) = TIMEOUT_SECONDS;
        let seconds = self
            .timeout_seconds
            .map_or(Ok(DEFAULT_TIMEOUT_SECONDS), |seconds| {
                in_range("timeoutSeconds", seconds, least, most)
                    .map_err(|error| error.message.trim_end_matches('.').to_owned())
            })?;
        let (name, events) = (self.name.clone(), self.events.clone());
        Ok(HookOptions {
            name,
            events,
            receiver: self.receiver(folder)?,
            timeout: Duration::from_secs(seconds.into()),
        })
    }

    fn receiver(self, folder: &Path) -> Result<HookReceiver, String> {
        let url = match (self.url, self.url_file, self.program) {
            (Some(url), None, None) => url_of(url)?,
            (None, Some(file), None) => url_of(read_line("urlFile", &folder.join(file))?)?,
            (None, None, Some(command)) => {
                if self.secret_file.is_some() || self.ca_file.is_some() {
                    return Err("'secretFile' and 'caFile' belong to a webhook".to_owned());
                }
                return program(folder, command);
            }
            _ => return Err("give one of 'url', 'urlFile' and 'program'".to_owned()),
        };
        // Read at each request, so that a new secret needs no restart.
        let existing = |name: &str, file: Option<PathBuf>| {
            let file = file.map(|file| folder.join(file));
            file.map(|file| read_line(name, &file).map(|_| file))
                .transpose()
        };
        Ok(HookReceiver::Webhook(WebhookOptions {
            url,
            secret_file: existing("secretFile", self.secret_file)?,
            ca_file: existing("caFile", self.ca_file)?,
        }))
    }
}

fn url_of(url: String) -> Result<HookUrl, String> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    match host {
        Some(host) if host.contains('@') => {
            Err("the URL has a user; sign the requests with 'secretFile' instead".to_owned())
        }
        Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => Ok(HookUrl(url)),
        _ => Err("the URL does not begin with http:// or https:// and a host".to_owned()),
    }
}

fn program(folder: &Path, command: Vec<String>) -> Result<HookReceiver, String> {
    let mut words = command.into_iter();
    let program = words.next().map(|first| folder.join(first));
    let Some(program) = program.filter(|program| program.is_file()) else {
        return Err("'program' begins with no file: give its path, then its arguments".to_owned());
    };
    let program = fs::canonicalize(&program).map_err(|error| format!("'program': {error}"))?;
    Ok(HookReceiver::Program {
        program,
        arguments: words.collect(),
    })
}

/// The contents of a file without surrounding blanks.
fn read_line(name: &str, path: &Path) -> Result<String, String> {
    let place = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("the file {place} of '{name}' cannot be read: {error}"))?;
    match text.trim() {
        "" => Err(format!("the file {place} of '{name}' is empty")),
        text => Ok(text.to_owned()),
    }
}
