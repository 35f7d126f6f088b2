//! Gives the tree of an earlier release all features of this release's dependencies. A dependency that both trees
//! have is then identical, and is linked instead of compiled again.
//!
//! Cargo unifies the features of packages that are built together. So the tree gets an additional package, which
//! depends on all dependencies of this release's host, and is built together with the release's own packages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use support::mongod::workspace;
use toml::{Table, Value};

use crate::build::succeed;
use crate::components::Tree;

/// The package that is added.
pub(crate) const PACKAGE: &str = "features";

/// Adds the package to the tree in `work`.
pub(crate) fn add(work: &Path, tree: &Tree) -> Result<()> {
    let folder = work.join(PACKAGE);
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let mut package = Table::new();
    package.insert("name".into(), PACKAGE.into());
    package.insert("edition".into(), "2024".into());
    let manifest = Table::from_iter([
        ("package".into(), Value::Table(package)),
        ("dependencies".into(), Value::Table(dependencies()?)),
    ]);
    write(&folder.join("Cargo.toml"), &manifest)?;

    let root = work.join("Cargo.toml");
    let mut manifest = read(&root)?;
    table(&mut manifest, "workspace")?
        .get_mut("members")
        .and_then(Value::as_array_mut)
        .context("the workspace has no members")?
        .push(PACKAGE.into());
    write(&root, &manifest)?;
    lock(work)?;
    // Uses locked versions where possible, and records the result.
    succeed(tree.command().args(["update", "--workspace", "--quiet"]))
}

/// The dependencies of this release's host from registries, with versions and features.
fn dependencies() -> Result<Table> {
    let mut known = read(&workspace().join("Cargo.toml"))?;
    let known = table(table(&mut known, "workspace")?, "dependencies")?;
    let mut wanted = read(&workspace().join("tests/dependencies/Cargo.toml"))?;
    let wanted = table(&mut wanted, "dependencies")?;
    let found = wanted.keys().filter_map(|name| {
        let dependency = known.get(name)?;
        let is_ours = dependency.get("path").is_some();
        (!is_ours).then(|| (name.clone(), dependency.clone()))
    });
    Ok(found.collect())
}

/// Adds the locked versions of this release to the tree's lock file, for packages that the tree does not have. The
/// tree's own locked versions stay.
fn lock(work: &Path) -> Result<()> {
    let path = work.join("Cargo.lock");
    let mut theirs = read(&path)?;
    let theirs_locked = packages(&mut theirs)?;
    let mut ours = read(&workspace().join("Cargo.lock"))?;
    let is_of_registry = |package: &Value| package.get("source").is_some();
    for package in packages(&mut ours)?.drain(..).filter(is_of_registry) {
        let is_known = theirs_locked
            .iter()
            .any(|known| known.get("name") == package.get("name"));
        if !is_known {
            theirs_locked.push(package);
        }
    }
    write(&path, &theirs)
}

fn packages(lock: &mut Table) -> Result<&mut Vec<Value>> {
    let packages = lock.get_mut("package").and_then(Value::as_array_mut);
    packages.context("a lock file without packages")
}

fn table<'t>(table: &'t mut Table, name: &str) -> Result<&'t mut Table> {
    let found = table.get_mut(name).and_then(Value::as_table_mut);
    found.with_context(|| format!("no table {name} in Cargo.toml"))
}

fn read(path: &Path) -> Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("read {}", path.display()))
}

fn write(path: &Path, table: &Table) -> Result<()> {
    fs::write(path, toml::to_string(table)?).with_context(|| format!("write {}", path.display()))
}
