"""Connects `plugin.py` to the host: the exports of the world `transform-plugin`.

An unhandled exception ends the instance, and the host reports it.
"""

import json

from componentize_py_types import Err
from wit_world.exports import describe, transform

import plugin
from raw_bson import Malformed
from sdk import DROP, KEEP, ConfigError, DocumentError

_configured = None


class Describe:
    def describe(self):
        return describe.Description(
            name=plugin.NAME,
            version=plugin.VERSION,
            semantics=plugin.SEMANTICS,
            scope=describe.Scope.DOCUMENT,
            config_schema=json.dumps(plugin.CONFIG_SCHEMA),
        )

    def configure(self, config):
        global _configured
        try:
            _configured = plugin.Plugin(_parse(config))
        except ConfigError as error:
            fault = describe.ConfigFault[error.fault.upper().replace("-", "_")]
            raise Err(describe.ConfigError(fault, error.path, error.reason))


class Transform:
    def transform(self, namespace, documents):
        verdicts, replacements = bytearray(), []
        at = 0
        while at < len(documents):
            end = at + int.from_bytes(documents[at : at + 4], "little")
            if end < at + 5 or end > len(documents):
                reason = f"the batch is not raw BSON after document {len(verdicts)}"
                raise Err(transform.Error_Fatal(reason))
            answer = _decide(namespace, documents[at:end], len(verdicts))
            if answer is KEEP:
                verdicts.append(0)
            elif answer is DROP:
                verdicts.append(1)
            else:
                verdicts.append(2)
                replacements.append(answer)
            at = end
        return transform.Outcome(bytes(verdicts) if any(verdicts) else b"", b"".join(replacements))


def _parse(config):
    try:
        return json.loads(config)
    except ValueError as error:
        raise ConfigError("invalid-value", "", f"it is not JSON: {error}")


def _decide(namespace, document, index):
    try:
        return _configured.transform(namespace, document)
    except DocumentError as error:
        raise Err(transform.Error_Document(transform.DocumentError(index, str(error))))
    except Malformed:
        reason = "it is not valid BSON"
        raise Err(transform.Error_Document(transform.DocumentError(index, reason)))
