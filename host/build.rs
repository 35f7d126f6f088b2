//! Embeds `target/components`: a release is one file.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let folder = root.join("target/components");
    let manifest = folder.join("featureset.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());
    // What `plugin new` writes is embedded by a macro, which sees no new file.
    for path in [
        "plugins/templates",
        "plugins/sdk/src",
        "plugins/raw-bson/src",
        "wit",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    if !manifest.exists() {
        println!("cargo::error=the components are not built yet: run `cargo xtask build` once");
        return Ok(());
    }
    let source = embed(&folder, &manifest)?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("featureset.rs"),
        source,
    )?;
    Ok(())
}

/// Two constants: the manifest, and each component's bytes by its file's stem.
fn embed(folder: &Path, manifest: &Path) -> Result<String, Box<dyn Error>> {
    let mut components = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path().canonicalize()?;
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            components.push(path);
        }
    }
    components.sort();
    let manifest = manifest.canonicalize()?;
    let mut source = format!("const MANIFEST: &str = include_str!({manifest:?});\n");
    writeln!(source, "const COMPONENTS: &[(&str, &[u8])] = &[")?;
    for path in components {
        println!("cargo::rerun-if-changed={}", path.display());
        let stem = path.file_stem().unwrap_or_default();
        writeln!(source, "    ({stem:?}, include_bytes!({path:?})),")?;
    }
    source.push_str("];\n");
    Ok(source)
}
