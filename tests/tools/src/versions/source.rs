//! The components of a checkout, and the source files of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use semver::Version;
use toml::Table;

use super::code::Code;
use super::tokens::{self, Module};

/// A component of a checkout.
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) code: Code,
}

/// A package of the checkout: a component, or a library.
struct Package {
    folder: PathBuf,
    name: String,
    version: Version,
    /// Whether the package is a shipped component.
    is_component: bool,
    /// The folders of the libraries in this workspace that it depends on.
    libraries: Vec<PathBuf>,
}

/// A source file of a library, tests excluded.
struct File {
    module: Module,
    /// The public module of the library that contains the file, if any.
    public: Option<String>,
}

/// The components below `plugins` of a checkout.
pub(super) fn components(root: &Path) -> Result<Vec<Component>> {
    let packages = packages(root)?;
    let shipped = packages.values().filter(|package| package.is_component);
    shipped
        .map(|package| {
            let code = code(package, &packages)
                .with_context(|| format!("read the sources of {}", package.name))?;
            Ok(Component {
                name: package.name.clone(),
                version: package.version.clone(),
                code,
            })
        })
        .collect()
}

/// The packages below `plugins` and their libraries, by folder.
fn packages(root: &Path) -> Result<BTreeMap<PathBuf, Package>> {
    let workspace = manifest(root)?;
    let workspace = table(&workspace, "workspace")?;
    let plugins = root.join("plugins");
    let mut folders = Vec::new();
    for entry in fs::read_dir(&plugins).with_context(|| format!("list {}", plugins.display()))? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").exists() {
            folders.push(folder);
        }
    }
    let mut packages = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        if packages.contains_key(&folder) {
            continue;
        }
        let package = Package::read(root, &folder, workspace)?;
        folders.extend(package.libraries.iter().cloned());
        packages.insert(folder, package);
    }
    Ok(packages)
}

impl Package {
    fn read(root: &Path, folder: &Path, workspace: &Table) -> Result<Self> {
        let manifest = manifest(folder)?;
        let package = table(&manifest, "package")?;
        let library = manifest.get("lib").and_then(|lib| lib.get("name"));
        let name = library.or_else(|| package.get("name"));
        let name = name.and_then(toml::Value::as_str).context("a name")?;
        let version = match package.get("version") {
            Some(toml::Value::String(version)) => version,
            _ => table(workspace, "package")?
                .get("version")
                .and_then(toml::Value::as_str)
                .context("a version")?,
        };
        let role = package
            .get("metadata")
            .and_then(|metadata| metadata.get("tidegate")?.get("role"));
        let known = table(workspace, "dependencies")?;
        let libraries = manifest.get("dependencies").and_then(toml::Value::as_table);
        let libraries = libraries.into_iter().flat_map(Table::keys);
        let libraries = libraries.filter_map(|name| known.get(name)?.get("path")?.as_str());
        Ok(Self {
            folder: folder.to_owned(),
            // Matches the name that `components` gives to the build.
            name: name.replace('_', "-"),
            version: Version::parse(version)?,
            is_component: role.is_some(),
            libraries: libraries.map(|path| root.join(path)).collect(),
        })
    }

    /// The files of the library: all modules reachable from `src/lib.rs`.
    fn files(&self, component: &str) -> Result<Vec<File>> {
        let mut files = Vec::new();
        let mut open = vec![(self.folder.join("src/lib.rs"), None)];
        while let Some((path, public)) = open.pop() {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let module = tokens::read(&text, component)
                .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            for inner in &module.modules {
                let is_root = path.ends_with("src/lib.rs");
                let name = (is_root && inner.is_public).then(|| inner.name.clone());
                open.push((file_of(&path, &inner.name), name.or_else(|| public.clone())));
            }
            files.push(File { module, public });
        }
        Ok(files)
    }
}

/// The file of a module declared in the file at `path`.
fn file_of(path: &Path, module: &str) -> PathBuf {
    let is_root = path.ends_with("lib.rs") || path.ends_with("mod.rs");
    let folder = if is_root {
        path.parent().unwrap_or(path).to_owned()
    } else {
        path.with_extension("")
    };
    let file = folder.join(module).with_extension("rs");
    if file.exists() {
        file
    } else {
        folder.join(module).join("mod.rs")
    }
}

/// The code of a component.
fn code(package: &Package, packages: &BTreeMap<PathBuf, Package>) -> Result<Code> {
    let mut code = Code::default();
    // Dependents first, because their uses select the modules of a library.
    let mut order = vec![package];
    let mut at = 0;
    while let Some(package) = order.get(at).copied() {
        for folder in &package.libraries {
            let library = packages.get(folder).context("a library beside it")?;
            order.retain(|known| known.folder != library.folder);
            order.push(library);
        }
        at += 1;
    }
    let mut mentioned = BTreeSet::new();
    for part in order {
        let mut files = part.files(&package.name)?;
        // A selected public module may use others.
        loop {
            let is_used = |file: &File| {
                let public = file.public.as_ref();
                part.is_component || public.is_none_or(|name| mentioned.contains(name))
            };
            let (used, rest): (Vec<_>, Vec<_>) = files.into_iter().partition(is_used);
            files = rest;
            if used.is_empty() {
                break;
            }
            for file in used {
                mentioned.extend(file.module.mentioned());
                code.add(file.module.items);
            }
        }
    }
    for path in other_files(&package.folder.join("src"))? {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        code.add_file(&path, &bytes);
    }
    Ok(code)
}

/// The files of a folder that are not Rust, such as the schema of the configuration.
fn other_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_file() && path.extension().is_none_or(|extension| extension != "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn manifest(folder: &Path) -> Result<Table> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    text.parse()
        .with_context(|| format!("read {}", path.display()))
}

fn table<'t>(table: &'t Table, name: &str) -> Result<&'t Table> {
    let found = table.get(name).and_then(toml::Value::as_table);
    found.with_context(|| format!("no table {name} in Cargo.toml"))
}
