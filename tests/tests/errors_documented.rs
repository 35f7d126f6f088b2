//! Every stable error name has its page, and no page stands without a name.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use tidegate::model::ErrorName;

#[test]
fn every_error_has_its_page_and_every_page_its_error() -> Result<()> {
    let directory = support::mongod::workspace().join("docs").join("errors");
    let pages: BTreeSet<String> = directory
        .read_dir()
        .with_context(|| format!("list {}", directory.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !matches!(name, Ok(name) if name == "README.md"))
        .collect::<Result<_>>()?;
    let expected: BTreeSet<String> = ErrorName::ALL
        .iter()
        .map(|name| format!("{name}.md"))
        .collect();
    let missing: Vec<_> = expected.difference(&pages).collect();
    let stray: Vec<_> = pages.difference(&expected).collect();
    assert!(
        missing.is_empty() && stray.is_empty(),
        "missing: {missing:?}; stray: {stray:?}"
    );
    Ok(())
}

#[test]
fn every_page_is_titled_with_its_error() -> Result<()> {
    let directory = support::mongod::workspace().join("docs").join("errors");
    for name in ErrorName::ALL {
        let page = directory.join(format!("{name}.md"));
        let text = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        assert!(
            text.starts_with(&format!("# {name}\n")),
            "{name}.md has another title"
        );
    }
    Ok(())
}
