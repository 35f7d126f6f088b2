//! `tidegate plugin build`: runs the build of the plugin's language, and prints the path of the component.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tidegate_componentize::{componentize, componentize_for};

use super::super::status::CommandStatus;
use super::command::{self, Language};
use super::console::{Console, size};
use super::usage_error::usage_error;

const TARGET: &str = "wasm32-unknown-unknown";
const WORLD: &str = "transform-plugin";

/// The core module that the compilers of Go and C write.
const MODULE: &str = "module.wasm";

pub(super) fn execute(
    arguments: &command::BuildArgs,
    console: &mut Console,
) -> Result<CommandStatus> {
    component(&arguments.folder, console)?;
    Ok(CommandStatus::Success)
}

/// Builds the plugin in a folder, prints the path of the component, and returns it.
pub(super) fn component(folder: &Path, console: &mut Console) -> Result<PathBuf> {
    let component = match language(folder)? {
        Language::Rust => rust(folder),
        Language::Python => python(folder),
        Language::Javascript => javascript(folder),
        Language::Go => go(folder),
        Language::C => c(folder),
    }?;
    let bytes =
        std::fs::read(&component).with_context(|| format!("read {}", component.display()))?;
    let place = component.strip_prefix(".").unwrap_or(&component);
    console.line(format!("{} ({})", place.display(), size(bytes.len())))?;
    Ok(component)
}

/// The language, detected by the manifest file of its tools.
pub(super) fn language(folder: &Path) -> Result<Language> {
    [
        ("Cargo.toml", Language::Rust),
        ("plugin.py", Language::Python),
        ("package.json", Language::Javascript),
        ("go.mod", Language::Go),
        ("plugin.c", Language::C),
    ]
    .into_iter()
    .find_map(|(file, language)| folder.join(file).is_file().then_some(language))
    .ok_or_else(|| {
        usage_error(format!(
            "{} holds no plugin: Cargo.toml, plugin.py, package.json, go.mod and plugin.c are missing.",
            folder.display()
        ))
    })
}

/// Builds a core module with cargo, and encodes it as a component.
fn rust(folder: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--release", "--target", TARGET])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdout(Stdio::piped());
    let messages = output(cargo, "cargo", "install Rust, from rustup.rs")?;
    let module = module_of(&messages)
        .context("cargo built no cdylib; Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"]")?;
    let core = std::fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    let component = componentize(&core)
        .context("encode the module as a component; does src/lib.rs have a line export!(…)?")?;
    let stem = module.file_stem().unwrap_or_default().to_string_lossy();
    let file = folder.join(format!("{}.wasm", stem.replace('_', "-")));
    std::fs::write(&file, component).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// The last core module in the messages of cargo. Earlier messages are about its dependencies.
fn module_of(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().rev();
    let mut messages = messages.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.find_map(|message| {
        let files = message.get("filenames")?.as_array()?;
        let mut files = files.iter().filter_map(Value::as_str);
        files
            .find(|file| file.ends_with(".wasm"))
            .map(PathBuf::from)
    })
}

fn python(folder: &Path) -> Result<PathBuf> {
    let tool = tool_of(folder, "componentize-py")?;
    let file = PathBuf::from(format!("{}.wasm", name_of(folder)?));
    let mut componentize = Command::new(tool);
    componentize
        .args([
            "--wit-path",
            "wit",
            "--world",
            WORLD,
            "componentize",
            "--stub-wasi",
            "component",
        ])
        .arg("--output")
        .arg(&file)
        .current_dir(folder)
        .stdout(Stdio::null());
    let remedy = "install it into the plugin's folder: \
                  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    output(componentize, "componentize-py", remedy)?;
    Ok(folder.join(file))
}

fn javascript(folder: &Path) -> Result<PathBuf> {
    let remedy = "run npm install in the plugin's folder";
    if !folder.join("node_modules/.bin/componentize-qjs").exists() {
        bail!("componentize-qjs is not installed; {remedy}");
    }
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "build"])
        .current_dir(folder)
        .stdout(Stdio::null());
    output(npm, "npm", "install Node.js")?;
    let manifest = std::fs::read_to_string(folder.join("package.json"))?;
    let manifest: Value = serde_json::from_str(&manifest).context("read package.json")?;
    let name = manifest
        .get("name")
        .and_then(Value::as_str)
        .context("package.json has no name")?;
    Ok(folder.join(format!("{name}.wasm")))
}

fn go(folder: &Path) -> Result<PathBuf> {
    let mut go = Command::new(tool_of(folder, "go")?);
    go.args([
        "build",
        "-trimpath",
        "-buildmode=c-shared",
        "-ldflags=-w",
        "-o",
        MODULE,
        ".",
    ])
    .envs([("GOOS", "wasip1"), ("GOARCH", "wasm")])
    .current_dir(folder)
    .stdout(Stdio::null());
    let remedy = "install Go 1.24 or later, or put it into the plugin's folder: \
                  python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";
    output(go, "go", remedy)?;
    encode(folder)
}

fn c(folder: &Path) -> Result<PathBuf> {
    let mut make = Command::new("make");
    make.args(["--silent", MODULE])
        .current_dir(folder)
        .stdout(Stdio::null());
    let remedy = "install make; the compiler is another: the plugin's README.md";
    output(make, "make", remedy)?;
    encode(folder)
}

/// Encodes the module of a compiler that does not know components. The folder holds the contract.
fn encode(folder: &Path) -> Result<PathBuf> {
    let module = folder.join(MODULE);
    let core = std::fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    let component = componentize_for(&core, &folder.join("wit"), WORLD)
        .with_context(|| format!("encode {MODULE} as a component of the world {WORLD}"))?;
    let file = folder.join(format!("{}.wasm", name_of(folder)?));
    std::fs::write(&file, component).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// A program of the plugin's own tools, or else one of the system.
fn tool_of(folder: &Path, program: &str) -> Result<PathBuf> {
    let own = folder.join(".venv/bin").join(program);
    if own.is_file() {
        // A path that is relative would be looked for in the plugin's folder.
        std::path::absolute(own).with_context(|| format!("find {program}"))
    } else {
        Ok(PathBuf::from(program))
    }
}

/// The name of a folder, resolved for `.`.
fn name_of(folder: &Path) -> Result<String> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("find {}", folder.display()))?;
    let name = folder
        .file_name()
        .context("the plugin's folder has no name")?;
    Ok(name.to_string_lossy().into_owned())
}

/// Runs a tool, and returns its standard output. Its standard error is passed on.
fn output(mut command: Command, tool: &str, remedy: &str) -> Result<String> {
    let child = command.stderr(Stdio::inherit()).spawn();
    let child = child.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("{tool} is not installed; {remedy}"),
        _ => anyhow::Error::new(error).context(format!("run {tool}")),
    })?;
    let output = child
        .wait_with_output()
        .with_context(|| format!("run {tool}"))?;
    ensure!(output.status.success(), "{tool} failed: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_module_is_the_plugins() {
        let messages = "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/libsdk.rlib\"]}\n\
                        {\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/mask.wasm\",\"/t/libmask.rlib\"]}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(module_of(messages), Some(PathBuf::from("/t/mask.wasm")));
        assert_eq!(module_of("{\"reason\":\"build-finished\"}\n"), None);
    }
}
