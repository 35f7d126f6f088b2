//! `cargo xtask client`: a client in Python, generated from the OpenAPI document, drives a sync from start to commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use support::mongod::{target_directory, workspace};
use support::{Rig, doc};

use crate::build::succeed;

pub(crate) fn run() -> Result<()> {
    let folder = std::path::absolute(target_directory().join("client"))?;
    let tools = tools(&folder)?;
    crate::block_on(async {
        let mut rig = Rig::start().await?;
        let shop = rig.source_db("shop");
        for name in ["orders", "drafts"] {
            let documents =
                (0..2_000).map(|number| doc! { "_id": number, "text": "x".repeat(200) });
            shop.collection(name).insert_many(documents).await?;
        }
        rig.set_scope(|database, collection| (database, collection) == ("shop", "orders"));
        let answer = rig.host.call("GET", "/api/v1/openapi.json", "").await?;
        let document = folder.join("openapi.json");
        fs::write(&document, answer.body.to_string()).context("write the document")?;
        let client = generate(&folder, &tools, &document)?;
        let mut python = Command::new(tools.join("python"));
        python.env("PYTHONPATH", client);
        python.arg(workspace().join("tests/client/sync.py"));
        python.arg(format!("http://127.0.0.1:{}", rig.host.port()));
        succeed(python.arg(target_directory().join("components/field-mask.wasm")))?;
        rig.close().await?;
        example_of_the_page(&tools, &folder.join("generated")).await
    })
}

/// The code of docs/api-clients.md, as it stands but for the port.
async fn example_of_the_page(tools: &Path, client: &Path) -> Result<()> {
    let rig = Rig::start().await?;
    let orders = rig.source_db("shop").collection("orders");
    orders.insert_one(doc! { "_id": 1 }).await?;
    let page = fs::read_to_string(workspace().join("docs/api-clients.md"))?;
    let code = page.split_once("```python\n").map(|(_, rest)| rest);
    let code = code.and_then(|rest| rest.split("```").next());
    let code = code.context("docs/api-clients.md has no code in Python")?;
    let port = rig.host.port().to_string();
    let mut python = Command::new(tools.join("python"));
    python.env("PYTHONPATH", client).arg("-c");
    let status = python.arg(code.replace("27182", &port)).status();
    let status = status.context("run the code of docs/api-clients.md")?;
    ensure!(
        status.success(),
        "the code of docs/api-clients.md: {status}"
    );
    rig.host.wait_for_state("COMMITTED").await?;
    rig.close().await.map(drop)
}

/// The generated package's folder. A warning stands for a call or a type that the generator has left out.
fn generate(folder: &Path, tools: &Path, document: &Path) -> Result<PathBuf> {
    let client = folder.join("generated");
    let mut generator = Command::new(tools.join("openapi-python-client"));
    generator.args([
        "generate",
        "--overwrite",
        "--fail-on-warning",
        "--meta",
        "none",
    ]);
    generator
        .arg("--config")
        .arg(workspace().join("tests/client/config.yaml"));
    generator.arg("--path").arg(document);
    generator
        .arg("--output-path")
        .arg(client.join("tidegate_client"));
    fs::create_dir_all(&client).with_context(|| format!("create {}", client.display()))?;
    succeed(&mut generator)?;
    Ok(client)
}

/// The programs of a Python of its own, with the generator and the library that its clients use.
fn tools(folder: &Path) -> Result<PathBuf> {
    let tools = folder.join("venv/bin");
    if !tools.join("python").exists() {
        let mut python = Command::new("python3");
        succeed(python.args(["-m", "venv"]).arg(folder.join("venv")))?;
    }
    let mut pip = Command::new(tools.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    succeed(pip.arg(workspace().join("tests/client/requirements.txt")))?;
    ensure!(
        tools.join("openapi-python-client").exists(),
        "pip has installed no generator"
    );
    Ok(tools)
}
