//! Pages of the documentation whose commands are run as they stand.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use bson::{Bson, doc};

use crate::ReplicaSet;

const PREFLIGHT: &str = include_str!("../../../docs/preflight.md");

/// A block of the page that the test has a use for.
pub enum Block<'a> {
    /// ```` ```console ````: commands after `$ `; the other lines are their output.
    Console(&'a str),
    /// ```` ```… file=PATH ````: text that the reader writes into a file.
    File { path: &'a str, text: &'a str },
}

/// The fenced blocks of a page, in their order.
pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, fenced)) = rest.split_once("\n```") {
        let (info, text) = fenced.split_once('\n').unwrap_or((fenced, ""));
        let (text, behind) = text.split_once("\n```\n").unwrap_or((text, ""));
        if info == "console" {
            blocks.push(Block::Console(text));
        } else if let Some((_, path)) = info.split_once("file=") {
            blocks.push(Block::File { path, text });
        }
        // The next block may begin with the next line.
        rest = behind;
    }
    blocks
}

/// The page as a single script, so that `cd` and variables last.
pub fn script(blocks: &[Block<'_>]) -> Result<String> {
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
