//! Checks without a cluster: formatting, lints, dependency rules, docs.

use anyhow::Result;

use crate::{
    build::{cargo, command, has_subcommand, succeed},
    components, versions, wit,
};

const WASM_TARGET: &str = "wasm32-unknown-unknown";

pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    wit::check()?;
    versions::check()?;
    // The host embeds the components: they have to be there to be linted with it.
    components::Tree::own().build()?;
    cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])?;
    clippy_components()?;
    deny()?;
    succeed(
        command()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// The components once more, for the target they are built for.
fn clippy_components() -> Result<()> {
    let mut arguments = vec!["clippy", "--locked", "--target", WASM_TARGET];
    let packages = components::packages()?;
    for package in &packages {
        arguments.extend(["--package", package]);
    }
    arguments.extend(["--", "-D", "warnings"]);
    cargo(&arguments)
}

fn deny() -> Result<()> {
    if !has_subcommand("deny") {
        eprintln!("cargo-deny is not installed: advisories, licences and sources are not checked");
        return Ok(());
    }
    cargo(&["deny", "check"])
}
