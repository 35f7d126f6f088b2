//! Pages of the documentation whose commands are run as they stand.

use std::fmt::Write as _;

use anyhow::Result;

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
