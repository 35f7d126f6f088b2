"""Lints and renders the chart with the library of Helm itself, and validates the objects against Kubernetes' schemas."""

import json
import sys

import helm_python as helm
import kubernetes_validate
import yaml

KUBERNETES = "1.34"

chart_folder, values = sys.argv[1], json.loads(sys.argv[2])
report = helm.lint(chart_folder, values, strict=True)
problems = report["errors"] + [m["error"] for m in report["messages"] if m["severity"] > 1]
if problems:
    sys.exit("\n".join(problems))
with helm.Chart.load(chart_folder) as chart:
    try:
        files = chart.render(values, name="orders", namespace="sync")
    except helm.HelmError as error:
        sys.exit(str(error))
objects = []
for name, text in sorted(files.items()):
    if name.endswith(".yaml"):
        objects += [one for one in yaml.safe_load_all(text) if one]
for one in objects:
    # Kubernetes has no schema of Prometheus's own kinds.
    if not one["apiVersion"].startswith("monitoring.coreos.com/"):
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
json.dump({one["kind"]: one for one in objects}, sys.stdout)
