//! Every guest program of `guests/` has its test: a constant that lists them all,
//! for a check that fails the build.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("guests");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let source = format!(
        "const _: () = {{\n    const PROGRAMS: &[&str] = &{names:?};\n    \
         assert!(PROGRAMS.len() == GUESTS.len(), \"a guest program has no constant here, or the other way round\");\n}};\n"
    );
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("guests.rs"),
        source,
    )?;
    Ok(())
}
