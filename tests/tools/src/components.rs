//! Builds the components that a release ships, and the manifest that names them.
//!
//! `target/components` holds a `<name>.wasm` for each component and `featureset.toml`; the host embeds the folder.
//! A file is written when its bytes change and not otherwise, so that an unchanged component does not build the
//! host again.
//!
//! A component is any workspace package with `[package.metadata.tidegate]`. A component with `guest = true` there
//! is for tests only: it goes to `target/guests`, and no manifest names it.
//!
//! The same source gives the same bytes, wherever it is built.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use support::mongod::workspace;
use tidegate_componentize::Interfaces;

use crate::build::{command, succeed};
use crate::paths::Paths;

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "component";

/// The file in which a host states the version of the metadata that it writes; the second is that of releases up to 0.3.1.
const METADATA_FILES: [&str; 2] = [
    "host/src/metadata/documents/session.rs",
    "host/src/metadata/documents.rs",
];

/// The line that states it.
const METADATA_VERSION: &str = "pub const METADATA_VERSION: i32 = ";

/// `featureset.toml`.
#[derive(Serialize)]
struct Manifest {
    name: String,
    version: String,
    metadata_version: u32,
    components: Vec<Component>,
}

#[derive(Serialize)]
struct Component {
    role: String,
    name: String,
    version: String,
    digest: String,
    abi: String,
    semantics: u32,
}

/// The fields of `cargo metadata` that are read here.
#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// The registry it comes from; none for a package of the workspace.
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    metadata: Option<PackageMetadata>,
}

/// A dependency in a package's manifest.
#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; none for an ordinary dependency.
    kind: Option<String>,
    /// The folder, for a package of this workspace.
    path: Option<PathBuf>,
}

/// A library or program of a package.
#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    tidegate: Option<Stamp>,
}

/// `[package.metadata.tidegate]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stamp {
    Shipped(Shipped),
    Guest {
        #[expect(dead_code, reason = "its being there says it all")]
        guest: bool,
    },
}

#[derive(Deserialize)]
struct Shipped {
    role: String,
    semantics: u32,
}

/// A checkout of tidegate for the build of components: this checkout, or that of an earlier release.
pub(crate) struct Tree {
    root: PathBuf,
    elsewhere: Option<Elsewhere>,
}

/// How another tree is built.
struct Elsewhere {
    target: PathBuf,
    /// A file of profiles in place of the tree's own.
    profiles: PathBuf,
}

impl Tree {
    /// This checkout.
    pub(crate) fn own() -> Self {
        Self {
            root: workspace(),
            elsewhere: None,
        }
    }

    /// Another checkout, which compiles into `target` with the profiles of a file.
    pub(crate) fn at(root: &Path, target: &Path, profiles: &Path) -> Self {
        Self {
            root: root.to_owned(),
            elsewhere: Some(Elsewhere {
                target: target.to_owned(),
                profiles: profiles.to_owned(),
            }),
        }
    }

    /// A cargo that works on this tree.
    pub(crate) fn command(&self) -> Command {
        let mut command = command();
        command.current_dir(&self.root);
        if let Some(Elsewhere { target, profiles }) = &self.elsewhere {
            command
                .arg("--config")
                .arg(profiles)
                .env("CARGO_TARGET_DIR", target)
                .env("CARGO_INCREMENTAL", "0");
        }
        command
    }

    /// Brings `target/components` up to date.
    pub(crate) fn build(&self) -> Result<()> {
        build(self)
    }
}

fn build(tree: &Tree) -> Result<()> {
    ensure_target()?;
    let workspace = read_workspace(tree, &["--locked"])?;
    let plugins: Vec<(&Package, &Stamp)> = workspace
        .packages
        .iter()
        .filter_map(|p| Some((p, p.stamp()?)))
        .collect();
    let paths = workspace.paths(&tree.root)?;
    compile(tree, &plugins, &paths)?;

    let built = workspace.target_directory.join(TARGET).join(PROFILE);
    let [folder, guests] =
        ["components", "guests"].map(|name| workspace.target_directory.join(name));
    for folder in [&folder, &guests] {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    let mut components = Vec::new();
    for (package, stamp) in plugins {
        let library = package.library()?;
        let module = built.join(library).with_extension("wasm");
        let name = library.replace('_', "-");
        let component = componentize(&name, &module)?;
        match stamp {
            Stamp::Shipped(stamp) => {
                if let Some(folder) = paths.named_in(&component) {
                    bail!("{name} names files of {folder}");
                }
                let abi = check(&component, &name, &stamp.role)?;
                write_if_changed(&file(&folder, &name), &component)?;
                components.push(Component {
                    role: stamp.role.clone(),
                    version: package.version.clone(),
                    digest: digest(&component),
                    abi,
                    semantics: stamp.semantics,
                    name,
                });
            }
            Stamp::Guest { .. } => write_if_changed(&file(&guests, &name), &component)?,
        }
    }
    let host = workspace
        .packages
        .iter()
        .find(|package| package.name == "tidegate");
    let host = host.context("there is no package `tidegate`")?;
    let manifest = Manifest {
        name: host.name.clone(),
        version: host.version.clone(),
        metadata_version: metadata_version(&tree.root)?,
        components,
    };
    write_if_changed(
        &folder.join("featureset.toml"),
        toml::to_string(&manifest)?.as_bytes(),
    )
}

/// The names of the packages of the workspace in `root`.
pub(crate) fn members(root: &Path) -> Result<BTreeSet<String>> {
    let tree = Tree {
        root: root.to_owned(),
        elsewhere: None,
    };
    let packages = read_workspace(&tree, &["--no-deps"])?.packages.into_iter();
    Ok(packages.map(|package| package.name).collect())
}

/// The version of the metadata that a tree's host writes, out of its source.
fn metadata_version(root: &Path) -> Result<u32> {
    let constant = METADATA_VERSION;
    let file = METADATA_FILES.map(|file| root.join(file));
    let file = file.iter().find(|file| file.exists());
    let file = file.with_context(|| format!("{METADATA_FILES:?} are missing"))?;
    let source = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let value = source
        .lines()
        .find_map(|line| line.strip_prefix(constant)?.strip_suffix(';'))
        .with_context(|| format!("{} has no line `{constant}…;`", file.display()))?;
    value
        .parse()
        .with_context(|| format!("read {constant}{value}"))
}

/// The names of the packages that run inside the sandbox: components, guests of tests, and the libraries of this workspace that
/// they depend on.
pub(crate) fn packages() -> Result<Vec<String>> {
    let all = read_workspace(&Tree::own(), &["--no-deps"])?.packages;
    let mut names: Vec<String> = all
        .iter()
        .filter(|package| package.stamp().is_some())
        .map(|package| package.name.clone())
        .collect();
    let mut at = 0;
    while let Some(name) = names.get(at) {
        let package = all.iter().find(|package| package.name == *name);
        let libraries: Vec<String> = package
            .into_iter()
            .flat_map(|package| &package.dependencies)
            .filter(|library| library.kind.is_none() && library.path.is_some())
            .filter(|library| !names.contains(&library.name))
            .map(|library| library.name.clone())
            .collect();
        names.extend(libraries);
        at += 1;
    }
    Ok(names)
}

/// The folders of this machine that a binary of the host may not name, where it is built into `target`.
pub(crate) fn paths_of_host(target: &Path) -> Result<Paths> {
    let tree = Tree::own();
    let mut workspace = read_workspace(&tree, &[])?;
    workspace.target_directory = target.to_owned();
    workspace.paths(&tree.root)
}

impl Workspace {
    fn paths(&self, root: &Path) -> Result<Paths> {
        let others = self
            .packages
            .iter()
            .filter(|package| package.source.is_some());
        let folders = others.filter_map(|package| package.manifest_path.parent()?.parent());
        let folders: BTreeSet<_> = folders.map(Path::to_owned).collect();
        let folders: Vec<_> = folders.into_iter().collect();
        Paths::new(&root.canonicalize()?, &self.target_directory, &folders)
    }
}

impl Package {
    fn stamp(&self) -> Option<&Stamp> {
        self.metadata.as_ref()?.tidegate.as_ref()
    }

    /// The name of the library that the component is made of. It is the component's own, with underscores for hyphens, whatever
    /// the package is called: packages have the prefix `tidegate-` since 0.3.2.
    fn library(&self) -> Result<&str> {
        let is_module = |target: &&Target| target.crate_types.iter().any(|kind| kind == "cdylib");
        let library = self.targets.iter().find(is_module);
        let library = library.with_context(|| format!("{} has no cdylib", self.name))?;
        Ok(&library.name)
    }
}

/// Installs the standard library for the target, if it is missing.
fn ensure_target() -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output();
    let output = output.context("run rustc")?;
    let folder = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    if output.status.success() && has_std(&folder) {
        return Ok(());
    }
    succeed(&mut Command::new(
        workspace().join("tests/xtask/install-wasm-target"),
    ))
}

fn has_std(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn read_workspace(tree: &Tree, options: &[&str]) -> Result<Workspace> {
    let output = tree
        .command()
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .output()
        .context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}

fn compile(tree: &Tree, plugins: &[(&Package, &Stamp)], paths: &Paths) -> Result<()> {
    let mut arguments = vec![
        "build",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
    ];
    for (package, _) in plugins {
        arguments.extend(["--package", &package.name]);
    }
    // These flags and no others: flags of the environment would make other bytes.
    succeed(
        tree.command()
            .args(&arguments)
            .env("CARGO_ENCODED_RUSTFLAGS", paths.flags()),
    )
}

/// Makes a component of a core module.
fn componentize(name: &str, module: &Path) -> Result<Vec<u8>> {
    let core = fs::read(module).with_context(|| format!("read {}", module.display()))?;
    tidegate_componentize::componentize(&core)
        .with_context(|| format!("make a component of {name}"))
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("wasm")
}

/// A shipped component imports nothing and exports its role; the version of the
/// contract that it was built for.
fn check(component: &[u8], name: &str, role: &str) -> Result<String> {
    let Interfaces { imports, exports } =
        Interfaces::of(component).with_context(|| format!("read the component {name}"))?;
    ensure!(
        imports.is_empty(),
        "{name} imports {}; a shipped component imports nothing",
        imports.join(", ")
    );
    let prefix = format!("tidegate:plugin/{role}@");
    let abi = exports
        .iter()
        .find_map(|export| Some(export.strip_prefix(&prefix)?.to_owned()));
    abi.with_context(|| format!("{name} does not export {role}"))
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}
