//! Pages of the documentation whose commands are run as they stand.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use bson::{Bson, Document, doc};

use crate::ReplicaSet;

const PREFLIGHT: &str = include_str!("../../../docs/preflight.md");

/// A block of the page that the test has a use for.
pub enum Block {
    /// ```` ```console ````: commands after `$ `; the other lines are their output.
    Console(String),
    /// ```` ```… file=PATH ````: text that the reader writes into a file.
    File { path: String, text: String },
    /// ```` ```js ````: commands for `mongosh`.
    Shell(String),
}

/// The fenced blocks of a page, in their order. Those of a list are indented.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let indentation = line.len() - line.trim_start().len();
        let inner = lines.by_ref().take_while(|line| line.trim() != "```");
        let inner: Vec<_> = inner
            .map(|line| line.get(indentation..).unwrap_or_default())
            .collect();
        let text = inner.join("\n");
        match info {
            "console" => blocks.push(Block::Console(text)),
            "js" => blocks.push(Block::Shell(text)),
            _ => {
                if let Some((_, path)) = info.split_once("file=") {
                    let path = path.to_owned();
                    blocks.push(Block::File { path, text });
                }
            }
        }
    }
    blocks
}

/// Runs the commands of `mongosh` on a cluster, and returns their number. They are of three forms: `db.adminCommand(…)`,
/// `db.getSiblingDB(…).runCommand(…)` and `db.getSiblingDB(…).dropDatabase()`.
pub async fn shell(set: &ReplicaSet, text: &str) -> Result<usize> {
    let commands = text.lines().map(str::trim);
    let commands: Vec<_> = commands
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect();
    for line in &commands {
        let (database, call) = match line.strip_prefix("db.getSiblingDB(\"") {
            Some(rest) => rest.split_once("\").").context("a database")?,
            None => ("admin", line.strip_prefix("db.").context("a call of db")?),
        };
        let command = match call.trim_end_matches(')').split_once('(') {
            Some(("dropDatabase", "")) => doc! { "dropDatabase": 1 },
            Some(("adminCommand" | "runCommand", command)) => shell_object(command)?,
            _ => anyhow::bail!("{line} is of no known form"),
        };
        let ran = set.db(database).run_command(command).await;
        ran.with_context(|| format!("run {line}"))?;
    }
    Ok(commands.len())
}

/// An object whose keys may stand without quotation marks.
fn shell_object(text: &str) -> Result<Document> {
    let mut json = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => rest
                .get(1..)
                .and_then(|rest| rest.find('"'))
                .map(|at| at + 2),
            _ if first.is_alphabetic() => rest.find(|c: char| !c.is_alphanumeric()),
            _ => Some(first.len_utf8()),
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        match first.is_alphabetic() && after.starts_with(':') {
            true => write!(json, "\"{word}\"")?,
            false => json.push_str(word),
        }
        rest = after;
    }
    let value: serde_json::Value = serde_json::from_str(&json).context(json)?;
    Ok(bson::serialize_to_document(&value)?)
}

/// The page as a single script, so that `cd` and variables last.
pub fn script(blocks: &[Block]) -> Result<String> {
    let mut script =
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for block in blocks {
        match block {
            Block::Console(text) => {
                for command in text.lines().filter_map(|line| line.strip_prefix("$ ")) {
                    // The output is stored under the name of the test when the test fails.
                    writeln!(
                        script,
                        "cat >&2 <<'COMMAND'\n$ {command}\nCOMMAND\n{command}"
                    )?;
                }
            }
            Block::File { path, text } => {
                writeln!(script, "cat > {path} <<'END OF FILE'\n{text}\nEND OF FILE")?;
            }
            Block::Shell(_) => {}
        }
    }
    Ok(script)
}

/// Creates a role of `docs/preflight.md`, and a user that has no other role. Returns its connection string.
pub async fn user(set: &ReplicaSet, role: &str) -> Result<String> {
    let privileges = privileges(role)?;
    set.admin(doc! { "createRole": role, "privileges": privileges, "roles": [] })
        .await?;
    set.admin(doc! { "createUser": "tidegate", "pwd": "pw", "roles": [role] })
        .await?;
    Ok(set.uri_of("tidegate", "pw"))
}

/// Creates a role of the page, and a user who is known by a certificate.
pub async fn certified_user(set: &ReplicaSet, role: &str, subject: &str) -> Result<()> {
    let privileges = privileges(role)?;
    set.admin(doc! { "createRole": role, "privileges": privileges, "roles": [] })
        .await?;
    let roles = [doc! { "role": role, "db": "admin" }];
    let user = doc! { "createUser": subject, "roles": roles };
    set.db("$external").run_command(user).await?;
    Ok(())
}

/// Gives the user of [`user`] another role of the page, too, as a sync that can be reversed needs it.
pub async fn grant(set: &ReplicaSet, role: &str) -> Result<()> {
    let privileges = privileges(role)?;
    set.admin(doc! { "createRole": role, "privileges": privileges, "roles": [] })
        .await?;
    set.admin(doc! { "grantRolesToUser": "tidegate", "roles": [role] })
        .await?;
    Ok(())
}

fn privileges(role: &str) -> Result<Bson> {
    let (_, snippet) = PREFLIGHT
        .split_once(&format!("role: \"{role}\""))
        .context("no such role")?;
    let (_, list) = snippet
        .split_once("privileges: ")
        .context("a role without privileges")?;
    let (list, _) = list
        .split_once(",\n  roles: []")
        .context("a role that holds others")?;
    let list: serde_json::Value =
        serde_json::from_str(list).context("privileges that are not JSON")?;
    Ok(bson::serialize_to_bson(&list)?)
}
