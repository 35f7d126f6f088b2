//! Filters in Python, JavaScript, Go and C, built from the templates of `tidegate plugin new` with the tools that their
//! READMEs name.
//!
//! In `target/languages`, a folder holds each rendered template and its tools, and `<language>-filter.wasm` next to
//! it is the result: present if, and only if, it was built from exactly these files by exactly these steps. A
//! machine without the language, or without a way to get its tools, skips it, and the reason is printed. With the
//! tools in place, a failed test or build is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use support::{
    host,
    mongod::{target_directory, workspace},
    release::Profile,
};

use crate::build::succeed;

/// A program and its arguments, run in the plugin's folder.
type Step = &'static [&'static str];

#[derive(Debug)]
struct Language {
    name: &'static str,
    /// Gets the tools. On a machine that cannot, it should fail soon.
    tools: &'static [Step],
    /// Tests the plugin, and builds it into `plugin.wasm`.
    build: &'static [Step],
}

const PYTHON: Language = Language {
    name: "python",
    tools: &[
        &["python3", "-m", "venv", ".venv"],
        &[
            ".venv/bin/pip",
            "install",
            "--quiet",
            "--retries=1",
            "--requirement",
            "requirements.txt",
        ],
    ],
    build: &[
        &["python3", "-m", "unittest", "--quiet"],
        &[
            ".venv/bin/componentize-py",
            "--wit-path",
            "wit",
            "--world",
            "transform-plugin",
            "componentize",
            "component",
            "--stub-wasi",
            "--output",
            "python-filter.wasm",
        ],
    ],
};

const JAVASCRIPT: Language = Language {
    name: "javascript",
    tools: &[&[
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--fetch-retries=1",
    ]],
    build: &[
        &["npm", "test", "--silent"],
        &["npm", "run", "build", "--silent"],
    ],
};

/// What the host puts into a component of which a compiler needs a system.
const ENCODER: &str = "plugins/componentize/src/no_system.rs";

/// The compiler's module becomes a component by the host's command, as an author does it.
const ENCODE: Step = &["tidegate", "plugin", "build"];

const GO: Language = Language {
    name: "go",
    tools: PYTHON.tools,
    build: &[
        &[".venv/bin/go", "vet", "."],
        &[".venv/bin/go", "test", "."],
        ENCODE,
    ],
};

const C: Language = Language {
    name: "c",
    tools: PYTHON.tools,
    build: &[&["make", "--silent", "test"], ENCODE],
};

/// `cargo xtask languages`.
pub(crate) fn run() -> Result<()> {
    crate::build::all(Profile::Dev)?;
    for component in build()? {
        println!("{}", component.display());
    }
    Ok(())
}

/// Builds the missing components. Returns all components that exist at the end.
pub(crate) fn build() -> Result<Vec<PathBuf>> {
    let mut components = Vec::new();
    for language in [PYTHON, JAVASCRIPT, GO, C] {
        components.extend(language.build()?);
    }
    Ok(components)
}

impl Language {
    /// The component, unless the machine cannot have the tools.
    fn build(&self) -> Result<Option<PathBuf>> {
        let plugin = format!("{}-filter", self.name);
        let languages = std::path::absolute(target_directory())?.join("languages");
        let component = languages.join(&plugin).with_extension("wasm");
        let folder = languages.join(self.name);
        if self.render(&folder, &plugin)? {
            remove(&component)?;
        }
        if component.exists() {
            return Ok(Some(component));
        }
        if let Err(reason) = run_all(self.tools, &folder) {
            eprintln!("{plugin} is not built, for lack of its tools: {reason:#}");
            return Ok(None);
        }
        run_all(self.build, &folder)?;
        // `plugin build` names a component after its folder where no manifest names it.
        let name = if self.build.contains(&ENCODE) {
            self.name
        } else {
            &plugin
        };
        let built = folder.join(name).with_extension("wasm");
        fs::rename(&built, &component)
            .with_context(|| format!("no {} was built", built.display()))?;
        Ok(Some(component))
    }

    /// Brings the folder up to date; true if anything was written.
    fn render(&self, folder: &Path, plugin: &str) -> Result<bool> {
        let template = workspace().join("plugins/templates").join(self.name);
        let contract = workspace().join("wit/since-v1.0.0");
        let mut steps = format!("{self:#?}\n");
        if self.build.contains(&ENCODE) {
            steps += &fs::read_to_string(workspace().join(ENCODER)).context("read the encoder")?;
        }
        let mut written = write_if_changed(&folder.join("steps"), &steps)?;
        for (from, to) in [
            (template, folder.to_owned()),
            (contract, folder.join("wit")),
        ] {
            let files = fs::read_dir(&from).with_context(|| format!("list {}", from.display()))?;
            for file in files {
                let file = file?;
                if file.file_type()?.is_file() {
                    let text = fs::read_to_string(file.path())
                        .with_context(|| format!("read {}", file.path().display()))?;
                    let text = text.replace("{{name}}", plugin);
                    written |= write_if_changed(&to.join(file.file_name()), &text)?;
                }
            }
        }
        Ok(written)
    }
}

fn run_all(steps: &[Step], folder: &Path) -> Result<()> {
    for step in steps {
        let (program, arguments) = step.split_first().context("a step has a program")?;
        let program = match *program {
            "tidegate" => host::binary()?,
            program if program.contains('/') => folder.join(program),
            program => program.into(),
        };
        succeed(Command::new(program).args(arguments).current_dir(folder))?;
    }
    Ok(())
}

fn write_if_changed(path: &Path, text: &str) -> Result<bool> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(false);
    }
    let folder = path.parent().context("a file is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(true)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the SDK's crates take from their workspace are the same in both.
    #[test]
    fn the_rust_template_depends_on_what_the_sdk_was_tested_with() -> Result<()> {
        let read = |path: &str| -> Result<toml::Table> {
            Ok(fs::read_to_string(workspace().join(path))?.parse()?)
        };
        let ours = read("Cargo.toml")?;
        let theirs = read("plugins/templates/rust/Cargo.toml")?;
        let (ours, theirs) = (&ours["workspace"], &theirs["workspace"]);
        assert_eq!(
            ours["package"]["rust-version"],
            theirs["package"]["rust-version"]
        );
        let dependencies = theirs["dependencies"].as_table().context("a table")?;
        for (name, dependency) in dependencies {
            if dependency.get("path").is_none() {
                assert_eq!(ours["dependencies"][name], *dependency, "{name}");
            }
        }
        Ok(())
    }
}
