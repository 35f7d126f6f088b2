//! The Helm chart, rendered by Helm's own library: a wheel of the Python package index holds it, and is kept under
//! `target/helm`.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::mongod::{target_directory, workspace};

use crate::printed;

const WHEELS: [&str; 3] = [
    "helm-python-sdk==0.2.2",
    "kubernetes-validate==1.37.0",
    "pyyaml",
];

fn chart() -> PathBuf {
    workspace().join("deploy/helm/tidegate")
}

/// The folder of the wheels.
fn wheels() -> Result<PathBuf> {
    let folder = std::path::absolute(target_directory().join("helm"))?;
    if !folder.join("helm_python").exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]);
        printed(pip.arg(&folder).args(WHEELS)).context("install Helm's library")?;
    }
    Ok(folder)
}

fn render(values: &Value) -> Result<Output> {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", wheels()?);
    python.arg(workspace().join("tests/tests/packages/render_chart.py"));
    let output = python.arg(chart()).arg(values.to_string()).output();
    output.context("run python3")
}

/// The objects by kind.
fn rendered(values: &Value) -> Result<Value> {
    let output = render(values)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{values}: {errors}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Of several tests, each would install the wheels.
#[test]
fn the_chart_renders_into_valid_objects() -> Result<()> {
    a_sync_with_a_local_api()?;
    an_api_that_prometheus_reads()?;
    wrong_values_are_refused()
}

fn a_sync_with_a_local_api() -> Result<()> {
    let objects = rendered(&json!({ "clusters": { "secretName": "orders" } }))?;
    let deployment = &objects["Deployment"]["spec"];
    let rolling = json!({ "maxSurge": 1, "maxUnavailable": 0 });
    assert_eq!(deployment["strategy"]["rollingUpdate"], rolling);
    assert_eq!(deployment["replicas"], 2);
    let pod = &deployment["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    for (probe, command) in [
        ("livenessProbe", json!(["/usr/bin/tidegate", "health"])),
        (
            "readinessProbe",
            json!(["/usr/bin/tidegate", "health", "--ready"]),
        ),
    ] {
        assert_eq!(container[probe]["exec"]["command"], command);
    }
    let environment = container["env"].as_array().context("no environment")?;
    let bind = environment
        .iter()
        .find(|variable| variable["name"] == "TIDEGATE_BIND");
    ensure!(bind.is_none(), "the API is reachable without protection");
    let image = container["image"].as_str().context("no image")?;
    ensure!(image.ends_with(env!("CARGO_PKG_VERSION")), "{image}");
    for kind in [
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
    ] {
        ensure!(objects[kind].is_object(), "{kind} is missing");
    }
    ensure!(
        objects["Service"].is_null(),
        "a service without a reachable API"
    );
    Ok(())
}

fn an_api_that_prometheus_reads() -> Result<()> {
    let objects = rendered(&json!({
        "clusters": { "secretName": "orders", "ports": [27017, 27018], "cidrs": ["10.0.0.0/8"] },
        "config": { "verbosity": "DEBUG" },
        "secretMounts": ["hooks"],
        "api": { "tlsSecretName": "tls", "callersSecretName": "callers", "from": [{ "podSelector": {} }] },
        "serviceMonitor": { "enabled": true, "tokenSecretName": "viewer" },
    }))?;
    let endpoint = &objects["ServiceMonitor"]["spec"]["endpoints"][0];
    assert_eq!(endpoint["scheme"], "https");
    assert_eq!(objects["Service"]["spec"]["ports"][0]["name"], "api");
    let container = &objects["Deployment"]["spec"]["template"]["spec"]["containers"][0];
    let probe = json!({ "scheme": "HTTPS", "port": "api", "path": "/readyz" });
    assert_eq!(container["readinessProbe"]["httpGet"], probe);
    let policy = &objects["NetworkPolicy"]["spec"];
    assert_eq!(policy["ingress"][0]["ports"][0]["port"], 27182);
    assert_eq!(policy["egress"][1]["ports"][1]["port"], 27018);
    assert_eq!(
        objects["ConfigMap"]["data"]["tidegate.yaml"],
        "verbosity: DEBUG\n"
    );
    Ok(())
}

fn wrong_values_are_refused() -> Result<()> {
    let clusters = json!({ "secretName": "orders" });
    for (values, reason) in [
        (json!({}), "clusters.secretName"),
        (json!({ "clusters": clusters, "replicas": 0 }), "replicas"),
        (
            json!({ "clusters": clusters, "config": { "port": 1 } }),
            "config",
        ),
        (
            json!({ "clusters": clusters, "serviceMonitor": { "enabled": true } }),
            "api.tlsSecretName",
        ),
    ] {
        let output = render(&values)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "{values} was accepted");
        ensure!(errors.contains(reason), "{values}: {errors}");
    }
    Ok(())
}

#[test]
fn the_chart_has_the_version_of_the_workspace() -> Result<()> {
    let text = std::fs::read_to_string(chart().join("Chart.yaml"))?;
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("version: {version}"),
        format!("appVersion: \"{version}\""),
    ] {
        ensure!(
            text.contains(&line),
            "deploy/helm/tidegate/Chart.yaml needs {line}"
        );
    }
    Ok(())
}
