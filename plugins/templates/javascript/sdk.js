// The answers and errors of a plugin.

export const KEEP = 0;
export const DROP = 1;

// Refuses a configuration.
//
// `fault` is a case of `config-fault` in wit/describe.wit; `path` names the field,
// as in `rules[1].pattern`, and is empty for the configuration as a whole; `reason`
// is a sentence for the operator.
export class ConfigError extends Error {
  constructor(fault, path, reason) {
    super(`${path}: ${reason}`);
    Object.assign(this, { fault, path, reason });
  }
}

// Refuses a document, with a sentence for the operator that never quotes it.
export class DocumentError extends Error {}

// The values of these fields. All are required, and no others are allowed.
export function fields(config, ...names) {
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new ConfigError("invalid-value", "", "a configuration is a JSON object");
  }
  for (const name of Object.keys(config)) {
    if (!names.includes(name)) {
      const reason = `there is no such field; known are ${names.join(", ")}`;
      throw new ConfigError("unknown-field", name, reason);
    }
  }
  for (const name of names) {
    if (!Object.hasOwn(config, name)) {
      throw new ConfigError("missing-field", "", `the field \`${name}\` is missing`);
    }
  }
  return names.map((name) => config[name]);
}
