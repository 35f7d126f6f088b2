"""A sync from start to commit through the client that openapi-python-client generates: arguments are the base URL of the host, and a component.

Each answer has to be an object of its generated class, so a part of the document that a generator cannot read fails here.
"""

import io
import pathlib
import sys
import time

from tidegate_client import Client
from tidegate_client.api.control import commit, list_audit, load_level, pause, progress, resume, start
from tidegate_client.api.health import healthz, metrics, readyz
from tidegate_client.api.plugins import add_plugin, list_plugins
from tidegate_client.api.verification import list_mismatches, verification
from tidegate_client.models import (
    AuditAnswer,
    CommitRequest,
    Failure,
    LoadLevelRequest,
    MismatchesAnswer,
    NamespaceFilter,
    NoOptions,
    OnMismatch,
    PluginAnswer,
    PluginsAnswer,
    ProgressAnswer,
    ProgressBody,
    ReadinessBody,
    StartRequest,
    StartRequestDestination,
    StartRequestSource,
    Success,
    Verification,
    VerificationAnswer,
)
from tidegate_client.types import File

SECONDS = 60


def typed(answer, kind):
    assert isinstance(answer, kind), f"{answer!r} is no {kind.__name__}"
    return answer


def look(client) -> ProgressBody:
    return typed(progress.sync(client=client), ProgressAnswer).progress


def wait(client, done) -> ProgressBody:
    until = time.monotonic() + SECONDS
    while not done(seen := look(client)):
        assert time.monotonic() < until, f"{seen}"
        time.sleep(0.1)
    return seen


def request(**options) -> StartRequest:
    return StartRequest(
        source=StartRequestSource.CLUSTER0,
        destination=StartRequestDestination.CLUSTER1,
        include_namespaces=[NamespaceFilter(database="shop", collections=["orders"])],
        verification=Verification(on_mismatch=OnMismatch.REPAIR),
        **options,
    )


def sync(client, component: pathlib.Path):
    assert look(client).state == "IDLE"
    refused = typed(start.sync(client=client, body=request(pre_existing_destination_data=True)), Failure)
    assert refused.error == "NotSupported" and not refused.success, refused
    typed(start.sync(client=client, body=request(copy_in_natural_order=False)), Success)

    seen = wait(client, lambda seen: seen.can_commit)
    assert seen.state == "RUNNING" and seen.lag_time_seconds >= 0, seen
    assert seen.collection_copy.estimated_copied_bytes > 0, seen
    assert seen.direction_mapping.source.startswith("cluster0: "), seen
    typed(load_level.sync(client=client, body=LoadLevelRequest(level=2)), Success)

    typed(pause.sync(client=client, body=NoOptions()), Success)
    assert look(client).state == "PAUSED"
    again = typed(pause.sync(client=client, body=NoOptions()), Failure)
    assert again.error == "InvalidStateTransition", again
    typed(resume.sync(client=client, body=NoOptions()), Success)
    seen = wait(client, lambda seen: seen.can_commit)

    file = File(payload=io.BytesIO(component.read_bytes()))
    added = typed(add_plugin.sync(client=client, body=file), PluginAnswer)
    known = typed(list_plugins.sync(client=client), PluginsAnswer)
    assert added.plugin.digest in [plugin.digest for plugin in known.plugins], known

    other = typed(commit.sync(client=client, body=CommitRequest(sync="another")), Failure)
    assert other.error == "SyncMismatch", other
    body = CommitRequest(sync=seen.sync_id, max_block_seconds=SECONDS)
    typed(commit.sync(client=client, body=body), Success)
    seen = wait(client, lambda seen: seen.can_write)
    assert seen.state == "COMMITTED" and seen.blocked_ms >= 0, seen

    collections = typed(verification.sync(client=client), VerificationAnswer).collections
    assert [entry.namespace for entry in collections] == ["shop.orders"], collections
    assert typed(list_mismatches.sync(client=client), MismatchesAnswer).mismatches == []
    calls = [record.call for record in typed(list_audit.sync(client=client), AuditAnswer).audit.records]
    assert "POST /api/v1/commit" in calls, calls
    assert typed(readyz.sync(client=client), ReadinessBody).ready
    assert healthz.sync_detailed(client=client).status_code == 200
    assert "tidegate_can_write 1" in typed(metrics.sync(client=client), str)


sync(Client(base_url=sys.argv[1]), pathlib.Path(sys.argv[2]))
print("a sync from start to commit, each answer of its class")
