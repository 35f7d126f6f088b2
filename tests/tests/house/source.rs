//! The host's source as modules: the names that each defines, imports and uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

/// `["session", "lease"]` is `crate::session::lease`; the empty path is the crate's root.
pub(crate) type ModulePath = Vec<String>;

/// A file of the host, without test code.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// Every name that the file defines.
    pub(crate) defined: BTreeSet<String>,
    /// The types among them.
    pub(crate) types: BTreeSet<String>,
    /// Every identifier of its code.
    pub(crate) identifiers: BTreeSet<String>,
    /// The name in this file, and the path as it is written.
    imported: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Paths of two segments or more in the code.
    written: BTreeSet<Vec<String>>,
}

impl Module {
    /// Every path that this file writes, in imports and in code.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Vec<String>> {
        self.imported
            .values()
            .chain(&self.globs)
            .chain(&self.written)
    }
}

/// A crate's modules by their paths.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl Source {
    /// Reads every module from `lib.rs` on.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut source = Self {
            modules: BTreeMap::new(),
        };
        source.add(folder.join("lib.rs"), Vec::new(), folder.to_owned())?;
        Ok(source)
    }

    /// Reads a file, and its child modules, which are in `folder`.
    fn add(&mut self, file: PathBuf, path: ModulePath, folder: PathBuf) -> Result<()> {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parse {}", file.display()))?;
        let mut module = Module {
            file,
            ..Module::default()
        };
        let children = module.take_items(parsed.items);
        self.modules.insert(path.clone(), module);
        for name in children {
            let child = [path.as_slice(), std::slice::from_ref(&name)].concat();
            let (flat, nested) = (
                folder.join(format!("{name}.rs")),
                folder.join(&name).join("mod.rs"),
            );
            let file = if flat.exists() { flat } else { nested };
            self.add(file, child, folder.join(&name))?;
        }
        Ok(())
    }

    /// The module that defines the item at `path`, as written in `from`; `None` outside of the crate.
    pub(crate) fn resolve(&self, from: &ModulePath, path: &[String]) -> Option<ModulePath> {
        self.walk(from, path, 0)
    }

    fn walk(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        let parent = || from.split_last().map(|(_, parent)| parent.to_vec());
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, depth),
            "self" => self.descend(from.clone(), rest, depth),
            "super" if rest.first().is_some_and(|next| next == "super") => {
                self.walk(&parent()?, rest, depth)
            }
            "super" => self.descend(parent()?, rest, depth),
            name if self.is_child(from, name) => self.descend(from.clone(), path, depth),
            // An import of this file: its own path differs.
            name => {
                let imported = self.modules.get(from)?.imported.get(name)?;
                let known = imported.first().is_some_and(|first| first != name);
                (known && depth < 16)
                    .then(|| self.walk(from, &[imported, rest].concat(), depth + 1))?
            }
        }
    }

    /// Follows `path` from inside `module`, through re-exports.
    fn descend(&self, module: ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let Some((name, rest)) = path.split_first() else {
            return Some(module);
        };
        let here = self.modules.get(&module)?;
        if self.is_child(&module, name) {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            return self.descend(child, rest, depth);
        }
        if here.defined.contains(name) || depth > 16 {
            return Some(module);
        }
        if let Some(imported) = here.imported.get(name) {
            return self.walk(&module, &[imported, rest].concat(), depth + 1);
        }
        let through = |glob: &Vec<String>| {
            let target = self.walk(&module, glob, depth + 1)?;
            let known = self.is_child(&target, name)
                || self.modules.get(&target)?.defined.contains(name)
                || self.modules.get(&target)?.imported.contains_key(name);
            known.then(|| self.descend(target, path, depth + 1))?
        };
        here.globs.iter().find_map(through).or(Some(module))
    }

    fn is_child(&self, module: &ModulePath, name: &str) -> bool {
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        self.modules.contains_key(&child)
    }
}

impl Module {
    /// Takes in a file's items; answers with the names of its child files.
    fn take_items(&mut self, items: Vec<Item>) -> Vec<String> {
        let mut children = Vec::new();
        for item in items {
            if is_test(attributes(&item)) {
                continue;
            }
            self.define(&item);
            match item {
                Item::Use(import) => self.import(&import.tree, &mut Vec::new()),
                Item::Mod(module) if module.content.is_none() => {
                    children.push(module.ident.to_string());
                }
                // A module inside a file counts as the file's.
                Item::Mod(module) => {
                    let (_, items) = module.content.unwrap_or_default();
                    children.extend(self.take_items(items));
                }
                item => self.scan(without_tests(item).to_token_stream()),
            }
        }
        children
    }

    fn define(&mut self, item: &Item) {
        let (name, is_type) = match item {
            Item::Const(item) => (&item.ident, false),
            Item::Static(item) => (&item.ident, false),
            Item::Fn(item) => (&item.sig.ident, false),
            Item::Enum(item) => (&item.ident, true),
            Item::Struct(item) => (&item.ident, true),
            Item::Trait(item) => (&item.ident, true),
            Item::Type(item) => (&item.ident, true),
            Item::Union(item) => (&item.ident, true),
            Item::Macro(item) => match &item.ident {
                Some(name) => (name, false),
                None => return,
            },
            _ => return,
        };
        self.defined.insert(name.to_string());
        if is_type {
            self.types.insert(name.to_string());
        }
    }

    fn import(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix);
                prefix.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix);
                }
            }
            UseTree::Glob(_) => self.globs.push(prefix.clone()),
            UseTree::Name(name) => self.import_as(&name.ident.to_string(), None, prefix),
            UseTree::Rename(rename) => {
                let alias = rename.rename.to_string();
                self.import_as(&rename.ident.to_string(), Some(alias), prefix);
            }
        }
    }

    fn import_as(&mut self, name: &str, alias: Option<String>, prefix: &[String]) {
        let (path, own) = match name {
            "self" => (prefix.to_vec(), prefix.last().cloned().unwrap_or_default()),
            name => ([prefix, &[name.to_owned()]].concat(), name.to_owned()),
        };
        self.imported.insert(alias.unwrap_or(own), path);
    }

    /// Collects `a::b::c` and identifiers from tokens, those in macros included.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    self.identifiers.insert(name.clone());
                    if colons != 2 {
                        self.end_path(&mut path);
                    }
                    path.push(name);
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.end_path(&mut path);
                    self.scan(group.stream());
                    colons = 0;
                }
                _ => {
                    self.end_path(&mut path);
                    colons = 0;
                }
            }
        }
        self.end_path(&mut path);
    }

    fn end_path(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.written.insert(path);
        }
    }
}

/// An `impl` without its test-only functions; other items as they are.
fn without_tests(item: Item) -> Item {
    match item {
        Item::Impl(mut item) => {
            item.items.retain(|member| match member {
                syn::ImplItem::Fn(function) => !is_test(&function.attrs),
                _ => true,
            });
            Item::Impl(item)
        }
        item => item,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, or a `cfg` that names `test` otherwise.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .to_token_stream()
                .to_string()
                .contains("test")
    })
}
