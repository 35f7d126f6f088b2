//! Completions and manual pages, which come from the grammar of the command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use support::host::binary;
use support::test_dir::TestDir;

use crate::{is_installed, printed};

fn completions(shell: &str) -> Result<String> {
    printed(Command::new(binary()?).args(["completions", shell]))
}

/// The words that bash offers after `words`, the last of which is incomplete.
fn offered_by_bash(words: &[&str]) -> Result<Vec<String>> {
    let last = words.last().context("no words")?;
    let before = words.iter().rev().nth(1).context("one word")?;
    let script = format!(
        "{}\nCOMP_WORDS=({}); COMP_CWORD={}; _tidegate tidegate '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        completions("bash")?,
        words.join(" "),
        words.len() - 1,
    );
    let words = printed(Command::new("bash").args(["-c", &script]))?;
    Ok(words.lines().map(str::to_owned).collect())
}

#[test]
fn bash_completes_options_and_the_subcommands_of_plugin() -> Result<()> {
    assert_eq!(offered_by_bash(&["tidegate", "--hooks"])?, ["--hooksFile"]);
    assert_eq!(
        offered_by_bash(&["tidegate", "plan", "--sta"])?,
        ["--start"]
    );
    assert_eq!(
        offered_by_bash(&["tidegate", "plugin", "check", "--ag"])?,
        ["--against"]
    );
    assert_eq!(offered_by_bash(&["tidegate", "featur"])?, ["featureset"]);
    Ok(())
}

#[test]
fn zsh_and_fish_can_read_their_completions() -> Result<()> {
    for (shell, check, expected) in [("zsh", "-n", "_tidegate"), ("fish", "--no-execute", "-l")] {
        let text = completions(shell)?;
        ensure!(text.contains(expected), "{shell}: {text}");
        ensure!(text.contains("loadLevel"), "{shell}: {text}");
        if !is_installed(shell) {
            continue;
        }
        let dir = TestDir::new()?;
        let file = dir.path().join("tidegate");
        std::fs::write(&file, text)?;
        printed(Command::new(shell).arg(check).arg(&file))?;
        dir.remove();
    }
    Ok(())
}

/// Standard error of a formatter that reads a page.
fn complaints(program: &str, arguments: &[&str], page: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).arg(page).stdout(Stdio::null());
    let Output { status, stderr, .. } = command.output().with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8(stderr)?;
    ensure!(status.success(), "{}: {text}", page.display());
    Ok(text)
}

#[test]
fn each_subcommand_has_a_manual_page_without_warnings() -> Result<()> {
    let dir = TestDir::new()?;
    printed(Command::new(binary()?).arg("man").arg(dir.path()))?;
    for name in [
        "",
        "-featureset-diff",
        "-metadata",
        "-plan",
        "-plugin-new",
        "-verify",
    ] {
        let page = dir.path().join(format!("tidegate{name}.1"));
        ensure!(page.exists(), "{} is missing", page.display());
    }
    for page in dir.path().read_dir()? {
        let page = page?.path();
        if is_installed("groff") {
            let complaints = complaints("groff", &["-Kutf8", "-man", "-Tutf8", "-ww"], &page)?;
            ensure!(complaints.is_empty(), "{}: {complaints}", page.display());
        }
    }
    let page = std::fs::read_to_string(dir.path().join("tidegate-plan.1"))?;
    ensure!(page.contains("\\-\\-start"), "{page}");
    dir.remove();
    Ok(())
}
