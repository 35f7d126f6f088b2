"""The answers and errors of a plugin."""

KEEP = "keep"
DROP = "drop"


class ConfigError(Exception):
    """Refuses a configuration.

    `fault` is a case of `config-fault` in wit/describe.wit; `path` names the
    field, as in `rules[1].pattern`, and is empty for the configuration as a whole;
    `reason` is a sentence for the operator.
    """

    def __init__(self, fault, path, reason):
        super().__init__(f"{path}: {reason}")
        self.fault, self.path, self.reason = fault, path, reason


class DocumentError(Exception):
    """Refuses a document, with a sentence for the operator that never quotes it."""


def fields(config, *names):
    """The values of these fields. All are required, and no others are allowed."""
    if not isinstance(config, dict):
        raise ConfigError("invalid-value", "", "a configuration is a JSON object")
    for name in config:
        if name not in names:
            known = ", ".join(names)
            raise ConfigError("unknown-field", name, f"there is no such field; known are {known}")
    for name in names:
        if name not in config:
            raise ConfigError("missing-field", "", f"the field `{name}` is missing")
    return [config[name] for name in names]
