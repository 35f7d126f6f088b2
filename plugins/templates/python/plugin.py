"""{{name}}: keeps the documents whose `field` has any of `values`, drops the others.

    {"field": "status", "values": ["active", 7]}

This file is the plugin: change it. `component.py` connects it to the host.
"""

import raw_bson
from sdk import DROP, KEEP, ConfigError, fields

NAME = "{{name}}"
VERSION = "0.1.0"

# Raise this when the same document gets a different answer on purpose.
SEMANTICS = 1

CONFIG_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "field": {
            "type": "string",
            "minLength": 1,
            "description": "The name of a top-level field.",
        },
        "values": {
            "type": "array",
            "minItems": 1,
            "items": {"type": ["string", "integer"]},
            "description": "A document is kept if its field has one of these.",
        },
    },
    "required": ["field", "values"],
    "additionalProperties": False,
}


class Plugin:
    """A configured instance. The same document always gets the same answer."""

    def __init__(self, config):
        field, values = fields(config, "field", "values")
        if not isinstance(field, str) or not field or "\0" in field:
            raise ConfigError("invalid-value", "field", "it is not the name of a field")
        if not isinstance(values, list) or not values:
            raise ConfigError("invalid-value", "values", "it is not a list of one value or more")
        for position, value in enumerate(values):
            if type(value) not in (str, int):
                reason = f"{value!r} is neither a string nor an integer"
                raise ConfigError("invalid-value", f"values[{position}]", reason)
        self.field = raw_bson.key(field)
        self.values = frozenset(values)

    def transform(self, namespace, document):
        """Decides about a document, given as raw BSON: KEEP, DROP, or the
        bytes of the document to write in its place, which has the same `_id`.
        """
        found = raw_bson.find(document, self.field)
        if found is None:
            return DROP
        return KEEP if raw_bson.scalar(document, *found) in self.values else DROP
