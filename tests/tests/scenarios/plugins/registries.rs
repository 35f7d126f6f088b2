//! Components in an OCI registry: pushed, pulled, signed, and used by a sync.

use std::{
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use bson::doc;
use serde_json::{Value, json};
use support::{Rig, TestDir, host, package::file_of, registry::OciRegistry, rig::Options};

use super::{
    builds::{AllStamped, Build, FIRST, FIXED, pinned},
    guests::{DELTA, component},
};
use crate::steps::{insert, wait_in_step};

/// A user of the registry with the password `a-password-for-tests`, in the form of htpasswd.
const USER: &str = "team:$2b$04$A4nOm3MSBKmFjlAKyYtSu.mfsM8dWm3gyjWiQWvJqXLcIQ4Ado7wi\n";

/// `tidegate plugin` with these arguments, in `folder`, which is also the home of its user.
fn plugin(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(host::binary()?);
    command.arg("plugin").args(arguments);
    command.current_dir(folder).env("HOME", folder);
    command.output().context("run tidegate plugin")
}

/// The same, and it has to succeed. Returns the reference by digest that it prints.
fn reference(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = plugin(folder, arguments)?;
    let printed = String::from_utf8(output.stdout)?;
    ensure!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut words = printed.split([' ', ',', '\n']);
    let found = words.find(|word| word.starts_with("oci://"));
    Ok(found.context("a reference")?.to_owned())
}

/// The same, and it has to be refused. Returns what it prints.
fn refused(folder: &Path, arguments: &[&str], error: &str) -> Result<String> {
    let output = plugin(folder, arguments)?;
    let printed = String::from_utf8(output.stderr)?;
    ensure!(
        !output.status.success() && printed.contains(error),
        "{arguments:?} should be refused with {error}: {printed}"
    );
    Ok(printed)
}

fn write(folder: &Path, name: &str, build: Build) -> Result<()> {
    std::fs::write(folder.join(name), build.bytes()?).context("write a build")
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    let made = Command::new(file_of("openssl", "usr/bin/openssl")?)
        .current_dir(folder)
        .args(arguments)
        .output();
    let made = made.context("run openssl")?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}

/// A pair of keys, `NAME.key` and `NAME.pub`, as other tools make them.
fn key_pair(folder: &Path, name: &str) -> Result<()> {
    let (private, public) = (format!("{name}.key"), format!("{name}.pub"));
    let curve = "ec_paramgen_curve:P-256";
    openssl(
        folder,
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            curve,
            "-out",
            &private,
        ],
    )?;
    openssl(folder, &["ec", "-in", &private, "-pubout", "-out", &public])
}

#[tokio::test]
async fn f210_a_component_goes_through_a_registry_by_tag_and_digest() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let registry = OciRegistry::start(folder, None).await?;
    write(folder, "first.wasm", FIRST)?;
    write(folder, "fixed.wasm", FIXED)?;
    let tag = format!("{}/team/stamp:1", registry.address());
    let first = reference(folder, &["push", "first.wasm", &tag])?;
    // Equal components are equal artifacts, with or without the scheme.
    let again = reference(folder, &["push", "first.wasm", &format!("oci://{tag}")])?;
    ensure!(first == again, "{first} and {again}");

    let stored = registry.manifest("team/stamp", "1")?;
    ensure!(
        stored["config"]["mediaType"] == "application/vnd.wasm.config.v0+json"
            && stored["layers"][0]["mediaType"] == "application/wasm"
            && stored["layers"].as_array().map(Vec::len) == Some(1)
            && stored["annotations"]["org.opencontainers.image.title"] == "stamp",
        "{stored}"
    );
    let fixed = reference(folder, &["push", "fixed.wasm", &tag])?;
    ensure!(first != fixed, "one digest for two builds");
    for (reference_of, build, file) in [(&tag, FIXED, "stamp.wasm"), (&first, FIRST, "old.wasm")] {
        let pulled = reference(folder, &["pull", reference_of, "--out", file])?;
        ensure!(
            pulled
                == if file == "old.wasm" {
                    first.clone()
                } else {
                    fixed.clone()
                }
        );
        ensure!(
            std::fs::read(folder.join(file))? == build.bytes()?,
            "other bytes"
        );
    }

    refused(
        folder,
        &["pull", &format!("{}/team/other:1", registry.address())],
        "PluginNotFound",
    )?;
    refused(folder, &["push", "first.wasm", &first], "InvalidConfig")?;
    refused(folder, &["push", "first.wasm", "stamp:1"], "InvalidConfig")?;
    std::fs::write(folder.join("text.wasm"), "no component")?;
    refused(folder, &["push", "text.wasm", &tag], "PluginNotSupported")?;
    directory.remove();
    Ok(())
}

/// Bytes that somebody has changed in the registry, and an artifact that is no component.
#[tokio::test]
async fn f211_a_changed_artifact_is_refused_by_its_digests() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let mut registry = OciRegistry::start(folder, None).await?;
    write(folder, "first.wasm", FIRST)?;
    let tag = format!("{}/team/stamp:1", registry.address());
    let first = reference(folder, &["push", "first.wasm", &tag])?;
    let stored = registry.manifest("team/stamp", "1")?;
    let layer = stored["layers"][0]["digest"].as_str().context("a layer")?;
    let (layer, manifest_file) = (
        registry.blob(layer),
        registry.blob(first.split_once('@').context("a digest")?.1),
    );
    // As many bytes, and one that differs.
    std::fs::write(&layer, FIXED.bytes()?)?;
    refused(folder, &["pull", &tag], "RegistryFailed")?;
    std::fs::write(&layer, FIRST.bytes()?)?;
    reference(folder, &["pull", &tag])?;

    let text = std::fs::read_to_string(&manifest_file)?;
    std::fs::write(
        &manifest_file,
        text.replace("application/wasm", "application/text"),
    )?;
    refused(folder, &["pull", &first], "RegistryFailed")?;
    ensure!(!folder.join("stamp.wasm.part").exists());
    registry.stop()?;
    let printed = refused(folder, &["pull", &tag], "RegistryFailed")?;
    ensure!(printed.contains("refused"), "no reason: {printed}");
    directory.remove();
    Ok(())
}

/// The layout of cosign: openssl finds the signature of the message that the registry holds.
#[tokio::test]
async fn f212_signatures_are_those_of_cosign() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let registry = OciRegistry::start(folder, None).await?;
    write(folder, "first.wasm", FIRST)?;
    write(folder, "fixed.wasm", FIXED)?;
    for name in ["ours", "theirs", "nobody"] {
        key_pair(folder, name)?;
    }
    let tag = format!("{}/team/stamp:1", registry.address());
    let first = reference(folder, &["push", "first.wasm", &tag])?;
    refused(
        folder,
        &["pull", &tag, "--key", "ours.pub"],
        "PluginNotTrusted",
    )?;
    ensure!(!folder.join("stamp.wasm").exists(), "an unsigned file");
    for key in ["ours.key", "ours.key", "theirs.key"] {
        ensure!(reference(folder, &["sign", &tag, "--key", key])? == first);
    }
    for key in ["ours.pub", "theirs.pub"] {
        reference(folder, &["pull", &first, "--key", key])?;
    }
    refused(
        folder,
        &["pull", &tag, "--key", "nobody.pub"],
        "PluginNotTrusted",
    )?;

    let signatures = verify_with_openssl(folder, &registry, &first)?;

    // Another build under the tag, and the signatures of the first one copied to it.
    let fixed = reference(folder, &["push", "fixed.wasm", &tag])?;
    let other = fixed
        .split_once('@')
        .context("a digest")?
        .1
        .replace(':', "-");
    registry.put_manifest("team/stamp", &format!("{other}.sig"), &signatures)?;
    refused(
        folder,
        &["pull", &tag, "--key", "ours.pub"],
        "PluginNotTrusted",
    )?;
    refused(
        folder,
        &["sign", &tag, "--key", "ours.pub"],
        "FileNotPrivate",
    )?;
    directory.remove();
    Ok(())
}

/// The signatures of an artifact of two signers, the first of which is verified without tidegate.
fn verify_with_openssl(folder: &Path, registry: &OciRegistry, signed: &str) -> Result<Value> {
    let digest = signed.split_once('@').context("a digest")?.1;
    let signatures =
        registry.manifest("team/stamp", &format!("{}.sig", digest.replace(':', "-")))?;
    let layers = signatures["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 2, "each key signs once: {signatures}");
    let message = registry.blob(layers[0]["digest"].as_str().context("a digest")?);
    let text: Value = serde_json::from_slice(&std::fs::read(&message)?)?;
    ensure!(
        text["critical"]["image"]["docker-manifest-digest"] == digest
            && text["critical"]["type"] == "cosign container image signature",
        "{text}"
    );
    let signature = &layers[0]["annotations"]["dev.cosignproject.cosign/signature"];
    std::fs::write(
        folder.join("signature"),
        signature.as_str().context("a signature")?,
    )?;
    openssl(
        folder,
        &[
            "base64",
            "-d",
            "-A",
            "-in",
            "signature",
            "-out",
            "signature.der",
        ],
    )?;
    let message = message.display().to_string();
    openssl(
        folder,
        &[
            "dgst",
            "-sha256",
            "-verify",
            "ours.pub",
            "-signature",
            "signature.der",
            &message,
        ],
    )?;
    Ok(signatures)
}

/// A registry with users: their credentials come from a file in the form of Docker's, and are shown nowhere.
#[tokio::test]
async fn f213_credentials_of_a_registry_come_from_a_file() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let registry = OciRegistry::start(folder, Some(USER)).await?;
    std::fs::write(folder.join("delta.wasm"), component(DELTA)?)?;
    let tag = format!("{}/team/delta:1", registry.address());
    refused(folder, &["push", "delta.wasm", &tag], "RegistryFailed")?;
    for (file, password) in [
        ("wrong.json", "another-password"),
        ("right.json", "a-password-for-tests"),
    ] {
        let auths = json!({ registry.address(): { "username": "team", "password": password } });
        std::fs::write(folder.join(file), json!({ "auths": auths }).to_string())?;
    }
    let printed = refused(
        folder,
        &[
            "push",
            "delta.wasm",
            &tag,
            "--registryAuthFile",
            "wrong.json",
        ],
        "RegistryFailed",
    )?;
    ensure!(!printed.contains("another-password"), "{printed}");
    reference(
        folder,
        &[
            "push",
            "delta.wasm",
            &tag,
            "--registryAuthFile",
            "right.json",
        ],
    )?;
    // Docker's own file, in the home of the user.
    std::fs::create_dir(folder.join(".docker"))?;
    std::fs::copy(
        folder.join("right.json"),
        folder.join(".docker/config.json"),
    )?;
    reference(folder, &["pull", &tag])?;
    directory.remove();
    Ok(())
}

/// A sync takes its component from a registry, and needs the registry no more: neither for the next host nor for the same start.
#[tokio::test]
async fn f214_a_sync_is_pinned_to_a_component_of_a_registry() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let mut registry = OciRegistry::start(folder, None).await?;
    write(folder, "first.wasm", FIRST)?;
    write(folder, "fixed.wasm", FIXED)?;
    let tag = format!("{}/team/stamp:1", registry.address());
    let first = reference(folder, &["push", "first.wasm", &tag])?;
    let fixed = reference(folder, &["push", "fixed.wasm", &tag])?;

    let mut rig = Rig::start().await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    let tagged = json!({ "plugins": [{ "component": format!("oci://{tag}") }] });
    ensure!(rig.host.start(tagged).await.is_err(), "a tag is accepted");
    let options = json!({ "plugins": [{ "component": first }], "verification": false });
    rig.host.start(options.clone()).await?;
    wait_in_step(&rig).await?;
    let digest = pinned(&rig, "plugins[0]").await?["digest"].clone();
    ensure!(
        digest == tidegate::plugin::digest(&FIRST.bytes()?),
        "{digest}"
    );

    let swap =
        |component: &str| json!({ "components": [{ "name": "stamp", "component": component }] });
    let body = swap(&fixed).to_string();
    let answer = rig.host.call("POST", "/api/v1/upgrade", &body).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    registry.stop()?;
    rig.host.restart().await?;
    rig.host.start(options).await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 2 }]).await?;
    wait_in_step(&rig).await?;
    let digest = pinned(&rig, "plugins[0]").await?["digest"].clone();
    ensure!(
        digest == tidegate::plugin::digest(&FIXED.bytes()?),
        "{digest}"
    );
    let answer = rig
        .host
        .call("POST", "/api/v1/upgrade", &swap(&first).to_string())
        .await?;
    ensure!(answer.body["error"] == "RegistryFailed", "{}", answer.body);
    rig.expect(AllStamped(FIXED.stamp));
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 3 }]).await?;
    rig.source_db("app")
        .collection::<bson::Document>("c")
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "again": 1 } })
        .await?;
    rig.finish().await?;
    directory.remove();
    Ok(())
}

/// A host that requires signatures takes signed components alone, wherever they are named, and shows who has signed.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one course of events, in sequence")]
async fn f215_components_have_to_be_signed_by_a_trusted_key() -> Result<()> {
    let directory = TestDir::new()?;
    let folder = directory.path();
    let registry = OciRegistry::start(folder, None).await?;
    for (name, build) in [("first", FIRST), ("fixed", FIXED)] {
        write(folder, &format!("{name}.wasm"), build)?;
    }
    key_pair(folder, "ours")?;
    key_pair(folder, "theirs")?;
    let tag = format!("{}/team/stamp:1", registry.address());
    let first = reference(folder, &["push", "first.wasm", &tag])?;
    let fixed = reference(folder, &["push", "fixed.wasm", &tag])?;
    let trust = folder.join("trust.yaml");
    let trusting = |registries: &str, components: &str| {
        let text = format!(
            "requireSignature: true\nregistries: [{registries}]\nkeys:\n- {{name: our team, keyFile: ours.pub, components: [{components}]}}\n"
        );
        std::fs::write(&trust, text)
    };
    let team = format!("\"{}/team\"", registry.address());
    trusting(&team, "")?;
    let mut rig = Rig::with(Options {
        host_arguments: vec!["--pluginTrust".to_owned(), trust.display().to_string()],
        ..Options::default()
    })
    .await?;
    insert(&rig.source_db("app"), "c", vec![doc! { "_id": 1 }]).await?;
    let options = json!({ "plugins": [{ "component": &first }], "verification": false });

    untrusted(&rig, &options).await?;
    reference(folder, &["sign", &first, "--key", "theirs.key"])?;
    untrusted(&rig, &options).await?;
    reference(folder, &["sign", &first, "--key", "ours.key"])?;
    // The file is read anew: another registry, another component.
    trusting("registry.example", "")?;
    untrusted(&rig, &options).await?;
    trusting(&team, "mask")?;
    untrusted(&rig, &options).await?;
    let installed = rig.host.call("GET", "/api/v1/plugins", "").await?.body;
    ensure!(!installed.to_string().contains("stamp"), "{installed}");
    let upload = rig.host.upload("/api/v1/plugins", FIRST.bytes()?).await?;
    ensure!(
        upload.body["error"] == "PluginNotTrusted",
        "{}",
        upload.body
    );
    trusting(&team, "stamp")?;
    rig.host.start(options).await?;
    wait_in_step(&rig).await?;
    ensure!(pinned(&rig, "plugins[0]").await?["signedBy"] == "our team");
    ensure!(pinned(&rig, "namespaceFilter").await?["signedBy"].is_null());

    for component in [fixed, tidegate::plugin::digest(&FIXED.bytes()?)] {
        let body = json!({ "components": [{ "name": "stamp", "component": component }] });
        let answer = rig
            .host
            .call("POST", "/api/v1/upgrade", &body.to_string())
            .await?;
        let refused = ["PluginNotTrusted", "PluginNotFound"].map(Value::from);
        ensure!(refused.contains(&answer.body["error"]), "{}", answer.body);
    }
    // The key has been replaced: what it has signed is trusted no more, by its place and by its digest.
    let text = std::fs::read_to_string(&trust)?;
    let replaced = text.replace(
        "our team, keyFile: ours.pub",
        "their team, keyFile: nobody.pub",
    );
    key_pair(folder, "nobody")?;
    std::fs::write(&trust, replaced)?;
    for component in [first, tidegate::plugin::digest(&FIRST.bytes()?)] {
        let body = json!({ "components": [{ "name": "stamp", "component": component }] });
        let body = body.to_string();
        let answer = rig.host.call("POST", "/api/v1/upgrade", &body).await?;
        ensure!(
            answer.body["error"] == "PluginNotTrusted",
            "{}",
            answer.body
        );
    }
    // The pin is persisted with its signer, and needs neither registry nor key any more.
    trusting("registry.example", "mask")?;
    rig.host.restart().await?;
    wait_in_step(&rig).await?;
    ensure!(pinned(&rig, "plugins[0]").await?["signedBy"] == "our team");
    rig.expect(AllStamped(FIRST.stamp));
    rig.finish().await?;
    directory.remove();
    Ok(())
}

/// A start with these options is refused, and nothing has begun.
async fn untrusted(rig: &Rig, options: &Value) -> Result<()> {
    let refused = rig.host.start(options.clone()).await.err();
    let refused = format!(
        "{:#}",
        refused.context("an untrusted component is accepted")?
    );
    ensure!(refused.contains("PluginNotTrusted"), "{refused}");
    ensure!(rig.host.progress().await?["state"] == "IDLE");
    Ok(())
}
