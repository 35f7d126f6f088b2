//! The file of callers (`tokensFile`): tokens or subjects of client certificates, and their roles.
//!
//! A list in YAML, or one JSON object per line. Messages name the file and the line, and quote no value but names.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};

use super::private_file::read_private;
use super::refusals::{invalid, yaml_fault};
use crate::model::{Caller, OperatorError, Role};

/// Shortest token: it must not be guessed, nor found by its hash.
const MIN_TOKEN: usize = 16;

/// Longest token, name and subject.
const MAX_TEXT: usize = 512;

/// SHA-256 of a token. `Debug` masks it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// Proof of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// The token with this hash.
    Token(TokenHash),
    /// A client certificate with this subject, as RFC 2253 writes it.
    Subject(String),
}

/// A caller and its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerEntry {
    /// Name and role.
    pub caller: Caller,
    /// Proof of the caller.
    pub credential: Credential,
}

/// A caller, as the file has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CallerField {
    name: Option<String>,
    role: String,
    token: Option<String>,
    token_sha256: Option<String>,
    subject: Option<String>,
}

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether both hashes are equal, in a time that does not depend on their bytes.
    pub fn matches(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let difference = pairs.fold(0, |difference, (one, two)| {
            std::hint::black_box(difference | (one ^ two))
        });
        difference == 0
    }

    fn of_hex(text: &str) -> Option<Self> {
        let digit = |index: usize| text.get(index..index + 1)?.parse::<Nibble>().ok();
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (digit(2 * index)?.0 << 4) | digit(2 * index + 1)?.0;
        }
        Some(Self(bytes))
    }
}

/// A digit of a hexadecimal number.
struct Nibble(u8);

impl std::str::FromStr for Nibble {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u8::from_str_radix(text, 16).map(Self)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// The callers of a file, at least one.
///
/// # Errors
///
/// `FileNotPrivate` if others than the owner can read the file; `InvalidConfig` with file and line, without secrets.
pub fn read_callers(path: &Path) -> Result<Vec<CallerEntry>, OperatorError> {
    let place = format!("The tokensFile {}", path.display());
    let text = read_private(&place, path)?;
    let mut entries = Vec::new();
    let (mut names, mut credentials) = (HashSet::new(), HashSet::new());
    for (line, field) in fields(&place, &text)? {
        let refused = |why: &str| invalid(format!("{place} is refused: line {line}: {why}."));
        let entry = field.check().map_err(refused)?;
        if !names.insert(entry.caller.name.clone()) {
            return Err(refused("the name is given twice"));
        }
        if !credentials.insert(entry.credential.clone()) {
            return Err(refused("the token or subject is given twice"));
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(invalid(format!(
            "{place} holds no caller, so no call would be allowed. Give a list of name, role and token."
        )));
    }
    Ok(entries)
}

/// The entries, each with its line.
fn fields(place: &str, text: &str) -> Result<Vec<(u64, CallerField)>, OperatorError> {
    if !text.trim_start().starts_with('{') {
        let listed: Option<Vec<Spanned<CallerField>>> = serde_saphyr::from_str(text)
            .map_err(|error| invalid(format!("{place} is refused: {}.", yaml_fault(&error))))?;
        let listed = listed.unwrap_or_default().into_iter();
        return Ok(listed
            .map(|field| (field.defined.line(), field.value))
            .collect());
    }
    let lines = text.lines().zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| {
            // The parser's message can quote the line, which holds a token.
            let field = serde_json::from_str(line).map_err(|_quotation| {
                invalid(format!(
                    "{place} is refused: line {number}: it is no JSON object with role, and name and token, \
                     tokenSha256 or subject."
                ))
            })?;
            Ok((number, field))
        })
        .collect()
}

impl CallerField {
    fn check(self) -> Result<CallerEntry, &'static str> {
        let role = Role::of_name(&self.role).ok_or("role is not viewer, operator or committer")?;
        let credential = match (self.token, self.token_sha256, self.subject) {
            (Some(token), None, None) => token_credential(&token)?,
            (None, Some(hash), None) => Credential::Token(
                TokenHash::of_hex(&hash)
                    .ok_or("tokenSha256 is not the 64 hexadecimal digits of a SHA-256")?,
            ),
            (None, None, Some(subject)) => Credential::Subject(subject),
            _ => return Err("give exactly one of token, tokenSha256 and subject"),
        };
        let name = match (self.name, &credential) {
            (Some(name), _) => name,
            (None, Credential::Subject(subject)) => subject.clone(),
            (None, Credential::Token(_)) => return Err("name is missing"),
        };
        let is_shown = !name.chars().any(char::is_control) && !name.trim().is_empty();
        if !is_shown || name.len() > MAX_TEXT {
            return Err("name is empty, too long, or holds a control character");
        }
        Ok(CallerEntry {
            caller: Caller { name, role },
            credential,
        })
    }
}

fn token_credential(token: &str) -> Result<Credential, &'static str> {
    if !(MIN_TOKEN..=MAX_TEXT).contains(&token.len()) {
        return Err("token has fewer than 16 or more than 512 characters");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "token holds a character that a header cannot hold: use visible ASCII without blanks",
        );
    }
    Ok(Credential::Token(TokenHash::of(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::ErrorName;

    fn read(text: &str) -> Result<Vec<CallerEntry>, OperatorError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tokens");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        read_callers(&path)
    }

    #[test]
    fn lists_in_yaml_and_lines_of_json_are_read() {
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let yaml = format!(
            "# people\n- {{ name: eve, role: viewer, token: 0123456789abcdef }}\n\
             - name: ops\n  role: committer\n  tokenSha256: {hash}\n- subject: CN=a,O=b\n  role: operator\n"
        );
        let json = format!(
            "{{\"name\":\"eve\",\"role\":\"viewer\",\"token\":\"0123456789abcdef\"}}\n\n\
             {{\"name\":\"ops\",\"role\":\"committer\",\"tokenSha256\":\"{hash}\"}}\n{{\"subject\":\"CN=a,O=b\",\"role\":\"operator\"}}\n"
        );
        let entries = read(&yaml).expect("callers");
        assert_eq!(entries, read(&json).expect("callers"));
        let shown = format!("{entries:?}");
        assert!(
            !shown.contains("0123456789abcdef") && shown.contains("CN=a,O=b"),
            "{shown}"
        );
        assert_eq!(
            entries[1].credential,
            Credential::Token(TokenHash::of(b"foo"))
        );
    }

    #[test]
    fn a_refusal_names_the_line_and_no_secret() {
        for (text, reason) in [
            ("", "holds no caller"),
            (
                "- name: a\n  role: viewer\n  token: s3cret\n",
                "line 1: token has",
            ),
            (
                "- name: a\n  role: viewer\n  token: s3cret-s3cret-s3cret\n- name: b\n  role: root\n  token: x\n",
                "line 4: role",
            ),
            (
                "- name: a\n  role: viewer\n  tokn: s3cret-s3cret-s3cret\n",
                "line 3",
            ),
            ("- name: a\n  role: viewer\n  token: [s3cret\n", "line"),
            ("- name: a\n  role: viewer\n", "line 1: give exactly one"),
            (
                "- role: viewer\n  token: s3cret-s3cret-s3cret\n",
                "line 1: name",
            ),
            (
                "- { name: a, role: viewer, token: s3cret-s3cret-s3cret }\n- { name: b, role: viewer, token: s3cret-s3cret-s3cret }\n",
                "line 2: the token",
            ),
            (
                "- { name: a, role: viewer, tokenSha256: s3cret }",
                "line 1: tokenSha256",
            ),
            (
                "{\"name\": \"a\", \"role\": \"viewer\", \"token\": \"s3cret-s3cret-s3cret\"}\n{\"s3cret\": 1}\n",
                "line 2",
            ),
        ] {
            let refused = read(text).expect_err(text).to_string();
            assert!(
                refused.contains(reason) && !refused.contains("s3cret"),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tokens");
        fs::write(
            &path,
            "- { name: a, role: viewer, token: 0123456789abcdef }",
        )
        .expect("written");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let refused = read_callers(&path).expect_err("refused");
            assert_eq!(refused.name, ErrorName::FileNotPrivate, "{refused}");
        }
    }
}
